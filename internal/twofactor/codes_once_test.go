package twofactor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// The rows of docs/security-tests.md S001 to S015: one-time codes.

func never(t *testing.T, w *world) { w.Set(settings.TwoFactorRememberFor, 0) }

// S001: a code counts once, on the same connection and on others.
func TestS001TOTPReplay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		c := a.now(0)
		if got := a.check(code(c), method("totp")); got != "" {
			t.Fatalf("first use: %s", got)
		}
		for _, tok := range []string{"alice-1", "alice-2"} {
			if got := a.check(code(c), method("totp"), token(tok)); got != "totp-invalid" {
				t.Errorf("replay on %s: %q", tok, got)
			}
		}
	})
}

// S001 continued: the step is remembered by the store, not by the process.
func TestS001ReplayOnAnotherNode(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		c := a.now(0)
		if got := a.check(code(c)); got != "" {
			t.Fatalf("first use: %s", got)
		}
		other := w.service(w.Store)
		if got := id(other.Check(ctx, a.ask(code(c)))); got != "totp-invalid" {
			t.Errorf("replay on the other node: %q", got)
		}
	})
}

// S002: after step n+1, step n is over although it is inside the window.
func TestS002NoGoingBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice").enrol()
		older, newer := a.now(0), a.now(1)
		if got := a.check(code(newer)); got != "" {
			t.Fatalf("next step: %s", got)
		}
		if got := a.check(code(older)); got != "totp-invalid" {
			t.Errorf("one step back: %q", got)
		}
	})
}

// spellings are ways in which people type and paste a code.
var spellings = []string{"%s%s", "%s-%s", "%s %s", " %s%s ", "%s - %s", "%s%s\n", "\t%s%s", "\r\n%s%s\r\n", "%s\u00a0%s\u00a0", "%s\u202f%s",
	"\ufeff%s\u200b%s", "%s\u2013%s", "\u2014%s%s", "%s\u2212%s", "-%s--%s-"}

// S003: characters that are no code are wrong answers, in whatever spelling of it.
func TestS003OtherSpellings(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		w.Set(settings.TwoFactorWrongPerHour, 100)
		a := w.account("alice").enrol()
		for _, form := range spellings {
			c := a.now(0)
			for _, s := range []string{"0" + c, c + "0", "+" + c, c + ".0", "0x" + c, wide(c), c + "\x00", c[:5], c[:5] + "O", c + "_"} {
				if got := a.check(code(s)); got != "totp-invalid" {
					t.Errorf("%q: %q", s, got)
				}
			}
			if got := a.check(code(fmt.Sprintf(form, c[:3], c[3:]))); got != "" {
				t.Errorf("form %q: %s", form, got)
			}
			time.Sleep(time.Hour)
		}
		if b := a.backup[0]; a.check(code(" "+b[:4]+"-"+b[4:]+"\n")) != "" {
			t.Error("a backup code as it was pasted is wrong")
		}
	})
}

// Nothing in the field is no answer: it is challenged, and counts for nothing.
func TestABlankIsNoAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		for _, a := range []*account{w.account("alice").enrol(), w.account("bob", withEmail)} {
			before := a.received()
			for _, s := range []string{"", " ", "\t\n", "\u00a0", "\u200b", " - "} {
				for _, insist := range []bool{false, true} {
					r := a.ask(code(s))
					r.Insist = insist
					if err := w.svc.Check(ctx, r); id(err) != "totp-required" {
						t.Errorf("%q, insisting %v: %v", s, insist, err)
					}
				}
				if ok, err := w.svc.Disable(ctx, a.ask(code(s))); ok || err != nil && a.user().TOTPEnabled() {
					t.Errorf("%q: %v, %v", s, ok, err)
				}
			}
			if got := a.received(); got != before {
				t.Errorf("%d blanks were counted as answers", got-before)
			}
		}
	})
}

// received is how many answers of the account were counted.
func (a *account) received() int64 {
	g, err := a.w.Store.Guard(ctx, a.id)
	if err != nil {
		panic(err)
	}
	return g.Received
}

// wide writes digits in their full-width forms.
func wide(c string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '０' }, c)
}

// S003 for mailed codes.
func TestS003MailedSpellings(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		for _, form := range spellings {
			if got := a.check(); got != "totp-required" {
				t.Fatalf("challenge: %q", got)
			}
			c := w.Mails.Code(-1)
			for _, s := range []string{wide(c), c + "0"} {
				if got := a.check(code(s)); got != "totp-invalid" {
					t.Errorf("%q: %q", s, got)
				}
			}
			if got := a.check(code(fmt.Sprintf(form, c[:3], c[3:]))); got != "" {
				t.Errorf("form %q: %s", form, got)
			}
			time.Sleep(time.Hour)
		}
	})
}

// S004: a code is spent for all doors at once, whichever comes first: a call over
// DDP or REST, a login, or a method that takes it as its parameter.
func TestS004ReplayAcrossDoors(t *testing.T) {
	rest := &rpc.Peer{Conn: "r", Door: rpc.REST, Address: "198.51.100.1", UserAgent: "curl"}
	doors := map[string]func(*world, *account, string) bool{
		"ddp": func(_ *world, a *account, c string) bool { return a.check(code(c)) == "" },
		"rest": func(_ *world, a *account, c string) bool {
			return a.check(code(c), from(rest), token("alice-pat")) == ""
		},
		"fresh": func(_ *world, a *account, c string) bool { return a.check(code(c), policy(twofactor.Fresh)) == "" },
		"login": func(_ *world, a *account, c string) bool {
			return a.check(code(c), policy(twofactor.Login), token("")) == ""
		},
		"regenerate": func(w *world, a *account, c string) bool {
			codes, err := w.svc.Regenerate(ctx, a.ask(code(c)))
			if codes != nil {
				a.backup = codes
			}
			return codes != nil && err == nil
		},
	}
	for first, use := range doors {
		t.Run(first, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				never(t, w)
				w.Set(settings.TwoFactorWrongPerHour, 100)
				a := w.account("alice").enrol()
				for _, next := range []func() string{func() string { return a.now(0) }, func() string { return a.backup[0] }} {
					c := next()
					if !use(w, a, c) {
						t.Fatalf("first use of %d characters", len(c))
					}
					for second, again := range doors {
						if again(w, a, c) {
							t.Errorf("a code of %d characters, used at %s, works at %s", len(c), first, second)
						}
					}
					if ok, _ := w.svc.Disable(ctx, a.ask(code(c))); ok {
						t.Fatalf("a spent code switched the factor off")
					}
				}
			})
		})
	}
}

// S008: codes belong to their account.
func TestS008CodesOfAnotherAccount(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a, b := w.account("alice", withEmail), w.account("bob", withEmail)
		a.check()
		mailed := w.Mails.Code(-1)
		b.check()
		if got := b.check(code(mailed)); got != "totp-invalid" {
			t.Errorf("alice's mailed code for bob: %q", got)
		}
		if got := a.check(code(mailed)); got != "" {
			t.Errorf("alice's mailed code for alice: %q", got)
		}
		a.enrol()
		time.Sleep(time.Hour)
		b.enrol()
		for _, c := range []string{a.now(0), a.backup[0]} {
			if got := b.check(code(c)); got != "totp-invalid" {
				t.Errorf("alice's code for bob: %q", got)
			}
		}
		if g, _ := w.Store.Guard(ctx, b.id); len(g.Recent) != 2 {
			t.Errorf("bob's failures: %+v", g.Recent)
		}
		for _, c := range []string{a.now(0), a.backup[0]} {
			if got := a.check(code(c)); got != "" {
				t.Errorf("alice's own code: %q", got)
			}
		}
	})
}

// S011: a mailed code lives for 600 seconds, whatever the setting says.
func TestS011MailedCodeEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		a.check()
		time.Sleep(599 * time.Second)
		if got := a.check(code(w.Mails.Code(-1))); got != "" {
			t.Errorf("at 599 s: %s", got)
		}
		a.check()
		time.Sleep(601 * time.Second)
		if got := a.check(code(w.Mails.Code(-1))); got != "totp-invalid" {
			t.Errorf("at 601 s: %q", got)
		}
		w.Set(settings.TwoFactorEmailExpiration, 60)
		time.Sleep(time.Hour)
		if a.check(); w.Mails.Count() != 4 {
			t.Fatalf("%d mails", w.Mails.Count())
		}
		time.Sleep(60 * time.Second)
		if got := a.check(code(w.Mails.Code(-1))); got != "totp-invalid" {
			t.Errorf("with the setting at 60, after 60 s: %q", got)
		}
	})
}

// S012: at most five codes are alive, each is good, and one success ends all.
func TestS012FiveAlive(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice", withEmail)
		for range 7 {
			got, err := w.svc.SendCode(ctx, a.ask(), "alice")
			if err != nil || len(got) != 1 || got[0] != "alice@example.org" {
				t.Fatalf("sendEmailCode: %v %v", got, err)
			}
			time.Sleep(time.Second)
		}
		if w.Mails.Count() != 5 {
			t.Fatalf("%d mails, want 5", w.Mails.Count())
		}
		err := w.svc.Check(ctx, a.ask())
		want := `{"method":"email","codeGenerated":false,"codeCount":5,"codeExpires":[DATE,DATE,DATE,DATE,DATE],"availableMethods":["email"],"emailOrUsername":"alice"}`
		if got := shape(details(t, err)); got != want {
			t.Errorf("details\n got %s\nwant %s", got, want)
		}
		if got := a.check(code(w.Mails.Code(2))); got != "" {
			t.Fatalf("the third of five: %s", got)
		}
		for i := range 4 {
			if got := a.check(code(w.Mails.Code(i))); got != "totp-invalid" {
				t.Errorf("code %d after a success: %q", i, got)
			}
		}
	})
}

// S014: the window is MaxDelta, at most two, steps to each side.
func TestS014Window(t *testing.T) {
	for delta := range 3 {
		t.Run(fmt.Sprint(delta), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				never(t, w)
				w.Set(settings.TwoFactorMaxDelta, delta)
				w.Set(settings.TwoFactorWrongPerHour, 100)
				for shift := -3; shift <= 3; shift++ {
					a := w.account(fmt.Sprintf("u%d", shift+3)).enrol()
					time.Sleep(5 * time.Minute) // no step of the window was spent
					got := a.check(code(a.now(shift)))
					if inside := shift >= -delta && shift <= delta; inside != (got == "") {
						t.Errorf("shift %d: %q", shift, got)
					}
				}
			})
		})
	}
}

// S015: an answer that is no text is a wrong one, and is counted.
func TestS015WrongTypes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		for _, a := range []*account{w.account("alice", withEmail), w.account("bob").enrol(), w.account("carol")} {
			r := a.ask()
			r.Proof = rpc.WrongProof("")
			if got := id(w.svc.Check(ctx, r)); got != "totp-invalid" {
				t.Errorf("%s, no text: %q", a.name(), got)
			}
			if got := a.check(code(strings.Repeat("1", 1<<20))); got != "totp-invalid" {
				t.Errorf("%s, a megabyte: %q", a.name(), got)
			}
			if g, _ := w.Store.Guard(ctx, a.id); len(g.Recent) != 2 {
				t.Errorf("%s: %d answers counted, want 2", a.name(), len(g.Recent))
			}
		}
	})
}

// S010: nothing in the user document is a plain hash of a backup code, or the secret.
func TestS010Lookups(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.account("alice").enrol()
		stored := a.user().Services.TOTP
		if len(stored.HashedBackup) != 12 || len(a.backup) != 12 {
			t.Fatalf("%d codes, %d stored", len(a.backup), len(stored.HashedBackup))
		}
		text := fmt.Sprintf("%+v", *stored)
		for _, c := range a.backup {
			for _, h := range plainHashes(c) {
				if strings.Contains(text, h) {
					t.Errorf("a plain hash of %s is stored", c)
				}
			}
		}
		if strings.Contains(text, a.secret) || !strings.HasPrefix(stored.Secret, "v1.") {
			t.Error("the secret is readable")
		}
	})
}

// S078: broken stored data refuses.
func TestS078HostileDocuments(t *testing.T) {
	totps := map[string]*user.TOTP{
		"no secret":       {Enabled: true},
		"garbage":         {Enabled: true, Secret: "!!!"},
		"sealed garbage":  {Enabled: true, Secret: "v1.nope"},
		"too short":       {Enabled: true, Secret: "AAAA"},
		"someone else's":  {Enabled: true, Secret: "v1.00000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		"far future step": {Enabled: true, Secret: strings.Repeat("A", 32), LastStep: 1 << 62},
		"empty backups":   {Enabled: true, Secret: "x", HashedBackup: []string{"", "v1."}},
	}
	bubble(t, func(t *testing.T, w *world) {
		for name, stored := range totps {
			a := w.account(plainName(name), func(u *user.User) { u.Services.TOTP = stored })
			for _, c := range []string{"000000", "abcdefgh", "", "v1.", "12345678", digest} {
				want := "totp-invalid"
				if c == "" {
					want = "totp-required"
				}
				if got := a.check(code(c)); got != want {
					t.Errorf("%s, code %q: %q", name, c, got)
				}
			}
		}
		a := w.account("hash", func(u *user.User) { u.Services.Password.Bcrypt = "garbage" })
		if got := a.check(code(digest)); got == "" {
			t.Error("a garbage password hash let a call pass")
		}
	})
}

func plainName(name string) string {
	return strings.Map(func(r rune) rune { return max(r, '0') }, name)
}
