package storetest

import (
	"strings"
	"sync"

	"ddpserver/internal/dberr"
)

// Turns counts the operations of a store, and says which of them fails.
type Turns struct {
	mu     sync.Mutex
	left   int // operations until the failure; 0 is none
	failed string
	wrote  []string
}

// FailAt makes the n-th operation from now on fail with dberr.Unavailable, and
// those after it work; 0 makes none fail.
func (f *Turns) FailAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.failed, f.wrote = n, "", nil
}

// Failed names the operation that failed since FailAt, "" for none, and the writes
// that succeeded before and after it.
func (f *Turns) Failed() (operation string, wrote []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed, f.wrote
}

// Next is asked before each operation.
func (f *Turns) Next(operation string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left > 0 {
		if f.left--; f.left == 0 {
			f.failed = operation
			return dberr.Unavailable
		}
	}
	if isWrite(operation) {
		f.wrote = append(f.wrote, operation)
	}
	return nil
}

// isWrite tells operations that change something by their names.
func isWrite(operation string) bool {
	for _, verb := range strings.Fields("Add Change Count Create Delete Edit End Insert Remove Rename Save Set Sweep Touch Update Use") {
		if strings.HasPrefix(operation, verb) && !strings.HasPrefix(operation, "Changed") && operation != "CountAdmins" && operation != "CountHistory" {
			return true
		}
	}
	return false
}
