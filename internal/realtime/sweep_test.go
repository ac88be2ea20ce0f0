package realtime

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

// ledger is a real store whose clock may be another one, and which counts what sweeps ask.
type ledger struct {
	*sqlite.Store
	clock int64 // what its marks are later by
	pages int
	early int // of pages
	fails bool
	// drawing runs before a moment is drawn, hidden marks become visible later.
	drawing func()
	hidden  map[string]time.Time
}

func (l *ledger) MarksSince(ctx context.Context, after feed.Mark, most int, earlyOnly bool) ([]feed.Mark, error) {
	if l.pages++; l.fails {
		return nil, dberr.Unavailable
	}
	if earlyOnly {
		l.early++
	}
	after.At = uint64(max(0, int64(after.At)-l.clock))
	marks, err := l.Store.MarksSince(ctx, after, most, earlyOnly)
	for i := range marks {
		marks[i].At += uint64(l.clock)
	}
	return slices.DeleteFunc(marks, func(m feed.Mark) bool {
		return time.Now().Before(l.hidden[m.Account]) || earlyOnly && m.Account != ""
	}), err
}

func (l *ledger) MarkNow(ctx context.Context) (uint64, error) {
	if l.drawing != nil {
		l.drawing()
	}
	at, err := l.Store.MarkNow(ctx)
	return at + uint64(l.clock), err
}

// swept is a sweep over that ledger, and what it found.
type swept struct {
	*sweep
	l       *ledger
	read    []string
	refused bool
	empty   bool // nobody is logged in
	every   int  // how often everything was read
}

func newSwept(t *testing.T) *swept {
	t.Helper()
	f := unswept(t)
	f.once(t)
	f.read, f.every = nil, 0
	return f
}

// unswept is one of a node that has just started.
func unswept(t *testing.T) *swept {
	t.Helper()
	f := &swept{l: &ledger{Store: storetest.OpenSQLite(t), clock: 1 << 40}}
	f.sweep = &sweep{
		marks: f.l, heard: user.NewHeard(), inUse: func(string) bool { return !f.empty }, nobody: func() bool { return f.empty },
		all: func() []string { f.every++; return nil }, settings: func(context.Context) error { f.read = append(f.read, "settings"); return nil },
		accounts: func(_ context.Context, ids []string) error {
			if f.refused {
				return dberr.Unavailable
			}
			f.read = append(f.read, ids...)
			return nil
		},
		most: 20, handled: map[feed.Mark]struct{}{}, awaited: map[string]time.Time{},
	}
	return f
}

func (f *swept) once(t *testing.T) {
	t.Helper()
	if err := f.run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// mark marks accounts that are there from then on.
func (f *swept) mark(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		_ = f.l.CreateUser(t.Context(), &user.User{ID: id, CreatedAt: time.Now()}) // it may be there
		f.again(t, id)
	}
}

func (f *swept) again(t *testing.T, id string) {
	t.Helper()
	u, err := f.l.UserByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	active := !u.IsActive()
	if _, err := f.l.UpdateUser(t.Context(), id, user.Change{Active: &active, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

func (f *swept) found(t *testing.T, want ...string) {
	t.Helper()
	if got := f.read; !slices.Equal(got, want) {
		t.Fatalf("read %d: %.200s, want %.200s", len(got), fmt.Sprint(got), fmt.Sprint(want))
	}
	f.read = nil
}

// Each mark is acted on once, however long it stays among those that are asked for, and
// an account that is marked again is read again. A quiet database costs one page a sweep.
func TestEachMarkIsActedOnOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSwept(t)
		f.mark(t, "ada", "bob")
		for range 30 {
			f.once(t)
			time.Sleep(sweepEvery)
		}
		f.found(t, "ada", "bob")
		f.again(t, "ada")
		f.once(t)
		f.found(t, "ada")
		if err := f.l.SaveSettings(t.Context(), []settings.Stored{{ID: "x", Value: true}}); err != nil {
			t.Fatal(err)
		}
		f.once(t)
		f.found(t, "settings")
		pages := f.l.pages
		for range 12 {
			f.once(t)
			time.Sleep(sweepEvery)
		}
		if n := f.l.pages - pages; n != 12 || len(f.handled) != 0 || len(f.drawn) > 3 {
			t.Errorf("12 sweeps of a quiet store asked %d times, %d marks and %d moments are kept", n, len(f.handled), len(f.drawn))
		}
		if f.every != 0 {
			t.Error("everything was read")
		}
	})
}

// What a sweep could not act on is done by the next one; so is what could not be asked.
func TestSweepFailsAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSwept(t)
		f.mark(t, "ada")
		for range 20 { // longer than marks are looked back for
			f.l.fails, f.refused = !f.l.fails, true
			if err := f.run(t.Context()); err == nil {
				t.Fatal("it did not fail")
			}
			time.Sleep(sweepEvery)
		}
		f.l.fails, f.refused = false, false
		f.once(t)
		f.found(t, "ada")
		f.l.fails = true
		time.Sleep(feed.MarkLife) // early marks may be forgotten
		_ = f.run(t.Context())
		f.l.fails = false
		f.once(t)
		if f.every != 1 {
			t.Errorf("everything was read %d times", f.every)
		}
	})
}

// Where nobody is logged in, every second sweep asks for early marks alone. Settings are
// found by each, and who was marked meanwhile by the first one after somebody came.
func TestSweepsWhereNobodyIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSwept(t)
		f.empty = true
		for range 20 {
			f.once(t)
			time.Sleep(sweepEvery)
		}
		f.l.early = 0
		for range 20 {
			f.once(t)
			time.Sleep(sweepEvery)
		}
		if f.l.early != 10 {
			t.Errorf("%d of 20 sweeps asked for early marks alone", f.l.early)
		}
		for range 2 {
			if f.once(t); f.part {
				break
			}
		}
		f.mark(t, "ada") // who logs in before it is known here
		if f.once(t); f.part {
			t.Fatal("two in turn asked for early marks alone")
		}
		f.mark(t, "bob")
		f.once(t)
		f.empty = false
		f.once(t)
		f.found(t, "bob")
		f.empty = true
		for range 30 { // longer than is looked back
			f.once(t)
			if f.part {
				f.mark(t, "ada")
				f.empty = false
				f.once(t)
				f.found(t, "ada")
				f.empty = true
			}
			time.Sleep(sweepEvery)
		}
	})
}

// Many accounts that change at once come in pages, and what changes meanwhile comes too.
func TestManyMarksAtOnce(t *testing.T) {
	f := newSwept(t)
	var ids []string
	for i := range 50 {
		ids = append(ids, fmt.Sprintf("u%02d", i))
	}
	f.mark(t, ids...)
	before, accounts := f.l.pages, f.accounts
	f.accounts = func(ctx context.Context, ids []string) error {
		if len(ids) > f.most {
			t.Errorf("%d accounts at once", len(ids))
		}
		if len(ids) > 0 && ids[0] == "u00" { // while the first page is acted on
			f.mark(t, "late")
		}
		return accounts(ctx, ids)
	}
	f.once(t)
	f.found(t, append(ids, "late")...)
	if n := f.l.pages - before; n != 3 {
		t.Errorf("%d pages", n)
	}
}

// A clock of the database that is set back hides nothing for longer than until it is
// drawn from again; one that was ahead for a while leaves marks that hide none either.
func TestClockOfTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newSwept(t)
		f.l.clock = 1 << 39
		f.mark(t, "ada")
		time.Sleep(feed.MarkDelay)
		f.once(t)
		if f.every != 1 || !slices.Contains(f.read, "ada") {
			t.Errorf("set back: everything was read %d times, and %q", f.every, f.read)
		}
		f.read = nil
		f.mark(t, "bob")
		f.once(t)
		f.found(t, "bob")
		for range 10 {
			time.Sleep(feed.MarkDelay)
			f.once(t)
		}
		f.found(t)
		f.mark(t, "ada")
		f.once(t)
		f.found(t, "ada")
	})
}

// What was marked before the first moment was drawn may become visible after it, wherever
// the node is in its life: at its start, and when the store is slow to draw.
func TestMarksThatBecomeVisibleLater(t *testing.T) {
	for name, begin := range map[string]func(*testing.T) *swept{"a start": unswept, "later": newSwept} {
		for _, slow := range []time.Duration{0, time.Second, StoreTime - time.Second} {
			t.Run(name+", drawn in "+slow.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := begin(t)
					time.Sleep(feed.MarkDelay)
					f.l.drawing = func() {
						f.l.drawing = nil
						time.Sleep(slow)
						f.l.hidden = map[string]time.Time{"ada": time.Now().Add(feed.MarkDelay / 2)}
						f.mark(t, "ada")
					}
					for range 20 {
						f.once(t)
						time.Sleep(sweepEvery)
					}
					if n := len(slices.DeleteFunc(f.read, func(id string) bool { return id != "ada" })); n != 1 {
						t.Errorf("the account was read %d times", n)
					}
				})
			})
		}
	}
}
