package sessions

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mileusna/useragent"

	"ddpserver/internal/user"
)

// The kinds of programs that a session is used with.
const (
	Browser = "browser"
	Mobile  = "mobile"  // an application on a phone or tablet
	Desktop = "desktop" // an application on a desk
	Program = "program" // a script, a bot, a library
	Unknown = "unknown" // the client said nothing
)

const (
	// maxAgent bounds what is looked at of a User-Agent header, maxText a text that is
	// made of it, in bytes.
	maxAgent = 512
	maxText  = 64
)

// parseAgent names the program and the system behind a User-Agent header. What it
// finds is what the client said, cut to short printable texts.
func parseAgent(agent string) user.Origin {
	if len(agent) > maxAgent {
		agent = agent[:maxAgent]
	}
	agent = clean(agent, maxAgent)
	o := user.Origin{Kind: Unknown}
	switch {
	case agent == "":
	case strings.HasPrefix(agent, "RC Mobile;"):
		o = phone(agent)
	case strings.HasPrefix(agent, "Mozilla/"), strings.HasPrefix(agent, "Opera/"):
		o = browser(agent)
	default:
		o = product(agent)
	}
	for _, text := range []*string{&o.Client, &o.ClientVersion, &o.System, &o.SystemVersion} {
		*text = clean(*text, maxText)
	}
	return o
}

// browser reads what browsers send, and the applications that are made of one.
func browser(agent string) user.Origin {
	a := useragent.Parse(agent)
	o := user.Origin{Kind: Browser, Client: a.Name, ClientVersion: a.Version, System: a.OS, SystemVersion: a.OSVersion}
	if o.System == useragent.Linux {
		o.SystemVersion = "" // the kind of processor
	}
	switch {
	case a.Bot, a.OS == "":
		o.Kind = Program
	case strings.Contains(agent, " Electron/"):
		o.Kind = Desktop
	}
	return o
}

// phone reads what Rocket.Chat's applications send, such as
// "RC Mobile; ios 17.5; v4.49.0 (12345)".
func phone(agent string) user.Origin {
	o := user.Origin{Kind: Mobile, Client: "RC Mobile"}
	_, rest, _ := strings.Cut(agent, ";")
	system, rest, _ := strings.Cut(rest, ";")
	o.System, o.SystemVersion, _ = strings.Cut(strings.TrimSpace(system), " ")
	switch strings.ToLower(o.System) {
	case "ios":
		o.System = useragent.IOS
	case "android":
		o.System = useragent.Android
	}
	version, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	o.ClientVersion = strings.TrimPrefix(version, "v")
	return o
}

// product reads "name/version (comment)", which libraries and scripts send: the plain
// name, without guesses.
func product(agent string) user.Origin {
	o := user.Origin{Kind: Program}
	head, _, _ := strings.Cut(agent, "(")
	name, rest, versioned := strings.Cut(head, "/")
	if o.Client = strings.TrimSpace(name); versioned {
		o.ClientVersion, _, _ = strings.Cut(strings.TrimSpace(rest), " ")
	}
	return o
}

// clean makes a text printable: without controls and what hides or turns others
// around, blanks of every kind as one, no longer than most bytes.
func clean(text string, most int) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == utf8.RuneError:
			continue
		case unicode.IsSpace(r):
			if b.Len() == 0 || strings.HasSuffix(b.String(), " ") {
				continue
			}
			r = ' '
		case user.Hidden(r):
			continue
		}
		if b.Len()+utf8.RuneLen(r) > most {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
