package main

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"ddpserver/internal/config"
)

// tuneRuntime sets the garbage collector on purpose: most memory of a server is
// idle connections, which live long, so the heap's garbage is what can be saved
// (spec performance 4, point 8).
func tuneRuntime(c *config.Config) {
	debug.SetGCPercent(c.GOGC)
	limit := int64(c.GOMemLimit)
	if limit == 0 {
		limit = containerLimit("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
	}
	debug.SetMemoryLimit(limit)
}

// containerLimit is nine tenths of the memory limit that the first readable
// file names, or no limit. Kernels write "max" or an absurd number for none.
func containerLimit(files ...string) int64 {
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || n <= 0 || n > 1<<50 {
			return math.MaxInt64
		}
		return n / 10 * 9
	}
	return math.MaxInt64
}
