package mail

import (
	"context"
	"ddpserver/internal/secret"
	"encoding/json"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
)

// Message is one mail before it is rendered. Every recipient gets a copy of its
// own, so that one refused address does not hold up the others.
type Message struct {
	// To are plain addresses, without display names.
	To []string
	// Template names one of the Templates.
	Template string
	// Class is how much the mail matters; empty means that of its template, and
	// for a link ClassStranger.
	Class Class
	// Proved says that the owner of the account has proved every one of the addresses.
	// Only then the mail holds what people wrote: names, and the names of programs.
	Proved bool
	// Data fills the template; see the template files for their keys. Values are
	// shown as they are: nothing in them is expanded or taken for mark-up.
	Data map[string]string
	// Expire is the time after which the mail is worthless and is dropped
	// undelivered. Zero means a day.
	Expire time.Time
}

// ErrAddress says that a recipient is not an address a mail may be sent to.
var ErrAddress = errors.New("not a valid mail address")

// maxAge is how long a mail without an expiry is tried.
const maxAge = 24 * time.Hour

// letter is a rendered mail as it is sealed into the outbox.
type letter struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	// HTML is empty in a mail of plain text.
	HTML string `json:"html"`
}

// sealPurpose binds sealed letters to the outbox.
const sealPurpose = secret.PurposeMail

// Send accepts a message: when it returns nil, its copies are stored durably and
// will be tried until they are delivered, refused for good, or expired. It never
// waits for a mail server. The error is ErrAddress, ErrQueueFull when there is no
// room for the class (not if one copy at least found a place), or the store's.
func (o *Outbox) Send(ctx context.Context, m Message) error {
	now := o.now().UTC().Truncate(time.Millisecond)
	if m.Expire.IsZero() {
		m.Expire = now.Add(maxAge)
	}
	// One odd address of an adopted account must not keep codes from the others.
	var good []string
	for _, to := range m.To {
		if err := CheckAddress(to); err != nil {
			o.log.Warn("mail_address_invalid", zap.String("to", mask(to)), zap.String("template", m.Template))
			continue
		}
		good = append(good, to)
	}
	if len(good) == 0 {
		return ErrAddress
	}
	class, err := m.class()
	if err != nil {
		return err
	}
	subject, text, html, err := render(m.Template, o.site(), m.Proved, m.Data)
	if err != nil {
		return err
	}
	if o.plainText() {
		html = ""
	}
	for i, to := range good {
		err := o.put(ctx, class, m.Expire, letter{From: o.from(), To: to, Subject: subject, Text: text, HTML: html})
		if errors.Is(err, ErrQueueFull) && i > 0 {
			o.log.Warn("mail_copy_left_out", zap.String("to", mask(to)), zap.String("template", m.Template))
			break
		}
		if err != nil {
			return err
		}
	}
	o.wake()
	return nil
}

// put stores one copy.
func (o *Outbox) put(ctx context.Context, class Class, expire time.Time, l letter) error {
	plain, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode mail: %w", err)
	}
	now, id := o.now().UTC().Truncate(time.Millisecond), random.ID()
	it := Item{
		ID: id, Class: class, Rank: class.rank(), Sealed: o.key.Seal(sealPurpose, id, string(plain)),
		NotBefore: now, Expire: expire.UTC().Truncate(time.Millisecond), CreatedAt: now,
	}
	switch err := o.store.PutMail(ctx, it, o.room(class)); {
	case errors.Is(err, dberr.Exhausted):
		return o.full(class, err)
	case err != nil:
		return fmt.Errorf("store mail: %w", err)
	}
	return nil
}

// CheckAddress accepts an addr-spec that needs no quoting and cannot smuggle
// anything into a header or an SMTP command (CVE-2025-59937 and kin): one "@",
// no control characters, blanks, quotes, angle brackets or commas, at most 254
// bytes (RFC 5321 4.5.3.1).
func CheckAddress(addr string) error {
	local, domain, ok := strings.Cut(addr, "@")
	if !ok || local == "" || domain == "" || len(addr) > 254 || len(local) > 64 || strings.Contains(domain, "@") {
		return ErrAddress
	}
	for _, r := range addr {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`"<>(),;:\[]`, r) || r >= 0x80 && r < 0xa0 || r == 0xfffd {
			return ErrAddress
		}
	}
	if _, err := netmail.ParseAddress(addr); err != nil {
		return ErrAddress
	}
	return nil
}

// mask makes an address fit for a log: the first letter and the domain.
func mask(addr string) string {
	local, domain, ok := strings.Cut(addr, "@")
	if !ok || local == "" {
		return "?"
	}
	return local[:1] + "…@" + domain
}
