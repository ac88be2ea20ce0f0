//go:build !notrail

package rest_test

import (
	"maps"
	"testing"

	"ddpserver/internal/methods"
	"ddpserver/internal/trail"
)

// The part of the walk over the surface that is about the trail.

func init() {
	maps.Copy(scenesOfMethods, map[string][]scene{
		"audit:list": {list(), list(object{"user": "root1", "act": "login", "text": "x", "count": 3}).named("with a filter")},
		"audit:mine": {list()},
	})
	maps.Copy(scenesOfRoutes, map[string][]scene{
		"GET audit.list":   {req(plain)},
		"GET audit.mine":   {req(plain)},
		"GET audit.export": {req(plain)},
	})
}

// A23: what was done to an account is in that account's activity, and in that of nobody
// else: every call that acts on others, and the events it leaves in the copy.
func TestA23ActsOnOthersAreTheirs(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	told := 0
	for _, l := range w.lines() {
		if l.effects&methods.Others == 0 {
			continue
		}
		for _, c := range l.scenes {
			for door, do := range l.doors {
				s := w.stage(true, l.effects&(methods.Rooms|methods.Messages) != 0)
				if c.prep != nil {
					c.prep(s)
				}
				s.caller = *s.proof()
				if err := w.FlushTrail(); err != nil {
					t.Fatal(err)
				}
				from := w.newestEvent()
				if refusal := do(s, c); refusal != c.proven {
					t.Errorf("%s %s by %s: %q", l.name, c.does, door, refusal)
				}
				if err := w.FlushTrail(); err != nil {
					t.Fatal(err)
				}
				page, err := w.rec.PageTrail(t.Context(), trail.Query{Low: from + "!", Limit: 100, Scan: 1000})
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Events {
					if e.Target != s.other.ID {
						continue
					}
					if told++; e.Subject != e.Target {
						t.Errorf("%s %s by %s leaves a %s about %q, not about the account it was done to", l.name, c.does, door, e.Act, e.Subject)
					}
				}
			}
		}
	}
	if told < 20 {
		t.Errorf("only %d events were about somebody else", told)
	}
}

// newestEvent is the id of the newest event of the copy.
func (w *walk) newestEvent() string {
	w.T.Helper()
	page, err := w.rec.PageTrail(w.T.Context(), trail.Query{Limit: 1, Scan: 1})
	if err != nil || len(page.Events) == 0 {
		w.T.Fatal("no event", err)
	}
	return page.Events[0].ID
}
