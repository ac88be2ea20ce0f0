//go:build race

package growthtest

// every says which of the families are read: under the race detector, which
// makes readers ten times as slow, one in four.
const every = 4

// slack multiplies what may be allocated: under the race detector pools throw
// away part of what is given back, at random, and it is made anew.
const slack = 2
