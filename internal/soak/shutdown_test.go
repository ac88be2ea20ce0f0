package soak

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

// TestSoakShutdown (docs/security-tests.md S117 c): SIGTERM with hundreds of sessions and 50 calls
// under way. The server is not ready at once, accepts nobody, finishes the calls,
// closes every session with 1001 and exits with 0.
func TestSoakShutdown(t *testing.T) {
	together(t)
	db := newShared(t)
	people := db.seed("ada", 50, nil)
	s := launch(t, t.TempDir(), calmBut("MONGO_URL="+db.url))
	var all []*conn
	for i := range rounds(100, 500) {
		all = append(all, dial(t, s.addr, people[i%len(people)].token))
	}
	// Every call waits at a gate for its write, so that all of them are under way
	// when the signal comes.
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	db.db.Inject(mongotest.Fault{Command: "findAndModify", Times: -1, Gate: gate})
	db.db.Inject(mongotest.Fault{Command: "update", Times: -1, Gate: gate})
	var wg sync.WaitGroup
	failures := make(chan error, len(people))
	sent := make(chan struct{}, len(people))
	for i := range people {
		wg.Go(func() {
			w, err := all[i].start("setRealName", "Ada at the end")
			sent <- struct{}{}
			if err == nil {
				_, err = all[i].answer(w)
			}
			if err != nil {
				failures <- err
			}
		})
	}
	for range people {
		<-sent
	}
	testwait.Until(t, "50 running calls", func() bool { return s.metric("ddpserver_calls_running") == float64(len(people)) })
	begin := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	unready := testwait.Until(t, "not ready", func() bool { return s.ready() != 200 })
	if _, err := connect(s.addr, ""); err == nil {
		t.Error("a stopping server takes new sessions")
	}
	open()
	wg.Wait()
	answered := time.Now()
	exit := s.wait()
	took := time.Since(begin)
	close(failures)
	for err := range failures {
		t.Errorf("a running call was cut: %v", err)
	}
	codes := map[int]int{}
	for _, c := range all {
		codes[c.closeCode()]++
	}
	if exit != 0 || codes[1001] != len(all) {
		t.Errorf("exit %d, close codes %v of %d sessions", exit, codes, len(all))
	}
	if strings.Contains(s.log.String(), "sessions_sent_away") {
		t.Error("sent its sessions away one by one, and there is no other node")
	}
	// How long the calls take is the slow database's affair.
	if rest := took - answered.Sub(begin); long && rest > 20*time.Second {
		t.Errorf("the stop took %v after the last call was answered", rest)
	}
	t.Logf("%d sessions, 50 calls under way: not ready after %v, every call answered, close codes %v, exit %d after %v", len(all),
		unready.Round(time.Millisecond), codes, exit, took.Round(time.Millisecond))
}
