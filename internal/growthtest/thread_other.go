//go:build !linux

package growthtest

import "time"

var begin = time.Now()

// threadTime is the time on the wall where the thread's own is not to be had.
func threadTime() time.Duration { return time.Since(begin) }
