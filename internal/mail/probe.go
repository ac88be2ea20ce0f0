package mail

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wneessen/go-mail/log"

	"ddpserver/internal/random"
	"ddpserver/internal/secret"
)

// Probe sends one mail to an address, past the outbox, and writes what is sent and the
// whole conversation with the mail server to w, as it happens and without secrets. An
// error is the mail server's refusal, or why there was no conversation.
func (t *Transport) Probe(ctx context.Context, from, to, site string, w io.Writer) error {
	if err := Check(to); err != nil {
		return fmt.Errorf("%q: %w", to, err)
	}
	it := Item{ID: random.ID(), CreatedAt: time.Now()}
	l := letter{From: from, To: to, Subject: "Test mail of " + site, Text: "This is a test of the way to your mailbox. Nothing needs to be done.\n"}
	fmt.Fprintf(w, "Mail %q from %s to %s by %s\n", l.Subject, from, to, t)
	probe := *t
	if t.smtp != nil {
		told := *t.smtp
		told.dialogue = &dialogue{w, told.password}
		probe.smtp = &told
	}
	where, err := probe.deliver(ctx, it, l)
	switch {
	case err != nil:
		return fmt.Errorf("not sent: %w", err)
	case where != "":
		fmt.Fprintf(w, "Written to %s\n", where)
	default:
		fmt.Fprintf(w, "Sent as <%s@%s>\n", it.ID, domainOf(from))
	}
	return nil
}

// dialogue writes what client and server say to each other. The library blanks what
// belongs to a login, and tells a refusal as an error only; the password is blanked
// wherever else it might come up. A nil one writes nothing.
type dialogue struct {
	w        io.Writer
	password secret.String
}

func (d *dialogue) line(l log.Log) {
	who := "S: "
	if l.Direction == log.DirClientToServer {
		who = "C: "
	}
	d.write(who, fmt.Sprintf(l.Format, l.Messages...))
}

// failed writes how a conversation ended that did not end well.
func (d *dialogue) failed(err error) {
	if d != nil && err != nil {
		d.write("!: ", err.Error())
	}
}

func (d *dialogue) write(who, text string) {
	if pw := d.password.Reveal(); pw != "" {
		text = strings.ReplaceAll(text, pw, "[redacted]")
	}
	for part := range strings.Lines(text) {
		fmt.Fprintf(d.w, "%s%s\n", who, strings.TrimRight(part, "\r\n"))
	}
}

// Debugf, Infof, Warnf and Errorf implement the library's Logger.
func (d *dialogue) Debugf(l log.Log) { d.line(l) }
func (d *dialogue) Infof(l log.Log)  { d.line(l) }
func (d *dialogue) Warnf(l log.Log)  { d.line(l) }
func (d *dialogue) Errorf(l log.Log) { d.line(l) }
