package soak

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ddpserver/internal/testwait"
)

// server is the program in a process of its own.
type server struct {
	t       testing.TB
	dir     string
	addr    string // of the public listener
	private string // of the private one
	cmd     *exec.Cmd
	out     *buffer
	log     *buffer
	exited  chan struct{} // closed when the process is gone
	took    time.Duration // from the start of the process to "Listening"
}

// buffer takes what a process prints.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// calm lifts what would stop a test that calls more than a person, rates and
// budgets, as far as they go. It also gives clients much time: on a busy machine
// they are slow, and a test whose subject is a time limit sets its own.
var calm = []string{
	"CONNECT_TIMEOUT=45s",
	"HEARTBEAT_TIMEOUT=10m",
	"WRITE_TIMEOUT=5m",
	"READ_HEADER_TIMEOUT=1m",
	"READ_TIMEOUT=5m",
	"SHUTDOWN_GRACE=10m",
	"SHUTDOWN_SPREAD=300ms",
	"OVERWRITE_SETTING_DDP_Rate_Limit_IP_Enabled=false",
	"OVERWRITE_SETTING_DDP_Rate_Limit_User_Enabled=false",
	"OVERWRITE_SETTING_DDP_Rate_Limit_Connection_Enabled=false",
	"OVERWRITE_SETTING_DDP_Rate_Limit_User_By_Method_Enabled=false",
	"OVERWRITE_SETTING_DDP_Rate_Limit_Connection_By_Method_Enabled=false",
	"OVERWRITE_SETTING_API_Enable_Rate_Limiter=false",
	"OVERWRITE_SETTING_Block_Multiple_Failed_Logins_Enabled=false",
	"OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Max_Invalid_Attempts_Per_Hour=100",
	"OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Max_Invalid_Attempts_In_Row=1000",
	"OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Max_Emails_Per_Hour=100",
	"OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Max_Emails_Per_Hour_Per_Address=10000",
	"OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_RememberFor=0",
	"OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_MaxDelta=2",
	// The cheapest call there is, under a factor: a place to spend codes.
	"OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Protected_Calls=" + guarded,
}

// guarded is a call that asks for a factor here and does nothing else.
const guarded = "getServerInfo"

// calmBut is calm with something added or set otherwise.
func calmBut(env ...string) []string { return slices.Concat(calm, env) }

const adminPassword = "correct horse battery"

// launch starts the program on a data directory and waits until it listens.
// wrap, when given, are words of a command line in front of the program's.
func launch(t testing.TB, dir string, env []string, wrap ...string) *server {
	t.Helper()
	s, err := tryLaunch(t, dir, env, wrap...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// launchUntil is launch that tries until it succeeds: on a busy machine a store may
// not answer in its time.
func launchUntil(t testing.TB, env []string) (s *server) {
	t.Helper()
	testwait.Until(t, "a start", func() bool {
		var err error
		s, err = tryLaunch(t, t.TempDir(), env)
		return err == nil
	})
	return s
}

// What the program says when it serves, on standard output and in the log.
var (
	listening    = regexp.MustCompile(`(?m)^Listening on http://[^:]+:(\d+)`)
	listeningToo = regexp.MustCompile(`"private_listener"[^}]*?(127\.0\.0\.1:\d+)`)
)

func tryLaunch(t testing.TB, dir string, env []string, wrap ...string) (*server, error) {
	path, err := program()
	if err != nil {
		return nil, err
	}
	args := append(wrap[:len(wrap):len(wrap)], path)
	s := &server{t: t, dir: dir, out: &buffer{}, log: &buffer{}, exited: make(chan struct{})}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "DATA_DIR=" + dir, "PORT=0", "METRICS_ADDR=127.0.0.1:0", "LOG_FORMAT=json",
		"ADMIN_PASS=" + adminPassword, "ENCRYPTION_KEY=" + strings.Repeat("ab", 32)}, env...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.log
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.exited)
		_ = s.cmd.Wait()
	}()
	t.Cleanup(s.kill)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		public, private := listening.FindStringSubmatch(s.out.String()), listeningToo.FindStringSubmatch(s.log.String())
		if public != nil && private != nil {
			s.took, s.addr, s.private = time.Since(begin), "127.0.0.1:"+public[1], private[1]
			return s, nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return nil, fmt.Errorf("the program ended at its start: %s", s.log)
		case <-end.C:
			s.kill()
			return nil, fmt.Errorf("the program did not start: %s", s.log)
		}
	}
}

// kill ends the process as a power cut would: no handler of its own runs. It
// may be called twice.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// terminate asks the process to end in order and returns its exit code.
func (s *server) terminate() int {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	return s.wait()
}

// wait returns the exit code of a process that was asked to end.
func (s *server) wait() int {
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Errorf("the process did not end within %v", patience)
		s.kill()
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *server) alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// get reads a page of the server.
func get(url string) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := plain.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// plain is a client that keeps no connections, so that none is left at the end.
var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// metric reads one figure of the private listener; labels are part of the name.
func (s *server) metric(name string) float64 {
	s.t.Helper()
	_, body, err := get("http://" + s.private + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(body) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return f
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}

// ready asks /readyz.
func (s *server) ready() int {
	code, _, err := get("http://" + s.addr + "/readyz")
	if err != nil {
		return 0
	}
	return code
}

// goroutines lists what the server's goroutines do, for the report of a failure.
func (s *server) goroutines() string {
	_, body, err := get("http://" + s.private + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		return err.Error()
	}
	return body
}

// errors are the lines of the log that tell of one, for the report of a failure.
func (s *server) errors() string {
	var b strings.Builder
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, `"level":"error"`) || strings.Contains(line, `"level":"warn"`) {
			b.WriteString(line)
		}
	}
	return b.String()
}
