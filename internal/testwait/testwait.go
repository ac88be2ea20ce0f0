// Package testwait waits in tests for what other goroutines and other processes
// bring about. It is support for tests and no part of the server.
//
// Its limit is one that only a hang reaches: a test that waits for a few seconds
// fails on a machine that is busy with something else. It does not replace fake
// time (testing/synctest), which is the better way for everything in one process.
package testwait

import (
	"testing"
	"time"
)

// Limit is how long a test waits for what must happen.
const Limit = 5 * time.Minute

// pause is the time between two looks at a condition.
const pause = 5 * time.Millisecond

// failing is what a test and a script of testscript have in common.
type failing interface {
	Fatalf(format string, args ...any)
}

// Until waits for a condition and returns how long that took; what names it in
// the failure that ends the test after Limit.
func Until(t failing, what string, ok func() bool) time.Duration {
	if tb, isTest := t.(testing.TB); isTest {
		tb.Helper()
	}
	begin := time.Now()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !ok() {
		if time.Since(begin) > Limit {
			t.Fatalf("%s did not happen within %v", what, Limit)
		}
		<-tick.C
	}
	return time.Since(begin)
}
