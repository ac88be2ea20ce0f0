package growthtest

import (
	"syscall"
	"time"
	"unsafe"
)

// threadClock is CLOCK_THREAD_CPUTIME_ID.
const threadClock = 3

// threadTime is the processor time that the calling thread has used.
func threadTime() time.Duration {
	var ts syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&ts)), 0); err != 0 {
		panic(err) // nothing could be measured
	}
	return time.Duration(ts.Nano())
}
