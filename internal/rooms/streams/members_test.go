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
	failures  []error // that were told
}

var errStore = errors.New("the store does not answer")

func (s *roomStore) lists() *memberLists {
	failed := func(_ string, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failures = append(s.failures, err)
	}
	return &memberLists{read: s.read, among: s.among, later: func(f func()) { go f() }, failed: failed, byRoom: map[string]*memberList{}}
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

func always(string) bool { return true }
func never(string) bool  { return false }

// members is who would be sent something that came after counter changes, once own
// would.
func members(t *testing.T, m *memberLists, counter int64, own string) (ids []string) {
	t.Helper()
	sent := false
	m.with("room", counter, own, always, func(users map[string]struct{}) { ids, sent = append(ids, slices.Sorted(maps.Keys(users))...), true })
	if !sent {
		t.Error("nothing was sent")
	}
	return ids
}

// Those who come and go are the only ones who are looked up, in a room of any size, and
// together, when there is something to send.
func TestMembershipChangeReadsOneMember(t *testing.T) {
	s := &roomStore{users: map[string]struct{}{}}
	for i := range 10_000 {
		s.change(fmt.Sprint(i), true)
	}
	m := s.lists()
	if got := members(t, m, s.counter, "ada"); len(got) != 10_000 || s.all != 1 {
		t.Fatalf("%d members, read %d times", len(got), s.all)
	}
	for i := range 50 {
		id := fmt.Sprint(i)
		m.changed("room", s.change(id, i%2 == 1), []string{id}, i%4 == 0)
	}
	got := members(t, m, s.counter, "1")
	if len(got) != 10_000-25 || slices.Contains(got, "0") || !slices.Contains(got, "1") {
		t.Errorf("%d members", len(got))
	}
	if s.all != 1 || s.some != 1 {
		t.Errorf("all were read %d times, those concerned %d times", s.all, s.some)
	}
	// A change that was not told of makes the whole list be read.
	s.change("missed", true)
	m.changed("room", s.change("new", true), []string{"new"}, false)
	if got = members(t, m, s.counter, "ada"); !slices.Contains(got, "missed") || !slices.Contains(got, "new") || s.all != 2 {
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
		sending.Go(func() { sent = members(t, m, 0, "ada") })
		time.Sleep(500 * time.Millisecond)
		begin := time.Now()
		if m.changed("room", s.change("bob", false), []string{"bob"}, true); time.Since(begin) > 0 {
			t.Errorf("after %v", time.Since(begin))
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
			all.Go(func() { members(t, m, 0, "ada") })
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
				m.with("room", 0, "ada", always, func(map[string]struct{}) { t.Error("sent") })
			})
		}
		all.Wait()
		if took := time.Since(begin); s.all != 2 || took != time.Second || len(s.failures) != 1 || !errors.Is(s.failures[0], errStore) {
			t.Errorf("read %d times in %v: %v", s.all, took, s.failures)
		}
		s.failing = false
		if got := members(t, m, 0, "ada"); len(got) != 1 {
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
						m.changed("room", counter, []string{id}, !in && rng.IntN(2) == 0)
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
						m.with("room", counter, "ada", always, func(users map[string]struct{}) {
							mu.Lock()
							defer mu.Unlock()
							for id := range users {
								if gone[id] {
									t.Errorf("seed %d: sent to %s, who is gone", seed, id)
								}
							}
						})
						time.Sleep(time.Duration(reader.IntN(2)) * time.Millisecond)
					}
				})
			}
			all.Wait()
		})
	}
}

// What is to be sent waits for a read in its order, and nobody who does not listen
// waits for it; a send that panics keeps the next from nothing.
func TestDeliveriesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &roomStore{users: map[string]struct{}{"ada": {}}, slow: time.Second}
		m := s.lists()
		m.later = func(f func()) {
			go func() {
				defer func() { _ = recover() }()
				f()
			}()
		}
		begin := time.Now()
		var sent []int
		for i := range 20 {
			m.with("room", 0, "ada", never, func(map[string]struct{}) {
				sent = append(sent, i)
				if i == 7 {
					panic("a listener's fault")
				}
			})
		}
		if took := time.Since(begin); took > 0 || len(sent) > 0 {
			t.Errorf("sent %v after %v", sent, took)
		}
		m.with("room", 0, "ada", always, func(map[string]struct{}) { sent = append(sent, 20) })
		if took := time.Since(begin); took != time.Second || len(sent) != 21 || !slices.IsSorted(sent) || s.all != 1 {
			t.Errorf("sent %v after %v and %d reads", sent, took, s.all)
		}
		// The list is there: nothing waits.
		m.with("room", 0, "ada", never, func(map[string]struct{}) { sent = append(sent, 21) })
		if len(sent) != 22 {
			t.Errorf("sent %v", sent)
		}
		// Whoever came is looked up, and those who are known do not wait for that.
		m.changed("room", s.change("bob", true), []string{"bob"}, false)
		begin = time.Now()
		var got []string
		say := func(text, own string) {
			m.with("room", s.counter, own, always, func(users map[string]struct{}) {
				for _, id := range slices.Sorted(maps.Keys(users)) {
					got = append(got, id+" "+text)
				}
			})
		}
		say("one", "ada")
		say("two", "ada")
		if took := time.Since(begin); took > 0 || fmt.Sprint(got) != "[ada one ada two]" {
			t.Errorf("%v after %v", got, took)
		}
		say("three", "bob") // who is there when it returns
		if took := time.Since(begin); took != time.Second || fmt.Sprint(got) != "[ada one ada two ada three bob one bob two bob three]" || s.all != 1 || s.some != 1 {
			t.Errorf("%v after %v, %d and %d reads", got, took, s.all, s.some)
		}
		// What keeps its place comes behind what waits, and at once when nothing does.
		m.changed("room", s.change("dan", true), []string{"dan"}, false)
		got = nil
		say("five", "ada")
		m.after("room", func() { got = append(got, "then") })
		say("six", "ada")
		time.Sleep(time.Minute)
		m.after("room", func() { got = append(got, "now") })
		if fmt.Sprint(got) != "[ada five bob five ada six bob six dan five then dan six now]" {
			t.Errorf("%v", got)
		}
		// Whoever goes meanwhile gets nothing of what was kept.
		m.changed("room", s.change("cid", true), []string{"cid"}, false)
		got = nil
		say("four", "ada")
		m.changed("room", s.change("cid", false), []string{"cid"}, true)
		time.Sleep(time.Minute)
		if fmt.Sprint(got) != "[ada four bob four dan four]" {
			t.Errorf("%v", got)
		}
	})
}
