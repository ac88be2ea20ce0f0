package soak

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/proctest"
	"ddpserver/internal/testwait"
)

// rss is the resident memory of the server in KiB.
func (s *server) rss() int64 {
	s.t.Helper()
	n, err := proctest.Process{PID: s.cmd.Process.Pid}.RSS()
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// cpu is the time the server has used, in seconds.
func (s *server) cpu() float64 {
	s.t.Helper()
	n, err := proctest.Process{PID: s.cmd.Process.Pid}.CPU()
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// TestSoakDescriptors (docs/security-tests.md S117 b): with 256 descriptors and 400 peers the server
// neither dies nor spins; who is connected is served, and when peers leave, new ones
// get in.
func TestSoakDescriptors(t *testing.T) {
	together(t)
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	s := launch(t, dir, calm, "sh", "-c", `ulimit -n 256 && exec "$0" "$@"`)
	g := serving(t, s, a.token)
	var peers []net.Conn
	for range 400 {
		c, err := net.DialTimeout("tcp", s.addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte("GET /websocket HTTP/1.1\r\nHost: " + s.addr +
			"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"))
		peers = append(peers, c)
	}
	lasting := span(time.Second, 20*time.Second)
	cpu, begin := s.cpu(), time.Now()
	pause(lasting)
	used := (s.cpu() - cpu) / time.Since(begin).Seconds()
	if !s.alive() {
		t.Fatalf("the server ended: %s", s.log)
	}
	others := g.served()
	for _, c := range peers {
		_ = c.Close()
	}
	took := testwait.Until(t, "the next session", func() bool {
		c, err := connect(s.addr, a.token)
		if err == nil {
			c.close()
		}
		return err == nil
	})
	if used > 0.5 {
		t.Errorf("the server used %.0f %% of a core at the limit", used*100)
	}
	t.Logf("400 peers, 256 descriptors: %.1f %% of a core (a guest calling 200 times a second included); the guest's calls: %v median, %v worst; a new "+
		"session %v after the peers left", used*100, median(others), worst(others), took.Round(time.Millisecond))
}

// TestSoakDiskFull (docs/security-tests.md S113): no space for the audit stream, and none for the
// database. Serving goes on; what could not be written is refused and counted; with
// space again everything works and the gap is on record.
func TestSoakDiskFull(t *testing.T) {
	together(t)
	t.Run("audit", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		a := seed(t, dir, "ada", 1, withTOTP)[0]
		s := launch(t, dir, calmBut("AUDIT_FILE=/dev/full"))
		c := dial(t, s.addr, a.token)
		if _, err := c.call(guarded, proof("totp", a.totpAt(0))); err != nil {
			t.Errorf("a full disk of the audit stream refuses calls: %v", err)
		}
		testwait.Until(t, "the count of lost events", func() bool { return s.metric("ddpserver_audit_events_lost_total") > 0 })
		t.Logf("%v audit events lost and counted", s.metric("ddpserver_audit_events_lost_total"))
		if exit := s.terminate(); exit != 0 {
			t.Errorf("exit %d: %s", exit, s.log)
		}
	})
	t.Run("database", func(t *testing.T) {
		t.Parallel()
		fullDatabase(t)
	})
}

// fullDatabase runs the server on a file system of four MiB that only it sees, and
// fills that up.
func fullDatabase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	seedDir := t.TempDir()
	apps := seed(t, seedDir, "app", 3, withTOTP)
	a := seed(t, seedDir, "ada", 1, nil)[0]
	// A mount name space of its own, so that nothing outlives the process. Where
	// that is not permitted, the audit stream's part is all there is.
	if err := exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "soak", t.TempDir()).Run(); err != nil {
		t.Logf("no file system of our own here (%v): the database's part was left out", err)
		return
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := launch(t, dir, calm, "unshare", "-m", "sh", "-c",
		fmt.Sprintf(`mount -t tmpfs -o size=4m,mode=700 soak %q && cp -a %q/. %q && exec "$0" "$@"`, dir, seedDir, dir))
	inside := fmt.Sprintf("/proc/%d/root%s", s.cmd.Process.Pid, dir)
	g := serving(t, s, a.token)
	c, k := dial(t, s.addr, apps[0].token), dial(t, s.addr, apps[1].token)
	if _, err := c.call(guarded, proof("totp", apps[0].totpAt(0))); err != nil {
		t.Fatalf("before: %v", err)
	}
	ballast := filepath.Join(inside, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	block := []byte(strings.Repeat("x", 4096))
	for err == nil {
		_, err = f.Write(block)
	}
	_ = f.Close()
	// The write-ahead log may have room of its own: it is used up by calls.
	refusedAt, answer := 0, apps[1].totpAt(0)
	w := &writer{who: a, text: map[string]string{}}
	testwait.Until(t, "a refusal for want of space", func() bool {
		refusedAt++
		_, err := g.conn.call("setRealName", strings.Repeat("Ada ", 20)+fmt.Sprint(refusedAt))
		if code(err) == "lost" {
			t.Fatalf("not answered: %v", err)
		}
		return err != nil
	})
	first := code(second(k.call(guarded, proof("totp", answer))))
	if first == "" {
		t.Error("a second factor passed although its use could not be written")
	}
	if code(w.post(g.conn, 1)) == "" {
		t.Error("a room was acknowledged on a full disk")
	}
	// The audit file's last page takes some more events; then they are lost, and counted.
	testwait.Until(t, "lost events", func() bool {
		if _, err := k.call(guarded, proof("totp", answer)); err == nil {
			t.Fatal("a second factor passed on a full disk")
		}
		return s.metric("ddpserver_audit_events_lost_total") > 0
	})
	ready := s.ready()
	if !s.alive() {
		t.Fatalf("the server ended: %s", s.log)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	took := testwait.Until(t, "writing again", func() bool { _, err := g.conn.call("setRealName", "Ada"); return err == nil })
	k = dial(t, s.addr, apps[2].token)
	if _, err := k.call(guarded, proof("totp", apps[2].totpAt(0))); err != nil {
		t.Errorf("after: %v", err)
	}
	lost := s.metric("ddpserver_audit_events_lost_total")
	testwait.Until(t, "the gap on record", func() bool {
		text, err := os.ReadFile(filepath.Join(inside, "audit.log"))
		return err == nil && strings.Contains(string(text), `"audit_gap"`)
	})
	others := g.served()
	t.Logf("full after %d more writes: second factor refused (%s), /readyz %d, %v audit events lost and a gap on record; writing again %v after there was "+
		"space; the guest's calls: %v median, %v worst",
		refusedAt, first, ready, lost, took.Round(time.Millisecond), median(others), worst(others))
	if exit := s.terminate(); exit != 0 {
		t.Errorf("exit %d: %s", exit, s.log)
	}
}
