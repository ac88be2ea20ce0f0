package mail

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"unicode"
)

// Templates there are, with the keys of Message.Data each one reads.
const (
	// Code carries a second-factor code: "code" (six digits), "minutes", "what" (what it
	// is asked for, as in "to log in"; empty when nobody said), "when", "address", "agent".
	Code = "code"
	// Verify carries the link that proves an address: "url".
	Verify = "verify"
	// Reset carries a link for a new password: "url".
	Reset = "reset"
	// Enroll carries the first link of an account made by somebody else: "url".
	Enroll = "enroll"
	// Notice tells of a change in the account: "subject", "name", "text" (what
	// happened; line breaks separate paragraphs), "when", "address", "agent".
	Notice = "notice"
)

//go:embed templates/*.txt templates/*.html
var files embed.FS

var (
	texts = texttemplate.Must(texttemplate.New("").Option("missingkey=zero").Funcs(texttemplate.FuncMap{"lines": lines, "spaced": spaced}).ParseFS(files,
		"templates/*.txt"))
	htmls = htmltemplate.Must(htmltemplate.New("").Option("missingkey=zero").Funcs(htmltemplate.FuncMap{"lines": lines, "spaced": spaced}).ParseFS(files,
		"templates/*.html"))
)

// subjects of the mails; %s is the site's name.
var subjects = map[string]string{
	Code:   "Authentication code",
	Verify: "How to verify email address on %s",
	Reset:  "How to reset your password on %s",
	Enroll: "An account has been created for you on %s",
	Notice: "",
}

// render makes the parts of a mail. What people wrote is left out unless the
// recipients proved their addresses.
func render(name, site string, proved bool, data map[string]string) (subject, text, html string, err error) {
	subject, ok := subjects[name]
	if !ok {
		return "", "", "", fmt.Errorf("no mail template %q", name)
	}
	switch {
	case name == Notice:
		subject = data["subject"]
	case strings.Contains(subject, "%s"):
		subject = fmt.Sprintf(subject, site)
	}
	values := clean(proved, data)
	values["site"] = site
	var t, h bytes.Buffer
	if err := texts.ExecuteTemplate(&t, name+".txt", values); err != nil {
		return "", "", "", fmt.Errorf("mail text: %w", err)
	}
	if err := htmls.ExecuteTemplate(&h, name+".html", values); err != nil {
		return "", "", "", fmt.Errorf("mail html: %w", err)
	}
	return oneLine(subject), t.String(), h.String(), nil
}

// oneLine keeps data out of the header structure: control characters become blanks.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// lines splits a text into paragraphs.
func lines(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
}

// spaced writes six digits the way people read them: 123-456.
func spaced(code string) string {
	if len(code) == 6 {
		return code[:3] + "-" + code[3:]
	}
	return code
}
