package ratelimit

import (
	"hash/maphash"
	"math"
	"sync"
)

// A table holds the counters of many keys in bounded memory. Keys are kept as
// keyed 64-bit hashes: nobody outside can aim at a collision.
type table struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

const shardCount = 64

type shard struct {
	mu      sync.Mutex
	entries map[uint64]entry
	max     int
	// fresh counts keys added since the last sweep, which was at swept.
	fresh int
	swept int64
}

// entry is one window: it ends at end (milliseconds of the limiter's clock).
type entry struct {
	end   int64
	count uint32
}

// sweepEvery is how long, in milliseconds, ended windows may stay in a shard
// that is in use.
const sweepEvery = 60_000

// sample is how many entries are looked at to find room in a full shard.
const sample = 32

func newTable(max int) *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].entries = make(map[uint64]entry)
		t.shards[i].max = max / shardCount
	}
	return t
}

// key hashes a scope and its parts; no two lists of parts are joined alike.
func (t *table) key(scope byte, parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	_ = h.WriteByte(scope)
	for _, p := range parts {
		_ = h.WriteByte(byte(len(p)))
		_ = h.WriteByte(byte(len(p) >> 8))
		_, _ = h.WriteString(p)
	}
	return h.Sum64()
}

// hit counts one event and returns the count of its window, and the
// milliseconds until the window ends when that count is above the rule's.
func (t *table) hit(key uint64, r Rule, now int64) (used int, wait int64) {
	window := max(r.Window.Milliseconds(), 1)
	s := &t.shards[key%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	if now-s.swept > sweepEvery {
		s.sweep(now)
	}
	e, ok := s.entries[key]
	switch {
	case !ok:
		s.room(now)
		s.fresh++
		e = entry{end: now + window}
	case e.end <= now:
		e = entry{end: now + window}
	case e.end-now > window: // the rule was shortened
		e.end = now + window
	}
	if e.count < math.MaxUint32 {
		e.count++
	}
	s.entries[key] = e
	if int64(e.count) > int64(r.Count) {
		wait = e.end - now
	}
	return int(e.count), wait
}

// left is how many milliseconds the window of key still lasts.
func (t *table) left(key uint64, now int64) int64 {
	s := &t.shards[key%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.entries[key].end-now, 0)
}

// peek is the milliseconds left of a window in which max events were counted, or 0.
func (t *table) peek(key uint64, limit int, now int64) int64 {
	s := &t.shards[key%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	if !ok || int64(e.count) < int64(limit) {
		return 0
	}
	return max(e.end-now, 0)
}

func (t *table) forget(key uint64) {
	s := &t.shards[key%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, key)
}

// room keeps the shard below its bound before a key is added. Windows that
// ended go first; then, of a random sample, the one with the fewest events: a
// flood of names that each come once can not push out a caller who is counted
// for something.
func (s *shard) room(now int64) {
	if s.fresh > len(s.entries)/2+sample {
		s.sweep(now)
	}
	if len(s.entries) < s.max {
		return
	}
	var coldest uint64
	fewest, seen := uint32(math.MaxUint32), 0
	for k, e := range s.entries { // Go starts at a random place
		if e.end <= now {
			delete(s.entries, k)
			return
		}
		if e.count <= fewest {
			coldest, fewest = k, e.count
		}
		if seen++; seen == sample {
			break
		}
	}
	delete(s.entries, coldest)
}

// sweep drops ended windows and gives memory back after a flood; Go's maps
// never shrink by themselves.
func (s *shard) sweep(now int64) {
	s.fresh, s.swept = 0, now
	before := len(s.entries)
	for k, e := range s.entries {
		if e.end <= now {
			delete(s.entries, k)
		}
	}
	if before > 1024 && len(s.entries) < before/4 {
		small := make(map[uint64]entry, len(s.entries))
		for k, e := range s.entries {
			small[k] = e
		}
		s.entries = small
	}
}

// len is the number of keys, for tests.
func (t *table) len() int {
	n := 0
	for i := range t.shards {
		t.shards[i].mu.Lock()
		n += len(t.shards[i].entries)
		t.shards[i].mu.Unlock()
	}
	return n
}
