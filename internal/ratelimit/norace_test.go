//go:build !race

package ratelimit

// strangers is how many names TestMemory sends.
const strangers = 1_000_000
