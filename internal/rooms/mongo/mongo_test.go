package mongo_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/mongo"
	"ddpserver/internal/rooms/storetest"
	store "ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens the database of that URL.
func open(t testing.TB, url string) *mongo.Store {
	t.Helper()
	core, err := store.Open(t.Context(), url, store.Options{Parts: mongo.Parts()})
	if err != nil {
		t.Fatal(err)
	}
	return mongo.New(core)
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Store { return open(t, mongotest.Start(t)) })
}

// withDriver runs do with the bare driver.
func withDriver(t *testing.T, url string, do func(context.Context, *driver.Database) error) {
	t.Helper()
	client, err := driver.Connect(options.Client().ApplyURI(url))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	name, _, _ := strings.Cut(url[strings.LastIndex(url, "/")+1:], "?")
	if err := do(t.Context(), client.Database(name)); err != nil {
		t.Fatal(err)
	}
}

// A Rocket.Chat database has no keys of ours: they are filled in, and owners
// are counted from memberships.
func TestAdoptedRooms(t *testing.T) {
	url := mongotest.Start(t)
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	user := func(id string) bson.D { return bson.D{{Key: "_id", Value: id}, {Key: "username", Value: id}} }
	withDriver(t, url, func(ctx context.Context, db *driver.Database) error {
		_, err1 := db.Collection("rocketchat_room").InsertMany(ctx, []any{
			bson.D{{Key: "_id", Value: "GENERAL"}, {Key: "t", Value: "c"}, {Key: "name", Value: "general"}, {Key: "usersCount", Value: 2.0}, {Key: "msgs", Value: 1.0},
				{Key: "default", Value: true}, {Key: "ts", Value: now}, {Key: "_updatedAt", Value: now}, {Key: "customFields", Value: bson.D{{Key: "x", Value: 1}}}},
			bson.D{{Key: "_id", Value: "r2"}, {Key: "t", Value: "c"}, {Key: "name", Value: "General"}, {Key: "usersCount", Value: 0}, {Key: "msgs", Value: 0},
				{Key: "ts", Value: now}},
			bson.D{{Key: "_id", Value: "annbob"}, {Key: "t", Value: "d"}, {Key: "uids", Value: bson.A{"bob", "ann"}}, {Key: "usernames", Value: bson.A{"bob", "ann"}},
				{Key: "usersCount", Value: 2}, {Key: "msgs", Value: 0}},
		})
		_, err2 := db.Collection("rocketchat_subscription").InsertMany(ctx, []any{
			bson.D{{Key: "_id", Value: "s1"}, {Key: "rid", Value: "GENERAL"}, {Key: "t", Value: "c"}, {Key: "u", Value: user("ann")},
				{Key: "roles", Value: bson.A{"owner"}}, {Key: "open", Value: true}},
			bson.D{{Key: "_id", Value: "s2"}, {Key: "rid", Value: "GENERAL"}, {Key: "t", Value: "c"}, {Key: "u", Value: user("Bob")}, {Key: "open", Value: true}},
		})
		_, err3 := db.Collection("rocketchat_message").InsertMany(ctx, []any{
			bson.D{{Key: "_id", Value: "m1"}, {Key: "rid", Value: "GENERAL"}, {Key: "msg", Value: "old"}, {Key: "ts", Value: now}, {Key: "u", Value: user("ann")},
				{Key: "_updatedAt", Value: now},
				{Key: "md", Value: bson.A{bson.D{{Key: "type", Value: "PARAGRAPH"}}}}, {Key: "urls",
					Value: bson.A{bson.D{{Key: "url", Value: "https://x.org"}, {Key: "meta", Value: bson.D{}}}}},
				{Key: "attachments", Value: bson.A{bson.D{{Key: "text", Value: "card"}, {Key: "image_dimensions", Value: bson.D{{Key: "width", Value: 1}}}}}}},
			bson.D{{Key: "_id", Value: "h1"}, {Key: "rid", Value: "GENERAL"}, {Key: "msg", Value: "older"}, {Key: "ts", Value: now}, {Key: "_hidden", Value: true},
				{Key: "u", Value: user("ann")}},
		})
		return errors.Join(err1, err2, err3)
	})
	s := open(t, url)
	t.Cleanup(func() { _ = s.Close() })
	ctx := t.Context()
	if r, err := s.RoomByName(ctx, "general"); err != nil || r.ID != "GENERAL" && r.ID != "r2" {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := s.RoomByDirectKey(ctx, "ann,bob"); err != nil || r.ID != "annbob" {
		t.Errorf("%+v %v", r, err)
	}
	page, _, err := s.ListMembers(ctx, "GENERAL", 0, 10)
	if err != nil || len(page) != 2 || page[0].User.ID != "Bob" && page[0].User.ID != "ann" {
		t.Errorf("%+v %v", page, err)
	}
	list, err := s.History(ctx, rooms.HistoryQuery{RoomID: "GENERAL"})
	if err != nil || len(list) != 1 || list[0].Attachments[0].Text != "card" || list[0].URLs[0].URL != "https://x.org" {
		t.Errorf("%+v %v", list, err)
	}
	if _, _, err := s.RemoveMember(ctx, "GENERAL", "ann", false, now); !errors.Is(err, dberr.Conflict) {
		t.Errorf("the last owner left: %v", err)
	}
	if _, err := s.SetMemberRole(ctx, "GENERAL", "Bob", rooms.Owner, true, now); err != nil {
		t.Error(err)
	}
	if r, _, err := s.RemoveMember(ctx, "GENERAL", "ann", false, now); err != nil || r.Users != 1 || len(r.Owners) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	// What this program does not know stays.
	withDriver(t, url, func(ctx context.Context, db *driver.Database) error {
		raw, err := db.Collection("rocketchat_room").FindOne(ctx, bson.D{{Key: "_id", Value: "GENERAL"}}).Raw()
		if err == nil && raw.Lookup("customFields", "x").IsZero() {
			t.Error("customFields are gone")
		}
		return err
	})
}
