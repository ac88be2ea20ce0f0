package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
	s.forget()
	var wg sync.WaitGroup
	enemies := make([]*enemy, n)
	for i := range n {
		state, _ := order(i)
		e := &enemy{s: s, name: fmt.Sprintf("e%d-%d", i, time.Now().UnixNano())}
		if strings.HasSuffix(state, "logged in") {
			e.login = a
		}
		if err := states[state](e); err != nil {
			t.Fatalf("%s: %v", state, err)
		}
		enemies[i] = e
	}
	before := s.cpu()
	for i, e := range enemies {
		_, input := order(i)
		e.ends = time.Now().Add(lasting)
		wg.Go(func() { inputs[input](e) })
	}
	wg.Wait()
	got := attacked{cpu: s.cpu() - before}
	for _, e := range enemies {
		got.sent += e.sent
		e.close()
	}
	if leaves {
		eventually(t, "the end of what was held", func() bool {
			return s.metric("ddpserver_bytes_in_flight") == 0 && s.metric("ddpserver_calls_running") == 0
		})
	}
	got.peak = s.peak()
	if !s.alive() {
		t.Fatalf("the server ended: %s", s.log)
	}
	return got
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
			t.Logf("%-18s %-34s %8d KiB sent, %6.2f s, %5.2f µs a byte, %4d MiB", state, input, got.sent>>10, got.cpu, got.cpu/float64(max(got.sent, 1))*1e6, got.peak>>20)
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

// TestSoakHostileCrowd: 200 hostile connections, every state and every input at
// once. The process stays under 512 MiB, and an honest client is served.
func TestSoakHostileCrowd(t *testing.T) {
	together(t)
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	s := launch(t, dir, nil)
	quiet := startPings(t, s.addr, a.token)
	pause(span(300*time.Millisecond, 2*time.Second))
	alone := quiet()
	stop := startPings(t, s.addr, a.token)
	all, what := slices.Sorted(maps.Keys(states)), slices.Sorted(maps.Keys(inputs))
	got := attack(t, s, a, 200, span(3*time.Second, 30*time.Second), false, func(i int) (string, string) {
		return all[i%len(all)], what[i/len(all)%len(what)]
	})
	took := stop()
	t.Logf("200 hostile connections: %d MiB sent, %.1f s of CPU, %d MiB; the honest client's ping: %v (alone: %v)", got.sent>>20, got.cpu, got.peak>>20, took, alone)
	if got.peak > 512<<20 {
		t.Errorf("%d MiB", got.peak>>20)
	}
	if took.N == 0 {
		t.Error("the honest client was not served")
	}
	if long && took.P99 > max(50*time.Millisecond, 3*alone.P99) {
		t.Errorf("an honest client's ping took %v", took.P99)
	}
}

// TestSoakHostileQueues: the figures of issue A12: forty anonymous sockets, and
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

// pinger names the environment variable that makes the test binary an honest
// client of that address until its standard input ends: in the process of the
// hostile ones it would wait for them.
const pinger = "SOAK_PINGER"

// pings are what it tells in the end.
type pings struct {
	N           int
	Median, P99 time.Duration
}

func servePings(addr, token string) {
	c, err := connect(addr, token)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	var over atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		over.Store(true)
	}()
	var took []time.Duration
	for begin := time.Now(); !over.Load(); begin = time.Now() {
		if err := c.ping(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		took = append(took, time.Since(begin))
		pause(5 * time.Millisecond)
	}
	c.close()
	if slices.Sort(took); len(took) > 0 {
		_ = json.NewEncoder(os.Stdout).Encode(pings{len(took), took[len(took)/2], took[len(took)*99/100]})
	}
}

// startPings starts an honest client; stop returns what it saw.
func startPings(t *testing.T, addr, token string) (stop func() pings) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), pinger+"="+addr, pinger+"_TOKEN="+token)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (p pings) {
		t.Helper()
		_ = in.Close()
		if err := cmd.Wait(); err != nil || problems.Len() > 0 {
			t.Errorf("the honest client: %v %s", err, &problems)
		}
		_ = json.Unmarshal(out.Bytes(), &p)
		return p
	}
}
