package rest_test

import (
	"testing"

	"ddpserver/internal/methods"
)

// A22: where the caller has a passkey in use, a code by mail is no proof for any line of the
// surface whose effect is factors, through any door, whoever's account it is about. Where
// the key is not in use, the same code is.
func TestA22TheMailboxChangesNoFactorsBesideAPasskey(t *testing.T) {
	w := newWalk(t, nil)
	w.mail = true
	asked := 0
	for _, l := range w.lines() {
		if l.effects&methods.Factors == 0 || l.public {
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
	if asked < 30 {
		t.Errorf("%d cells", asked)
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
