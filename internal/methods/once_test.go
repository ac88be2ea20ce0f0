package methods_test

import (
	"testing"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
)

// A7: with every call listed and nothing remembered, one code is enough for one
// call over DDP, whatever carries it: a last parameter, the launcher as a method
// and as a frame of its own, the headers of the handshake.
func TestA7OneCallAsksOnce(t *testing.T) {
	for name, send := range map[string]func(c *client, code string) *failure{
		"a last parameter": func(c *client, code string) *failure {
			_, fail := c.call("getServerInfo", answer(code, "email"))
			return fail
		},
		"the launcher": func(c *client, code string) *failure {
			_, fail := c.call("callWithTwoFactorRequired", launch("getServerInfo", code, "email"))
			return fail
		},
		"the launcher, a listed action of its own": func(c *client, code string) *failure {
			_, fail := c.call("callWithTwoFactorRequired", launch("saveUserProfile", code, "email", map[string]any{"realname": "Another", "username": "another"},
				map[string]any{}))
			return fail
		},
		"a frame of its own": func(c *client, code string) *failure {
			c.send(`{"msg":"callWithTwoFactorRequired","id":"x","code":%q,"ddpMethod":"getServerInfo","method":"email","params":[]}`, code)
			_, fail := c.result("x")
			return fail
		},
		"several actions in one": func(c *client, code string) *failure {
			_, fail := c.call("saveUserProfile", map[string]any{"realname": "Another", "username": "another", "statusType": "busy"}, map[string]any{},
				answer(code, "email"))
			return fail
		},
		"the headers of the handshake": func(c *client, code string) *failure {
			again := c.w.connect(func(p *rpc.Peer) { p.Proof = rpc.TextProof("email", code) }).resume(c)
			_, fail := again.call("getServerInfo")
			return fail
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.unlimited()
				w.set(settings.TwoFactorRememberFor, 0)
				w.user("ada", "email2fa")
				c := w.as("ada")
				w.set(settings.TwoFactorProtectedCalls, "*")
				if _, fail := c.call("getServerInfo"); fail.code() != "totp-required" {
					t.Fatalf("without a code: %q", fail.code())
				}
				if _, fail := c.call("sendEmailCode", "ada"); fail != nil { // good for any call
					t.Fatal(fail.code())
				}
				taken := func() (n int) {
					for _, e := range w.trail.of("factor_check") {
						if e.Outcome == "ok" {
							n++
						}
					}
					return n
				}
				before := taken()
				if fail := send(c, w.mails.last()); fail != nil {
					t.Fatalf("%+v", fail)
				}
				if n := taken() - before; n != 1 {
					t.Errorf("%d codes were taken", n)
				}
			})
		})
	}
}
