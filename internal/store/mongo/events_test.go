package mongo_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"ddpserver/internal/store/mongo"
	"ddpserver/internal/testwait"
)

// TestPollsReadLittle: a reader looks far back once a second at most, and no longer when
// nothing came for long; what is stamped before the newest event and seen late comes all the same.
func TestPollsReadLittle(t *testing.T) {
	t.Parallel()
	s, server, d := start(t, mongo.Options{})
	var mu sync.Mutex
	var from uint32
	server.Watch(func(command string, raw []byte) {
		if at, _, ok := bson.Raw(raw).Lookup("filter", "ts", "$gte").TimestampOK(); command == "find" && ok {
			mu.Lock()
			defer mu.Unlock()
			from = at
		}
	})
	_, cursor, err := s.EventsSince(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	got := map[string]int{}
	poll := func(append int) (newest, read uint32) {
		events, _ := made(n, n+append)
		if n += append; append > 0 {
			send(t, asked{s}, events)
		}
		news, next, err := s.EventsSince(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		newest = stampOf(t, cursor)
		for _, e := range news {
			got[e.ID]++
		}
		cursor = next
		mu.Lock()
		defer mu.Unlock()
		return newest, from
	}
	back := map[uint32]int{}
	testwait.Until(t, "looks over all of the window and over a part", func() bool {
		newest, read := poll(1)
		back[newest-read]++
		return back[5] > 1 && back[1] > 0
	})
	testwait.Until(t, "no more looks back", func() bool {
		newest, read := poll(0)
		return newest == read
	})
	poll(1)
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("ddpserver_events").InsertOne(ctx, bson.D{{Key: "_id", Value: "late"}, {Key: "kind", Value: "k"},
			{Key: "ts", Value: bson.Timestamp{T: stampOf(t, cursor) - 2, I: 1}}})
		return err
	})
	testwait.Until(t, "the late one", func() bool {
		poll(1)
		return got["late"] > 0
	})
	if len(got) != n+1 {
		t.Errorf("%d events of %d", len(got), n+1)
	}
	for id, times := range got {
		if times != 1 {
			t.Errorf("%s came %d times", id, times)
		}
	}
}

func stampOf(t *testing.T, cursor string) uint32 {
	t.Helper()
	text, _, _ := strings.Cut(cursor, ".")
	at, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(at)
}
