package mail_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"ddpserver/internal/mail"
	"ddpserver/internal/mail/mailtest"
	"ddpserver/internal/store/storetest"
)

// A relay on this machine gets its mail whatever it offers: a login without TLS, and a
// certificate that nobody vouches for. Who asks for more gets more.
func TestRelayOnLoopback(t *testing.T) {
	plain := mailtest.Start(t, mailtest.Options{User: "me", Password: "top secret"})
	signed := mailtest.Start(t, mailtest.Options{TLS: true, User: "me", Password: "top secret"})
	for _, c := range []struct {
		name, url string
		srv       *mailtest.Server
		sent      bool
	}{
		{"a password without TLS", "smtp://me:top%20secret@" + plain.Addr, plain, true},
		{"a password, TLS forbidden", "smtp://me:top%20secret@" + plain.Addr + "?starttls=none", plain, true},
		{"a wrong password", "smtp://me:wrong@" + plain.Addr, plain, false},
		{"TLS required and not there", "smtp://me:top%20secret@" + plain.Addr + "?starttls=required", plain, false},
		{"a self-signed certificate", "smtp://me:top%20secret@" + signed.Addr, signed, true},
		{"the same, TLS required", "smtp://me:top%20secret@" + signed.Addr + "?starttls=required", signed, false},
		{"the same, vouched for", "smtp://me:top%20secret@" + signed.Addr + "?starttls=required&ca=" + signed.CAFile, signed, true},
		{"another authority", "smtp://me:top%20secret@" + signed.Addr + "?ca=" + mailtest.Start(t, mailtest.Options{TLS: true}).CAFile, signed, false},
	} {
		before := len(c.srv.Mails())
		w := newWorld(t, mustParse(t, c.url), storetest.OpenSQLite(t))
		w.sendCode(t, "ada@example.org")
		if got := w.step(t); (got == "sent") != c.sent || len(c.srv.Mails())-before > 1 || (len(c.srv.Mails()) > before) != c.sent {
			t.Errorf("%s: %s, %d mails came", c.name, got, len(c.srv.Mails())-before)
		}
	}
	if strings.Contains(signed.InClear(), "AUTH") {
		t.Error("a password went out in clear although the server offers TLS")
	}
}

// A test mail shows the conversation, with its end, and no secret.
func TestProbe(t *testing.T) {
	srv := mailtest.Start(t, mailtest.Options{User: "me", Password: "secret words", Rcpt: func(to string) error {
		if to == "nobody@example.org" {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody here, secret words"}
		}
		return nil
	}})
	probe := func(url, to string) (string, error) {
		var said bytes.Buffer
		err := mustParse(t, url).Probe(t.Context(), "ddpserver@example.org", to, "Example", &said)
		for _, hidden := range []string{"secret words", "AG1lAHNlY3JldCB3b3Jkcw"} {
			if strings.Contains(said.String(), hidden) || err != nil && strings.Contains(err.Error(), hidden) {
				t.Errorf("it tells the password: %s, %v", said.String(), err)
			}
		}
		return said.String(), err
	}
	said, err := probe("smtp://me:secret%20words@"+srv.Addr, "ada@example.org")
	if err != nil || len(srv.Mails()) != 1 || !strings.Contains(srv.Mails()[0].Header.Get("Subject"), "Test mail of Example") {
		t.Errorf("%v: %d mails", err, len(srv.Mails()))
	}
	for _, want := range []string{"to ada@example.org by smtp://" + srv.Addr, "C: EHLO", "S: 235", "C: RCPT TO:<ada@example.org>", "Sent as <"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q lacks %q", said, want)
		}
	}
	said, err = probe("smtp://me:secret%20words@"+srv.Addr, "nobody@example.org")
	if err == nil || !strings.Contains(said, "!: ") || !strings.Contains(said, "550") {
		t.Errorf("a refused recipient: %v, %s", err, said)
	}
	if said, err = probe("smtp://me:wrong@"+srv.Addr, "ada@example.org"); err == nil || !strings.Contains(said, "535") {
		t.Errorf("a wrong password: %v, %s", err, said)
	}
	if _, err = probe("smtp://127.0.0.1:1", "ada@example.org"); err == nil {
		t.Error("nobody listens, and a mail was sent")
	}
	if _, err = probe("smtp://"+srv.Addr, "no address"); err == nil {
		t.Error("a mail went to no address")
	}
	var told bytes.Buffer
	err = mail.Files(t.TempDir()).Probe(t.Context(), "ddpserver@example.org", "ada@example.org", "Example", &told)
	if err != nil || !strings.Contains(told.String(), "Written to") {
		t.Errorf("%v, %s", err, told.String())
	}
}
