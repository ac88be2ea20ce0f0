// Package proctest reads what a process of Linux used, for tests and measurements.
// It knows /proc and nothing of the server.
package proctest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Process is a running process, by its id.
type Process struct{ PID int }

// tick is the unit of /proc/PID/stat on Linux: a hundredth of a second.
const tick = 100

// CPU is the user and system time used so far, in seconds.
func (p Process) CPU() (float64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name of the program stands in brackets and may hold blanks.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	user, err1 := strconv.ParseFloat(string(f[11]), 64)
	system, err2 := strconv.ParseFloat(string(f[12]), 64)
	return (user + system) / tick, errors.Join(err1, err2)
}

// RSS is the resident memory in KiB.
func (p Process) RSS() (int64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var n int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &n); err == nil {
			return n, nil
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS")
}
