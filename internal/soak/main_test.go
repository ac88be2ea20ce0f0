package soak

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ddpserver/internal/testwait"
)

// buildDir holds the built program until the tests end.
var buildDir string

func TestMain(m *testing.M) {
	if addr := os.Getenv(pinger); addr != "" {
		servePings(addr, os.Getenv(pinger+"_TOKEN"))
		return
	}
	if addr := os.Getenv(crowd); addr != "" {
		serveCrowd(addr)
		return
	}
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	// Tests wait for time limits more than they compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// program builds cmd/ddpserver once and returns its path. It is built without
// tags: what is tested is what is released. SOAK_SERVER names a built one instead.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("SOAK_SERVER"); path != "" {
		return path, nil
	}
	path := filepath.Join(buildDir, "ddpserver")
	cmd := exec.Command("go", "build", "-o", path, "../../cmd/ddpserver")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// rounds chooses between the short and the long form of a run.
func rounds(short, lasting int) int {
	n := short
	if long {
		n = lasting
	}
	if f, err := strconv.ParseFloat(os.Getenv("SOAK_SCALE"), 64); err == nil && f > 0 {
		n = int(float64(n) * f)
	}
	return max(n, 1)
}

// span is rounds for times.
func span(short, lasting time.Duration) time.Duration {
	if long {
		return lasting
	}
	return short
}

// together lets a test run beside others, in the short form: the long one measures.
func together(t *testing.T) {
	if !long {
		t.Parallel()
	}
}

// dice makes a source of chances and says how to have the same again.
func dice(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("SOAK_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("SOAK_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// patience is how long a test waits for what must happen.
const patience = testwait.Limit

// pause lets d pass, for moments at which something is cut.
func pause(d time.Duration) { <-time.After(d) }
