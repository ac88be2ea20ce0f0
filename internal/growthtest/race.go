//go:build race

package growthtest

import (
	"os"
	"strings"
)

// timed says whether times are compared. For every allocation of more than 32 KiB the
// race detector asks the kernel for fresh memory, and where that is slow, as in some
// virtual machines, its own work looks like that of the reader. The Makefile tells it
// in GORACE to keep the memory; elsewhere only allocations are compared under it.
var timed = strings.Contains(os.Getenv("GORACE"), "clear_shadow_mmap_threshold")

// every says which of the families are read: under the race detector, which
// makes readers ten times as slow, one in four.
const every = 4

// slack multiplies what may be allocated: under the race detector pools throw
// away part of what is given back, at random, and it is made anew.
const slack = 2
