// Package storetest is the conformance suite of the rooms' half of a store, and
// the place where tests get one: the real embedded store in a temporary
// directory.
//
// It is test code: nothing of it is linked into the program.
package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/sqlite"
	"ddpserver/internal/store"
	core "ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

// Store is a store of the core with its half for rooms.
type Store interface {
	store.Store
	rooms.Store
}

// OpenSQLite opens an empty embedded store that ends with the test.
func OpenSQLite(t testing.TB) *sqlite.Store {
	t.Helper()
	return sqlite.New(core.OpenSQLite(t, sqlite.Schemas()...))
}

// Run runs the suite of rooms, memberships, messages and presence. Every group
// gets a fresh, empty store, which is closed at its end.
func Run(t *testing.T, fresh func(t testing.TB) Store) {
	for _, p := range []struct {
		name string
		run  func(t *testing.T, s Store)
	}{
		{"Rooms", testRooms}, {"Members", testMembers}, {"Owners", testOwners}, {"Subscriptions", testSubscriptions},
		{"Messages", testMessages}, {"Unread", testUnread}, {"History", testHistory}, {"Edits", testEdits},
		{"Reactions", testReactions}, {"Deletes", testDeletes}, {"Presence", testPresence}, {"Races", testChatRaces},
		{"Model", testModel}, {"Interleavings", testInterleavings}, {"OwnersComeAndGo", testOwnersComeAndGo}, {"Renames", testRenames},
		{"RoomChanges", testRoomChanges}, {"Erased", testErased}, {"Muted", testMuted}, {"Blocked", testBlocked},
		{"Files", testFiles}, {"Hooks", testHooks}, {"FileRaces", testFileRaces},
		{"Threads", testThreads}, {"Invites", testInvites}, {"InviteRaces", testInviteRaces}, {"Reports", testReports},
	} {
		t.Run(p.name, func(t *testing.T) {
			s := fresh(t)
			t.Cleanup(func() { ok(t, s.Close()) })
			p.run(t, s)
		})
	}
}

// epoch is "now" in tests that need none. It lies far ahead, or a store that
// forgets by its own clock (a TTL index) would forget what a test has written.
var epoch = time.Date(2126, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

func ptr[T any](v T) *T { return &v }

func must[T any](t testing.TB) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

// ok fails the test on an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails fails the test unless err is want.
func fails(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// create makes an account with that name and id.
func create(t testing.TB, s Store, id string) {
	t.Helper()
	ok(t, s.CreateUser(t.Context(), &user.User{ID: id, CreatedAt: epoch, Username: id, Roles: []string{"user"}, Type: "user"}))
}

// equal compares what a store gave with what it was given.
func equal(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(rooms.Message{}),
		cmp.AllowUnexported(rooms.Attachment{}, rooms.AttachmentField{})); diff != "" {
		t.Errorf("not what was written (-want +got):\n%s", diff)
	}
}
