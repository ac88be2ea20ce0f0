package rule

import (
	"context"
	"slices"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
)

// passingRest is how long a document that passes is kept after the only password
// that was ever counted in it: most names that nobody has are tried once.
const passingRest = time.Hour

// Answers to second factors (countAttempt) are counted by a like scheme, which shares
// no code with this one: what the two have in common, the counts of one source within a
// window, is three lines, and all the rest is what differs. A right answer ends the rows of
// every factor, a right password only that of its class of sources; a row of passwords
// ends with the password (Epoch); one is counted in several documents or in none, the
// other in one together with the mailed codes; and both are stored.

// CountTry counts one password under id in one budget: accounts.Store CountTries is
// this for each of several budgets, all or none.
func CountTry(t *accounts.Tries, id string, now time.Time, b accounts.Budget) error {
	now = document.Milli(now)
	if t.Full(b, now) {
		return dberr.Exhausted
	}
	if t.Epoch != b.Epoch {
		t.Epoch, t.InRow = b.Epoch, nil
	}
	t.Recent = slices.DeleteFunc(t.Recent, func(c accounts.Try) bool { return !c.At.After(now.Add(-b.Window)) })
	t.Recent = append(t.Recent, accounts.Try{ID: id, At: now, Source: b.Source})
	row := accounts.Row(b.Source)
	if b.InRow > 0 {
		if t.InRow == nil {
			t.InRow = make(map[string]int)
		}
		t.InRow[row]++
	}
	t.Passing = b.Keep > 0
	rest := guardRest
	if t.Passing {
		if rest = passingRest; t.InRow[row] > 1 {
			rest = b.Keep
		}
	}
	if at := now.Add(b.Window).Add(rest); at.After(t.Expire) {
		t.Expire = at
	}
	return nil
}

// EndTry takes a count back: a part of accounts.Store EndTries.
func EndTry(t *accounts.Tries, id string, b accounts.Budget, right bool) {
	n := len(t.Recent)
	t.Recent = slices.DeleteFunc(t.Recent, func(c accounts.Try) bool { return c.ID == id })
	row := accounts.Row(b.Source)
	if !right && len(t.Recent) < n && t.InRow[row] > 0 {
		t.InRow[row]--
	}
	if right || t.InRow[row] == 0 {
		delete(t.InRow, row)
	}
}

// AddSource implements accounts.Store.
func (o Operations) AddSource(ctx context.Context, key, digest string, now, since time.Time, most int) error {
	return o.engine.ChangeTries(ctx, key, func(t *accounts.Tries) error {
		t.Sources = slices.DeleteFunc(t.Sources, func(s accounts.Source) bool { return s.Digest == digest || !s.Seen.After(since) })
		t.Sources = append(t.Sources, accounts.Source{Digest: digest, Seen: document.Milli(now)})
		if over := len(t.Sources) - most; over > 0 {
			t.Sources = slices.Delete(t.Sources, 0, over)
		}
		if at := document.Milli(now).Add(now.Sub(since)); at.After(t.Expire) {
			t.Expire = at
		}
		return nil
	})
}

// ForgetTriesAt is the time after which the document says nothing any more; zero
// while it remembers a row of wrong passwords, which ages only where the
// document passes.
func ForgetTriesAt(t *accounts.Tries) time.Time {
	if !t.Passing && len(t.InRow) > 0 {
		return time.Time{}
	}
	return t.Expire
}
