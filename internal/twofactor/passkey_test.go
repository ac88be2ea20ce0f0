package twofactor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/passkey/passkeytest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

func device() *passkeytest.Authenticator { return passkeytest.New(testkit.RootURL) }

// written is a result as clients read it.
func written(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := ejson.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// prove gives what a fresh check asks for now: the app, the mail, the passkey or the password.
func (a *account) prove(err error, d *passkeytest.Authenticator) func(*twofactor.Request) {
	a.w.T.Helper()
	f, _ := fault.From(err)
	if !errors.Is(err, twofactor.ErrRequired) {
		a.w.T.Fatalf("not a challenge: %v", err)
	}
	var asked struct {
		Method    string
		PublicKey json.RawMessage
	}
	if err := json.Unmarshal(written(a.w.T, f.Details), &asked); err != nil {
		a.w.T.Fatal(err)
	}
	switch asked.Method {
	case twofactor.TOTP:
		time.Sleep(30 * time.Second)
		return code(a.now(0))
	case twofactor.Email:
		return code(a.w.Mails.Code(-1))
	case twofactor.Password:
		return code(a.password)
	}
	text, err := d.Get([]byte(asked.PublicKey))
	if err != nil {
		a.w.T.Fatal(err)
	}
	return func(r *twofactor.Request) { r.Proof = rpc.TextProof(twofactor.WebAuthn, text) }
}

// enrolPasskey adds a key of the device, as session 1 does.
func (a *account) enrolPasskey(d *passkeytest.Authenticator) user.Passkey {
	a.w.T.Helper()
	_, err := a.w.svc.PasskeyOptions(ctx, a.ask())
	options, err := a.w.svc.PasskeyOptions(ctx, a.ask(a.prove(err, d)))
	if err != nil {
		a.w.T.Fatal(err)
	}
	text, err := d.Create(written(a.w.T, options))
	if err != nil {
		a.w.T.Fatal(err)
	}
	key, err := a.w.svc.AddPasskey(ctx, a.ask(), []byte(text), "desk")
	if err != nil {
		a.w.T.Fatal(err)
	}
	return key
}

// challenged is the challenge that a check answers with; its options are for a device.
func (a *account) challenged(change ...func(*twofactor.Request)) []byte {
	a.w.T.Helper()
	return optionsOf(a.w.T, a.w.svc.Check(ctx, a.ask(append(change, method(twofactor.WebAuthn))...)))
}

func optionsOf(t testing.TB, err error) []byte {
	t.Helper()
	f, is := fault.From(err)
	var d struct{ PublicKey json.RawMessage }
	if !is || json.Unmarshal(written(t, f.Details), &d) != nil || len(d.PublicKey) == 0 {
		t.Fatalf("no challenge in %v", err)
	}
	return d.PublicKey
}

func answered(t testing.TB, d *passkeytest.Authenticator, options []byte) string {
	t.Helper()
	text, err := d.Get(options)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func fresh(r *twofactor.Request) { r.Policy = twofactor.Fresh }

// A key is added with a factor that is on, or the password; the other sessions and trust
// end, the owner is told, and it is asked for from then on.
func TestPasskeyEnrolment(t *testing.T) {
	for name, traits := range map[string][]func(*user.User){"nothing": nil, "mail": {withEmail}, "app": {}} {
		bubble(t, func(t *testing.T, w *world) {
			a, d := w.account("ann", traits...), device()
			if name == "app" {
				a.enrol()
			}
			notices := len(changes(w))
			key := a.enrolPasskey(d)
			u := a.user()
			if u.Passkey(key.ID) == nil || !u.PasskeysEnabled() || u.Passkey(key.ID).Name != "desk" || u.Services.WebAuthn.Handle == "" {
				t.Errorf("%s: %+v", name, u.Services.WebAuthn)
			}
			if u.LoginToken("ann-1") == nil || u.LoginToken("ann-2") != nil || u.LoginToken("ann-pat") == nil {
				t.Errorf("%s: the sessions are %+v", name, u.Services.Resume)
			}
			told := changes(w)[notices:]
			if len(told) != 1 || told[0].Name != "passkey-added" || !strings.Contains(told[0].Text, "“desk”") {
				t.Errorf("%s: the owner was told %+v", name, told)
			}
			if e := w.Trail.Of("factor_enabled"); len(e) == 0 || e[len(e)-1].Factor != twofactor.WebAuthn {
				t.Errorf("%s: the audit stream has %+v", name, e)
			}
			handle := u.Services.WebAuthn.Handle
			second := a.enrolPasskey(d)
			if u := a.user(); len(u.Passkeys()) != 2 || u.Services.WebAuthn.Handle != handle || second.ID == key.ID {
				t.Errorf("%s: %+v", name, u.Services.WebAuthn)
			}
		})
	}
}

// Options are good for the session and the state of the account that they were made for,
// for two minutes, and their answer once.
func TestPasskeyEnrolmentIsBound(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.account("ann"), w.account("bob")
		begin := func() string {
			_, err := w.svc.PasskeyOptions(ctx, a.ask())
			options, err := w.svc.PasskeyOptions(ctx, a.ask(a.prove(err, nil)))
			if err != nil {
				t.Fatal(err)
			}
			text, err := device().Create(written(t, options))
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		add := func(r twofactor.Request, text string) string {
			_, err := w.svc.AddPasskey(ctx, r, []byte(text), "")
			return id(err)
		}
		const refused = "invalid-webauthn-registration"
		text := begin()
		for name, r := range map[string]twofactor.Request{
			"another session": a.ask(token("ann-2")), "no session": a.ask(token("")), "another account": b.ask(), "an unknown session": a.ask(token("x")),
		} {
			if got := add(r, text); got != refused {
				t.Errorf("%s: %q", name, got)
			}
		}
		for name, text := range map[string]string{"nothing": "", "an object": "{}", "a number": "7", "cut": text[:len(text)/2]} {
			if got := add(a.ask(), text); got != refused {
				t.Errorf("%s: %q", name, got)
			}
		}
		time.Sleep(2 * time.Minute)
		if got := add(a.ask(), text); got != refused {
			t.Errorf("after two minutes: %q", got)
		}
		text = begin()
		if err := w.svc.EnableEmail(ctx, a.ask()); err != nil {
			t.Fatal(err)
		}
		if got := add(a.ask(), text); got != refused {
			t.Errorf("under other factors: %q", got)
		}
		text = begin()
		if got := add(a.ask(), text); got != "" {
			t.Errorf("in time: %q", got)
		}
		if got := add(a.ask(), text); got != refused || len(a.user().Passkeys()) != 1 {
			t.Errorf("again: %q", got)
		}
		w.Set(settings.TwoFactorByWebAuthn, false)
		if _, err := w.svc.PasskeyOptions(ctx, a.ask()); id(err) != "webauthn-not-supported" {
			t.Errorf("switched off: %v", err)
		}
	})
}

// An answer is good for the call it was asked for: one account, one token, one purpose,
// the same parameters, unchanged factors, two minutes, once, on every node.
func TestPasskeyAnswersAreBound(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorWrongPerHour, 100)
		w.Set(settings.TwoFactorRememberFor, 0)
		a, b, d := w.account("ann"), w.account("bob"), device()
		a.enrolPasskey(d)
		b.enrolPasskey(d)
		call := func(r *twofactor.Request) { r.Purpose, r.Params = "saveSetting", []byte(`["a",1]`) }
		give := func(text string, change ...func(*twofactor.Request)) string {
			return a.check(append(append([]func(*twofactor.Request){call, fresh}, change...), code(text))...)
		}
		for name, change := range map[string]func(*twofactor.Request){
			"another call":        func(r *twofactor.Request) { r.Purpose = "deleteUser" },
			"one for the same":    func(r *twofactor.Request) { r.Action = "saveSettingToo" },
			"other parameters":    func(r *twofactor.Request) { r.Params = []byte(`["a",2]`) },
			"parameters moved":    func(r *twofactor.Request) { r.Params = []byte(`[1,"a"]`) },
			"no parameters":       func(r *twofactor.Request) { r.Params = nil },
			"a request of REST":   func(r *twofactor.Request) { r.Asked = [][]byte{[]byte("/api/v1/x"), nil, []byte(`["a",1]`)} },
			"another session":     token("ann-pat"),
			"a login":             token(""),
			"another account":     func(r *twofactor.Request) { r.User, r.Token = b.user(), "bob-1" },
			"the factor it names": method(twofactor.Email),
		} {
			text := answered(t, d, a.challenged(call, fresh))
			if got := give(text, change); got != "totp-invalid" && got != "totp-required" {
				t.Errorf("%s: %q", name, got)
			}
			if got := give(text); got != "" {
				t.Errorf("%s: then for itself: %q", name, got)
			}
			if got := give(text); got != "totp-invalid" {
				t.Errorf("%s: and once more: %q", name, got)
			}
		}
		text := answered(t, d, a.challenged(call, fresh))
		if got := give(text, func(r *twofactor.Request) { r.Params = []byte(` [ "a" , 1 ] `) }); got != "" {
			t.Errorf("with other blanks: %q", got)
		}
		text = answered(t, d, a.challenged(call, fresh))
		time.Sleep(2*time.Minute - time.Millisecond)
		if got := give(text); got != "" {
			t.Errorf("at the last moment: %q", got)
		}
		text = answered(t, d, a.challenged(call, fresh))
		time.Sleep(2 * time.Minute)
		if got := give(text); got != "totp-invalid" {
			t.Errorf("too late: %q", got)
		}
		text = answered(t, d, a.challenged(call, fresh))
		a.enrolPasskey(d)
		if got := give(text); got != "totp-invalid" {
			t.Errorf("under other factors: %q", got)
		}
		text = answered(t, d, a.challenged(call, fresh))
		other := w.service(w.Store)
		t.Cleanup(other.Close)
		if err := other.Check(ctx, a.ask(call, fresh, code(text))); err != nil {
			t.Errorf("on another node: %v", err)
		}
		if got := give(text); got != "totp-invalid" {
			t.Errorf("again on the first: %q", got)
		}
		options := a.challenged(call, fresh)
		for name, spoil := range map[string]func(*passkeytest.Answer){
			"another origin":  func(a *passkeytest.Answer) { a.Client["origin"] = "https://evil.example.org"; a.Sign() },
			"another party":   func(a *passkeytest.Answer) { a.Data[0] ^= 1; a.Sign() },
			"nobody verified": func(a *passkeytest.Answer) { a.Data[32] &^= 4; a.Sign() },
			"not signed":      func(a *passkeytest.Answer) { a.Signature[9] ^= 1 },
		} {
			bad, err := d.Answer(options)
			if err != nil {
				t.Fatal(err)
			}
			spoil(bad)
			if got := give(bad.JSON()); got != "totp-invalid" {
				t.Errorf("%s: %q", name, got)
			}
		}
		if got := give(answered(t, d, options)); got != "" {
			t.Errorf("the challenge of wrong answers: %q", got)
		}
	})
}

// Every bit of a challenge counts: one that was changed was never made.
func TestPasskeyChallengeBits(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorWrongPerHour, 100)
		w.Set(settings.TwoFactorWrongInRow, 1000)
		a, d := w.account("ann"), device()
		a.enrolPasskey(d)
		var options map[string]any
		if err := json.Unmarshal(a.challenged(fresh), &options); err != nil {
			t.Fatal(err)
		}
		good := options["challenge"].(string)
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		for i := range len(good) {
			at := strings.IndexByte(letters, good[i])
			options["challenge"] = good[:i] + string(letters[at^(1<<(i%6))]) + good[i+1:]
			text, err := d.Get(options)
			if err != nil {
				continue // no base64 any more: its device refuses it
			}
			if got := a.check(fresh, code(text)); got != "totp-invalid" {
				t.Errorf("letter %d: %q", i, got)
			}
			if i%40 == 39 {
				time.Sleep(time.Hour)
				if err := json.Unmarshal(a.challenged(fresh), &options); err != nil {
					t.Fatal(err)
				}
				good = options["challenge"].(string)
			}
		}
	})
}

// A client that knows nothing of passkeys is asked for what it can ask for, and passes with
// it; one that names the passkey gets it; where there is nothing else everybody does.
func TestOldClientsKeepWorking(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorRememberFor, 0)
		asked := func(a *account, change ...func(*twofactor.Request)) string {
			t.Helper()
			var d struct {
				Method           string
				AvailableMethods []string
				PublicKey        any
				Asked            string
			}
			if err := json.Unmarshal([]byte(details(t, w.svc.Check(ctx, a.ask(change...)))), &d); err != nil {
				t.Fatal(err)
			}
			if (d.PublicKey != nil) != (d.Method == twofactor.WebAuthn) || (d.Asked != "") != (d.Method == twofactor.WebAuthn) {
				t.Errorf("%+v", d)
			}
			return d.Method + " of " + strings.Join(d.AvailableMethods, " ")
		}
		app, mail, only := w.account("app").enrol(), w.account("mail", withEmail), w.account("only")
		d := device()
		for _, a := range []*account{app, mail, only} {
			a.enrolPasskey(d)
		}
		for _, p := range []twofactor.Policy{twofactor.Ordinary, twofactor.Fresh, twofactor.Login} {
			for _, c := range []struct {
				a           *account
				name, want  string
				passesTyped func() string
			}{
				{app, "", "totp of webauthn totp", func() string { time.Sleep(time.Minute); return app.now(0) }},
				{app, "webauthn", "webauthn of webauthn totp", nil},
				{mail, "", "email of webauthn email", func() string { return w.Mails.Code(-1) }},
				{mail, "webauthn", "webauthn of webauthn email", nil},
				{only, "", "webauthn of webauthn", nil},
				{only, "totp", "webauthn of webauthn", nil},
			} {
				login := func(r *twofactor.Request) { r.Purpose = "login" }
				change := []func(*twofactor.Request){policy(p), method(c.name), login}
				if got := asked(c.a, change...); got != c.want {
					t.Errorf("%s, %v: %q, want %q", c.a.name(), p, got, c.want)
				}
				if c.passesTyped != nil {
					if got := c.a.check(login, policy(p), code(c.passesTyped())); got != "" {
						t.Errorf("%s, %v: its code: %q", c.a.name(), p, got)
					}
				}
				if c.a != only && c.name == "" {
					continue
				}
				text := answered(t, d, c.a.challenged(policy(p)))
				if got := c.a.check(policy(p), code(text)); got != "" { // and without a name it is known by its look
					t.Errorf("%s, %v: an answer without a name: %q", c.a.name(), p, got)
				}
			}
		}
	})
}

// A device that has signed less than it had is refused, and the owner is told.
func TestClonedPasskey(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, d := w.account("ann"), device()
		d.Counts = true
		a.enrolPasskey(d)
		old := answered(t, d, a.challenged(fresh))
		if got := a.check(fresh, code(answered(t, d, a.challenged(fresh)))); got != "" {
			t.Fatal(got)
		}
		notices := len(changes(w))
		if got := a.check(fresh, code(old)); got != "totp-invalid" {
			t.Errorf("the count of before: %q", got)
		}
		told := changes(w)[notices:]
		if len(told) != 1 || told[0].Name != "passkey-cloned" || len(w.Trail.Of("passkey_cloned")) != 1 {
			t.Errorf("told %+v", told)
		}
		if got := a.check(fresh, code(answered(t, d, a.challenged(fresh)))); got != "" {
			t.Errorf("the next count: %q", got)
		}
	})
}

// A key is removed with a factor; the last way in is not; a name is a line.
func TestPasskeysRemovedAndNamed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, d := w.account("ann"), device()
		one, two := a.enrolPasskey(d), a.enrolPasskey(d)
		if err := w.svc.RenamePasskey(ctx, a.ask(), one.ID, " phone "); err != nil || a.user().Passkey(one.ID).Name != "phone" {
			t.Errorf("%v, %+v", err, a.user().Passkeys())
		}
		for name, want := range map[string]string{"": "error-invalid-name", "a\nb": "error-invalid-name", strings.Repeat("x", 65): "error-invalid-name"} {
			if err := w.svc.RenamePasskey(ctx, a.ask(), one.ID, name); id(err) != want {
				t.Errorf("%q: %v", name, err)
			}
		}
		if err := w.svc.RenamePasskey(ctx, a.ask(), "none", "x"); id(err) != "webauthn-credential-not-found" {
			t.Error(err)
		}
		remove := func(key string) error {
			err := w.svc.RemovePasskey(ctx, a.ask(), key)
			if id(err) != "totp-required" {
				return err
			}
			return w.svc.RemovePasskey(ctx, a.ask(a.prove(err, d)), key)
		}
		if err := remove("none"); id(err) != "webauthn-credential-not-found" {
			t.Error(err)
		}
		if err := remove(one.ID); err != nil || a.user().Passkey(one.ID) != nil || a.user().Passkey(two.ID) == nil {
			t.Errorf("%v, %+v", err, a.user().Passkeys())
		}
		if told := changes(w); told[len(told)-1].Name != "passkey-removed" {
			t.Errorf("%+v", told)
		}
		if _, err := w.Store.UpdateUser(ctx, a.id, user.Change{Bcrypt: new(string), At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := remove(two.ID); id(err) != "webauthn-last-credential" {
			t.Errorf("the last way in: %v", err)
		}
		w.Set(settings.TwoFactorByWebAuthn, false)
		hash := "x"
		if _, err := w.Store.UpdateUser(ctx, a.id, user.Change{Bcrypt: &hash, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := remove(two.ID); id(err) != "error-two-factor-not-enabled" {
			t.Errorf("switched off by the server: %v", err)
		}
		w.Set(settings.TwoFactorByWebAuthn, true)
		if err := remove(two.ID); err != nil || a.user().PasskeysEnabled() {
			t.Errorf("%v, %+v", err, a.user().Services.WebAuthn)
		}
	})
}

// A passkey that verifies its owner logs in alone; everything else gets one answer.
func TestEnterByPasskey(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorWrongPerHour, 100)
		a, b, d, other := w.account("ann"), w.account("bob"), device(), device()
		a.enrolPasskey(d)
		b.enrolPasskey(other)
		options := func() []byte {
			o, err := w.svc.LoginOptions()
			if err != nil {
				t.Fatal(err)
			}
			return written(t, o)
		}
		enter := func(text string) (string, string) {
			u, err := w.svc.Enter(ctx, twofactor.Request{Peer: home, Action: "login", Purpose: "login", Proof: rpc.TextProof("", text)})
			if err != nil {
				return "", id(err)
			}
			return u.Username, ""
		}
		text := answered(t, d, options())
		if who, why := enter(text); who != "ann" {
			t.Errorf("%q, %q", who, why)
		}
		refusals := map[string]string{"again": text, "nothing": "", "no answer": "{}"}
		late := answered(t, d, options())
		time.Sleep(2 * time.Minute)
		refusals["late"] = late
		for name, spoil := range map[string]func(*passkeytest.Answer){
			"another's handle": func(x *passkeytest.Answer) { o, _ := other.Answer(options()); x.Handle = o.Handle },
			"no handle":        func(x *passkeytest.Answer) { x.Handle = nil },
			"unknown handle":   func(x *passkeytest.Answer) { x.Handle = []byte("nobody") },
			"unverified":       func(x *passkeytest.Answer) { x.Data[32] &^= 4; x.Sign() },
			"another origin":   func(x *passkeytest.Answer) { x.Client["origin"] = "https://evil.example.org"; x.Sign() },
			"another key":      func(x *passkeytest.Answer) { o, _ := other.Answer(options()); x.ID, x.RawID = o.ID, o.RawID },
		} {
			x, err := d.Answer(options())
			if err != nil {
				t.Fatal(err)
			}
			spoil(x)
			refusals[name] = x.JSON()
		}
		refusals["a challenge of a call"] = answered(t, d, a.challenged(policy(twofactor.Login), token("")))
		for name, text := range refusals {
			if who, why := enter(text); why != "invalid-webauthn-assertion" {
				t.Errorf("%s: %q, %q", name, who, why)
			}
		}
		// Nor does the other way round.
		if got := a.check(fresh, code(answered(t, d, options()))); got != "totp-invalid" {
			t.Errorf("a login's answer for a call: %q", got)
		}
		if got, err := w.Store.Guard(ctx, a.id); err != nil || got.Received < 6 {
			t.Errorf("%+v, %v: answers of the account are counted", got, err)
		}
		w.Set(settings.WebAuthnLogin, false)
		if _, why := enter(answered(t, d, a.challenged(fresh))); why != "webauthn-passwordless-disabled" {
			t.Error(why)
		}
		if _, err := w.svc.LoginOptions(); id(err) != "webauthn-passwordless-disabled" {
			t.Error(err)
		}
		w.Set(settings.WebAuthnLogin, true)
		w.Set(settings.WebAuthnVerification, "preferred")
		weak := device()
		weak.Unverified = true
		c := w.account("cid")
		c.enrolPasskey(weak)
		weak.Unverified = false
		if _, why := enter(answered(t, weak, options())); why != "invalid-webauthn-assertion" {
			t.Errorf("a key that was made without verification: %q", why)
		}
		if got := c.check(fresh, code(answered(t, weak, c.challenged(fresh)))); got != "" {
			t.Errorf("it is a second factor: %q", got)
		}
		off := false
		text = answered(t, d, options())
		if _, err := w.Store.UpdateUser(ctx, a.id, user.Change{Active: &off, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, why := enter(text); why != "invalid-webauthn-assertion" {
			t.Errorf("an account that is off: %q", why)
		}
	})
}

// Of two answers to one challenge, on two nodes at once, one counts; two hundred times on
// both stores.
func TestPasskeyRaces(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorWrongPerHour, 100)
		w.Set(settings.TwoFactorWrongInRow, 1000)
		a, d := w.account("ann"), device()
		a.enrolPasskey(d)
		nodes := []*twofactor.Service{w.svc, w.service(w.Store)}
		t.Cleanup(nodes[1].Close)
		for round := range 200 {
			call := func(r *twofactor.Request) { r.Policy, r.Purpose = twofactor.Fresh, fmt.Sprint("call", round%7) }
			text := answered(t, d, a.challenged(call))
			got := parallel(2, func(i int) string { return id(nodes[i].Check(ctx, a.ask(call, code(text)))) })
			if got[""] != 1 || got["totp-invalid"] != 1 {
				t.Fatalf("round %d: %v", round, got)
			}
			if round%50 == 49 {
				forget(t, a)
			}
		}
	})
}

// forget lifts what was spent of the account by hand, as its age would.
func forget(t *testing.T, a *account) {
	t.Helper()
	_, err := a.w.Store.UpdateUser(ctx, a.id, user.Change{Factor: func(s *user.Services) { s.WebAuthn.Spent = nil }, At: time.Now()})
	if err == nil {
		err = a.w.Store.ResetGuard(ctx, a.id)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An account without keys is asked for nothing of it, and a server without a page for
// passkeys lets nobody in with less.
func TestNoRelyingParty(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, d := w.account("ann"), device()
		a.enrolPasskey(d)
		svc := w.NewFactors(func(o *twofactor.Options) { o.Passwords, o.Party = verifier{}, nil })
		t.Cleanup(svc.Close)
		for _, p := range []twofactor.Policy{twofactor.Ordinary, twofactor.Fresh, twofactor.Login} {
			text := answered(t, d, a.challenged(policy(p)))
			for _, r := range []twofactor.Request{a.ask(policy(p)), a.ask(policy(p), code(text)), a.ask(policy(p), code(a.password))} {
				if err := svc.Check(ctx, r); err == nil || !slices.Contains([]string{"totp-required", "totp-invalid"}, id(err)) {
					t.Errorf("%v: %v", p, err)
				}
			}
		}
		if _, err := svc.PasskeyOptions(ctx, a.ask()); id(err) != "webauthn-not-supported" {
			t.Error(err)
		}
		if _, err := svc.LoginOptions(); id(err) != "webauthn-not-supported" {
			t.Error(err)
		}
	})
}

// A22: a role that must have passkeys is let off where the address of the server rules
// them out, as the start tells: who has one beside the app passes with the app. Where
// passkeys can be used, nothing else is taken.
func TestA22ARoleIsLetOffWhereNobodyCanUseAPasskey(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Set(settings.TwoFactorMandatoryRoles, "user:webauthn")
		a, d := w.account("ann", func(u *user.User) { u.Roles = []string{"user"} }).enrol(), device()
		a.enrolPasskey(d)
		svc := w.NewFactors(func(o *twofactor.Options) { o.Passwords, o.Party = verifier{}, nil })
		t.Cleanup(svc.Close)
		for _, p := range []twofactor.Policy{twofactor.Ordinary, twofactor.Fresh, twofactor.Login} {
			for ruled, s := range map[bool]*twofactor.Service{false: w.svc, true: svc} {
				time.Sleep(time.Minute)
				err := s.Check(ctx, a.ask(policy(p), code(a.now(0)), method(twofactor.TOTP)))
				if (err == nil) != ruled || s.Lacks(a.user(), twofactor.ByPasskey) {
					t.Errorf("%v, ruled out %v: %v", p, ruled, err)
				}
			}
		}
	})
}

// An administrator removes the passkeys of somebody who lost them: everything of the
// account ends, and its owner is told by whom. (TestA4ResetWaits: where resets wait.)
func TestPasskeysReset(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, root, d := w.account("ann"), w.account("root"), device()
		a.enrolPasskey(d)
		of := func(who *account, whom string) string {
			due, err := w.svc.ResetPasskeys(ctx, who.ask(), whom)
			if !due.IsZero() {
				t.Errorf("waits until %v", due)
			}
			return id(err)
		}
		reset := func(who, whom *account) string { return of(who, whom.id) }
		if got := reset(a, a); got != "error-reset-not-allowed" {
			t.Errorf("one's own: %q", got)
		}
		w.Set(settings.TwoFactorByWebAuthn, false)
		if got := reset(root, a); got != "error-two-factor-not-enabled" {
			t.Errorf("switched off: %q", got)
		}
		w.Set(settings.TwoFactorByWebAuthn, true)
		if got := of(root, "nobody"); got != "error-invalid-user" {
			t.Errorf("nobody: %q", got)
		}
		if len(a.user().Passkeys()) != 1 {
			t.Fatal("a refusal removed it")
		}
		if got := reset(root, a); got != "" {
			t.Fatal(got)
		}
		u, notices := a.user(), w.Mails.Notices()
		if u.PasskeysEnabled() || len(u.Services.Resume.LoginTokens) != 0 {
			t.Errorf("%+v", u.Services)
		}
		if last := notices[len(notices)-1]; last.Change.Name != "passkeys-reset" || !strings.Contains(last.Text(), "administrator root removed") {
			t.Errorf("told %q", last.Text())
		}
		if e := w.Trail.Of("factor_reset"); len(e) != 1 || e[0].Target != a.id || e[0].User != root.id {
			t.Errorf("%+v", e)
		}
		if n := len(notices); reset(root, a) != "" || len(w.Mails.Notices()) != n {
			t.Error("done twice")
		}
	})
}
