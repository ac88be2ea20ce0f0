package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/feed"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
)

// An event that another version of this program wrote in another form holds up
// nothing: it is handed out without what cannot be read of it.
func TestEventsOfOtherForms(t *testing.T) {
	d := database{t.TempDir()}
	s := d.Open(t)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	_, cursor, err := s.EventsSince(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(d.dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, doc := range []bson.D{
		{{Key: "_id", Value: "before versions"}, {Key: "node", Value: "n"}, {Key: "kind", Value: "stream"}, {Key: "key", Value: "k"},
			{Key: "data", Value: bson.A{"[1]"}}},
		{{Key: "_id", Value: "odd"}, {Key: "kind", Value: bson.A{1}}, {Key: "version", Value: "two"}},
	} {
		raw, err := document.Encode(doc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), `INSERT INTO events (at, doc) VALUES (?, ?)`, time.Now().UnixMilli(), []byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AppendEvents(t.Context(), []feed.Event{
		{ID: "now", Node: "n", Kind: "kind", Key: "k", Version: 1, Body: []byte("{}"), At: time.Now()},
	}); err != nil {
		t.Fatal(err)
	}
	events, _, err := s.EventsSince(t.Context(), cursor)
	if err != nil || len(events) != 3 {
		t.Fatalf("got %v, %v", events, err)
	}
	if e := events[0]; e.Kind != "stream" || e.Version != 0 || e.ID != "before versions" {
		t.Errorf("from before versions: %+v", e)
	}
	if _, err := feed.Stream.Payload(events[0]); err == nil {
		t.Error("an event from before versions was read")
	}
	if e := events[1]; e.ID == "" || e.Kind != "" {
		t.Errorf("of another form: %+v", e)
	}
	if events[2].ID != "now" {
		t.Errorf("the last is %+v", events[2])
	}
}
