package realtime

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/user"
)

// slowUsers is one account that takes a second to read.
type slowUsers struct {
	reads  atomic.Int64
	active atomic.Bool
	fails  atomic.Bool
	panics atomic.Bool
}

func (s *slowUsers) User(_ context.Context, id string) (*user.User, error) {
	s.reads.Add(1)
	active := s.active.Load()
	time.Sleep(time.Second)
	switch {
	case s.panics.Load():
		panic("the store has a mistake")
	case s.fails.Load():
		return nil, errors.New("the store does not answer")
	}
	return &user.User{ID: id, Active: &active}, nil
}

// Those who hear of changes at the same time share a read that began after all of
// them, nothing waits for a read that does not need it, and a failure is everybody's.
func TestAccountIsReadForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := &slowUsers{}
		rights := atomic.Int64{}
		o := newOwn(New(Options{}), users, ddp.NewRegistry(), func(string) { rights.Add(1) })
		w := o.watch("ada")
		refresh := func() bool {
			known, err := o.refresh("ada")
			return known && err == nil
		}
		refresh()
		begin := time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if !refresh() {
					t.Error("not read")
				}
			})
		}
		time.Sleep(500 * time.Millisecond)
		users.active.Store(true) // after the read of the first began
		all.Go(func() { refresh() })
		o.unwatch(o.watch("ada"))
		if w.mu.TryLock() { // as somebody does who leaves
			w.mu.Unlock()
		} else {
			t.Error("a lock is held over a read of the store")
		}
		if took := time.Since(begin); took != 500*time.Millisecond {
			t.Errorf("somebody waited %v for a read", took-500*time.Millisecond)
		}
		all.Wait()
		if n := users.reads.Load(); n != 3 || time.Since(begin) != 2*time.Second {
			t.Errorf("%d reads in %v", n, time.Since(begin))
		}
		if rights.Load() == 0 || !w.rights.active {
			t.Error("the change was not seen")
		}
	})
}

// A read that fails, or panics, does so for everybody who waits for it, and the next
// one is made.
func TestAccountIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := &slowUsers{}
		o := newOwn(New(Options{}), users, ddp.NewRegistry(), func(string) {})
		o.watch("ada")
		refresh := func() bool {
			known, err := o.refresh("ada")
			return known && err == nil
		}
		var all sync.WaitGroup
		users.fails.Store(true)
		for range 3 {
			all.Go(func() {
				if refresh() {
					t.Error("read, though the store does not answer")
				}
			})
		}
		all.Wait()
		users.panics.Store(true)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is lost")
				}
			}()
			refresh()
		}()
		users.panics.Store(false)
		users.fails.Store(false)
		if !refresh() {
			t.Error("not read after a panic")
		}
	})
}

// Who asks for an account twice at once does not wait for itself: a page of marks has an
// account twice that changed and whose removal was tried then.
func TestAccountIsAskedForTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := &slowUsers{}
		o := newOwn(New(Options{}), users, ddp.NewRegistry(), func(string) {})
		o.watch("ada")
		o.watch("bob")
		if err := o.refreshMany(t.Context(), []string{"bob", "ada", "nobody", "ada", "bob", "ada"}); err != nil {
			t.Error(err)
		}
		if n := users.reads.Load(); n != 2 {
			t.Errorf("%d reads", n)
		}
	})
}

// A change of what nobody is shown reads nothing; what cannot be told apart reads
// the account.
func TestAccountIsReadForWhatIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users, h := &slowUsers{}, New(Options{})
		o := newOwn(h, users, ddp.NewRegistry(), func(string) {})
		o.watch("ada")
		for _, c := range []struct {
			fields []string
			reads  int64
		}{
			{[]string{user.FieldProofs, user.FieldCustom}, 0}, {nil, 1},
			{[]string{user.FieldProofs, "roles"}, 1}, {[]string{"newer"}, 1}, {[]string{user.FieldTokens}, 1},
		} {
			users.reads.Store(0)
			user.Changed.Publish(h, "ada", user.News{Fields: c.fields})
			if got := users.reads.Load(); got != c.reads {
				t.Errorf("%v: %d reads", c.fields, got)
			}
		}
	})
}

// Owners see that somebody asked for the removal of their app, as long as they can
// stop it.
func TestOwnDocumentTellsPendingReset(t *testing.T) {
	u := &user.User{ID: "ada"}
	u.Services.TOTP = &user.TOTP{Enabled: true}
	before := document(u)
	u.Services.TOTP.ResetDue = time.Unix(1, 0).UTC()
	for _, step := range []struct{ from, to ejson.Doc }{{before, document(u)}, {document(u), before}} {
		if changed, cleared := difference(step.from, step.to); len(changed) != 1 || changed[0].Key != "services" || len(cleared) != 0 {
			t.Errorf("changed %v, cleared %v", changed, cleared)
		}
	}
	services, _ := document(u).Get("services")
	app, _ := services.(ejson.Doc).Get("totp")
	if due, _ := app.(ejson.Doc).Get("resetDue"); due != u.Services.TOTP.ResetDue {
		t.Errorf("the owner is told %v", due)
	}
}
