package methods_test

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/accounts"
	roommongo "ddpserver/internal/rooms/mongo"
	"ddpserver/internal/rpc"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/trail"
	trailmongo "ddpserver/internal/trail/mongo"
)

// A login reads the account once, through each door: whoever is asked for a password is
// found by name and bound to what the change that made the token returned, and the read
// that finds a token is the proof that it is alive.
func TestLoginReadsTheAccountOnce(t *testing.T) {
	door := func(name string, want []string, login func(t *testing.T, w *world, c *client)) {
		t.Run(name, func(t *testing.T) {
			db := &testkit.Watched{Store: testkit.OpenStore(t)}
			onStore(t, db, func(t *testing.T, w *world) {
				w.Unlimited()
				w.User("ada", "email2fa")
				w.User("bob")
				c := w.Connect()
				before := w.As("bob")
				if fail := before.Sub("s", "stream-notify-user", before.World.Vars["bob"]+"/message", false); fail != nil {
					t.Fatal(fail.Code())
				}
				before.Close()
				db.Take()
				login(t, w, c)
				if got := db.Take(); !slices.Equal(got, want) {
					t.Errorf("%v, want %v", got, want)
				}
			})
		})
	}
	byName := func(name string) map[string]any {
		return map[string]any{"user": map[string]any{"username": name}, "password": testkit.PasswordOf(name)}
	}
	door("password", []string{"UserByUsername", "AddToken"}, func(_ *testing.T, _ *world, c *client) { c.Must("login", byName("bob")) })
	door("password, by address", []string{"UserByEmail", "AddToken"}, func(_ *testing.T, _ *world, c *client) {
		c.Must("login", map[string]any{"user": map[string]any{"email": "bob@example.com"}, "password": testkit.PasswordOf("bob")})
	})
	// Each of the two calls finds the account by its name.
	door("password and code", []string{"UserByUsername", "UserByUsername", "AddToken"}, func(_ *testing.T, w *world, c *client) {
		c.Refused("totp-required", "login", byName("ada"))
		c.Must("login", map[string]any{"totp": map[string]any{"login": byName("ada"), "code": w.Mails.Last()}})
	})
	door("resume", []string{"UserByToken"}, func(t *testing.T, w *world, c *client) {
		c.Must("login", map[string]any{"resume": issued(t, w, "bob")})
	})
	door("resume, with a subscription", []string{"UserByToken"}, func(t *testing.T, w *world, c *client) {
		c.Stream("stream-notify-all", "public-settings-changed")
		c.Must("login", map[string]any{"resume": issued(t, w, "bob")})
	})
	door("personal access token", []string{"UserByToken"}, func(t *testing.T, w *world, c *client) {
		bob, err := w.Store.(*testkit.Watched).Store.UserByID(t.Context(), w.Vars["bob"])
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.Accounts.GenerateToken(t.Context(), &rpc.Peer{}, bob, "ci", false, accounts.TokenLimits{})
		if err != nil {
			t.Fatal(err)
		}
		w.Store.(*testkit.Watched).Take()
		c.Must("login", map[string]any{"resume": token})
	})
	// The router reads the caller of every call, the exchange looks at the old token, and
	// the session that is logged in already is shown its account as it is after the news.
	door("exchange", []string{"UserByToken", "UserByID", "UserByID", "AddToken", "UserByID"}, func(t *testing.T, w *world, c *client) {
		c.Must("login", map[string]any{"resume": issued(t, w, "bob")})
		c.Must("getNewToken")
	})
}

// issued is a login token of an account, made beside what the test counts.
func issued(t *testing.T, w *world, name string) string {
	t.Helper()
	db := w.Store.(*testkit.Watched)
	u, err := db.Store.UserByID(t.Context(), w.Vars[name])
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Accounts.IssueToken(t.Context(), &rpc.Peer{}, u, "password")
	if err != nil {
		t.Fatal(err)
	}
	db.Take()
	return got.Token
}

// onStore runs f in fake time with a world on that store.
func onStore(t *testing.T, db testkit.Store, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newNode(t, "n1", db, nil, nil)) })
}

// On MongoDB each read is a round trip to a server: a login over an old connection
// costs the look-up of its token and nothing more, and one with a password the look-up,
// its counts, the token and the note of where it came from.
func TestLoginRoundTripsOnMongoDB(t *testing.T) {
	var later atomic.Int64
	db, server := openMongo(t, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	w := newNode(t, "n1", db, nil, nil)
	w.Unlimited()
	w.User("bob")
	c := w.As("bob")
	var mu sync.Mutex
	finds := map[string]int{}
	server.Watch(func(command string, doc []byte) {
		mu.Lock()
		defer mu.Unlock()
		if collection, _ := bson.Raw(doc).Lookup(command).StringValueOK(); collection == "users" {
			finds[command]++
		}
	})
	for name, do := range map[string]struct {
		login func(c *client)
		want  map[string]int
	}{
		"resume": {func(again *client) { again.Resume(c) }, map[string]int{"find": 1}},
		// The change that makes the token looks at the account itself.
		"password": {func(again *client) { again.Login("bob") }, map[string]int{"find": 2, "update": 1}},
	} {
		again := w.Connect()
		later.Add(int64(time.Minute)) // nothing is remembered of what was written before
		c.Close()                     // somebody who is shown the account reads it at its news
		mu.Lock()
		finds = map[string]int{}
		mu.Unlock()
		do.login(again)
		mu.Lock()
		if !maps.Equal(finds, do.want) {
			t.Errorf("%s: %v, want %v", name, finds, do.want)
		}
		mu.Unlock()
		again.Close()
	}
}

// openMongo is an empty store on the MongoDB server of the tests.
func openMongo(t testing.TB, now func() time.Time) (testkit.Store, *mongotest.Server) {
	t.Helper()
	server := mongotest.StartServer(t)
	return openMongoAt(t, server.URI(), now), server
}

// openMongoAt opens the store of one node on a database that others may have open too.
func openMongoAt(t testing.TB, url string, now func() time.Time) testkit.Store {
	t.Helper()
	s, err := mongo.Open(t.Context(), url, mongo.Options{Parts: append(roommongo.Parts(), trailmongo.Parts()...), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	type withRooms = roommongo.Store
	return &struct {
		*withRooms
		trail.Store
	}{roommongo.New(s), trailmongo.New(s)}
}
