package app

import (
	"context"
	"math"
	"strconv"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/mail"
	"ddpserver/internal/twofactor"
)

// moment is how mails write a time.
const moment = "2006-01-02 15:04:05 UTC"

// mailer gives the outbox the shapes that accounts and second factors ask for.
type mailer struct{ outbox *mail.Outbox }

var (
	_ accounts.Mailer  = (*mailer)(nil)
	_ twofactor.Mailer = (*mailer)(nil)
)

// Send implements accounts.Mailer.
func (m *mailer) Send(ctx context.Context, msg accounts.Message) error {
	out := mail.Message{To: msg.To, Template: msg.Template, Data: msg.Data, Proved: msg.Proved, Expire: msg.Expire}
	if msg.Inside && msg.Template != accounts.TemplateNotice {
		out.Class = mail.ClassLink
	}
	return m.outbox.Send(ctx, out)
}

// SendCode implements twofactor.Mailer, which mails to verified addresses only.
func (m *mailer) SendCode(ctx context.Context, c twofactor.CodeMail) error {
	class := mail.ClassCode
	if c.Stranger {
		class = mail.ClassRequested
	}
	return m.outbox.Send(ctx, mail.Message{
		To: c.To, Template: mail.Code, Class: class, Proved: true, Expire: c.Expire,
		Data: map[string]string{
			"code": c.Code.Reveal(), "what": c.What, "when": c.At.UTC().Format(moment), "address": c.Address, "agent": c.Agent,
			"minutes": strconv.Itoa(int(math.Ceil(time.Until(c.Expire).Minutes()))),
		},
	})
}

// SendNotice implements twofactor.Mailer, as SendCode.
func (m *mailer) SendNotice(ctx context.Context, n twofactor.Notice) error {
	return m.outbox.Send(ctx, mail.Message{
		To: n.To, Template: mail.Notice, Proved: true, Expire: n.Expire,
		Data: map[string]string{
			"subject": n.Subject(), "name": n.Name, "text": n.Text(),
			"when": n.At.UTC().Format(moment), "address": n.Address, "agent": n.Agent,
		},
	})
}
