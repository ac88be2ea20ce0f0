package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ddpserver/internal/testwait"
)

// The tour of README.md is run as it is written: every indented line, in one
// shell, beside a fresh server. Only the port and the path of the console differ.
// Where the tools of its lines are missing there is nothing to try, but on the project's
// own check (DDPSERVER_CI=true) they must be there.
func TestReadmeTour(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "grep", "sed"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("DDPSERVER_CI") == "true" {
			t.Fatal(err)
		} else if err != nil {
			t.Logf("the tour is not tried: %v", err)
			return
		}
	}
	bin, work := t.TempDir(), t.TempDir()
	for _, name := range []string{"ddpserver", "ddpcat"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, name), "ddpserver/cmd/"+name).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	address, password := startServer(t, filepath.Join(bin, "ddpserver"), work)
	script := tour(t)
	script = strings.ReplaceAll(script, "localhost:3000", address)
	script = strings.ReplaceAll(script, "go run ./cmd/ddpcat", filepath.Join(bin, "ddpcat")+" -timeout 5m -url ws://"+address+"/websocket")
	script = regexp.MustCompile(`PASSWORD=….*`).ReplaceAllString(script, "PASSWORD='"+password+"'")

	ctx, cancel := context.WithTimeout(t.Context(), testwait.Limit)
	defer cancel()
	sh := exec.CommandContext(ctx, "bash")
	sh.Dir, sh.Stdin = work, strings.NewReader(script)
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour ended with %v\n%s", err, out)
	}
	// What a reader must see, in this order.
	rest := string(out)
	for _, want := range []string{
		`{"success":true}`, `"errorType":"totp-required"`, `{"success":true}`, // e-mail on, challenged, passed
		`"id":"1","result":true`, `"id":"2","error":{`, `"error":"totp-required"`, `"id":"3","result":true`, // the same over DDP
		`"id":"4","result":true`, `"errorType":"totp-required"`, `{"success":true}`, `"_id":"firstMessage"`, // protected by the administrator
		`"id":"5","error":{`, `"t":"message_pinned"`, `"id":"7","result":["admin@localhost"]`, `"msg":"result","id":"8"}`, // both spellings
	} {
		i := strings.Index(rest, want)
		if i < 0 {
			t.Fatalf("the tour does not show %s here:\n%s\n--- whole output:\n%s", want, rest, out)
		}
		rest = rest[i+len(want):]
	}
}

// tour is the code of the section "The same tour in a terminal", without the shown answers.
func tour(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(readme), "## The same tour in a terminal\n")
	if !ok {
		t.Fatal("README.md has no first tour")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var b strings.Builder
	for line := range strings.Lines(section) {
		if code, isCode := strings.CutPrefix(line, "    "); isCode && !strings.HasPrefix(code, "{") {
			b.WriteString(code)
		}
	}
	return b.String()
}

// startServer runs a server on a free port until the test ends and reads its two fixed lines.
func startServer(t *testing.T, binary, dir string) (address, password string) {
	t.Helper()
	cmd := exec.Command(binary)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PORT=0", "LOG_LEVEL=error")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v: %s", err, stderr.String())
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), "Password: "); ok {
			password = after
		}
		if url, ok := strings.CutPrefix(lines.Text(), "Listening on http://"); ok {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return url, password
		}
	}
	t.Fatal(fmt.Errorf("the server did not start: %s", stderr.String()))
	return "", ""
}
