package main

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"ddpserver/internal/config"
)

// tuneRuntime sets the garbage collector on purpose: most memory of a server is
// idle connections, which live long, so the heap's garbage is what can be saved
// (docs/performance.md).
func tuneRuntime(c *config.Config) {
	debug.SetGCPercent(c.GOGC)
	limit := int64(c.GOMemLimit)
	if limit == 0 {
		limit = containerLimit("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
	}
	debug.SetMemoryLimit(limit)
}

// containerLimit is nine tenths of the memory limit that the first readable
// file names, or no limit. Kernels write "max" or an absurd number for none.
func containerLimit(files ...string) int64 {
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || n <= 0 || n > 1<<50 {
			return math.MaxInt64
		}
		return n / 10 * 9
	}
	return math.MaxInt64
}

const (
	// headroom is what may be allocated at least between two collections while
	// the server is busy. A percentage alone collects a small heap all the time:
	// with 15 MiB alive, a seventh of the cost of a login was the collector's.
	headroom = 24 << 20
	// tendEvery is how often tend looks.
	tendEvery = time.Second
	// calm is how much a quiet server allocates in that time at most, and
	// garbage how much must have been allocated since memory was last given back
	// for it to be worth another collection.
	calm    = 1 << 20
	garbage = 8 << 20
)

// tending is what tend remembers from one look to the next.
type tending struct {
	percent  int    // what the configuration says
	set      int    // what is in force
	before   uint64 // bytes ever allocated at the last look
	returned uint64 // … when memory was last given back
}

// decide tells from the bytes that were ever allocated, and those that were
// alive after the last collection, what percentage is to be in force, and
// whether it is time to give memory back.
func (t *tending) decide(allocated, live uint64) (percent int, giveBack bool) {
	quiet := allocated-t.before < calm
	t.before = allocated
	if quiet && allocated-t.returned > garbage {
		t.returned = allocated
		giveBack = true
	}
	percent = t.percent
	if !quiet && live > 0 {
		percent = max(percent, int(min(headroom*100/live, 1000)))
	}
	if diff := percent - t.set; percent != t.percent && diff*diff < t.set*t.set/25 {
		percent = t.set // a fifth is not worth it
	}
	t.set = percent
	return percent, giveBack
}

// tend keeps the collector fit for what the server does, until ctx ends: room
// for garbage while it is busy, and none while it is quiet. Ten thousand idle
// connections need a third less memory after their logins' garbage is given back.
func tend(ctx context.Context, c *config.Config) {
	if c.GOGC < 0 {
		return
	}
	t := tending{percent: c.GOGC, set: c.GOGC}
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		before := t.set
		percent, giveBack := t.decide(samples[0].Value.Uint64(), samples[1].Value.Uint64())
		if percent != before {
			debug.SetGCPercent(percent)
		}
		if giveBack {
			debug.FreeOSMemory()
		}
	}
}
