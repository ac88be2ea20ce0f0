package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// crowded is how many hostile connections are one crowd.
const crowded = 200

// TestSoakHostileCrowd: 200 hostile connections, every state and every input at
// once. The process stays under 512 MiB, and an honest client is served.
//
// The hostile clients run on the same processors as the server: what they take
// from it there is not the server's doing. So they are a process of their own at
// the lowest priority, and the honest client's pings beside them are compared with
// its pings to a server that nobody attacks while the same crowd, as busy, sends
// into a sink. The short form compares nothing, and its crowd keeps the priority of
// everybody: at the lowest, beside twenty busy processes, it would take hours.
func TestSoakHostileCrowd(t *testing.T) {
	together(t)
	dir := t.TempDir()
	a := seed(t, dir, "ada", 1, nil)[0]
	s := launch(t, dir, nil)
	beside := func(sink bool) (took pings, got attacked) {
		loose := startCrowd(t, s.addr, a, sink)
		stop := startPings(t, s.addr, a.token)
		got = measured(t, s, false, loose)
		return stop(), got
	}
	alone, _ := beside(true)
	took, got := beside(false)
	t.Logf("%d hostile connections: %d MiB sent, %.1f s of CPU, %d MiB; the honest client's ping: %v (while they sent into a sink: %v)", crowded, got.sent>>20,
		got.cpu, got.peak>>20, took, alone)
	if got.peak > 512<<20 {
		t.Errorf("%d MiB", got.peak>>20)
	}
	if took.N == 0 || alone.N == 0 {
		t.Error("the honest client was not served")
	}
	if long && took.P99 > max(50*time.Millisecond, 3*alone.P99) {
		t.Errorf("an honest client's ping took %v", took.P99)
	}
}

// crowd names the environment variable that makes the test binary a crowd of
// hostile clients of that address.
const crowd = "SOAK_CROWD"

// everything is the order of a crowd: every state and every input.
func everything() func(i int) (state, input string) {
	all, what := slices.Sorted(maps.Keys(states)), slices.Sorted(maps.Keys(inputs))
	return func(i int) (string, string) { return all[i%len(all)], what[i/len(all)%len(what)] }
}

// serveCrowd gathers the crowd, says so with an empty line, and lets it loose when
// it reads one. In the end it tells how many bytes were sent.
func serveCrowd(addr string) {
	order := everything()
	enemies, err := gather(addr, &account{id: os.Getenv(crowd + "_ID"), token: os.Getenv(crowd + "_TOKEN")}, crowded, order)
	if err == nil && os.Getenv(crowd+"_SINK") != "" {
		err = divert(enemies)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println()
	_, _ = os.Stdin.Read(make([]byte, 1))
	fmt.Println(assault(enemies, span(3*time.Second, 30*time.Second), order))
}

// divert lets them send into a sink instead; their connections stay open and still.
func divert(enemies []*enemy) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
	}()
	for _, e := range enemies {
		e.addr = l.Addr().String()
		if e.c, err = e.dial(); err != nil {
			return err
		}
	}
	return nil
}

// startCrowd starts one and waits until it has gathered. It returns what lets it loose,
// in the long form at the lowest priority, and waits for its end.
func startCrowd(t *testing.T, addr string, a *account, sink bool) (loose func() (sent int)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a priority is one of each thread, or of a group
	cmd.Env = append(os.Environ(), crowd+"="+addr, crowd+"_ID="+a.id, crowd+"_TOKEN="+a.token)
	if sink {
		cmd.Env = append(cmd.Env, crowd+"_SINK=yes")
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal("the crowd did not gather: ", err)
	}
	return func() (sent int) {
		if long {
			if err := syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, 19); err != nil {
				t.Error("the crowd stays at the priority of everybody: ", err)
			}
		}
		_, _ = in.Write([]byte("\n"))
		if _, err := fmt.Fscan(out, &sent); err != nil {
			t.Error("the crowd: ", err)
		}
		_ = cmd.Wait()
		return sent
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
