package soak

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/random"
	"ddpserver/internal/testwait"
)

// balancers are the programs that configs/proxies has a configuration for, and how each is
// started with one in the foreground.
var balancers = map[string]struct {
	file string
	args func(config, dir string) []string
}{
	"nginx":   {"nginx.conf", func(config, dir string) []string { return []string{"-c", config, "-p", dir, "-g", "daemon off;"} }},
	"haproxy": {"haproxy.cfg", func(config, _ string) []string { return []string{"-db", "-f", config} }},
	"caddy":   {"Caddyfile", func(config, _ string) []string { return []string{"run", "--config", config, "--adapter", "caddyfile"} }},
}

// freePort is one that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// balance starts a balancer with its configuration as it is in the repository, but for the
// ports, and returns where it listens.
func balance(t *testing.T, name string, nodes []string) (addr string) {
	t.Helper()
	b := balancers[name]
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("DDPSERVER_CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed", name)
	}
	text, err := os.ReadFile(filepath.Join("../../configs/proxies", b.file))
	if err != nil {
		t.Fatal(err)
	}
	port, dir := freePort(t), t.TempDir()
	pairs := []string{":3000", ":" + port, "listen 3000", "listen " + port}
	for i, n := range nodes {
		pairs = append(pairs, fmt.Sprint("127.0.0.1:300", i+1), n)
	}
	config := filepath.Join(dir, b.file)
	if err := os.WriteFile(config, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(path, b.args(config, dir)...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(testwait.Limit):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s: %s", name, out.String())
		}
	})
	addr = "127.0.0.1:" + port
	testwait.Until(t, name+" to answer", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", name, out.String())
		default:
		}
		code, _, err := get("http://" + addr + "/readyz")
		return err == nil && code == 200
	})
	return addr
}

// TestSoakBalancers: the examples of configs/proxies do before three nodes what they promise:
// every node gets sessions, polling sessions of SockJS stay on theirs, nobody makes an address
// up, and nodes that are stopped one after the other send their clients to the others.
func TestSoakBalancers(t *testing.T) {
	together(t)
	for name := range balancers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShared(t)
			var nodes []*server
			var addrs []string
			start := func(i int) *server {
				return launch(t, t.TempDir(), calmBut("MONGO_URL="+s.url, fmt.Sprint("NODE_NAME=n", i), "HTTP_FORWARDED_COUNT=1", "TRUSTED_PROXIES=127.0.0.1",
					"PORT="+strings.TrimPrefix(addrs[i], "127.0.0.1:")))
			}
			for i := range 3 {
				addrs = append(addrs, "127.0.0.1:"+freePort(t))
				nodes = append(nodes, start(i))
			}
			addr := balance(t, name, addrs)
			people := s.seed("ada", 6, nil)

			var far []*conn
			for range 30 {
				far = append(far, dial(t, addr, people[0].token))
			}
			for i, n := range nodes {
				if got := n.metric("ddpserver_sessions"); got < 1 {
					t.Errorf("node %d has %v of 30 sessions", i, got)
				}
			}
			for _, c := range far {
				c.close()
			}
			for range 12 {
				polled(t, addr, people[0].token)
			}
			for _, n := range nodes {
				if holds(t, n.dir, "203.0.113.7") {
					t.Errorf("%s holds an address that a client made up", n.dir)
				}
			}
			// What stands directly before a node is believed: without that, nothing was tried above.
			polled(t, nodes[0].addr, people[0].token)
			if !holds(t, nodes[0].dir, "203.0.113.7") {
				t.Error("the address is nowhere to be found")
			}
			roll(t, addr, people, nodes, start)
		})
	}
}

// polled logs in over a polling session of SockJS whose requests each have a connection of
// their own, and say that they come from somewhere else.
func polled(t *testing.T, addr, token string) {
	t.Helper()
	base := "http://" + addr + "/sockjs/000/" + random.ID()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(path, body string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "POST", base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("X-Forwarded-For", "203.0.113.7")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s: %s %s, %v", path, resp.Status, text, err)
		}
		return string(text)
	}
	until := func(want string) {
		t.Helper()
		for {
			text := post("/xhr", "")
			if strings.Contains(text, want) {
				return
			}
			if strings.HasPrefix(text, "c") {
				t.Fatalf("closed: %s", text)
			}
		}
	}
	until("o\n")
	post("/xhr_send", `["{\"msg\":\"connect\",\"version\":\"1\",\"support\":[\"1\"]}"]`)
	until(`connected`)
	post("/xhr_send", fmt.Sprintf(`["{\"msg\":\"method\",\"id\":\"1\",\"method\":\"login\",\"params\":[{\"resume\":\"%s\"}]}"]`, token))
	until(`tokenExpires`)
}

// roll stops the nodes one after the other and starts them again while clients call through
// the balancer and connect again when they are sent away.
func roll(t *testing.T, addr string, people []*account, nodes []*server, start func(i int) *server) {
	t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	var gaps []time.Duration
	failed := 0
	for _, a := range people {
		wg.Go(func() {
			var c *conn
			lost := time.Now()
			for {
				if c == nil {
					var err error
					if c, err = connect(addr, a.token); err != nil {
						mu.Lock()
						failed++
						mu.Unlock()
						pause(20 * time.Millisecond)
						continue
					}
					mu.Lock()
					gaps = append(gaps, time.Since(lost))
					mu.Unlock()
				}
				if _, err := c.call("getServerTime"); err != nil {
					lost = time.Now()
					c.close()
					c = nil
					continue
				}
				select {
				case <-stop:
					c.close()
					return
				default:
					pause(20 * time.Millisecond)
				}
			}
		})
	}
	for i := range nodes {
		if exit := nodes[i].terminate(); exit != 0 {
			t.Errorf("node %d ended with %d", i, exit)
		}
		nodes[i] = start(i)
		testwait.Until(t, "the nodes to see each other", func() bool { return nodes[i].metric("ddpserver_nodes") == 3 })
	}
	close(stop)
	wg.Wait()
	if len(gaps) <= len(people) {
		t.Error("nobody was sent away")
	}
	if long && worst(gaps) > 5*time.Second {
		t.Errorf("somebody was away for %v", worst(gaps))
	}
	t.Logf("%d connections while three nodes were restarted in turn, %d tries failed; back after %v median, %v worst", len(gaps), failed, median(gaps),
		worst(gaps))
}

// holds tells whether any file of a directory has the text.
func holds(t *testing.T, dir, want string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		found = found || bytes.Contains(text, []byte(want))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
