package mail_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ddpserver/internal/dberr"
	"ddpserver/internal/mail"
	"ddpserver/internal/mail/mailtest"
	"ddpserver/internal/secret"
	"ddpserver/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type world struct {
	*mail.Outbox
	plain   atomic.Bool // what the setting of plain mails says
	store   mail.Store
	logs    *observer.ObservedLogs
	outcome chan string
	clock   *atomic.Pointer[time.Time]
}

func newWorld(t *testing.T, transport *mail.Transport, store mail.Store) *world {
	t.Helper()
	return keyedWorld(t, newKey(t), transport, store)
}

func newKey(t *testing.T) *secret.Key {
	t.Helper()
	key, err := secret.NewKey(secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyedWorld(t *testing.T, key *secret.Key, transport *mail.Transport, store mail.Store) *world {
	t.Helper()
	var err error
	core, logs := observer.New(zapcore.DebugLevel)
	w := &world{store: store, logs: logs, outcome: make(chan string, 100), clock: &atomic.Pointer[time.Time]{}}
	w.set(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	w.Outbox, err = mail.New(mail.Options{
		Store: store, Key: key, Transport: transport, Logger: zap.New(core),
		From: func() string { return "ddpserver@example.org" }, Site: func() string { return "Example" }, PlainText: w.plain.Load,
		Observe: func(o string) { w.outcome <- o }, Now: func() time.Time { return *w.clock.Load() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) now() time.Time          { return *w.clock.Load() }
func (w *world) set(now time.Time)       { w.clock.Store(&now) }
func (w *world) advance(d time.Duration) { w.set(w.clock.Load().Add(d)) }

// step makes the one try that is due, or fails.
func (w *world) step(t *testing.T) string {
	t.Helper()
	if err := w.Step(t.Context()); err != nil {
		t.Fatalf("no mail is due: %v", err)
	}
	return <-w.outcome
}

func (w *world) idle(t *testing.T) {
	t.Helper()
	if it, err := w.store.ClaimMail(t.Context(), "test", w.now(), mail.Lease); !errors.Is(err, dberr.NotFound) {
		t.Fatalf("a mail is due that should not be: %+v, %v", it, err)
	}
}

func mustParse(t *testing.T, url string) *mail.Transport {
	t.Helper()
	tr, err := mail.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func (w *world) sendCode(t *testing.T, to ...string) {
	t.Helper()
	err := w.Send(t.Context(), mail.Message{To: to, Template: mail.Code, Data: map[string]string{"code": "012345", "minutes": "10"},
		Expire: w.now().Add(10 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRunDeliversEachRecipientItsOwnCopy(t *testing.T) {
	srv := mailtest.Start(t, mailtest.Options{})
	w := newWorld(t, mustParse(t, srv.URL()), storetest.OpenSQLite(t))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	w.sendCode(t, "ada@example.org", "ada@work.example")
	mails := srv.Wait(t, 2)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	to := []string{mails[0].To, mails[1].To}
	slices.Sort(to)
	if !slices.Equal(to, []string{"ada@example.org", "ada@work.example"}) {
		t.Errorf("recipients %v", to)
	}
	m := mails[0]
	if m.Code() != "012345" || m.Header.Get("Subject") != "Authentication code" || !strings.Contains(m.HTML, "012-345") {
		t.Errorf("mail is not the code mail: %q\n%s", m.Header.Get("Subject"), m.Raw)
	}
	w.idle(t)
	for _, e := range w.logs.All() {
		if line := e.Message + " " + strings.Join(fields(e), " "); strings.Contains(line, "012345") || strings.Contains(line, "ada@") {
			t.Errorf("log line shows a code or an address: %s", line)
		}
	}
}

func TestPlainTextMail(t *testing.T) {
	srv := mailtest.Start(t, mailtest.Options{})
	w := newWorld(t, mustParse(t, srv.URL()), storetest.OpenSQLite(t))
	w.plain.Store(true)
	w.sendCode(t, "ada@example.org")
	if got := w.step(t); got != "sent" {
		t.Fatal(got, w.logs.All())
	}
	w.plain.Store(false)
	w.sendCode(t, "ada@example.org")
	if got := w.step(t); got != "sent" {
		t.Fatal(got, w.logs.All())
	}
	mails := srv.Wait(t, 2)
	if m := mails[0]; m.HTML != "" || m.Code() != "012345" || !strings.HasPrefix(m.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("not a plain mail:\n%s", m.Raw)
	}
	if mails[1].HTML == "" {
		t.Errorf("the setting outlived its change:\n%s", mails[1].Raw)
	}
}

func fields(e observer.LoggedEntry) []string {
	var out []string
	for _, f := range e.Context {
		out = append(out, f.Key+"="+f.String)
	}
	return out
}

// A database dump or a stolen disk must not hold the code (S085, S103).
func TestOutboxHoldsNoClearCode(t *testing.T) {
	w := newWorld(t, mail.Files(t.TempDir()), storetest.OpenSQLite(t))
	w.sendCode(t, "ada@example.org")
	it, err := w.store.ClaimMail(t.Context(), "x", w.now(), mail.Lease)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(it.Sealed, "012345") || strings.Contains(it.Sealed, "012-345") || strings.Contains(it.Sealed, "@example") || !secret.Sealed(it.Sealed) {
		t.Errorf("item is readable: %q", it.Sealed)
	}
}

func TestS098NoCredentialWithoutTLS(t *testing.T) {
	srv := mailtest.Start(t, mailtest.Options{User: "relay", Password: "hunter2hunter2"})
	w := newWorld(t, mustParse(t, srv.URL()+"?starttls=required"), storetest.OpenSQLite(t))
	w.sendCode(t, "ada@example.org")
	if got := w.step(t); got != "retry" {
		t.Errorf("outcome %q, want retry", got)
	}
	if seen := srv.InClear(); strings.Contains(seen, "AUTH") || strings.Contains(seen, "012-345") || strings.Contains(seen, "012345") || len(srv.Mails()) > 0 {
		t.Errorf("sent in clear: %q", seen)
	}
}

func TestStartTLSWithPrivateAuthority(t *testing.T) {
	srv := mailtest.Start(t, mailtest.Options{TLS: true, User: "relay", Password: "s3cret!pass"})
	w := newWorld(t, mustParse(t, srv.URL()), storetest.OpenSQLite(t))
	w.sendCode(t, "ada@example.org")
	if got := w.step(t); got != "sent" {
		t.Fatalf("outcome %q: %v", got, w.logs.All())
	}
	if clear, _, _ := strings.Cut(srv.InClear(), "STARTTLS"); strings.Contains(clear, "AUTH") {
		t.Error("authenticated before TLS")
	}
	// The same server with an authority we do not know is no server to talk to.
	stranger := newWorld(t, mustParse(t, "smtp://relay:x@"+srv.Addr+"?starttls=required"), storetest.OpenSQLite(t))
	stranger.sendCode(t, "ada@example.org")
	if got := stranger.step(t); got != "retry" || len(srv.Mails()) != 1 {
		t.Errorf("unknown certificate: outcome %q, %d mails", got, len(srv.Mails()))
	}
}

// S102: a greylisting server gets growing pauses inside the code's life, one copy, at most four tries.
func TestS102Greylisting(t *testing.T) {
	var open atomic.Bool
	srv := mailtest.Start(t, mailtest.Options{Rcpt: func(string) error {
		if open.Load() {
			return nil
		}
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted\nplease come back"}
	}})
	w := newWorld(t, mustParse(t, srv.URL()), storetest.OpenSQLite(t))
	w.sendCode(t, "ada@example.org")
	start := w.now()
	tries := 0
	for tries = 1; tries <= 4; tries++ {
		open.Store(w.now().Sub(start) >= time.Minute)
		if got := w.step(t); got == "sent" {
			break
		} else if got != "retry" {
			t.Fatalf("try %d: %q", tries, got)
		}
		w.idle(t)
		next, err := w.store.NextMail(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.set(next)
	}
	if len(srv.Mails()) != 1 || tries > 4 {
		t.Errorf("%d mails after %d tries", len(srv.Mails()), tries)
	}
}

func TestPermanentRefusalIsNotRepeated(t *testing.T) {
	srv := mailtest.Start(t, mailtest.Options{Rcpt: func(to string) error {
		if strings.HasPrefix(to, "gone@") {
			return &smtp.SMTPError{Code: 550, Message: "no such user"}
		}
		return nil
	}})
	w := newWorld(t, mustParse(t, srv.URL()), storetest.OpenSQLite(t))
	w.sendCode(t, "gone@example.org", "ada@example.org")
	got := []string{w.step(t), w.step(t)}
	slices.Sort(got)
	if !slices.Equal(got, []string{"refused", "sent"}) {
		t.Errorf("outcomes %v", got)
	}
	w.idle(t)
}

func TestServerDownUntilTheCodeDies(t *testing.T) {
	w := newWorld(t, mustParse(t, "smtp://127.0.0.1:1"), storetest.OpenSQLite(t))
	w.sendCode(t, "ada@example.org")
	for w.step(t) == "retry" {
		next, err := w.store.NextMail(t.Context())
		if err != nil || next.Sub(w.now()) > 20*time.Second {
			t.Fatalf("next try in %v, %v: a server that comes back waits at most 20 s", next.Sub(w.now()), err)
		}
		w.set(next)
	}
	w.idle(t)
}

// A crash between claim and delivery: the lease ends and another run delivers.
func TestCrashedRunIsTakenOver(t *testing.T) {
	dir, store := t.TempDir(), storetest.OpenSQLite(t)
	w := newWorld(t, mail.Files(dir), store)
	w.sendCode(t, "ada@example.org")
	if _, err := store.ClaimMail(t.Context(), "crashed", w.now(), mail.Lease); err != nil {
		t.Fatal(err)
	}
	w.idle(t)
	w.advance(mail.Lease + time.Second)
	if got := w.step(t); got != "sent" {
		t.Fatalf("outcome %q", got)
	}
}

func TestFilesSortByTimeAndAreWrittenOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	w := newWorld(t, mail.Files(dir), storetest.OpenSQLite(t))
	for range 3 {
		w.sendCode(t, "ada@example.org")
		w.step(t)
		w.advance(time.Second)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for i, e := range entries {
		if want := "20260102T03040" + string(rune('5'+i)); !strings.HasPrefix(e.Name(), want) {
			t.Errorf("file %d is %s, want prefix %s", i, e.Name(), want)
		}
		info, _ := e.Info()
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
		raw, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		if !strings.Contains(string(raw), "\n012-345") {
			t.Errorf("%s cannot be read as it is:\n%s", e.Name(), raw)
		}
		if m, err := mailtest.Read(raw); err != nil || m.Code() != "012345" || m.To != "ada@example.org" {
			t.Errorf("%s: %v %q to %q", e.Name(), err, m.Code(), m.To)
		}
	}
}

func TestS099Addresses(t *testing.T) {
	w := newWorld(t, mail.Files(t.TempDir()), storetest.OpenSQLite(t))
	for _, bad := range []string{"", "ada", "@x.org", "ada@", "a b@x.org", "ada@x.org>", "ada@x.org ORCPT=rfc822;eve@x.org", "ada@x.org\r\nBcc: eve@x.org",
		`"a b"@x.org`, "a@b@c", "ada@x.org,eve@x.org", strings.Repeat("a", 65) + "@x.org", "ada@" + strings.Repeat("x", 260), "ada\u0085@x.org"} {
		if err := w.Send(t.Context(), mail.Message{To: []string{bad}, Template: mail.Code}); !errors.Is(err, mail.ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// An odd address among good ones is left out.
	if err := w.Send(t.Context(), mail.Message{To: []string{"ada@x.org>", "ada@example.org"}, Template: mail.Code}); err != nil {
		t.Errorf("one good address of two: %v", err)
	}
	if got := w.step(t); got != "sent" {
		t.Errorf("the good one: %s", got)
	}
	for _, good := range []string{"ada@example.org", "a.b+c@localhost", "ñandú@example.org", "admin@localhost"} {
		if err := mail.CheckAddress(good); err != nil {
			t.Errorf("%q refused", good)
		}
	}
	w.idle(t)
}

// S082: data is shown, never obeyed.
func TestTemplatesEscapeData(t *testing.T) {
	evil := "<script>alert(1)</script>\r\nBcc: eve@x.org {{.code}} __code__ [code]"
	for _, name := range mail.Names() {
		data := map[string]string{"code": "111222", "minutes": "10", "name": evil, "url": "https://x.example/#/verify-email/abc", "subject": evil, "text": evil,
			"when": "now", "agent": evil, "address": "192.0.2.1"}
		subject, text, html, err := mail.Render(name, evil, true, data)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(subject, "\r\n") || strings.Contains(html, "<script") {
			t.Errorf("%s: subject %q html %q", name, subject, html)
		}
		if name != mail.Code && (strings.Contains(text, "111222") || strings.Contains(html, "111222")) {
			t.Errorf("%s: data was expanded", name)
		}
	}
	if _, _, _, err := mail.Render("none", "", true, nil); err == nil {
		t.Error("unknown template accepted")
	}
}

func TestParseNamesTheMistakeWithoutThePassword(t *testing.T) {
	for _, bad := range []string{"", "http://x", "smtp://", "smtp://u:topsecret@host:99999", "smtp://u:topsecret@host?starttls=maybe",
		"smtp://u:topsecret@host?foo=1", "smtp://u:topsecret@mail.example.org?starttls=none", "smtp://u:topsecret@host?ca=/does/not/exist",
		"smtp://u:top%zzsecret@host"} {
		_, err := mail.Parse(bad)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if got := mustParse(t, "smtps://u:p@mail.example.org").String(); got != "smtps://mail.example.org:465" {
		t.Error(got)
	}
	if err := mail.Check("nobody"); err == nil {
		t.Error("sender without a host accepted")
	}
	if err := mail.Check("ddpserver@localhost"); err != nil {
		t.Error(err)
	}
}

// A server that hangs must not hold the outbox for longer than one attempt.
func TestShutdownInterruptsAHangingServer(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	srv := mailtest.Start(t, mailtest.Options{Data: func(string) error {
		close(entered)
		<-release
		return io.ErrUnexpectedEOF
	}})
	w := newWorld(t, mustParse(t, srv.URL()), storetest.OpenSQLite(t))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	w.sendCode(t, "ada@example.org")
	<-entered
	cancel()
	<-done
	close(release)
	// The mail is back in the outbox and due at once, so the attempt did not end by
	// its own time limit: after that the mail would wait.
	if _, err := w.store.ClaimMail(t.Context(), "next", w.now(), mail.Lease); err != nil {
		t.Errorf("mail lost at shutdown: %v", err)
	}
}
