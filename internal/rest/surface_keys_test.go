package rest_test

import (
	"slices"
	"testing"

	"ddpserver/internal/methods"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// A22: where the caller has a passkey in use, a code by mail is no proof for any line of the
// surface whose effect is factors, through any door, whoever's account it is about, and
// changes no setting that guards, as those that switch factors off do. Where the key is not
// in use, the same code is one.
func TestA22TheMailboxChangesNoFactorsBesideAPasskey(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	w.mail = true
	asked, guards := 0, 0
	for _, l := range w.lines() {
		if l.effects&(methods.Factors|methods.Guards) == 0 || l.public {
			continue
		}
		for _, c := range l.scenes {
			for door, do := range l.doors {
				for _, inUse := range []bool{false, true} {
					if !inUse && door != "ddp" {
						continue // once shows that the code is good
					}
					s := w.stage(false, false)
					s.inUse = inUse
					if c.prep != nil {
						c.prep(s)
					}
					s.hasKey()
					s.caller = *s.proof()
					before, mailed := s.state(), s.byMail()
					refusal := do(s, c)
					changed, took := s.effects(before, s.state())&methods.Factors != 0, s.byMail() > mailed
					switch {
					case l.effects == methods.Guards && (c.does == "harmless" || took != inUse):
						guards++ // what is harmless may be saved
					case l.effects == methods.Guards:
						t.Errorf("%s %s by %s, a passkey in use %v: a code by mail was taken %v", l.name, c.does, door, inUse, took)
					case c.first && refusal == "" && !changed: // codes by mail are on already
					case inUse && (took || changed && l.instead == "" || l.instead == "" && refusal != "totp-required"):
						t.Errorf("%s %s by %s beside a passkey: %q, the code was taken %v", l.name, c.does, door, refusal, took)
					case !inUse && l.instead == "" && !took && !c.first:
						t.Errorf("%s %s by %s without one: %q, and the code was not taken", l.name, c.does, door, refusal)
					}
					if l.instead == "" {
						asked++
					}
				}
			}
		}
	}
	if asked < 30 || guards < 12 {
		t.Errorf("%d cells, %d settings that guard", asked, guards)
	}
}

// byMail counts the codes by mail that the administrator of the stage proved himself with.
func (s *stage) byMail() (n int) {
	for _, e := range s.Trail.Of("factor_check") {
		if e.Outcome == "ok" && e.Factor == "email" && e.User == s.admin.ID {
			n++
		}
	}
	return n
}

// A22: a passkey that is demanded for every call is demanded of who has none, too, for every
// line of the surface through every door, but for the steps of adding one and what shows
// the own state; and of who has one for these as well.
func TestA22ADemandIsLiftedForTheWayToItOnly(t *testing.T) {
	t.Parallel()
	steps := []string{"generateWebAuthnRegistrationOptions", "registerWebAuthnCredential",
		"POST users.webauthn.registrationOptions", "POST users.webauthn.register"}
	w := newWalk(t, nil)
	w.mail = true
	demand := func(s *stage, inUse bool) *stage {
		if s.inUse = inUse; inUse {
			s.hasKey()
		}
		s.caller = *s.proof() // good until it is taken, which only a lifted demand does
		w.Set(settings.TwoFactorProtectedCalls, "* = webauthn")
		return s
	}
	refused := 0
	for _, inUse := range []bool{false, true} {
		shared := demand(w.stage(false, true), inUse)
		for _, l := range w.lines() {
			step := slices.Contains(steps, l.name)
			if l.passage || inUse && !step {
				continue
			}
			lifted := !inUse && (step || l.enrolment && l.effects == methods.Reads)
			for _, c := range l.scenes {
				s := shared
				if c.prep != nil {
					w.Set(settings.TwoFactorProtectedCalls, "")
					s = w.stage(false, l.effects&(methods.Rooms|methods.Messages) != 0)
					c.prep(s)
					demand(s, inUse)
				}
				for door, do := range l.doors {
					refusal := do(s, c)
					demanded := refusal == "error-no-factor-for-call" || inUse && refusal == "totp-required"
					if demanded {
						refused++
					}
					if demanded == lifted {
						t.Errorf("%s %s by %s, a passkey in use %v: %q", l.name, c.does, door, inUse, refusal)
					}
				}
			}
		}
	}
	if least := map[bool]int{true: 300, false: 240}[testkit.WithRooms]; refused < least {
		t.Errorf("%d calls met the demand", refused)
	}
}
