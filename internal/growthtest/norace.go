//go:build !race

package growthtest

// timed says whether times are compared.
const timed = true

// every says which of the families are read: all of them.
const every = 1

// slack multiplies what may be allocated.
const slack = 1
