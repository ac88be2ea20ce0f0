package twofactor_test

import (
	"testing"
	"time"

	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// framed makes a request one that came in a message.
func framed(id, params string) func(*twofactor.Request) {
	return func(r *twofactor.Request) { r.Frame, r.Params = []byte(id), []byte(params) }
}

// openSince is a connection from home that was opened then.
func openSince(at time.Time) func(*twofactor.Request) {
	return from(&rpc.Peer{Conn: "c2", Door: rpc.DDP, Opened: at, Address: home.Address, AgentDigest: home.AgentDigest})
}

// reconnected is one that is opened now.
func reconnected() func(*twofactor.Request) { return openSince(time.Now()) }

// U3: a client that lost its connection sends the very same message again. It passes,
// whatever factor it was, and counts for nothing; a code is good twice for nothing else.
func TestTheSameMessageAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a, m := w.account("alice").enrol(), w.account("bob", withEmail)
		for name, c := range map[string]struct {
			*account
			code func() string
		}{
			"app":    {a, func() string { return a.now(0) }},
			"backup": {a, func() string { return a.backup[0] }},
			"mail": {m, func() string {
				m.check(purpose("call"))
				return w.Mails.Code(-1)
			}},
		} {
			for _, p := range []twofactor.Policy{twofactor.Ordinary, twofactor.Fresh} {
				if name == "backup" {
					a.backup = a.backup[1:]
				}
				digits := c.code()
				same := []func(*twofactor.Request){purpose("call"), policy(p), code(digits), framed(`"1"`, `["x"]`)}
				with := func(more ...func(*twofactor.Request)) string {
					return c.check(append(append([]func(*twofactor.Request){}, same...), more...)...)
				}
				began := time.Now()
				if got := with(); got != "" {
					t.Fatalf("%s: %q", name, got)
				}
				before, mails := c.received(), w.Mails.Count()
				time.Sleep(time.Second)
				again := reconnected()
				time.Sleep(time.Second)
				for range 3 {
					if got := with(again); got != "" {
						t.Errorf("%s, again: %q", name, got)
					}
				}
				if c.received() != before || w.Mails.Count() != mails {
					t.Errorf("%s: %d answers were counted, %d codes mailed", name, c.received()-before, w.Mails.Count()-mails)
				}
				for what, other := range map[string]func(*twofactor.Request){
					"message": framed(`"2"`, `["x"]`), "parameters": framed(`"1"`, `["y"]`), "no message": framed("", ""),
					"method of the same purpose": func(r *twofactor.Request) { r.Action = "sibling" },
					"call":                       purpose("other"), "token": token(c.user().Username + "-2"), "method": method("totp"),
					"connection, the same": from(home), "connection, open before": openSince(began),
					"unframed": func(r *twofactor.Request) { r.Frame = nil },
					"login":    func(r *twofactor.Request) { r.Policy, r.Token = twofactor.Login, "" },
				} {
					if got := with(again, other); got == "" {
						t.Errorf("%s, another %s passed", name, what)
					}
				}
				time.Sleep(5*time.Minute + time.Second)
				if got := with(again); got != "totp-invalid" && got != "totp-max-attempts" {
					t.Errorf("%s, too late: %q", name, got)
				}
				time.Sleep(2 * time.Hour)
			}
		}
	})
}

// A message that passed with codes by mail does not pass again once an
// authenticator app is on and asked for.
func TestTheSameMessageIsNoStrongerAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		a.check(purpose("call"))
		same := []func(*twofactor.Request){purpose("call"), policy(twofactor.Fresh), code(w.Mails.Code(-1)), framed(`"1"`, `[]`)}
		if got := a.check(same...); got != "" {
			t.Fatal(got)
		}
		a.enrol()
		time.Sleep(time.Second)
		if got := a.check(append(same, reconnected())...); got != "totp-invalid" {
			t.Errorf("the app was not asked for: %q", got)
		}
	})
}
