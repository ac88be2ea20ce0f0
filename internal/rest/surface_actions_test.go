package rest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/settings"
)

// ways are the calls that were seen to ask the same write of the store.
type way struct {
	line
	scene
	door string
}

// alike are writes that different actions have in common, and why whoever lists
// one of them does not mean the other.
var alike = map[string]string{
	"AddMember joinRoom|addUsersToRoom":                                "coming by oneself and bringing somebody",
	"RemoveMember leaveRoom|removeUserFromRoom":                        "going by oneself and sending somebody away",
	"AddToken getNewToken|personalAccessTokens:generateToken":          "a session that becomes another, and a token for a program",
	"AddToken getNewToken|personalAccessTokens:regenerateToken":        "a session that becomes another, and a token for a program",
	"AddToken removeOtherTokens|personalAccessTokens:generateToken":    "a session that becomes another, and a token for a program",
	"AddToken removeOtherTokens|personalAccessTokens:regenerateToken":  "a session that becomes another, and a token for a program",
	"Bcrypt changePassword|users.update":                               "one's own password and somebody's by office",
	"Bcrypt saveUserProfile|users.update":                              "one's own password and somebody's by office",
	"DeleteUser deleteUser|deleteUserOwnAccount":                       "somebody's account by office and one's own",
	"FactorKeyRemoved removeWebAuthnCredential|users:resetWebAuthn":    "one's own and somebody else's, which one's own are not",
	"Name saveUserProfile|users.update":                                "one's own name and somebody's by office",
	"Name setRealName|users.update":                                    "one's own name and somebody's by office",
	"Username saveUserProfile|users.update":                            "one's own name and somebody's by office",
	"Username setUsername|users.update":                                "one's own name and somebody's by office",
	"Pending saveUserProfile|users.update":                             "one's own address and somebody's by office",
	"Verifications saveUserProfile|users.update":                       "one's own address and somebody's by office",
	"Verifications saveUserProfile|users.create":                       "one's own address and that of a new account",
	"Verifications users.create|users.update":                          "a new account, and one that there is",
	"RemoveToken personalAccessTokens:regenerateToken|sessions:end":    "a token for a program and a session",
	"RemoveToken personalAccessTokens:removeToken|sessions:end":        "a token for a program and a session",
	"RemoveToken personalAccessTokens:regenerateToken|sessions:endAny": "one's own and somebody's by office",
	"RemoveToken personalAccessTokens:removeToken|sessions:endAny":     "one's own and somebody's by office",
	"RemoveToken sessions:end|sessions:endAny":                         "one's own and somebody's by office",
	"CreateRoom d createDirectMessage|sendMessage":                     "posting to @name opens the room, and asks for createDirectMessage then",
}

// ops are the writes that tell what a call does: not the notice in a room about
// it, not the rooms of an account that comes or goes, and not the sessions that end
// because of a change of what guards the account.
func essential(ops []string) (out []string) {
	for i, op := range ops {
		kind, members, _ := strings.Cut(op, " ")
		switch {
		case kind == "InsertMessage" && i > 0, kind == "AddMember" && slices.Contains(ops, "CreateUser"), kind == "RemoveMember" &&
			slices.Contains(ops, "DeleteUser"):
			continue
		case kind != "UpdateUser":
			out = append(out, op)
			continue
		}
		list := strings.Fields(members)
		guard := slices.ContainsFunc(list, func(m string) bool {
			return slices.Contains([]string{"Bcrypt", "Emails", "Active"}, m) || strings.HasPrefix(m, "Factor")
		})
		for _, m := range list {
			if !(guard && strings.HasPrefix(m, "Remove")) {
				out = append(out, m)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// A7: calls that ask the same write of the store do the same, so they share an
// action: whoever lists one in Protected_Calls means all of them. Those that are open to
// strangers cannot be put under one. Then each is listed in turn, with a demand where it
// asks for a factor anyway (A22), and every one of its siblings asks, and for that.
func TestA7SiblingsShareAnAction(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{settings.TwoFactorRememberFor: "0"})
	found := map[string][]way{}
	w.each(true, func(s *stage) { s.caller = *s.proof() }, func(s *stage, l line, c scene, what, refusal string, _, _ state) {
		if l.public || l.actions[0] == "logout" { // nobody is kept from leaving
			w.rec.take()
			return
		}
		if c.acts != nil {
			l.actions = append(slices.Clone(c.acts), l.actions[0])
		}
		for _, op := range essential(w.rec.take()) {
			found[op] = append(found[op], way{l, c, doorOf(what)})
		}
	})
	if len(found) < atLeast(20, 12) {
		t.Fatalf("only %d writes were seen", len(found))
	}
	for _, op := range slices.Sorted(maps.Keys(found)) {
		ways := found[op]
		for _, a := range ways {
			for _, b := range ways {
				if !related(a.line, b.line) && !excused(op, a.line, b.line) {
					t.Errorf("%s and %s both ask the store for %q and share no action (%v, %v)", a.name, b.name, op, a.actions, b.actions)
				}
			}
		}
	}
	listed := map[string]bool{}
	for _, op := range slices.Sorted(maps.Keys(found)) {
		for _, a := range found[op] {
			if listed[op+a.name] {
				continue
			}
			listed[op+a.name] = true
			entry, want := a.name, "totp-required"
			if a.asks {
				entry, want = entry+" = webauthn", "error-no-factor-for-call"
			}
			asked := map[string]bool{}
			for _, b := range found[op] {
				key := b.name + b.does
				if !related(a.line, b.line) || asked[key] {
					continue
				}
				asked[key] = true
				if got := w.once(entry, b); got != want {
					t.Errorf("with %q listed, %s %s by %s answers %q and asks the store for %q", entry, b.name, b.does, b.door, got, op)
				}
			}
		}
	}
}

func doorOf(what string) string { return what[strings.LastIndex(what, " ")+1:] }

func related(a, b line) bool {
	return slices.ContainsFunc(a.actions, func(x string) bool { return slices.Contains(b.actions, x) })
}

func excused(op string, a, b line) bool {
	for _, pair := range [][2]string{{a.actions[0], b.actions[0]}, {b.actions[0], a.actions[0]}} {
		if alike[op+" "+pair[0]+"|"+pair[1]] != "" {
			return true
		}
	}
	return false
}

// once makes one call without a proof, on a stage of its own, with an entry in the list
// of protected calls, and returns the refusal.
func (w *walk) once(entry string, b way) string {
	w.Set(settings.TwoFactorProtectedCalls, "")
	s := w.stage(false, true)
	if b.prep != nil {
		s.proven = true // what stands in the parameters is right
		b.prep(s)
	}
	s.proven = true
	w.Set(settings.TwoFactorProtectedCalls, entry)
	return b.doors[b.door](s, b.scene)
}

// A7: one request asks once, whatever carries the call: with every call listed and
// nothing remembered, one code is enough, and no request spends two.
func TestA7OneRequestAsksOnce(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{settings.TwoFactorRememberFor: "0", settings.TwoFactorProtectedCalls: "*"})
	w.mail = true
	frame := func(method, params string) object {
		return object{"message": `{"msg":"method","id":"1","method":"` + method + `","params":` + params + `}`}
	}
	for name, send := range map[string]func(c *client, code string) answer{
		"a route": func(c *client, code string) answer {
			return c.With("x-2fa-method", "email").With("x-2fa-code", code).Do("GET", "users.getUsernameSuggestion", nil)
		},
		"method.call, headers": func(c *client, code string) answer {
			return c.With("x-2fa-method", "email").With("x-2fa-code", code).Do("POST", "method.call/getServerInfo", frame("getServerInfo", "[]"))
		},
		"method.call, a last parameter": func(c *client, code string) answer {
			return c.Do("POST", "method.call/getServerInfo", frame("getServerInfo", `[{"twoFactorCode":"`+code+`","twoFactorMethod":"email"}]`))
		},
		"method.call, the launcher": func(c *client, code string) answer {
			return c.Do("POST", "method.call/callWithTwoFactorRequired", frame("callWithTwoFactorRequired",
				`[{"code":"`+code+`","ddpMethod":"getServerInfo","method":"email","params":[]}]`))
		},
		"method.call, a fresh call": func(c *client, code string) answer {
			return c.Do("POST", "method.call/2fa:disable-email", frame("2fa:disable-email", `[{"twoFactorCode":"`+code+`","twoFactorMethod":"email"}]`))
		},
	} {
		s := w.stage(false, false)
		code, _ := s.code()
		before := s.passed()
		if a := send(&s.session, code); a.Status != 200 || strings.Contains(a.Raw, "totp-") {
			t.Errorf("%s: %d %s", name, a.Status, a.Raw)
		}
		if n := s.passed() - before; n != 1 {
			t.Errorf("%s: %d codes were taken", name, n)
		}
		if a := send(&s.session, code); !strings.Contains(a.Raw, "totp-") && name != "method.call, a fresh call" {
			t.Errorf("%s: the code is good twice: %s", name, a.Raw)
		}
	}
	s := w.stage(false, false)
	if a := s.session.Do("POST", "method.call/getServerInfo", frame("getServerInfo", "[]")); !strings.Contains(a.Raw, "totp-required") {
		t.Errorf("without a code: %s", a.Raw)
	}
	if a := s.Caller().Do("POST", "method.callAnon/getServerTime", frame("getServerTime", "[]")); a.Status != 200 || strings.Contains(a.Raw, "totp-") {
		t.Errorf("nobody is asked: %d %s", a.Status, a.Raw)
	}
}

// passed counts the codes that were taken so far.
func (w *walk) passed() int {
	return w.Trail.Count("factor_check", "ok")
}

// A7: whoever lists the envelope alone means what it carries.
func TestA7AListedEnvelopeAsksForWhatItCarries(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"method.call*", "POST method.call/:method", "*"} {
		w := newWalk(t, map[string]string{settings.TwoFactorRememberFor: "0", settings.TwoFactorProtectedCalls: entry})
		s := w.stage(false, false)
		if got := s.envelope("method.call/", "getServerInfo", []byte("[]")); got != "totp-required" {
			t.Errorf("%q listed, the envelope carries: %q", entry, got)
		}
		if got := refusal(s.ddp("getServerInfo", []byte("[]"))); (got == "totp-required") != (entry == "*") {
			t.Errorf("%q listed, by itself: %q", entry, got)
		}
		s.caller = *s.proof()
		if got := s.envelope("method.call/", "getServerInfo", []byte("[]")); got != "" {
			t.Errorf("%q listed, with the proof: %q", entry, got)
		}
	}
}
