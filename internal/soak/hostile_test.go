package soak

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/testwait"
)

// call is the frame of a call, filled up to a size.
func hostileCall(id int, method, params string) string {
	return fmt.Sprintf(`{"msg":"method","id":"%d","method":"%s","params":[%s]}`, id, method, params)
}

// maximal is nearly the largest message of who is not logged in, and of who is.
func (e *enemy) maximal() int {
	if e.login != nil {
		return 1<<20 - 1<<10
	}
	return 64<<10 - 1<<10
}

// inputs are what a hostile client sends, until its time is over.
var inputs = map[string]func(e *enemy){
	"maximal frames behind a slow call": func(e *enemy) {
		wrong := `{"user":{"username":"ada0"},"password":{"digest":"` + strings.Repeat("0", 64) + `","algorithm":"sha-256"}}`
		e.put(e.wrap(hostileCall(0, "login", wrong)))
		e.flood(func(i int) string {
			return hostileCall(i, "getServerTime", `"`+strings.Repeat("x", e.maximal()-100)+`"`)
		})
	},
	"fragments": func(e *enemy) {
		for e.put(e.piece([]byte(strings.Repeat(" ", 700)))) {
		}
	},
	"a frame that never ends": func(e *enemy) {
		e.put(e.begin(e.maximal()))
		for rest := e.maximal() - 4<<10; rest > 0 && e.put([]byte(strings.Repeat(" ", 2<<10))); rest -= 2 << 10 {
		}
		e.wait()
	},
	"pings": func(e *enemy) {
		e.flood(func(i int) string { return fmt.Sprintf(`{"msg":"ping","id":"%d"}`, i) })
	},
	"unknown methods": func(e *enemy) {
		e.flood(func(i int) string { return hostileCall(i, fmt.Sprint("no", i), "") })
	},
	"bad JSON": func(e *enemy) {
		e.flood(func(int) string { return `{"msg":"method","id":` + strings.Repeat("[", 50) })
	},
	"deep JSON": func(e *enemy) {
		deep := strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000)
		e.flood(func(i int) string { return hostileCall(i, "getServerTime", deep) })
	},
	"huge texts": func(e *enemy) {
		text := `"` + strings.Repeat(`\u0041é`, e.maximal()/8-20) + `"`
		e.flood(func(i int) string { return hostileCall(i, "getRoomIdByNameOrId", text) })
	},
	"many values": func(e *enemy) {
		list := strings.Repeat("1,", e.maximal()/2-80) + "1"
		e.flood(func(i int) string { return hostileCall(i, "getServerTime", list) })
	},
	"many members": func(e *enemy) {
		var b strings.Builder
		for k := 0; b.Len() < e.maximal()-200; k++ {
			fmt.Fprintf(&b, `"%x":{"$date":1},`, k)
		}
		e.flood(func(i int) string { return hostileCall(i, "login", "{"+b.String()+`"x":1}`) })
	},
	"many subscriptions": func(e *enemy) {
		rest := strings.Repeat("s", 3000)
		e.flood(func(i int) string {
			return fmt.Sprintf(`{"msg":"sub","id":"%d","name":"stream-notify-all","params":["public-settings-changed",%q]}`, i, rest)
		})
	},
	"answers that are not read": func(e *enemy) {
		e.flood(func(i int) string { return hostileCall(i, "public-settings/get", "") })
	},
	"answers that are read slowly": func(e *enemy) {
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(e.drip)
		e.flood(func(i int) string { return hostileCall(i, "public-settings/get", "") })
	},
}

// flood sends one message after the other.
func (e *enemy) flood(message func(i int) string) {
	for i := 1; e.put(e.wrap(message(i))); i++ {
	}
	e.wait()
}

// wait holds the connection until its time is over.
func (e *enemy) wait() { pause(time.Until(e.ends)) }

// polls is the state whose sessions outlive their connections.
const polls = "SockJS polling"

// peak is the most memory the server ever had resident since forget, in bytes.
func (s *server) peak() int64 {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Skip("needs /proc")
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return n << 10
		}
	}
	s.t.Skip("no VmHWM")
	return 0
}

// forget makes peak begin anew.
func (s *server) forget() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0)
}

// attacked is what some hostile connections cost.
type attacked struct {
	sent int     // bytes
	cpu  float64 // seconds
	peak int64   // bytes
}

// attack lets n connections in the states that order gives do the inputs that it
// gives, all at once for so long. With leaves set it waits until nothing of them is
// left: a polling session is remembered for a minute.
func attack(t *testing.T, s *server, a *account, n int, lasting time.Duration, leaves bool, order func(i int) (state, input string)) attacked {
	t.Helper()
	return measured(t, s, leaves, func() int {
		enemies, err := gather(s.addr, a, n, order)
		if err != nil {
			t.Fatal(err)
		}
		return assault(enemies, lasting, order)
	})
}

// measured tells what it cost the server that somebody sent it so many bytes.
func measured(t *testing.T, s *server, leaves bool, send func() int) attacked {
	t.Helper()
	s.forget()
	before := s.cpu()
	got := attacked{sent: send()}
	got.cpu = s.cpu() - before
	if leaves {
		testwait.Until(t, "the end of what was held", func() bool {
			return s.metric("ddpserver_bytes_in_flight") == 0 && s.metric("ddpserver_calls_running") == 0
		})
	}
	got.peak = s.peak()
	if !s.alive() {
		t.Fatalf("the server ended: %s", s.log)
	}
	return got
}

// gather makes n connections in the states that order gives.
func gather(addr string, a *account, n int, order func(i int) (state, input string)) ([]*enemy, error) {
	enemies := make([]*enemy, n)
	for i := range enemies {
		state, _ := order(i)
		// The server gives a client ten seconds for its request; on a busy machine it may
		// take longer.
		for end := time.Now().Add(patience); ; {
			e := &enemy{addr: addr, name: fmt.Sprintf("e%d-%d", i, time.Now().UnixNano())}
			if strings.HasSuffix(state, "logged in") {
				e.login = a
			}
			err := states[state](e)
			if err == nil {
				enemies[i] = e
				break
			}
			e.close()
			if time.Now().After(end) {
				return nil, fmt.Errorf("%s: %w", state, err)
			}
		}
	}
	return enemies, nil
}

// assault lets them do the inputs that order gives, all at once for so long, and
// ends them. It returns how many bytes they sent.
func assault(enemies []*enemy, lasting time.Duration, order func(i int) (state, input string)) (sent int) {
	var wg sync.WaitGroup
	for i, e := range enemies {
		_, input := order(i)
		e.ends = time.Now().Add(lasting)
		wg.Go(func() { inputs[input](e) })
	}
	wg.Wait()
	for _, e := range enemies {
		sent += e.sent
		e.close()
	}
	return sent
}

// What hostile clients may cost, whatever they send in whatever state: memory,
// over all, and processor time for each byte, besides a fixed part.
const (
	mostMemory  = 256 << 20 // bytes, of the whole process with eight of them
	mostPerByte = 5e-7      // seconds
	mostFixed   = 1.0       // seconds, of eight connections
)

// TestSoakHostileCells: every state × every input, eight connections each,
// measured by the process's own accounts.
func TestSoakHostileCells(t *testing.T) {
	together(t)
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	s := launch(t, dir, nil)
	var worst attacked
	order := slices.DeleteFunc(slices.Sorted(maps.Keys(states)), func(state string) bool { return state == polls })
	for _, state := range append(order, polls) { // which leaves something behind
		for _, input := range slices.Sorted(maps.Keys(inputs)) {
			got := attack(t, s, a, 8, span(250*time.Millisecond, 3*time.Second), state != polls, func(int) (string, string) { return state, input })
			t.Logf("%-18s %-34s %8d KiB sent, %6.2f s, %5.2f µs a byte, %4d MiB", state, input, got.sent>>10, got.cpu, got.cpu/float64(max(got.sent, 1))*1e6,
				got.peak>>20)
			if got.peak > mostMemory {
				t.Errorf("%s, %s: %d MiB", state, input, got.peak>>20)
			}
			if fixed := mostFixed * float64(span(1, 10)); got.cpu > fixed+mostPerByte*float64(got.sent) {
				t.Errorf("%s, %s: %.2f s for %d bytes", state, input, got.cpu, got.sent)
			}
			worst.peak, worst.sent = max(worst.peak, got.peak), worst.sent+got.sent
		}
	}
	t.Logf("%d MiB sent, at most %d MiB of memory", worst.sent>>20, worst.peak>>20)
}

// TestSoakHostileQueues: the figures of docs/security-tests.md A12: forty anonymous sockets, and
// eight that are logged in, with 255 maximal frames each behind a slow call. They
// held 963 MB and 2.5 GB.
func TestSoakHostileQueues(t *testing.T) {
	together(t)
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	for _, c := range []struct {
		state string
		n     int
	}{{"anonymous", 40}, {"logged in", 8}} {
		s := launch(t, dir, nil)
		got := attack(t, s, a, c.n, span(time.Second, 10*time.Second), true, func(int) (string, string) {
			return c.state, "maximal frames behind a slow call"
		})
		t.Logf("%d %s: %d MiB sent, %d MiB", c.n, c.state, got.sent>>20, got.peak>>20)
		if got.peak > 256<<20 {
			t.Errorf("%d %s hold %d MiB", c.n, c.state, got.peak>>20)
		}
		s.terminate()
	}
}
