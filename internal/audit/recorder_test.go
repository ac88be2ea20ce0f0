package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func events(t *testing.T, text []byte) []Event {
	t.Helper()
	var out []Event
	sc := bufio.NewScanner(bytes.NewReader(text))
	for sc.Scan() {
		var e Event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatalf("no JSON object: %q: %v", sc.Text(), err)
		}
		out = append(out, e)
	}
	return out
}

func TestOneObjectALine(t *testing.T) {
	var out bytes.Buffer
	l, err := Open(Options{Out: &out, Node: "n1", Now: func() time.Time { return time.Unix(1, 23456789) }})
	if err != nil {
		t.Fatal(err)
	}
	hostile := "x\r\n{\"act\":\"login\",\"outcome\":\"ok\"}\n\x1b[31m\u2028\x00\xff"
	l.Record(Event{Act: "login", Outcome: "refused", User: hostile, Agent: strings.Repeat("ü", 10_000), Target: "bob@example.com"})
	l.Record(Event{Act: "factor_check", Outcome: "ok", Time: time.UnixMilli(99)})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := events(t, out.Bytes())
	if len(got) != 2 {
		t.Fatalf("%d lines:\n%s", len(got), out.String())
	}
	if got[0].Act != "login" || got[0].Node != "n1" || !got[0].Time.Equal(time.Unix(1, 23000000)) {
		t.Errorf("%+v", got[0])
	}
	if len(got[0].Agent) > maxText+3 || !strings.HasPrefix(got[0].Agent, "üü") {
		t.Errorf("agent of %d bytes", len(got[0].Agent))
	}
	if strings.Contains(out.String(), "bob@") || got[0].Target != "b***@example.com" {
		t.Errorf("an address stands whole: %s", out.String())
	}
	if strings.ContainsAny(out.String(), "\r\x1b\x00") || strings.Contains(out.String(), "\u2028") {
		t.Error("control characters reach the file")
	}
}

func TestFileIsPrivateAndAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	for range 2 {
		l, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		l.Record(Event{Act: "start", Outcome: "ok"})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l.Record(Event{Act: "late"})
		if w, lost, _ := l.Stats(); w != 1 || lost != 1 {
			t.Errorf("written %d, lost %d; want 1, 1", w, lost)
		}
	}
	text, _ := os.ReadFile(path)
	if n := len(events(t, text)); n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if _, err := Open(Options{Path: filepath.Join(path, "below-a-file")}); err == nil {
		t.Error("an impossible path was opened")
	}
}

func TestReopenAfterRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	l.Record(Event{Act: "after"})
	l.Close()
	text, err := os.ReadFile(path)
	if err != nil || len(events(t, text)) != 1 {
		t.Errorf("new file: %q, %v", text, err)
	}
}

// flaky is a disk that is full for a while and then cuts a line in two.
type flaky struct {
	mu   sync.Mutex
	fail bool
	cut  int
	out  bytes.Buffer
}

func (f *flaky) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail {
		n := min(f.cut, len(p))
		f.cut = 0
		f.out.Write(p[:n])
		return n, errors.New("no space left on device")
	}
	return f.out.Write(p)
}

func TestFullDiskIsCountedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &flaky{fail: true, cut: 10}
		var told []string
		l, err := Open(Options{Out: disk, Trouble: func(err error, lost int64) { told = append(told, fmt.Sprint(err, lost)) }})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			l.Record(Event{Act: "a", Outcome: "ok"})
			synctest.Wait()
		}
		if w, lost, failing := l.Stats(); w != 0 || lost != 3 || !failing {
			t.Errorf("written %d, lost %d, failing %v", w, lost, failing)
		}
		disk.mu.Lock()
		disk.fail = false
		disk.mu.Unlock()
		l.Record(Event{Act: "b", Outcome: "ok"})
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		_, rest, _ := strings.Cut(disk.out.String(), "\n") // the torn line ends before ours begin
		got := events(t, []byte(rest))
		if len(got) != 2 || got[0].Act != "audit_gap" || got[0].Reason != "3 events lost" || got[1].Act != "b" {
			t.Errorf("after recovery: %q", disk.out.String())
		}
		if want := []string{"no space left on device 0", "<nil> 3"}; fmt.Sprint(told) != fmt.Sprint(want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

// stuck is a disk that does not answer.
type stuck struct{ release chan struct{} }

func (s stuck) Write(p []byte) (int, error) { <-s.release; return len(p), nil }

func TestRecordNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stuck{make(chan struct{})}
		l, err := Open(Options{Out: s})
		if err != nil {
			t.Fatal(err)
		}
		const n = 20_000
		for range n { // a blocked Record would deadlock the bubble
			l.Record(Event{Act: "login", Outcome: "refused", Agent: strings.Repeat("x", 200)})
		}
		_, lost, _ := l.Stats()
		if lost == 0 || lost == n {
			t.Errorf("lost %d of %d: the queue must be bounded and used", lost, n)
		}
		close(s.release)
		l.Close()
		if w, lost, _ := l.Stats(); w+lost != n {
			t.Errorf("written %d + lost %d is not %d", w, lost, n)
		}
	})
}

func TestConcurrentRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	l, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l.Record(Event{Act: "x"})
			}
		})
	}
	wg.Wait()
	l.Close()
	text, _ := os.ReadFile(path)
	if n := len(events(t, text)); n != 800 {
		t.Errorf("%d lines", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	l, err := Open(Options{Path: filepath.Join(b.TempDir(), "a")})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		l.Record(Event{Act: "login", Outcome: "ok", User: "abcdefghijklmnopq", Door: "ddp", Method: "login", Address: "127.0.0.1", Conn: "abcdefghijklmnopq"})
	}
}
