package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

func openHere(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// batched runs operations so that all of them share one transaction.
func batched(t *testing.T, s *Store, ops ...func() error) []error {
	t.Helper()
	errs := make([]error, len(ops))
	release := make(chan struct{})
	started := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.Update(t.Context(), func(*Tx) error {
			close(started)
			<-release
			return dberr.Conflict
		})
	})
	<-started
	for i, do := range ops {
		wg.Go(func() { errs[i] = do() })
	}
	for queued := 0; queued < len(ops); runtime.Gosched() {
		s.writer.mu.Lock()
		queued = len(s.writer.queue)
		s.writer.mu.Unlock()
	}
	close(release)
	wg.Wait()
	return errs
}

// TestBatchIsolation: what fails in a batch takes nothing else with it.
func TestBatchIsolation(t *testing.T) {
	s := openHere(t, Options{})
	put := func(id string, fail func() error) func() error {
		return func() error {
			return s.Update(t.Context(), func(tx *Tx) error {
				if err := tx.insertUser(&user.User{ID: id}, []byte{5, 0, 0, 0, 0}); err != nil {
					return err
				}
				return fail()
			})
		}
	}
	fine := func() error { return nil }
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var recovered any
	errs := batched(t, s,
		put("good1", fine),
		put("bad", func() error { return dberr.Conflict }),
		func() error {
			defer func() { recovered = recover() }()
			return put("panic", func() error { panic("mine") })()
		},
		func() error {
			return s.Update(gone, func(*Tx) error { return errors.New("ran although nobody waits") })
		},
		put("good2", fine),
	)
	if errs[0] != nil || errs[4] != nil || !errors.Is(errs[1], dberr.Conflict) || recovered != "mine" || !errors.Is(errs[3], context.Canceled) ||
		!errors.Is(errs[3], dberr.Unavailable) {
		t.Errorf("outcomes %v, recovered %v", errs, recovered)
	}
	_, total, err := s.ListUsers(t.Context(), 0, 0)
	if err != nil || total != 2 {
		t.Errorf("%d accounts, %v; want good1 and good2", total, err)
	}
	// The next in line works as ever.
	if err := s.CreateUser(t.Context(), &user.User{ID: "next"}); err != nil {
		t.Error(err)
	}
}

// TestDiskFull: a write that does not fit is refused whole, reading goes on,
// and so does writing once there is room.
func TestDiskFull(t *testing.T) {
	s := openHere(t, Options{})
	create := func(id string, size int) error {
		return s.CreateUser(t.Context(), &user.User{ID: id, Username: id, Name: strings.Repeat("x", size), CreatedAt: time.Now()})
	}
	if err := create("first", 10); err != nil {
		t.Fatal(err)
	}
	limit := func(pages int) {
		t.Helper()
		if _, err := s.writer.conn.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite takes the present size instead
	if err := create("big", 1<<20); !errors.Is(err, dberr.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	// In a batch everybody whose change is lost hears of it.
	for i, err := range batched(t, s, func() error { return create("a", 1<<20) }, func() error { return create("b", 1<<20) },
		func() error {
			return s.SaveSettings(t.Context(), []settings.Stored{{ID: "s", Value: strings.Repeat("x", 1<<20)}})
		}) {
		if !errors.Is(err, dberr.Unavailable) {
			t.Errorf("operation %d: %v, want unavailable", i, err)
		}
	}
	if _, err := s.UserByUsername(t.Context(), "first"); err != nil {
		t.Error("reading:", err)
	}
	if _, total, err := s.ListUsers(t.Context(), 0, 1); err != nil || total != 1 {
		t.Errorf("%d accounts, %v; want 1", total, err)
	}
	limit(1 << 30)
	if err := create("big", 1<<20); err != nil {
		t.Error("with room again:", err)
	}
}

// TestIdleGuardsAreForgotten, but never one with a row of wrong answers.
func TestIdleGuardsAreForgotten(t *testing.T) {
	now := time.Now()
	s := openHere(t, Options{Now: func() time.Time { return now }})
	l := twofactor.Limits{MaxRecent: 5, Window: time.Hour, MaxInRow: 5}
	for _, id := range []string{"right", "wrong"} {
		count, err := s.CountAttempt(t.Context(), id, "totp", now, l)
		if err != nil {
			t.Fatal(err)
		}
		if id == "right" {
			if err := s.Succeeded(t.Context(), id, count, twofactor.Spent{}, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func() string {
		if _, err := s.SweepTokens(t.Context(), now, now, now); err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, id := range []string{"right", "wrong"} {
			g, err := s.Guard(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			out += fmt.Sprint(g.Received)
		}
		return out
	}
	if got := left(); got != "11" {
		t.Errorf("forgotten at once: %s", got)
	}
	now = now.Add(48 * time.Hour)
	if got := left(); got != "01" {
		t.Errorf("after two days: %s, want the row of wrong answers only", got)
	}
}
