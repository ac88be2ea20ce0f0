package lines

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// valve is an output that takes nothing while it is shut.
type valve struct {
	open chan struct{}
	mu   sync.Mutex
	out  strings.Builder
}

func (v *valve) Write(p []byte) (int, error) {
	<-v.open
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.out.Write(p)
}

// Lines that find no room are told of at once, and where they are missing; the others
// come in order.
func TestAShutOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &valve{open: make(chan struct{})}
		var told []string
		w := New(Options{
			Out: v, Gap: func(n int64) []byte { return fmt.Appendf(nil, "gap %d\n", n) },
			Trouble: func(err error, lost int64) { told = append(told, fmt.Sprint(err, " ", lost)) },
		})
		long := strings.Repeat("x", 64<<10)
		n := 0
		for ; len(told) == 0; n++ {
			fmt.Fprintf(w, "%d %s\n", n, long)
			synctest.Wait()
		}
		if !w.failing.Load() || told[0] != ErrFull.Error()+" 0" || n < MaxWaiting/len(long) {
			t.Errorf("%d lines, then %q", n, told)
		}
		if err := w.Sync(); !errors.Is(err, ErrFull) {
			t.Error(err)
		}
		close(v.open)
		fmt.Fprintf(w, "last\n") // no room yet, or the first after it
		if err := w.Sync(); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "after\n")
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		var got []string
		for line := range strings.Lines(v.out.String()) {
			word, _, _ := strings.Cut(line, " x")
			got = append(got, strings.TrimSpace(word))
		}
		written, lost, failing := w.Stats()
		gaps := 0
		for i, line := range got {
			if strings.HasPrefix(line, "gap ") {
				gaps++
			} else if i < int(written)-2 && gaps == 0 && line != fmt.Sprint(i) {
				t.Errorf("line %d is %q", i, line)
			}
		}
		if failing || lost < 1 || gaps == 0 || len(got) != int(written)+gaps || got[len(got)-1] != "after" || len(told)%2 != 0 {
			t.Errorf("written %d, lost %d, failing %v, told %q: %q", written, lost, failing, told, got)
		}
	})
}
