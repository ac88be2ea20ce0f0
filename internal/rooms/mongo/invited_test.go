package mongo_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/mongotest"
)

// Somebody who was asked into a room of Rocket.Chat and did not say yes is not in it,
// until somebody asks again; and who is muted is known by id, not by name alone.
func TestAdoptedProtection(t *testing.T) {
	url := mongotest.Start(t)
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	seat := func(id, user, name, role string, more ...bson.E) bson.D {
		return append(bson.D{{Key: "_id", Value: id}, {Key: "rid", Value: "secret"}, {Key: "t", Value: "p"}, {Key: "roles", Value: bson.A{role}},
			{Key: "u", Value: bson.D{{Key: "_id", Value: user}, {Key: "username", Value: name}}}, {Key: "open", Value: true}}, more...)
	}
	withDriver(t, url, func(ctx context.Context, db *driver.Database) error {
		_, err1 := db.Collection("rocketchat_room").InsertOne(ctx, bson.D{
			{Key: "_id", Value: "secret"}, {Key: "t", Value: "p"}, {Key: "name", Value: "secret"}, {Key: "usersCount", Value: 1}, {Key: "msgs", Value: 0},
			{Key: "ts", Value: now}, {Key: "_updatedAt", Value: now}, {Key: "muted", Value: bson.A{"Bob", "nobody"}},
		})
		_, err2 := db.Collection("rocketchat_subscription").InsertMany(ctx, []any{
			seat("s1", "ann", "ann", "owner"), seat("s2", "b1", "Bob", "moderator", bson.E{Key: "status", Value: "INVITED"}),
		})
		_, err3 := db.Collection("users").InsertOne(ctx, bson.D{{Key: "_id", Value: "b1"}, {Key: "username", Value: "Bob"}, {Key: "createdAt", Value: now}})
		return errors.Join(err1, err2, err3)
	})
	s, ctx := open(t, url), t.Context()
	t.Cleanup(func() { _ = s.Close() })
	r, err := s.RoomByID(ctx, "secret")
	if err != nil || len(r.MutedIDs) != 1 || r.MutedIDs[0] != "b1" {
		t.Errorf("%+v %v", r, err)
	}
	outside := func(when string) {
		t.Helper()
		_, one := s.Subscription(ctx, "secret", "b1")
		members, _, err1 := s.Members(ctx, "secret")
		page, total, err2 := s.ListMembers(ctx, "secret", 0, 10)
		ids, err3 := s.RoomIDsOf(ctx, "b1")
		of, err4 := s.SubscriptionsOf(ctx, "b1", time.Time{})
		in, err5 := s.SubscriptionsIn(ctx, "secret", []string{"ann", "b1"})
		officers, err6 := s.MembersWithRole(ctx, "secret")
		if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
			t.Fatal(err)
		}
		lists := []int{len(members), len(page), total, len(ids), len(of), len(in), len(officers)}
		if !errors.Is(one, dberr.NotFound) || !slices.Equal(lists, []int{1, 1, 1, 0, 0, 1, 1}) {
			t.Errorf("%s: %v; %v", when, one, lists)
		}
	}
	outside("at the start")
	m := &rooms.Message{ID: "m1", RoomID: "secret", Text: "@Bob", TS: now, UpdatedAt: now, User: rooms.Ref{ID: "ann", Username: "ann"}}
	_, touched, err := s.InsertMessage(ctx, m, rooms.Unread{Users: []string{"b1"}, CountAll: true})
	if err != nil || len(touched) != 0 {
		t.Errorf("a message moved the counters of %v: %v", touched, err)
	}
	if _, _, err := s.RemoveMember(ctx, "secret", "b1", false, now); !errors.Is(err, dberr.NotFound) {
		t.Errorf("removed: %v", err)
	}
	if _, err := s.SetMemberRole(ctx, "secret", "b1", rooms.Owner, true, now); !errors.Is(err, dberr.NotFound) {
		t.Errorf("given a role: %v", err)
	}
	if _, _, err := s.ChangeSubscription(ctx, "secret", "b1", rooms.SubscriptionChange{Read: true, At: now}); !errors.Is(err, dberr.NotFound) {
		t.Errorf("marked as read: %v", err)
	}
	outside("after all that")
	bob := &rooms.Subscription{ID: "s3", RoomID: "secret", Type: "p", User: rooms.Ref{ID: "b1", Username: "Bob"}, UserKey: "bob", TS: now, UpdatedAt: now}
	if _, err := s.AddMember(ctx, bob); err != nil {
		t.Error(err)
	}
	if got, err := s.Subscription(ctx, "secret", "b1"); err != nil || got.ID != "s3" || len(got.Roles) != 0 {
		t.Errorf("asked again: %+v %v", got, err)
	}
}
