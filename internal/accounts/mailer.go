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
	// Data fills the template: "name" and "url" for links; "subject", "name",
	// "text", "when", "address" and "agent" for notices.
	Data map[string]string
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
