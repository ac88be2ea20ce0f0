package twofactor

import (
	"context"
	"strings"
	"time"

	"ddpserver/internal/secret"
)

// Mailer takes the mails of this package. Both methods return once the mail is
// accepted durably; delivery happens later and its failures stay with the
// mailer. Every address gets a copy of its own.
type Mailer interface {
	// SendCode mails one code to every address. After m.Expire the mail is
	// worthless and must not be sent any more.
	SendCode(ctx context.Context, m CodeMail) error
	// SendNotice tells the owner of a change. It carries no secret.
	SendNotice(ctx context.Context, m Notice) error
}

// CodeMail is one code on its way to the owner's verified addresses.
type CodeMail struct {
	To []string
	// Name is what the owner is called: the user name, or empty.
	Name string
	// What is what the code is asked for, as in "to log in"; empty when nobody said.
	What string
	// At is when it was asked for; Address and Agent are where from and with which
	// program, as the asker told. Either may be empty.
	At             time.Time
	Address, Agent string
	// Stranger says that somebody who is not logged in as the owner asked for it.
	Stranger bool
	// Code is six digits; the mail shows them as "ddd-ddd".
	Code   secret.String
	Expire time.Time
}

// Change is one thing that happened to the factors of an account: what the owner is
// told, and what the audit stream calls it. The factor that it happens to defines it.
type Change struct {
	// Name tells it from others.
	Name string
	// Factor and Act stand in the audit stream.
	Factor, Act string
	// Subject and Text are the mail: whole sentences, line breaks between paragraphs.
	// {by} and {due} stand for Notice.By and Notice.Due, {key} for a name (about).
	Subject, Text string
	// Ends says that personal access tokens end too, so that none is listed.
	Ends bool
}

// about is the change with the name of what it happened to.
func (c Change) about(what, name string) Change {
	c.Text = strings.ReplaceAll(c.Text, "{"+what+"}", "“"+name+"”")
	return c
}

// Notice tells the owner of an account that its factors changed.
type Notice struct {
	To     []string
	Name   string
	Change Change
	At     time.Time
	// Address and Agent are where the change came from; either may be empty.
	Address, Agent string
	// Tokens names the personal access tokens that stay valid.
	Tokens []string
	// Due is when a change takes effect that waits, and By the user name of who asked
	// for it.
	Due    time.Time
	By     string
	Expire time.Time
}

// Subject is the subject line of the notice.
func (n Notice) Subject() string { return n.Change.Subject }

// Text says what happened, in whole sentences; line breaks separate paragraphs.
func (n Notice) Text() string {
	text := strings.NewReplacer("{by}", n.By, "{due}", n.Due.UTC().Format("2006-01-02 15:04 MST")).Replace(n.Change.Text)
	if len(n.Tokens) == 0 {
		return text
	}
	text += "\nThese personal access tokens are still valid:"
	for _, name := range n.Tokens {
		text += "\n- " + name
	}
	return text
}
