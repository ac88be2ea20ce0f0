package accounts

import (
	"context"
	"time"
)

// Message is one mail the package wants sent. It has the shape of mail.Message,
// so that the composition root converts one into the other.
type Message struct {
	// To are plain addresses.
	To []string
	// Template is one of TemplateVerify, TemplateReset, TemplateEnroll, TemplateNotice.
	Template string
	// Data fills the template: "url" for links; "subject", "name",
	// "text", "when", "address" and "agent" for notices.
	Data map[string]string
	// Proved says that every address was proved by the owner of the account. To others
	// goes nothing that people wrote: no names, no names of programs.
	Proved bool
	// Inside says that somebody who is logged in made it be sent, not a stranger.
	Inside bool
	// Expire is the time after which the mail is worthless.
	Expire time.Time
}

// The templates in use (those of package mail).
const (
	TemplateVerify = "verify"
	TemplateReset  = "reset"
	TemplateEnroll = "enroll"
	TemplateNotice = "notice"
)

// Mailer accepts mails. Send returns once the mail is stored durably; it does
// not wait for a mail server.
type Mailer interface {
	Send(ctx context.Context, m Message) error
}

// insideKey marks a context, see inside.
type insideKey struct{}

// inside marks what is done for somebody who is logged in: the mails of it do
// not share their room in the outbox with those that strangers cause.
func inside(ctx context.Context) context.Context {
	return context.WithValue(ctx, insideKey{}, true)
}

// isInside tells whether the context is marked so. What nobody marked is a stranger's.
func isInside(ctx context.Context) bool {
	marked, _ := ctx.Value(insideKey{}).(bool)
	return marked
}
