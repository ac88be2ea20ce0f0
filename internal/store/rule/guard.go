package rule

import (
	"context"
	"errors"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/store/document"
	"ddpserver/internal/twofactor"
)

// guardRest is how long an idle guard is kept beyond the last moment at which
// it says anything, so that a clock that jumps does not forget an attempt.
const guardRest = 24 * time.Hour

// CountAttempt implements twofactor.Store. Whatever the outcome, the guard is stored:
// an answer was received.
func (o Operations) CountAttempt(ctx context.Context, userID, factor string, now time.Time, l twofactor.Limits) (string, error) {
	id, now := random.ID(), document.Milli(now)
	var outcome error
	err := o.engine.ChangeGuard(ctx, userID, func(g *twofactor.Guard) error {
		outcome = countAttempt(g, id, factor, now, l)
		return nil
	})
	if err == nil {
		err = outcome
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

func countAttempt(g *twofactor.Guard, id, factor string, now time.Time, l twofactor.Limits) error {
	g.Received++
	if live := alive(g.Codes, now); len(live) < len(g.Codes) {
		// Seen dead, a code stays dead, even for a clock that jumps back.
		if g.Codes = live; len(live) == 0 {
			g.CodeTries = 0
		}
	}
	row := twofactor.Row(factor, l.Source)
	switch {
	case g.Within(l.Source, l.Apart, now.Add(-l.Window)) >= l.MaxRecent, !l.Apart && g.InRow[row] >= l.MaxInRow:
		return dberr.Exhausted
	case l.CodeTries > 0 && len(alive(g.Codes, now)) == 0:
		return dberr.Conflict
	case l.CodeTries > 0 && g.CodeTries >= l.CodeTries:
		return dberr.Exhausted
	}
	g.Recent = slices.DeleteFunc(g.Recent, func(c twofactor.Count) bool { return !c.At.After(now.Add(-l.Window)) })
	if l.Apart {
		makeRoom(g)
	}
	g.Recent = append(g.Recent, twofactor.Count{ID: id, Factor: factor, At: now, Source: l.Source, Apart: l.Apart})
	if g.InRow == nil {
		g.InRow = make(map[string]int)
	}
	if !l.Apart {
		g.InRow[row]++
	}
	if l.CodeTries > 0 {
		g.CodeTries++
	}
	keepUntil(g, now.Add(l.Window))
	return nil
}

// makeRoom forgets the oldest counts that are apart, for one more: they come from any number
// of networks, and none of them is a guess.
func makeRoom(g *twofactor.Guard) {
	over := -twofactor.MaxApart + 1
	for _, c := range g.Recent {
		if c.Apart {
			over++
		}
	}
	g.Recent = slices.DeleteFunc(g.Recent, func(c twofactor.Count) bool {
		drop := c.Apart && over > 0
		if drop {
			over--
		}
		return drop
	})
}

// Succeeded implements twofactor.Store.
func (o Operations) Succeeded(ctx context.Context, userID, countID string, spent twofactor.Spent, since time.Time) error {
	spent.At = document.Milli(spent.At)
	return o.engine.ChangeGuard(ctx, userID, func(g *twofactor.Guard) error {
		g.Recent = slices.DeleteFunc(g.Recent, func(c twofactor.Count) bool { return c.ID == countID })
		g.InRow = nil
		if spent.Digest != "" {
			g.Spent = slices.DeleteFunc(g.Spent, func(s twofactor.Spent) bool { return s.At.Before(since) })
			g.Spent = append(g.Spent[max(0, len(g.Spent)-twofactor.MaxSpent+1):], spent)
			keepUntil(g, spent.At)
		}
		return nil
	})
}

// AddMailCode implements twofactor.Store.
func (o Operations) AddMailCode(ctx context.Context, userID string, c twofactor.MailCode, now time.Time, r twofactor.MailRules) ([]twofactor.MailCode, error) {
	now, c.CreatedAt, c.Expire = document.Milli(now), document.Milli(c.CreatedAt), document.Milli(c.Expire)
	var live []twofactor.MailCode
	err := o.engine.ChangeGuard(ctx, userID, func(g *twofactor.Guard) (err error) {
		live, err = addMailCode(g, c, now, r)
		return err
	})
	if errors.Is(err, dberr.Unavailable) {
		return nil, err // what was to be stored may not be
	}
	return live, err
}

func addMailCode(g *twofactor.Guard, c twofactor.MailCode, now time.Time, r twofactor.MailRules) ([]twofactor.MailCode, error) {
	live := alive(g.Codes, now)
	good := slices.ContainsFunc(live, func(old twofactor.MailCode) bool { return old.GoodFor(c.Purpose) })
	full := len(live) >= r.MaxAlive
	if full && !r.OnlyIfNone || r.OnlyIfNone && good {
		return live, dberr.Conflict
	}
	count := &g.Mails
	if c.Stranger {
		count = &g.Asked
	}
	mails := slices.DeleteFunc(slices.Clone(*count), func(t time.Time) bool { return !t.After(now.Add(-r.Window)) })
	if len(mails) >= r.MaxMails {
		return live, dberr.Exhausted
	}
	if full { // all of them for something else: the challenge must have an answer
		live = live[len(live)-r.MaxAlive+1:]
	}
	if len(live) == 0 {
		g.CodeTries = 0
	}
	g.Codes = append(live, c)
	*count = append(mails, now)
	keepUntil(g, now.Add(r.Window))
	keepUntil(g, c.Expire)
	return slices.Clone(g.Codes), nil
}

// UndoMailCode implements twofactor.Store.
func (o Operations) UndoMailCode(ctx context.Context, userID, digest string, refund bool) error {
	return o.engine.ChangeGuard(ctx, userID, func(g *twofactor.Guard) error {
		i := slices.IndexFunc(g.Codes, func(c twofactor.MailCode) bool { return c.Digest == digest })
		if i < 0 {
			return nil
		}
		c := g.Codes[i]
		if g.Codes = slices.Delete(g.Codes, i, i+1); len(g.Codes) == 0 {
			g.Codes, g.CodeTries = nil, 0
		}
		count := &g.Mails
		if c.Stranger {
			count = &g.Asked
		}
		if j := slices.IndexFunc(*count, c.CreatedAt.Equal); refund && j >= 0 {
			*count = slices.Delete(*count, j, j+1)
		}
		return nil
	})
}

// UseMailCode implements twofactor.Store.
func (o Operations) UseMailCode(ctx context.Context, userID, digest, purpose string, now time.Time) error {
	return o.engine.ChangeGuard(ctx, userID, func(g *twofactor.Guard) error {
		if !slices.ContainsFunc(alive(g.Codes, now), func(c twofactor.MailCode) bool { return c.Digest == digest && c.GoodFor(purpose) }) {
			return dberr.Conflict
		}
		g.Codes, g.CodeTries = nil, 0
		return nil
	})
}

// KillMailCodes implements twofactor.Store.
func (o Operations) KillMailCodes(ctx context.Context, userID string, tries int) error {
	return o.engine.ChangeGuard(ctx, userID, func(g *twofactor.Guard) error {
		if len(g.Codes) == 0 || g.CodeTries < tries {
			return dberr.Conflict
		}
		g.Codes, g.CodeTries = nil, 0
		return nil
	})
}

// ForgetAt is the time after which the guard says nothing any more; zero while
// a row of wrong answers is remembered, which never ages.
func ForgetAt(g *twofactor.Guard) time.Time {
	for _, n := range g.InRow {
		if n > 0 {
			return time.Time{}
		}
	}
	return g.Expire
}

// alive copies the codes that may still be used.
func alive(codes []twofactor.MailCode, now time.Time) []twofactor.MailCode {
	var live []twofactor.MailCode
	for _, c := range codes {
		if c.Expire.After(now) {
			live = append(live, c)
		}
	}
	return live
}

func keepUntil(g *twofactor.Guard, t time.Time) {
	if t = t.Add(guardRest); t.After(g.Expire) {
		g.Expire = t
	}
}
