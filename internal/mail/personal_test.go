package mail_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ddpserver/internal/mail"
	"ddpserver/internal/mail/mailtest"
	"ddpserver/internal/store/storetest"
)

// keys are what the templates read, by whose words they are. A key that is new has
// to be put into one of the lists before a mail may show it.
var keys = map[string]bool{
	"name": true, "agent": true, // what people wrote
	// the server's or the operator's
	"site": false, "code": false, "minutes": false, "what": false, "url": false, "when": false, "address": false, "subject": false, "text": false,
}

// Every template with every key that holds what people wrote: an address that
// nobody proved gets none of it, in no part of the mail; a proved one does, where the
// template has a place for it (A21).
func TestA21NoWordsOfStrangersForUnprovedAddresses(t *testing.T) {
	read := regexp.MustCompile(`\.([a-z]+)\b`)
	files, err := filepath.Glob("templates/*")
	if err != nil || len(files) != 2*len(mail.Names()) {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range regexp.MustCompile(`\{\{[^}]*\}\}`).FindAllString(string(text), -1) {
			for _, m := range read.FindAllStringSubmatch(action, -1) {
				if _, known := keys[m[1]]; !known {
					t.Errorf("%s reads %q: say in this test whose words that is", f, m[1])
				}
			}
		}
	}
	const marker = "Zaubermarke"
	shown := 0
	for _, name := range mail.Names() {
		for key, personal := range keys {
			if !personal {
				continue
			}
			data := map[string]string{"code": "111222", "minutes": "10", "url": "https://x.example/", "subject": "s", "text": "t", "when": "now",
				"address": "192.0.2.1", "what": "to log in"}
			data[key] = marker
			for _, proved := range []bool{false, true} {
				subject, text, html, err := mail.Render(name, "Site", proved, data)
				if err != nil {
					t.Fatal(err)
				}
				if has := strings.Contains(subject+text+html, marker); has && !proved {
					t.Errorf("%s shows %s to an unproved address:\n%s\n%s", name, key, subject, text)
				} else if has {
					shown++
				}
			}
		}
	}
	if shown != 3 { // the name and the program in a notice, the program in a code's mail
		t.Errorf("%d places show what people wrote to proved addresses, want 3", shown)
	}
	// Who sends says nothing of the recipients: they are unproved.
	dir := t.TempDir()
	w := newWorld(t, mail.Files(dir), storetest.OpenSQLite(t))
	if err := w.Send(t.Context(), mail.Message{To: []string{"ada@example.org"}, Template: mail.Notice,
		Data: map[string]string{"subject": "s", "text": "t", "name": marker, "agent": marker}}); err != nil {
		t.Fatal(err)
	}
	w.step(t)
	files, _ = filepath.Glob(filepath.Join(dir, "*.eml"))
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if m, err := mailtest.Read(raw); err != nil || strings.Contains(m.Text+m.HTML+string(raw), marker) {
		t.Errorf("%v\n%s", err, raw)
	}
}

// What a program calls itself is a stranger's text: short, plain, no links (A21).
func TestA21TheAgentIsCleaned(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0": "Mozilla/5.0 (X11; Linux x86_64; rv 145.0) Gecko/20100101 Firefox/145.0",
		"":                         "",
		"curl/8.5.0":               "curl/8.5.0",
		"http://evil.example/x":    "http evil example x",
		"www.evil.example":         "www evil example",
		"evil@evil.example":        "evil evil example",
		"a\r\nBcc: x\x00\u202eb😀ü": "a Bcc x b",
		"<b>&amp;\"'":              "b amp;",
	} {
		if got := mail.ShortAgent(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
	r := rand.New(rand.NewPCG(21, 21))
	parts := []string{"http", "https", ":", "/", ".", "www.", "evil", "example", "com", "@", "5", "é", "\n", "\u200b", " ", "(", ";"}
	link := regexp.MustCompile(`(?i)://|www\.|@|[a-z]\.[a-z]|\.[a-z]{2}`)
	for range 20000 {
		var b strings.Builder
		for range r.IntN(60) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		got := mail.ShortAgent(b.String())
		if len(got) > 80 || link.MatchString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q became %q", b.String(), got)
		}
	}
}

// A code's mail says what it is for, from where and with what it was asked (A21).
func TestA21ACodesMailSaysWhatFor(t *testing.T) {
	data := map[string]string{"code": "111222", "minutes": "10", "what": "to change the password", "when": "2026-01-02 03:04:05 UTC", "address": "192.0.2.1",
		"agent": "Probe/1.0"}
	for _, part := range parts(t, mail.Code, data) {
		for _, want := range []string{"asked for to change the password, and good for that only", "2026-01-02 03:04:05 UTC", "192.0.2.1", "Probe/1.0", "111-222",
			"10 minutes"} {
			if !strings.Contains(part, want) {
				t.Errorf("%q is missing in\n%s", want, part)
			}
		}
	}
	delete(data, "what")
	for _, part := range parts(t, mail.Code, data) {
		if !strings.Contains(part, "did not say what for: it is good for anything") {
			t.Errorf("a code without a purpose:\n%s", part)
		}
	}
}

func parts(t *testing.T, template string, data map[string]string) []string {
	t.Helper()
	_, text, html, err := mail.Render(template, "Site", true, data)
	if err != nil {
		t.Fatal(err)
	}
	return []string{text, html}
}
