package admin_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/mail"
	"ddpserver/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a panel asks over DDP, and what it is told.
func TestConversations(t *testing.T) {
	for _, file := range []string{"users.txtar", "acts.txtar"} {
		testkit.Play(t, file, nil)
	}
}

// "do mails" runs the outbox, "do mail" puts a code for an address into it.
func TestConversationsOfTheStatus(t *testing.T) {
	for _, section := range ddptest.Load(t, "testdata/conversations/status.txtar") {
		t.Run(section.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w *testkit.World
				p := testkit.NewPlayer(t, false, func(made *testkit.World) { w = made })
				p.Do["mails"] = func(string) error { runOutbox(t, w.Outbox); return nil }
				p.Do["mail"] = func(to string) error { return send(w.Outbox, to) }
				p.Play(t, section)
			})
		})
	}
}

// runOutbox delivers mails until the test ends.
func runOutbox(t *testing.T, o *mail.Outbox) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = o.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// send mails a code, and returns once it is written.
func send(o *mail.Outbox, to string) error {
	err := o.Send(context.Background(), mail.Message{To: []string{to}, Template: mail.Code, Class: mail.ClassCode, Proved: true,
		Expire: time.Now().Add(time.Hour), Data: map[string]string{"code": "123456", "what": "to log in", "minutes": "10"}})
	synctest.Wait()
	return err
}

// A server that sends its mails shows none, and says so before it asks for anything.
func TestNoMailsOfOthersWhereTheyAreSent(t *testing.T) {
	tr, err := mail.Parse("smtp://mail.example.com")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewAPI(t, testkit.Options{MailTransport: tr})
		a.Unlimited()
		a.Account("root", "admin")
		root := a.Login("root")
		root.Refused("error-outbox-unavailable", "GET", "outbox.list", nil)
		root.Proven().Refused("error-outbox-unavailable", "GET", "outbox.list", nil)
		if m := root.OK("GET", "server.status", nil).Doc("mail"); m["readable"] != false || m["transport"] != "smtp://mail.example.com:587" {
			t.Errorf("%v", m)
		}
	})
}

// Over REST every request proves itself: one that was proved a moment ago opens nothing.
func TestEveryRequestForMailsProvesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewAPI(t, testkit.Options{})
		a.Unlimited()
		a.Account("root", "admin")
		root := a.Login("root")
		root.Refused("totp-required", "GET", "outbox.list", nil)
		root.Proven().OK("GET", "outbox.list", nil)
		root.Refused("totp-required", "GET", "outbox.list", nil)
	})
}
