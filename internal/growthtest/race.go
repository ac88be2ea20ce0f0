//go:build race

package growthtest

// every says which of the families are read: under the race detector, which
// makes readers ten times as slow, one in four.
const every = 4
