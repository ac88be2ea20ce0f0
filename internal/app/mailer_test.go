package app

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/mail"
	"ddpserver/internal/secret"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/twofactor"
)

// The mail server is away and strangers register, ask for links and for codes
// until nothing more of theirs is taken: codes for challenges, notices, and links
// that people ask for who are logged in are accepted as before (A20).
func TestA20StrangersDoNotFillTheOutbox(t *testing.T) {
	key, err := secret.NewKey(secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	site := func() string { return "Example" }
	outbox, err := mail.New(mail.Options{
		Store: storetest.OpenSQLite(t), Key: key, Transport: mail.Files(t.TempDir()), From: func() string { return "a@b.example" }, Site: site, Max: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &mailer{outbox: outbox}
	link := func(template string, inside bool) error {
		return m.Send(t.Context(), accounts.Message{To: []string{"ada@example.org"}, Template: template, Inside: inside,
			Data: map[string]string{"url": "https://x.example/"}})
	}
	code := func(stranger bool) error {
		return m.SendCode(t.Context(), twofactor.CodeMail{To: []string{"ada@example.org"}, Code: "012345", Expire: time.Now().Add(time.Minute), Stranger: stranger})
	}
	for what, send := range map[string]func() error{
		"verification": func() error { return link(accounts.TemplateVerify, false) },
		"reset":        func() error { return link(accounts.TemplateReset, false) },
		"a code":       func() error { return code(true) },
	} {
		for i := 0; ; i++ {
			if err := send(); errors.Is(err, mail.ErrQueueFull) {
				break
			} else if err != nil || i > 100 {
				t.Fatalf("%s %d: %v", what, i, err)
			}
		}
	}
	for range 10 {
		for what, err := range map[string]error{
			"a code for a challenge": code(false), "a link asked for inside": link(accounts.TemplateVerify, true),
			"a notice of an account": link(accounts.TemplateNotice, false),
			"a notice of a factor": m.SendNotice(t.Context(), twofactor.Notice{To: []string{"ada@example.org"}, Change: twofactor.TOTPEnabled,
				Expire: time.Now().Add(time.Hour)}),
		} {
			if err != nil {
				t.Error(fmt.Errorf("%s: %w", what, err))
			}
		}
	}
}
