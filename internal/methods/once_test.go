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
			_, fail := c.Call("getServerInfo", answer(code, "email"))
			return fail
		},
		"the launcher": func(c *client, code string) *failure {
			_, fail := c.Call("callWithTwoFactorRequired", launch("getServerInfo", code, "email"))
			return fail
		},
		"the launcher, a listed action of its own": func(c *client, code string) *failure {
			_, fail := c.Call("callWithTwoFactorRequired", launch("saveUserProfile", code, "email", map[string]any{"realname": "Another", "username": "another"},
				map[string]any{}))
			return fail
		},
		"a frame of its own": func(c *client, code string) *failure {
			c.Send(`{"msg":"callWithTwoFactorRequired","id":"x","code":%q,"ddpMethod":"getServerInfo","method":"email","params":[]}`, code)
			_, fail := c.Result("x")
			return fail
		},
		"several actions in one": func(c *client, code string) *failure {
			_, fail := c.Call("saveUserProfile", map[string]any{"realname": "Another", "username": "another", "statusType": "busy"}, map[string]any{},
				answer(code, "email"))
			return fail
		},
		"the headers of the handshake": func(c *client, code string) *failure {
			again := c.World.Connect(func(p *rpc.Peer) { p.Proof = rpc.TextProof("email", code) }).Resume(c)
			_, fail := again.Call("getServerInfo")
			return fail
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.Unlimited()
				w.Set(settings.TwoFactorRememberFor, 0)
				w.User("ada", "email2fa")
				c := w.As("ada")
				w.Set(settings.TwoFactorProtectedCalls, "*")
				if _, fail := c.Call("getServerInfo"); fail.Code() != "totp-required" {
					t.Fatalf("without a code: %q", fail.Code())
				}
				if _, fail := c.Call("sendEmailCode", "ada"); fail != nil { // good for any call
					t.Fatal(fail.Code())
				}
				taken := func() (n int) {
					for _, e := range w.Trail.Of("factor_check") {
						if e.Outcome == "ok" {
							n++
						}
					}
					return n
				}
				before := taken()
				if fail := send(c, w.Mails.Last()); fail != nil {
					t.Fatalf("%+v", fail)
				}
				if n := taken() - before; n != 1 {
					t.Errorf("%d codes were taken", n)
				}
			})
		})
	}
}
