package budget

import (
	"context"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOf(t *testing.T) {
	for memory, want := range map[int64]int64{0: Default, -1: Default, math.MaxInt64: Default, 512 << 20: 128 << 20, 8 << 30: 2 << 30, 1 << 20: least} {
		if got := Of(memory); got != want {
			t.Errorf("Of(%d) = %d, want %d", memory, got, want)
		}
	}
}

// What is taken counts until it is released, once.
func TestTake(t *testing.T) {
	a := New(1000)
	release, ok := a.Take("", 900)
	if !ok || a.Used() != 900 {
		t.Fatal(ok, a.Used())
	}
	if _, ok := a.Take("", 200); ok || a.Used() != 900 || a.Refused() != 1 {
		t.Error("more than the limit, or a refusal that counts", a.Used(), a.Refused())
	}
	release()
	release()
	if a.Used() != 0 || a.Peak() != 900 {
		t.Error(a.Used(), a.Peak())
	}
	var none *Account
	if release, ok := none.Take("", 1<<40); !ok {
		t.Error("no account refuses")
	} else {
		release()
	}
}

// Large holders leave a quarter to the small ones, however many they are.
func TestLargeHoldersLeaveRoomForSmallOnes(t *testing.T) {
	a := New(4 << 20)
	large := make([]*Holding, 40)
	for i := range large {
		large[i] = &Holding{Account: a}
		for large[i].Grow(Small/2 + 1) {
		}
	}
	if a.Used() > a.Limit() {
		t.Fatal("over the limit", a.Used())
	}
	var whale Holding
	whale.Account = a
	if whale.Grow(Small + 1) {
		t.Error("a large holder got what is kept for small ones")
	}
	small := &Holding{Account: a}
	if !small.Grow(Small) {
		t.Error("a small holder is refused for a large one's sake")
	}
	if small.Grow(1) {
		t.Error("more than Small is no longer small")
	}
}

// Who waits gets the room when it is there, and is refused in time when not.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(1 << 20)
		h, other := Holding{Account: a}, Holding{Account: a}
		if !h.Grow(700 << 10) {
			t.Fatal("no room")
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if !other.Wait(context.Background(), 200<<10, time.Minute) {
				t.Error("refused though room came")
			}
		})
		synctest.Wait()
		h.Shrink(500 << 10)
		wg.Wait()
		begin := time.Now()
		if other.Wait(context.Background(), 600<<10, 10*time.Second) || time.Since(begin) != 10*time.Second {
			t.Error("not refused in time:", time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if other.Wait(ctx, 600<<10, time.Hour) {
			t.Error("not refused after its context's end")
		}
		if a.Used() != 400<<10 || other.Bytes() != 200<<10 || a.Refused() != 2 {
			t.Error(a.Used(), other.Bytes(), a.Refused())
		}
	})
}

// Large texts take turns; small ones never wait.
func TestWork(t *testing.T) {
	a := New(0)
	var running, most atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			done := a.Work(Small + 1)
			defer done()
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			a.Work(Small)()
			runtime.Gosched()
			running.Add(-1)
		})
	}
	wg.Wait()
	if n := int(most.Load()); n > max(runtime.GOMAXPROCS(0)/2, 1) {
		t.Errorf("%d at once", n)
	}
}

// Turns are given in the order of asking, never more at once than there are, also
// when one is given back twice, and a turn that lasts too long goes to the next one.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(0)
		all := max(runtime.GOMAXPROCS(0)/2, 1)
		var first []func()
		for range all {
			first = append(first, a.Turn(time.Minute))
		}
		begin := time.Now()
		var order []int
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				done := a.Turn(time.Hour)
				order = append(order, i)
				done()
				done()
			})
			synctest.Wait()
		}
		if len(order) > 0 {
			t.Error("more turns at once than there are")
		}
		first[0]()
		first[0]()
		wg.Wait()
		if !slices.Equal(order, []int{0, 1, 2}) || time.Since(begin) > 0 {
			t.Error(order, time.Since(begin))
		}
		var none *Account
		none.Turn(time.Hour)()
	})
	synctest.Test(t, func(t *testing.T) {
		a := New(0)
		for range 2 * max(runtime.GOMAXPROCS(0)/2, 1) {
			a.Turn(time.Minute)
		}
		begin := time.Now()
		a.Turn(time.Minute)()
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("a turn of a minute went on after %v", got)
		}
	})
}

// However it is used from all sides, in the end nothing is held.
func TestBalance(t *testing.T) {
	a := New(1 << 20)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			h := Holding{Account: a}
			for i := range 500 {
				if n := 1 + i*37%(64<<10); h.Wait(context.Background(), n, time.Minute) {
					if a.Used() > a.Limit()+16*64<<10 {
						t.Error("far over the limit")
					}
					h.Shrink(n)
				}
			}
			h.Force(5)
			h.Shrink(5)
			if h.Bytes() != 0 {
				t.Error("left in a holding:", h.Bytes())
			}
		})
	}
	wg.Wait()
	if a.Used() != 0 {
		t.Error("left in the account:", a.Used())
	}
}

// A12: whoever takes all they can get, with many small holders, with large ones or
// with answers, from one network or from three, leaves room for those of another
// network; what they hold is forgotten with them.
func TestA12OneNetworkDoesNotTakeAll(t *testing.T) {
	const limit = 16 << 20
	hoards := map[string]int{"small": Small, "messages": 64 << 10, "large": 1 << 20}
	for kind, size := range hoards {
		for _, networks := range []int{1, 3} {
			for _, one := range []bool{false, true} { // requests or sessions
				a := New(limit)
				var ends []func()
				for i, refused := 0, 0; refused < networks; i++ {
					network := strconv.Itoa(i % networks)
					var end func()
					var ok bool
					if one {
						end, ok = a.Take(network, size)
					} else {
						h := &Holding{Account: a, Network: network}
						ok = h.Grow(size)
						end = func() { h.Shrink(size) }
					}
					if !ok {
						refused++
						continue
					}
					refused, ends = 0, append(ends, end)
				}
				honest := &Holding{Account: a, Network: "honest"}
				want := 256 << 10
				if size <= Small && networks > 2 {
					want = Small / 2 // the room of large ones is not kept from small ones
				}
				first, second := honest.Grow(want), honest.Grow(want)
				if !first || !second {
					t.Errorf("%s, %d networks, requests %v: nothing is left of %d, %d are used", kind, networks, one, limit, a.Used())
				}
				honest.Shrink(int(honest.Bytes()))
				for _, end := range ends {
					end()
				}
				if a.Used() != 0 || len(a.networks) != 0 {
					t.Errorf("%d bytes, %d networks left", a.Used(), len(a.networks))
				}
			}
		}
	}
}
