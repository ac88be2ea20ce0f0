package methods_test

import (
	"context"
	"errors"
	"fmt"
	neturl "net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/testwait"
	"ddpserver/internal/user"
)

// runBase follows the marks of a node's store until the test ends.
func runBase(t testing.TB, w *world) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Base.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// S061, S109: three nodes on MongoDB whose events are all lost. What one ends, the sweep
// after the next one has ended on both others: time is counted in sweeps, since
// machines differ.
func TestMongoSweepsEndSessionsWhereNoEventArrives(t *testing.T) {
	server := mongotest.StartServer(t)
	url, key := server.URI(), secret.Generate()
	var nodes []*world
	for _, name := range []string{"n1", "n2", "n3"} {
		db := openMongoAt(t, url, nil)
		w := newNode(t, name, db, key, lossy{db})
		w.Unlimited()
		runBase(t, w)
		nodes = append(nodes, w)
	}
	var sweeps atomic.Int64
	server.Watch(func(command string, doc []byte) {
		if c, _ := bson.Raw(doc).Lookup(command).StringValueOK(); command == "find" && c == "ddpserver_marks" {
			sweeps.Add(1)
		}
	})
	n1 := nodes[0]
	root := n1.User("root", "role=admin")
	n1.User("eve", "role=admin")
	calm := nodes[2].As("eve")
	// An account that changed and could not be removed is marked twice; that stops no sweep.
	if _, err := n1.Store.UpdateUser(t.Context(), n1.Vars["eve"], user.Change{Roles: &[]string{"admin", "user"}, At: root.UpdatedAt}); err != nil {
		t.Fatal(err)
	}
	if err := n1.Store.DeleteUser(t.Context(), n1.Vars["eve"], false); !errors.Is(err, dberr.Conflict) {
		t.Fatalf("removing an administrator: %v", err)
	}
	for name, end := range map[string]func(u *user.User) error{
		"sessions": func(u *user.User) error { return n1.Accounts.LogoutUser(t.Context(), &rpc.Peer{}, root, u.ID, "") },
		"active":   func(u *user.User) error { return n1.Accounts.SetActive(t.Context(), &rpc.Peer{}, root, u.ID, false) },
		"deleted":  func(u *user.User) error { return n1.Accounts.DeleteUser(t.Context(), &rpc.Peer{}, root, u.ID) },
		"tokens": func(u *user.User) error {
			_, err := n1.Store.UpdateUser(t.Context(), u.ID, user.Change{RemoveTokens: true, At: u.UpdatedAt})
			return err
		},
	} {
		u := n1.User(name)
		c, d := nodes[1].As(name), nodes[2].As(name)
		begin := sweeps.Load()
		if err := end(u); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !c.Closed(testwait.Limit) || !d.Closed(testwait.Limit) {
			t.Fatalf("%s: a session is still open", name)
		}
		// Each node may have one under way that began before, and end one that finds it.
		if n := sweeps.Load() - begin; n > 3*int64(len(nodes)) {
			t.Errorf("%s: the sessions ended after %d sweeps of %d nodes", name, n, len(nodes))
		}
	}
	if _, fail := calm.Call("getServerInfo"); fail != nil {
		t.Errorf("somebody else: %s", fail.Code())
	}
	roles := []string{"user"}
	if fail := calm.Sub("s", "stream-notify-logged", "private-settings-changed", false); fail != nil {
		t.Fatal(fail.Code())
	}
	if _, err := n1.Store.UpdateUser(t.Context(), n1.Vars["eve"], user.Change{Roles: &roles, At: root.UpdatedAt}); err != nil {
		t.Fatal(err)
	}
	for !slices.ContainsFunc(calm.Other, func(f testkit.Frame) bool { return f.Msg == "nosub" }) {
		calm.Other = append(calm.Other, calm.Read())
	}
}

// Whatever changes counts on a node that no event reaches also where the database stamps
// all that happens for a while alike: a second change of an account whose first one was
// found, a removal, and settings that are saved again.
func TestMongoSweepsWhereStampsAreAlike(t *testing.T) {
	server := mongotest.StartServer(t, mongotest.Coarse(24*time.Hour))
	url, key := server.URI(), secret.Generate()
	db1, db2 := openMongoAt(t, url, nil), openMongoAt(t, url, nil)
	n1, n2 := newNode(t, "n1", db1, key, lossy{db1}), newNode(t, "n2", db2, key, lossy{db2})
	n1.Unlimited()
	n2.Unlimited()
	runBase(t, n2)
	root := n1.User("root", "role=admin")
	for name, end := range map[string]func(u *user.User) error{
		"tokens": func(u *user.User) error {
			_, err := n1.Store.UpdateUser(t.Context(), u.ID, user.Change{RemoveTokens: true, At: u.UpdatedAt})
			return err
		},
		"deleted": func(u *user.User) error { return n1.Accounts.DeleteUser(t.Context(), &rpc.Peer{}, root, u.ID) },
	} {
		u := n1.User(name, "role=admin")
		c := listens(t, n2.As(name), "stream-notify-logged private-settings-changed")
		if _, err := n1.Store.UpdateUser(t.Context(), u.ID, user.Change{Roles: &[]string{"user"}, At: u.UpdatedAt}); err != nil {
			t.Fatal(err)
		}
		for c.Read().Msg != "nosub" { // the first change was found
		}
		if err := end(u); err != nil {
			t.Fatal(err)
		}
		if !c.Closed(testwait.Limit) {
			t.Fatalf("%s: a session is still open", name)
		}
	}
	for _, calls := range []string{"getServerInfo", "", "getServerInfo"} {
		n1.Set(settings.TwoFactorProtectedCalls, calls)
		testwait.Until(t, "the settings to count", func() bool { return n2.Settings.String(settings.TwoFactorProtectedCalls) == calls })
	}
}

// What nobody can read harms nothing else. An account whose document is broken has no
// sessions any more, with one more read for it and none for those beside it; a broken
// setting is told once and keeps no other from counting on every node.
func TestMongoSweepsMeetWhatIsBroken(t *testing.T) {
	server := mongotest.StartServer(t)
	url, key := server.URI(), secret.Generate()
	db1, db2 := openMongoAt(t, url, nil), openMongoAt(t, url, nil)
	n1, n2 := newNode(t, "n1", db1, key, lossy{db1}), newNode(t, "n2", db2, key, lossy{db2})
	n1.Unlimited()
	n2.Unlimited()
	client, err := driver.Connect(options.Client().ApplyURI(url))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	where, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	other := client.Database(strings.TrimPrefix(where.Path, "/"))
	sessions := map[string]*testkit.Client{}
	for i := range 40 {
		name := fmt.Sprint("u", i)
		n1.User(name)
		sessions[name] = n2.As(name)
	}
	var single atomic.Int64 // reads of one account
	server.Watch(func(command string, doc []byte) {
		raw := bson.Raw(doc)
		_, one := raw.Lookup("filter", "_id").StringValueOK()
		if c, _ := raw.Lookup(command).StringValueOK(); command == "find" && c == "users" && one {
			single.Add(1)
		}
	})
	now := bson.D{{Key: "ddpMark", Value: bson.D{{Key: "$type", Value: "timestamp"}}}}
	harm := bson.D{{Key: "$set", Value: bson.D{{Key: "username", Value: 5}}}, {Key: "$currentDate", Value: now}}
	if _, err := other.Collection("users").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: n1.Vars["u7"]}}, harm); err != nil {
		t.Fatal(err)
	}
	for _, id := range []any{settings.SiteName, bson.D{{Key: "odd", Value: 1}}} {
		odd := bson.D{{Key: "_updatedAt", Value: "today"}}
		stored := other.Collection("rocketchat_settings")
		if _, err := stored.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: id}}, odd, options.Replace().SetUpsert(true)); err != nil {
			t.Fatal(err)
		}
	}
	for name := range sessions { // every account is read anew, all with one command
		if name != "u7" {
			roles := []string{"user", "bot"}
			if _, err := n1.Store.UpdateUser(t.Context(), n1.Vars[name], user.Change{Roles: &roles, At: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	single.Store(0)
	runBase(t, n2)
	if !sessions["u7"].Closed(testwait.Limit) {
		t.Error("the session of an account that nobody can read is open")
	}
	if n := single.Load(); n < 1 || n > 10 {
		t.Errorf("%d accounts were read alone", n)
	}
	if _, fail := n2.Connect().Call("login", map[string]any{"resume": sessions["u7"].Token}); fail == nil {
		t.Error("it is logged in again")
	}
	n1.Set(settings.TwoFactorProtectedCalls, "getServerInfo")
	testwait.Until(t, "the settings to count", func() bool { return n2.Settings.String(settings.TwoFactorProtectedCalls) != "" })
	for name, c := range sessions {
		if name != "u7" && c.Closed(0) {
			t.Errorf("the session of %s was closed", name)
		}
	}
}
