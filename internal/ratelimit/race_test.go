//go:build race

package ratelimit

// strangers is how many names TestMemory sends: more than the tables hold, and
// no more, because the race detector is slow.
const strangers = maxCalls/3 + 100_000
