package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ddpserver/internal/config"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/telemetry"
	"ddpserver/internal/testkit"
	"ddpserver/internal/testwait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output is standard output: written by the server, read by the test.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}
func (o *output) String() string { o.mu.Lock(); defer o.mu.Unlock(); return o.buf.String() }

// node is a running App.
type node struct {
	*App
	t      *testing.T
	dir    string
	env    []string
	out    *output
	logs   *output
	stop   context.CancelFunc
	cut    context.CancelFunc
	done   chan struct{}
	failed error
}

func load(t *testing.T, env ...string) *config.Config {
	t.Helper()
	c, _, err := config.Load(config.Source{Environ: append([]string{"PORT=0"}, env...)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start runs a server on dir until the test ends.
func start(t *testing.T, dir string, env ...string) *node {
	t.Helper()
	// A test that waits elsewhere reads nothing meanwhile, and answers no ping.
	env = append([]string{"DATA_DIR=" + dir, "HEARTBEAT_INTERVAL=10m"}, env...)
	n := &node{t: t, dir: dir, env: env, out: &output{}, logs: &output{}, done: make(chan struct{})}
	log, stats, err := telemetry.NewLogger(telemetry.LogOptions{Level: "debug", Format: "json", Out: zapcore.AddSync(n.logs), Terminal: true})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), Options{Config: load(t, env...), Logger: log, LogStats: stats, Out: n.out, Version: "0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	n.App = a
	var ctx, hard context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	hard, n.cut = context.WithCancel(context.Background())
	go func() {
		defer close(n.done)
		n.failed = a.Run(ctx, hard)
	}()
	t.Cleanup(func() { n.end() })
	testwait.Until(t, "the start", func() bool { return strings.Contains(n.out.String(), "Listening on") })
	return n
}

// end stops the server in order and checks that it went well.
func (n *node) end() {
	n.t.Helper()
	n.stop()
	<-n.done
	n.cut()
	if n.failed != nil {
		n.t.Errorf("the server ended with %v", n.failed)
	}
}

func (n *node) addr() string { return n.Addr().String() }

var adminLine = regexp.MustCompile(`(?m)^Administrator: admin Password: (\S+)$`)

func (n *node) adminPassword() string {
	n.t.Helper()
	m := adminLine.FindStringSubmatch(n.out.String())
	if m == nil {
		n.t.Fatalf("no administrator in %q", n.out.String())
	}
	return m[1]
}

// addUser makes an account beside the running server.
func (n *node) addUser(u NewUser) string {
	n.t.Helper()
	id, err := CreateUser(n.t.Context(), load(n.t, n.env...), zap.NewNop(), u)
	if err != nil {
		n.t.Fatal(err)
	}
	return id
}

func TestFirstStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := start(t, dir)
	if want := "Listening on http://localhost:" + strings.Split(n.addr(), ":")[1] + "\n"; !strings.Contains(n.out.String(), want) {
		t.Errorf("%q lacks %q", n.out.String(), want)
	}
	for path, want := range map[string]string{
		"/livez": `{"status":"ok"}`, "/readyz": `{"status":"ok"}`, "/api/info": `{"version":"8.5.0","product":{"name":"ddpserver","version":"0.0.1"},"success":true}`,
	} {
		if code, body := httpGet(t, "http://"+n.addr()+path); code != 200 || strings.TrimSpace(body) != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/data/server.key", "/../server.key"} {
		if code, _ := httpGet(t, "http://"+n.addr()+path); code != 404 {
			t.Errorf("%s: %d on the public listener", path, code)
		}
	}
	password := n.adminPassword()
	c := dial(t, n.addr(), nil)
	token := c.login("admin", password)["token"].(string)
	c.await(func(f map[string]any) bool { return f["msg"] == "added" && f["collection"] == "users" })

	n.end()
	if code := c.closed(); code != 1001 {
		t.Errorf("a session was closed with %d, want 1001", code)
	}
	for _, name := range []string{"server.key", "ddpserver.db", "audit.log"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}

	// The second start keeps everything and makes no administrator.
	n = start(t, dir)
	if strings.Contains(n.out.String(), "Administrator") {
		t.Errorf("a second administrator: %q", n.out.String())
	}
	c = dial(t, n.addr(), nil)
	c.must("login", map[string]any{"resume": token})
	c.login("admin", password)
}

// News comes the best way that the database has, which /readyz says.
func TestTransport(t *testing.T) {
	for _, c := range []struct {
		want, named string
		kind        mongotest.Kind
	}{
		{"change streams", "", mongotest.Kind{}}, {"polling", "", mongotest.Standalone()}, {"polling", "polling", mongotest.Kind{}},
	} {
		n := start(t, t.TempDir(), "MONGO_URL="+mongotest.StartServer(t, c.kind).URI(), "ENCRYPTION_KEY="+strings.Repeat("ab", 32), "TRANSPORTER="+c.named)
		testwait.Until(t, c.want, func() bool { // it begins deaf, which is a note
			code, body := httpGet(t, "http://"+n.addr()+"/readyz")
			return code == 200 && strings.TrimSpace(body) == `{"status":"ok","transport":"`+c.want+`"}`
		})
		n.end()
	}
}

// The tour of the README: a user with the e-mail factor is challenged, reads
// the code from a mail, passes, and switches the factor off again.
func TestEmailFactorEndToEnd(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { tour(t) })
	t.Run("MongoDB", func(t *testing.T) {
		tour(t, "MONGO_URL="+mongotest.Start(t), "ENCRYPTION_KEY="+strings.Repeat("ab", 32))
	})
}

func tour(t *testing.T, env ...string) {
	n := start(t, t.TempDir(), append(env, "ADMIN_PASS=correct horse battery")...)
	n.addUser(NewUser{Username: "alice", Email: "alice@example.com", Verified: true, Password: "wonder land 1"})
	c := dial(t, n.addr(), nil)
	c.login("alice", "wonder land 1")
	if result := c.must("2fa:enable-email"); result != true {
		t.Fatalf("2fa:enable-email = %v", result)
	}

	// A login is challenged now, and the code logs in.
	c2 := dial(t, n.addr(), nil)
	details := c2.refused("totp-required", "login", byPassword("alice", "wonder land 1"))
	if details["method"] != "email" || details["codeGenerated"] != true {
		t.Errorf("details %v", details)
	}
	sent := len(mails(t, n.dir))
	first := mailedCode(t, n.dir, max(2, sent)) // the first mail is the notice of the change
	result := c2.must("login", map[string]any{"totp": map[string]any{"login": byPassword("alice", "wonder land 1"), "code": first}}).(map[string]any)
	if result["token"] == nil {
		t.Fatalf("%v", result)
	}

	// Switching off always asks, and takes the code in the documented way.
	c2.refused("totp-required", "2fa:disable-email")
	second := mailedCode(t, n.dir, 3)
	if second == first {
		t.Error("a code was mailed twice")
	}
	if got := c2.must("callWithTwoFactorRequired", map[string]any{"code": second, "ddpMethod": "2fa:disable-email", "method": "email",
		"params": []any{}}); got != true {
		t.Errorf("2fa:disable-email = %v", got)
	}
	dial(t, n.addr(), nil).login("alice", "wonder land 1")

	n.end()
	text, err := os.ReadFile(filepath.Join(n.dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{first, second, "wonder land 1", "alice@example.com", result["token"].(string)} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the audit stream has %q", secret)
		}
		if strings.Contains(n.logs.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	for line := range strings.Lines(n.logs.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON object on a line: %q", line)
		}
	}
	if n := strings.Count(n.logs.String(), `"msg":"call","method":"2fa:disable-email"`); n != 2 {
		t.Errorf("%d records of two calls", n)
	}
	if lines := bytes.Count(text, []byte{'\n'}); lines < 6 {
		t.Errorf("only %d audit events:\n%s", lines, text)
	}
}

func mails(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "outbox", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestOriginsPrefixAndRest(t *testing.T) {
	n := start(t, t.TempDir(), "ROOT_URL=http://chat.example.com/team", "METRICS_ADDR=127.0.0.1:0", "ADMIN_PASS=correct horse battery")
	base := "http://" + n.addr()
	for path, want := range map[string]int{
		"/livez": 200, "/team/livez": 200, "/team/readyz": 200, "/team/api/info": 200, "/team/sockjs/info": 200, "/team/sockjs": 200,
		"/api/info": 404, "/sockjs/info": 404, "/team/nothing": 404, "/team/websocket": 400,
	} {
		if code, _ := httpGet(t, base+path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	for origin, want := range map[string]int{"http://evil.example": 403, "null": 403, "http://chat.example.com": 101, "http://localhost:9": 101,
		"ws://chat.example.com/team/websocket": 101, "capacitor://localhost": 403} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", base+"/team/websocket", nil)
		for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Origin": origin} {
			req.Header.Set(k, v)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("origin %s: %d, want %d", origin, resp.StatusCode, want)
		}
	}
	for _, entry := range []string{"add http://evil.example to ALLOWED_ORIGINS", "add apps to ALLOWED_ORIGINS", "no entry of ALLOWED_ORIGINS fits it but *"} {
		if got := strings.Count(n.logs.String(), entry); got != 1 {
			t.Errorf("%q is %d times in the log", entry, got)
		}
	}
	body := strings.NewReader(`{"user":"admin","password":"correct horse battery"}`)
	resp, err := http.Post(base+"/team/api/v1/login", "application/json", body) // a test against this machine
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("REST login: %v %v", resp, err)
	}
	resp.Body.Close()
	code, metrics := httpGet(t, "http://"+n.PrivateAddr().String()+"/metrics")
	for _, want := range []string{`ddpserver_calls_total{door="rest",method="login",outcome="ok"} 1`, "ddpserver_connections ", "go_goroutines",
		`ddpserver_store_operations_total{operation="write",outcome="ok"}`, `ddpserver_disconnects_total{reason="slow"} 0`, "ddpserver_hashing_waiting 0"} {
		if code != 200 || !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// A start that fails names the setting, leaves nothing behind, and frees what
// it took.
func TestStartsThatFail(t *testing.T) {
	busy := start(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lost := t.TempDir()
	if err := os.WriteFile(filepath.Join(lost, "ddpserver.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	key := "ENCRYPTION_KEY=" + strings.Repeat("ab", 32)
	for name, tc := range map[string]struct {
		env  []string
		want string
	}{
		"port in use": {[]string{"DATA_DIR=" + fresh, "PORT=" + strings.Split(busy.addr(), ":")[1]}, "PORT and BIND_IP: 127.0.0.1:" +
			strings.Split(busy.addr(), ":")[1] + " is in use"},
		"metrics in use":  {[]string{"DATA_DIR=" + fresh, "METRICS_ADDR=" + busy.addr()}, "METRICS_ADDR: " + busy.addr() + " is in use"},
		"foreign address": {[]string{"DATA_DIR=" + fresh, "BIND_IP=192.0.2.1"}, "PORT and BIND_IP: 192.0.2.1:0 is no address of this machine"},
		"locked":          {[]string{"DATA_DIR=" + busy.dir}, "DATA_DIR: another server uses " + busy.dir},
		"a file":          {[]string{"DATA_DIR=" + file}, "DATA_DIR: " + file + " is no directory"},
		"below a file":    {[]string{"DATA_DIR=" + file + "/data"}, "DATA_DIR: " + file + "/data is not writable (not a directory)"},
		"not writable":    {[]string{"DATA_DIR=/proc/nothing"}, "DATA_DIR: /proc/nothing is not writable"},
		"key lost":        {[]string{"DATA_DIR=" + lost}, "server.key is missing"},
		"no MongoDB": {[]string{"DATA_DIR=" + fresh, key, "MONGO_URL=mongodb://root:hunter2@127.0.0.1:1/x?serverSelectionTimeoutMS=50"},
			"MONGO_URL: the database cannot be used"},
		"no database name": {[]string{"DATA_DIR=" + fresh, key, "MONGO_URL=mongodb://127.0.0.1:1"}, "MONGO_URL: "},
		"audit":            {[]string{"DATA_DIR=" + fresh, "AUDIT_FILE=/proc/nothing"}, "AUDIT_FILE: /proc/nothing cannot be written"},
		"setting ill-typed": {[]string{"DATA_DIR=" + fresh, "OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Enabled=maybe"},
			"OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Enabled: "},
		"mail": {[]string{"DATA_DIR=" + fresh, "MAIL_URL=smtp://u:hunter2@h:25?starttls=perhaps"}, "MAIL_URL: "},
		"transporter": {[]string{"DATA_DIR=" + fresh, key, "MONGO_URL=mongodb://127.0.0.1:1/x", "TRANSPORTER=nats://u:hunter2@h/path"},
			"TRANSPORTER: it has a path"},
		"files":           {[]string{"DATA_DIR=" + fresh, "FILES_URL=s3://u:hunter2@h"}, "FILES_URL: it names no bucket"},
		"files elsewhere": {[]string{"DATA_DIR=" + fresh, "FILES_URL=ftp://u:hunter2@h/x"}, "FILES_URL: it is no place for files"},
		"long password":   {[]string{"DATA_DIR=" + filepath.Join(t.TempDir(), "long"), "ADMIN_PASS=" + strings.Repeat("x", 257)}, "ADMIN_PASS"},
	} {
		if !testkit.WithRooms && strings.HasPrefix(name, "files") {
			continue // a server without rooms has no files
		}
		out := &output{}
		a, err := New(t.Context(), Options{Config: load(t, tc.env...), Logger: zap.NewNop(), Out: out, Version: "0"})
		if err == nil {
			a.close()
			t.Errorf("%s: it started", name)
			continue
		}
		if !strings.HasPrefix(err.Error(), tc.want) && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\n got %v\nwant %s", name, err, tc.want)
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: a secret or a second line: %v", name, err)
		}
		if out.String() != "" {
			t.Errorf("%s: printed %q", name, out.String())
		}
		if entries, _ := os.ReadDir(fresh); name != "audit" && len(entries) > 0 {
			t.Errorf("%s: left %v behind", name, entries)
		}
	}
}

// S095: caps per user and per address; what is refused is told so.
func TestConnectionCaps(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery", "MAX_CONNECTIONS_PER_USER=2", "MAX_CONNECTIONS_PER_ADDRESS=4")
	first := dial(t, n.addr(), nil)
	token := first.login("admin", "correct horse battery")["token"]
	resume := map[string]any{"resume": token}
	second, third := dial(t, n.addr(), nil), dial(t, n.addr(), nil)
	second.must("login", resume)
	second.must("login", resume) // again on the same connection is no second one
	third.refused("too-many-connections", "login", resume)
	first.ws.Close()
	testwait.Until(t, "the place of a closed connection", func() bool {
		_, failure := third.call("login", resume)
		return failure == nil
	})
	dial(t, n.addr(), nil)
	dial(t, n.addr(), nil)
	_, resp, err := websocket.DefaultDialer.Dial("ws://"+n.addr()+"/websocket", nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the fifth connection of an address: %v %v", resp, err)
	}
}

func TestStopWaitsForRunningCalls(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery", "SHUTDOWN_GRACE=1m")
	c := dial(t, n.addr(), nil)
	id := c.start("login", byPassword("admin", "correct horse battery")) // takes a while: a password is hashed
	c.send(map[string]any{"msg": "ping", "id": "after"})                 // answered by the reader, which queued the login before
	c.await(func(f map[string]any) bool { return f["msg"] == "pong" && f["id"] == "after" })
	n.stop()
	f := c.await(func(f map[string]any) bool { return f["msg"] == "result" && f["id"] == id })
	if f["error"] != nil {
		t.Errorf("a running call was cut: %v", f)
	}
	if code := c.closed(); code != 1001 {
		t.Errorf("closed with %d", code)
	}
	n.end()
}

func TestSecondSignalCutsEverything(t *testing.T) {
	n := start(t, t.TempDir(), "SHUTDOWN_GRACE=5m")
	dial(t, n.addr(), nil)
	n.stop()
	n.cut()
	<-n.done
	if n.failed != nil && !errors.Is(n.failed, context.Canceled) {
		t.Error(n.failed)
	}
	n.failed = nil
}
