package twofactor

import (
	"context"
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
	// Language is the account's language tag, or empty.
	Language string
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

// Change names what a Notice is about.
type Change string

// The changes that are mailed.
const (
	TOTPEnabled   Change = "totp-enabled"
	TOTPDisabled  Change = "totp-disabled"
	TOTPReset     Change = "totp-reset" // by an administrator, or by the owner without a code
	EmailEnabled  Change = "email-enabled"
	EmailDisabled Change = "email-disabled"
	CodesReplaced Change = "backup-codes-replaced"
	// TOTPResetPending: an administrator asked for a reset that takes effect later.
	TOTPResetPending Change = "totp-reset-pending"
	// TOTPResetStopped: the owner showed that the app is not lost.
	TOTPResetStopped Change = "totp-reset-stopped"
	// TOTPResetVoid: whoever asked for it is no administrator any more.
	TOTPResetVoid Change = "totp-reset-void"
)

// Notice tells the owner of an account that its factors changed.
type Notice struct {
	To       []string
	Language string
	Name     string
	Change   Change
	At       time.Time
	// Address and Agent are where the change came from; either may be empty.
	Address, Agent string
	// Tokens names the personal access tokens that stay valid.
	Tokens []string
	// Due is when a pending reset takes effect, and By the user name of who asked
	// for it; for TOTPResetPending only.
	Due    time.Time
	By     string
	Expire time.Time
}

// Subject is the subject line of the notice.
func (n Notice) Subject() string { return changes[n.Change].subject }

// Text says what happened, in whole sentences; line breaks separate paragraphs.
func (n Notice) Text() string {
	text := changes[n.Change].text
	if n.Change == TOTPResetPending {
		text = "The administrator " + n.By + " asked to remove the authenticator app and its backup codes from your account. It takes effect at " +
			n.Due.UTC().Format("2006-01-02 15:04 MST") + "; until then nothing changes." + text
	}
	if len(n.Tokens) == 0 {
		return text
	}
	text += "\nThese personal access tokens are still valid:"
	for _, name := range n.Tokens {
		text += "\n- " + name
	}
	return text
}

// changes are the words of the notices.
var changes = map[Change]struct{ subject, text string }{
	TOTPEnabled: {"Two-factor authentication was switched on",
		"An authenticator app is now a second factor of your account. Your other sessions were closed." +
			"\nIf codes by e-mail are on as well, think of switching them off: who reads your mailbox and knows your password can log in with them, and the app would not be asked."},
	TOTPDisabled: {"Two-factor authentication was switched off",
		"The authenticator app and its backup codes are no longer a second factor of your account. Your other sessions were closed."},
	TOTPReset: {"Your TOTP has been reset",
		"The authenticator app and its backup codes are removed from your account, and all its sessions and tokens are closed. Log in again and set two-factor authentication up anew."},
	TOTPResetPending: {"Your authenticator app is going to be removed",
		"\nIf you have lost the app and its backup codes, wait until then: all your sessions and tokens are closed, and you log in without the app." +
			"\nIf you still have them, stop it: log in, or do anything that asks for a code, and give a code of the app or a backup code. " +
			"If you did not ask for this, tell whoever runs the server."},
	TOTPResetStopped: {"Your authenticator app stays",
		"The removal of the authenticator app from your account, which an administrator had asked for, was stopped by its owner's proof. " +
			"If that was not you, somebody else has your app, a backup code or your password: ask an administrator for help."},
	TOTPResetVoid: {"Your authenticator app stays",
		"The removal of the authenticator app from your account is void: whoever asked for it is no administrator any more. " +
			"If you have lost the app and its backup codes, ask another administrator."},
	EmailEnabled: {"Two-factor authentication by e-mail was switched on",
		"Codes sent to your verified addresses are now a second factor of your account. Your other sessions were closed."},
	EmailDisabled: {"Two-factor authentication by e-mail was switched off",
		"Codes sent by e-mail are no longer a second factor of your account. Your other sessions were closed."},
	CodesReplaced: {"Your backup codes were replaced",
		"New backup codes were made for your account; the old ones are void."},
}
