package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ddpserver/internal/secret"
)

func logger(t *testing.T, format string, out *bytes.Buffer) *zap.Logger {
	t.Helper()
	log, _, err := NewLogger(LogOptions{Level: "debug", Format: format, Out: zapcore.AddSync(out), Terminal: true})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestRecordsHideSecrets(t *testing.T) {
	const canary = "CANARY-4711"
	for _, format := range []string{"json", "console"} {
		var out bytes.Buffer
		log := logger(t, format, &out)
		log = log.With(zap.String("login_token", canary), zap.String("conn", "c1"))
		log.Info("call", zap.String("password", canary), zap.Any("params", []string{canary}), zap.String("newPassword", canary),
			zap.ByteString("x-2fa-code", []byte(canary)), zap.Any("key", secret.String(canary)), zap.Int("code", 471147),
			zap.Error(errors.New("dial smtp://me:"+canary+"@mail: refused for "+canary+"@example.com")),
			zap.String("method", "login"), zap.String("fault", "totp-required"))
		log.Error("failed for " + canary + "@example.com")
		text := out.String()
		if strings.Contains(text, canary) || strings.Contains(text, "471147") {
			t.Errorf("%s: a secret is written:\n%s", format, text)
		}
		for _, want := range []string{"totp-required", "c1", "login", "smtp://[redacted]@mail", "[redacted]"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing:\n%s", format, want, text)
			}
		}
	}
}

func TestSensitiveKeys(t *testing.T) {
	for key, want := range map[string]bool{
		"password": true, "Password": true, "new_password": true, "newPassword": true, "token": true, "login_token": true, "x-2fa-code": true,
		"services.totp": true, "codes": true, "mail_pass": true,
		"encode": false, "decoder": false, "method": false, "user_id": false, "result": false, "tokenizer": false, "": false, "duration": false,
	} {
		if got := Sensitive(key); got != want {
			t.Errorf("Sensitive(%q) = %v", key, got)
		}
	}
}

// A hostile name must neither end the record nor forge another one.
func TestOneRecordIsOneLine(t *testing.T) {
	hostile := "x\r\n{\"level\":\"error\",\"msg\":\"forged\"}\n\x1b[31mred"
	for _, format := range []string{"json", "console"} {
		var out bytes.Buffer
		log := logger(t, format, &out)
		log.Info("created "+hostile, zap.String("user", hostile), zap.String(hostile, "key"))
		text := strings.TrimSuffix(out.String(), "\n")
		if strings.ContainsAny(text, "\n\r\x1b") {
			t.Errorf("%s: control characters in %q", format, text)
		}
		if format == "json" {
			var m map[string]any
			if err := json.Unmarshal([]byte(text), &m); err != nil || m["user"] != hostile || m["time"] == nil || m["level"] != "info" {
				t.Errorf("%v: %s", err, text)
			}
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestLostRecordsAreCounted(t *testing.T) {
	log, stats, err := NewLogger(LogOptions{Level: "info", Out: zapcore.AddSync(full{})})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("one")
	log.Debug("below the level")
	log.Info("three")
	log.Warn("two")
	log.Sync()
	if stats.Lost() != 3 {
		t.Errorf("lost = %d, want 3", stats.Lost())
	}
}

func TestRecordsAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out countingWriter
		log, stats, err := NewLogger(LogOptions{Level: "info", Out: &out})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			log.Info("x")
		}
		if n := out.writes(); n != 0 {
			t.Errorf("%d writes at once", n)
		}
		time.Sleep(lag + time.Millisecond) // in a bubble: no time passes outside
		synctest.Wait()
		if n, lines := out.writes(), out.lines(); n != 1 || lines != 10 {
			t.Errorf("%d writes, %d lines; want 1 and 10", n, lines)
		}
		log.Error("now")
		synctest.Wait() // no time passes
		if lines := out.lines(); lines != 11 {
			t.Errorf("an error waited: %d lines", lines)
		}
		log.Info("last")
		log.Sync()
		if lines := out.lines(); lines != 12 || stats.Lost() != 0 {
			t.Errorf("after Sync: %d lines, %d lost", lines, stats.Lost())
		}
	})
}

func TestAStuckOutputHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		log, stats, err := NewLogger(LogOptions{Level: "info", Out: stuck(release)})
		if err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("x", 1000)
		for range 1500 { // a Write that waits would deadlock the bubble
			log.Info(long)
		}
		time.Sleep(lag * 2)
		for range 1500 {
			log.Warn(long) // which does not wait for others, nor for the output
		}
		if stats.Lost() == 0 {
			t.Error("nothing was lost: the buffer has no bound")
		}
		begin := time.Now()
		if err := log.Sync(); err == nil || time.Since(begin) != 5*time.Second {
			t.Errorf("the end of the process waits %v: %v", time.Since(begin), err)
		}
		close(release)
		log.Sync()
	})
}

// brief is an output that takes nothing for a while.
type brief struct {
	countingWriter
	fails bool
}

func (b *brief) Write(p []byte) (int, error) {
	if b.fails {
		return 0, errors.New("no space left on device")
	}
	return b.countingWriter.Write(p)
}

// Records that were lost are told of where they are missing.
func TestTheLogTellsWhatItLost(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		out := &brief{fails: true}
		log, _, err := NewLogger(LogOptions{Level: "info", Format: format, Out: out})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("one")
		log.Info("two")
		log.Sync()
		out.fails = false
		log.Info("three")
		log.Sync()
		log.Info("four")
		log.Sync()
		got := strings.Split(out.out.String(), "\n")
		if len(got) != 4 || !strings.Contains(got[0], "log_records_lost") || !strings.Contains(got[0], `"count":`) && !strings.Contains(got[0], `"count": 2`) {
			t.Errorf("%s: %q", format, got)
		}
	}
}

type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) { <-s; return len(p), nil }
func (s stuck) Sync() error                 { return nil }

type countingWriter struct {
	mu  sync.Mutex
	n   int
	out bytes.Buffer
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	return w.out.Write(p)
}
func (w *countingWriter) Sync() error { return nil }
func (w *countingWriter) writes() int { w.mu.Lock(); defer w.mu.Unlock(); return w.n }
func (w *countingWriter) lines() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Count(w.out.Bytes(), []byte{'\n'})
}

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestBadInput(t *testing.T) {
	if _, _, err := NewLogger(LogOptions{Level: "loud"}); err == nil {
		t.Error("an unknown level was accepted")
	}
	var out bytes.Buffer
	var err *nilError
	logger(t, "json", &out).Info("x", zap.Error(err), zap.NamedError("e", err))
	if !strings.Contains(out.String(), "nil") {
		t.Errorf("%s", out.String())
	}
}

func BenchmarkCallRecord(b *testing.B) {
	log, _, err := NewLogger(LogOptions{Level: "info", Format: "json", Out: zapcore.AddSync(nowhere{})})
	if err != nil {
		b.Fatal(err)
	}
	log = log.With(zap.String("conn", "abcdefghijklmnopq"))
	b.ReportAllocs()
	for b.Loop() {
		log.Info("call", zap.String("method", "saveUserProfile"), zap.String("user_id", "abcdefghijklmnopq"), zap.String("result", "ok"), zap.Int64("us", 120))
	}
}
