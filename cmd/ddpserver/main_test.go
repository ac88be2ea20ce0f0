package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ddpserver": main})
}

// Each script is a person at a terminal: commands, exit codes, output. The
// commands below are what a terminal has besides.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport": freeport, "ready": ready, "login": login, "mongo": startMongo, "mode": mode, "live": live, "metric": metric, "send": send, "await": await,
		},
	})
}

// freeport sets PORT, or the variable it is given, to a free TCP port.
func freeport(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	name := "PORT"
	if len(args) == 1 {
		name = args[0]
	}
	ts.Setenv(name, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	ts.Check(l.Close())
}

// ready waits until the server on PORT is ready, live until it answers at all.
func ready(ts *testscript.TestScript, _ bool, _ []string) { awaitOK(ts, "/readyz") }
func live(ts *testscript.TestScript, _ bool, _ []string)  { awaitOK(ts, "/livez") }

func awaitOK(ts *testscript.TestScript, path string) {
	url := "http://127.0.0.1:" + ts.Getenv("PORT") + path
	testwait.Until(ts, url, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// login USER PASSWORD logs in over REST; "! login" expects a refusal, and
// "login USER PASSWORD challenge" the demand of a code.
func login(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: login USER PASSWORD [challenge]")
	}
	body, err := json.Marshal(map[string]string{"user": args[0], "password": args[1]})
	ts.Check(err)
	resp, err := http.Post("http://127.0.0.1:"+ts.Getenv("PORT")+"/api/v1/login", "application/json", bytes.NewReader(body))
	ts.Check(err)
	defer resp.Body.Close()
	var answer struct {
		Status string
		Error  string
	}
	ts.Check(json.NewDecoder(resp.Body).Decode(&answer))
	switch {
	case len(args) == 3:
		if answer.Error != "totp-required" {
			ts.Fatalf("login of %s: %d %+v, want a challenge", args[0], resp.StatusCode, answer)
		}
	case (resp.StatusCode == http.StatusOK && answer.Status == "success") == neg:
		ts.Fatalf("login of %s: %d %+v", args[0], resp.StatusCode, answer)
	}
}

// startMongo starts a MongoDB-compatible server and sets MONGO_URL.
func startMongo(ts *testscript.TestScript, _ bool, _ []string) {
	s, err := mongotest.Listen("127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	ts.Setenv("MONGO_URL", s.URI())
}

// send TERM|HUP signals what runs in the background; kill knows only INT and KILL.
func send(ts *testscript.TestScript, _ bool, args []string) {
	sig := map[string]os.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}[args[0]]
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(sig))
	}
}

// await FILE TEXT waits until the file has the text.
func await(ts *testscript.TestScript, _ bool, args []string) {
	testwait.Until(ts, args[0]+" with "+args[1], func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(text), args[1])
	})
}

// metric NAME waits until the counter on the private listener is above zero.
func metric(ts *testscript.TestScript, _ bool, args []string) {
	above := regexp.MustCompile(`(?m)^` + args[0] + ` [1-9]`)
	testwait.Until(ts, args[0]+" above zero", func() bool {
		resp, err := http.Get("http://127.0.0.1:" + ts.Getenv("METRICS") + "/metrics")
		ts.Check(err)
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		ts.Check(err)
		return above.Match(text)
	})
}

// mode OCTAL FILE… checks permissions.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args[1:] {
		st, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%o", st.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

func TestContainerLimit(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing := filepath.Join(dir, "missing")
	for _, tc := range []struct {
		files []string
		want  int64
	}{
		{[]string{missing, missing}, math.MaxInt64},
		{[]string{file("max", "max\n")}, math.MaxInt64},
		{[]string{file("absurd", "9223372036854771712\n")}, math.MaxInt64},
		{[]string{missing, file("v1", "1000000000\n")}, 900_000_000},
		{[]string{file("garbage", "-"), file("v1", "1000000000\n")}, math.MaxInt64},
	} {
		if got := containerLimit(tc.files...); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.files, got, tc.want)
		}
	}
}

func TestReadPassword(t *testing.T) {
	for in, want := range map[string]string{"secret\n": "secret", "secret": "secret", " two words \r\nmore": " two words ", "": "", "\nx": "",
		strings.Repeat("x", maxPassword+1): ""} {
		got, err := readPassword(strings.NewReader(in))
		if got.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%.20q: %q, %v", in, got.Reveal(), err)
		}
	}
}
