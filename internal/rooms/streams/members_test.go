package streams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// roomStore is the members of one room, counted, with a read that takes time.
type roomStore struct {
	mu        sync.Mutex
	users     map[string]struct{}
	counter   int64
	all, some int // how often they were read
	slow      time.Duration
	failing   bool
}

var errStore = errors.New("the store does not answer")

func (s *roomStore) lists() *memberLists {
	return &memberLists{read: s.read, among: s.among, byRoom: map[string]*memberList{}}
}

// change adds or removes a member and returns the counter.
func (s *roomStore) change(id string, in bool) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in {
		s.users[id] = struct{}{}
	} else {
		delete(s.users, id)
	}
	s.counter++
	return s.counter
}

func (s *roomStore) read(context.Context, string) ([]string, int64, error) {
	s.mu.Lock()
	users, counter, slow := slices.Collect(maps.Keys(s.users)), s.counter, s.slow
	s.all++
	failing := s.failing
	s.mu.Unlock()
	time.Sleep(slow)
	if failing {
		return nil, 0, errStore
	}
	return users, counter, nil
}

func (s *roomStore) among(_ context.Context, _ string, users []string) (in []string, err error) {
	s.mu.Lock()
	for _, id := range users {
		if _, member := s.users[id]; member {
			in = append(in, id)
		}
	}
	s.some++
	slow := s.slow
	s.mu.Unlock()
	time.Sleep(slow)
	return in, nil
}

// members is who would be sent something that came after counter changes.
func members(t *testing.T, m *memberLists, counter int64) (ids []string) {
	t.Helper()
	if err := m.with(t.Context(), "room", counter, func(users map[string]struct{}) { ids = slices.Sorted(maps.Keys(users)) }); err != nil {
		t.Error(err)
	}
	return ids
}

// Somebody who comes or goes is the only one who is looked up, in a room of any size.
func TestMembershipChangeReadsOneMember(t *testing.T) {
	s := &roomStore{users: map[string]struct{}{}}
	for i := range 10_000 {
		s.change(fmt.Sprint(i), true)
	}
	m := s.lists()
	if got := members(t, m, s.counter); len(got) != 10_000 || s.all != 1 {
		t.Fatalf("%d members, read %d times", len(got), s.all)
	}
	for i := range 50 {
		id := fmt.Sprint(i)
		if err := m.changed(t.Context(), "room", s.change(id, i%2 == 1), []string{id}); err != nil {
			t.Fatal(err)
		}
	}
	got := members(t, m, s.counter)
	if len(got) != 10_000-25 || slices.Contains(got, "0") || !slices.Contains(got, "1") {
		t.Errorf("%d members", len(got))
	}
	if s.all != 1 || s.some != 50 {
		t.Errorf("all were read %d times, those concerned %d times", s.all, s.some)
	}
	// A change that was not told of makes the whole list be read.
	s.change("missed", true)
	if err := m.changed(t.Context(), "room", s.change("new", true), []string{"new"}); err != nil {
		t.Fatal(err)
	}
	if got = members(t, m, s.counter); !slices.Contains(got, "missed") || !slices.Contains(got, "new") || s.all != 2 {
		t.Errorf("read %d times", s.all)
	}
}

// A read that a change overtook counts for nothing, and nobody waits for a read to
// tell of a change.
func TestMembersReadMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &roomStore{users: map[string]struct{}{"ada": {}, "bob": {}}, slow: time.Second}
		m := s.lists()
		var sent []string
		var sending sync.WaitGroup
		sending.Go(func() { sent = members(t, m, 0) })
		time.Sleep(500 * time.Millisecond)
		begin := time.Now()
		if err := m.changed(t.Context(), "room", s.change("bob", false), []string{"bob"}); err != nil || time.Since(begin) > 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		sending.Wait()
		if fmt.Sprint(sent) != "[ada]" {
			t.Errorf("sent to %v", sent)
		}
	})
}

// Those who need the same list share a read, and its failure.
func TestMembersAreReadOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &roomStore{users: map[string]struct{}{"ada": {}}, slow: time.Second}
		m := s.lists()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { members(t, m, 0) })
		}
		all.Wait()
		if s.all != 1 {
			t.Errorf("read %d times", s.all)
		}
		m.drop()
		s.failing = true
		begin := time.Now()
		for range 20 {
			all.Go(func() {
				if err := m.with(t.Context(), "room", 0, func(map[string]struct{}) { t.Error("sent") }); !errors.Is(err, errStore) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begin); s.all != 2 || took != time.Second {
			t.Errorf("read %d times in %v", s.all, took)
		}
		s.failing = false
		if got := members(t, m, 0); len(got) != 1 {
			t.Errorf("afterwards %v", got)
		}
	})
}

// After the news of a removal was followed nothing is sent to who was removed, in
// whatever order changes, news and deliveries come.
func TestMembersNeverTooOld(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			s := &roomStore{users: map[string]struct{}{}, slow: time.Millisecond}
			m := s.lists()
			var mu sync.Mutex
			gone := map[string]bool{} // the news of the removal was followed
			var all sync.WaitGroup
			for worker := range uint64(4) {
				rng, reader := rand.New(rand.NewPCG(seed, worker)), rand.New(rand.NewPCG(seed, worker+4))
				id := fmt.Sprint(worker)
				all.Go(func() {
					for range 50 {
						in := rng.IntN(2) == 0
						if in { // before the change, because others may see it at once
							mu.Lock()
							gone[id] = false
							mu.Unlock()
						}
						counter := s.change(id, in)
						time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
						if err := m.changed(t.Context(), "room", counter, []string{id}); err != nil {
							t.Error(err)
						}
						mu.Lock()
						gone[id] = !in
						mu.Unlock()
						time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
					}
				})
				all.Go(func() {
					for range 100 {
						s.mu.Lock()
						counter := s.counter
						s.mu.Unlock()
						err := m.with(t.Context(), "room", counter, func(users map[string]struct{}) {
							mu.Lock()
							defer mu.Unlock()
							for id := range users {
								if gone[id] {
									t.Errorf("seed %d: sent to %s, who is gone", seed, id)
								}
							}
						})
						if err != nil {
							t.Error(err)
						}
						time.Sleep(time.Duration(reader.IntN(2)) * time.Millisecond)
					}
				})
			}
			all.Wait()
		})
	}
}
