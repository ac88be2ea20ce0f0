package mail_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/mail"
	"ddpserver/internal/mail/mailtest"
	"ddpserver/internal/store/storetest"
)

func (w *world) sendAs(t *testing.T, c mail.Class, to string) error {
	t.Helper()
	m := mail.Message{To: []string{to}, Template: mail.Code, Class: c, Data: map[string]string{"code": "012345"}}
	if c == mail.ClassStranger || c == mail.ClassLink {
		m.Template, m.Data = mail.Verify, map[string]string{"url": "https://example.org/"}
	}
	if c == mail.ClassNotice {
		m.Template, m.Data = mail.Notice, map[string]string{"subject": "s", "text": "t"}
	}
	return w.Send(t.Context(), m)
}

// The mail server is away and somebody fills one class, whichever: every other
// class still has the whole of its own room, and who does not fit is told so in
// words, not with an internal error (A20).
func TestA20EveryClassHasItsOwnRoom(t *testing.T) {
	for _, flooded := range mail.Classes() {
		t.Run(string(flooded), func(t *testing.T) {
			w := newWorld(t, mustParse(t, "smtp://127.0.0.1:1"), storetest.OpenSQLite(t))
			w.SetMax(100)
			full := 0
			for i := range 100 {
				err := w.sendAs(t, flooded, fmt.Sprintf("u%d@example.org", i))
				if f, ok := fault.From(err); err != nil && (!ok || f.ID() != "error-mail-queue-full" || !errors.Is(err, dberr.Exhausted) ||
					!strings.Contains(f.Reason, "Try again")) {
					t.Fatalf("refused with %v", err)
				}
				if err != nil {
					full++
				}
			}
			if room := w.Room(flooded); full != 100-room || room < 10 {
				t.Errorf("%d of 100 refused with room for %d", full, room)
			}
			if n := w.logs.FilterMessage("mail_queue_full").Len(); n != 1 {
				t.Errorf("%d records of %d refusals, want one a minute", n, full)
			}
			rooms := 0
			for _, c := range mail.Classes() {
				rooms += w.Room(c)
				if c == flooded {
					continue
				}
				for i := range w.Room(c) {
					if err := w.sendAs(t, c, "ada@example.org"); err != nil {
						t.Fatalf("%s %d of %d: %v", c, i, w.Room(c), err)
					}
				}
			}
			if rooms != 100 {
				t.Errorf("the classes have %d places of 100", rooms)
			}
		})
	}
}

// A link of which nobody says who asked for it must not take the room of others;
// a class that does not exist is a mistake in the program.
func TestClassOfATemplate(t *testing.T) {
	w := newWorld(t, mail.Files(t.TempDir()), storetest.OpenSQLite(t))
	for template, want := range map[string]mail.Class{
		mail.Code: mail.ClassCode, mail.Notice: mail.ClassNotice, mail.Verify: mail.ClassStranger, mail.Reset: mail.ClassStranger, mail.Enroll: mail.ClassStranger,
	} {
		if err := w.Send(t.Context(), mail.Message{To: []string{"ada@example.org"}, Template: template}); err != nil {
			t.Fatal(err)
		}
		it, err := w.store.ClaimMail(t.Context(), "x", w.now(), mail.Lease)
		if err != nil || it.Class != want {
			t.Errorf("%s: class %q, %v", template, it.Class, err)
		}
	}
	if err := w.Send(t.Context(), mail.Message{To: []string{"ada@example.org"}, Template: mail.Code, Class: "urgent"}); err == nil {
		t.Error("a made-up class was accepted")
	}
}

// One recipient of several found no place: the mail is accepted, since a code
// that is taken back after its copy went out would be a riddle.
func TestOneCopyIsEnough(t *testing.T) {
	w := newWorld(t, mail.Files(t.TempDir()), storetest.OpenSQLite(t))
	w.SetMax(5) // room for two codes
	w.sendCode(t, "a@example.org", "b@example.org", "c@example.org")
	if err := w.sendAs(t, mail.ClassCode, "d@example.org"); !errors.Is(err, mail.ErrQueueFull) {
		t.Errorf("a mail without any place: %v", err)
	}
}

// Codes are sent first, however late they came.
func TestA20CodesAreSentBeforeLinks(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, mail.Files(dir), storetest.OpenSQLite(t))
	classes := mail.Classes()
	for i, c := range slices.Backward(classes) {
		if err := w.sendAs(t, c, fmt.Sprintf("%d@example.org", i)); err != nil {
			t.Fatal(err)
		}
		w.advance(time.Second)
	}
	for i, c := range classes {
		if got := w.step(t); got != "sent" {
			t.Fatal(got)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v", files, err)
		}
		raw, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if m, err := mailtest.Read(raw); err != nil || m.To != fmt.Sprintf("%d@example.org", i) {
			t.Errorf("as number %d went the mail to %s, want that of class %s", i, m.To, c)
		}
		if err := os.Remove(files[0]); err != nil {
			t.Fatal(err)
		}
	}
}

// A server that starts with another key loses no waiting mail: with the right
// key again it goes out; only its own time ends it (A20).
func TestA20AMailThatCannotBeOpenedStays(t *testing.T) {
	store, dir := storetest.OpenSQLite(t), t.TempDir()
	right := newKey(t)
	sender := keyedWorld(t, right, mail.Files(dir), store)
	if err := sender.sendAs(t, mail.ClassLink, "ada@example.org"); err != nil {
		t.Fatal(err)
	}
	sender.sendCode(t, "ada@example.org") // good for ten minutes
	other := newWorld(t, mail.Files(dir), store)
	for range 2 {
		if got := other.step(t); got != "unreadable" {
			t.Fatalf("outcome %q", got)
		}
	}
	other.idle(t)
	if n := other.Unreadable(); n != 2 {
		t.Errorf("%d mails counted", n)
	}
	said := other.logs.FilterMessage("mail_unreadable").All()
	if len(said) != 2 || !strings.Contains(said[0].ContextMap()["hint"].(string), "ENCRYPTION_KEY") {
		t.Errorf("the log says %v", said)
	}
	// Tried again and again, told once. The code's time ends; the link stays.
	got, tries := map[string]int{}, 0
	for other.now().Before(sender.now().Add(time.Hour)) {
		next, err := store.NextMail(t.Context())
		if tries++; err != nil || next.IsZero() || tries > 50 {
			t.Fatalf("try %d, next at %v, %v: it must neither spin nor be forgotten", tries, next, err)
		}
		other.set(next)
		got[other.step(t)]++
	}
	if got["expired"] != 1 || got["unreadable"] < 10 || len(got) != 2 || other.Unreadable() != 1 {
		t.Errorf("outcomes %v, %d still waiting", got, other.Unreadable())
	}
	if n := other.logs.FilterMessage("mail_unreadable").Len(); n != 2 {
		t.Errorf("%d records, want one for each mail", n)
	}
	back := keyedWorld(t, right, mail.Files(dir), store)
	next, err := store.NextMail(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	back.set(next)
	if got := back.step(t); got != "sent" {
		t.Errorf("with the right key: %q", got)
	}
	other.set(next.Add(time.Hour))
	if other.Unreadable() != 0 {
		t.Error("a mail that another node sent is counted for ever")
	}
}
