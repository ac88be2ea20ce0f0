package ratelimit

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A flood costs a few records and one number for each sender, whatever comes:
// every event is told exactly once, singly or in a sum, and memory is bounded.
func TestSampler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSampler(SamplerOptions{First: 3, Window: time.Minute, Keys: 10})
		var mu sync.Mutex
		sums := map[string]int{}
		sum := func(from string, count int) {
			mu.Lock()
			defer mu.Unlock()
			sums[from] += count
		}
		keys := func() int { // the timer ends windows on a goroutine of its own
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.seen)
		}
		single := 0
		for i := range 100 {
			for from := range 20 {
				if s.Tell("refused", strconv.Itoa(from), sum) {
					single++
				}
			}
			if n := keys(); n > 11 {
				t.Fatalf("round %d: %d keys", i, n)
			}
		}
		mu.Lock()
		if single != 33 || len(sums) != 0 { // ten senders and all the others
			t.Errorf("%d told singly, %v before the window was over", single, sums)
		}
		mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if sums["0"] != 97 || sums[""] != 997 {
			t.Errorf("the sums are %v", sums)
		}
		if !s.Tell("refused", "0", sum) || keys() != 1 {
			t.Error("the next window does not begin anew")
		}
		total := single
		for _, n := range sums {
			total += n
		}
		if total != 2000 {
			t.Errorf("%d of 2000 events were told", total)
		}
	})
}

// A20: a loopback address is limited where it stands for everybody behind a proxy.
func TestSharedLoopbackIsLimited(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1", "192.0.2.1"} {
		for _, shared := range []bool{false, true} {
			l := New(Options{Config: &Config{IP: Rule{3, time.Minute}}})
			var err error
			for range 10 {
				err = l.Allow(Event{Kind: Method, Name: "x", Address: address, Shared: shared, Class: Wide})
			}
			if want := shared || address == "192.0.2.1"; want != (err != nil) {
				t.Errorf("%s, shared %v: %v", address, shared, err)
			}
		}
	}
}
