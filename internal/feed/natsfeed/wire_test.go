package natsfeed

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ddpserver/internal/feed"
	"ddpserver/internal/feed/feedtest"
)

// drawEvents draws events with any fields.
func drawEvents(t *rapid.T) (events []feed.Event, batch []byte) {
	for range rapid.IntRange(0, 20).Draw(t, "events") {
		bytes := rapid.SliceOfN(rapid.Byte(), 0, 40)
		text := func(name string) string { return string(bytes.Draw(t, name)) }
		e := feed.Event{ID: text("id"), Node: text("node"), Kind: text("kind"), Key: text("key"), Version: rapid.Int().Draw(t, "version"),
			At: time.UnixMilli(rapid.Int64().Draw(t, "at")).UTC()}
		if body := bytes.Draw(t, "body"); len(body) > 0 {
			e.Body = body
		}
		events, batch = append(events, e), appendEvent(batch, e)
	}
	return events, batch
}

// What is read from a batch is what it was made of, and a part of one is refused or is
// a beginning of it.
func TestBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events, batch := drawEvents(t)
		got, err := decodeBatch(batch)
		if err != nil || !reflect.DeepEqual(got, events) {
			t.Fatalf("sent %+v, got %+v, %v", events, got, err)
		}
		cut := batch[:rapid.IntRange(0, len(batch)).Draw(t, "length")]
		if got, err := decodeBatch(cut); len(got) > 0 && !reflect.DeepEqual(got, events[:len(got)]) || err != nil && got != nil {
			t.Fatalf("read %+v, %v from the beginning of %+v", got, err, events)
		}
	})
	most := bytes.Repeat(appendEvent(nil, feed.Event{}), maxEvents)
	if got, err := decodeBatch(most); err != nil || len(got) != maxEvents {
		t.Errorf("%d events, %v", len(got), err)
	}
	if got, err := decodeBatch(append(most, most...)); !errors.Is(err, errDamaged) || got != nil {
		t.Errorf("%d events, %v", len(got), err)
	}
}

// Subjects are short, are made of what NATS takes as it is, and are the same for the same
// kind and key only.
func TestSubjects(t *testing.T) {
	key := newKey(t)
	seen := map[string]string{}
	r := newRing(key, "chat")
	texts := []string{"", "a", "A", "a.b", "a b", "*", ">", "a\r\nPUB x 0", "stream-notify-user/u/e", strings.Repeat("k", 1<<20), "\xff", "account-changed",
		strings.Repeat("k", maxToken), strings.Repeat("k", maxToken+1), "urgent", "missing"}
	for _, kind := range texts {
		for _, about := range texts {
			s := r.subject(feed.Event{Kind: kind, Key: about})
			if before, twice := seen[s]; twice || len(s) > 200 || strings.Count(s, ".") != 5 || strings.ContainsAny(s, " \t\r\n*>") || strings.Contains(s, "..") {
				t.Errorf("%q of %.30q and %.30q; also of %.70q", s, kind, about, before)
			}
			seen[s] = kind + " " + about
		}
	}
	if s := r.subject(feedtest.Events("n1", 0, 1)[0]); !strings.Contains(s, ".other.note.") || !strings.HasPrefix(s, "ddpserver.chat.") {
		t.Errorf("people read nothing in %q", s)
	}
	if again := newRing(key, "chat"); again.prefix != r.prefix {
		t.Error("nodes with one key and database have two prefixes")
	}
	for name, other := range map[string]ring{"key": newRing(newKey(t), "chat"), "database": newRing(key, "chat 2"), "name": newRing(key, "chat.2")} {
		if other.prefix == r.prefix || strings.Count(other.prefix, ".")+1 != prefixTokens {
			t.Errorf("another %s has the prefix %q", name, other.prefix)
		}
	}
}

// FuzzBatch feeds arbitrary batches to the decoder: it refuses them, or comes to events
// that say the same when they are sent on, and needs no more memory than they are worth.
func FuzzBatch(f *testing.F) {
	var batch []byte
	for _, e := range feedtest.Events("n1", 0, 3) {
		batch = appendEvent(batch, e)
	}
	f.Add(batch)
	f.Add(batch[:len(batch)-1])
	f.Add([]byte{})
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add(make([]byte, 7*(maxEvents+1)))
	f.Fuzz(func(t *testing.T, batch []byte) {
		events, err := decodeBatch(batch)
		if err != nil {
			if events != nil {
				t.Fatalf("%d events beside %v", len(events), err)
			}
			return
		}
		var again []byte
		for _, e := range events {
			again = appendEvent(again, e)
		}
		if len(events) > maxEvents || len(again) > len(batch) {
			t.Fatalf("%d events of %d bytes became %d bytes", len(events), len(batch), len(again))
		}
		if second, err := decodeBatch(again); err != nil || !reflect.DeepEqual(second, events) {
			t.Fatalf("read %+v, sent on and read as %+v, %v", events, second, err)
		}
	})
}
