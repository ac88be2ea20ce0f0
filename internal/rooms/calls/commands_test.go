package calls_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/accounts"
	"ddpserver/internal/feed"
	"ddpserver/internal/rooms"
	roommongo "ddpserver/internal/rooms/mongo"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/trail"
	trailmongo "ddpserver/internal/trail/mongo"
	"ddpserver/internal/user"
)

// commandsIn reads the table of commands in docs/performance.md: what is done, and how
// many commands the database gets for it.
func commandsIn(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile("../../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)\n## Commands of the database\n.*?\n## `).Find(text)
	out := map[string]int{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| (\d+) \|`).FindAllSubmatch(table, -1) {
		n, err := strconv.Atoi(string(row[2]))
		if err != nil {
			t.Fatal(err)
		}
		out[string(row[1])] = n
	}
	return out
}

// counter counts the commands that a server gets, by their names and collections.
type counter struct {
	mu     sync.Mutex
	all    int
	byName map[string]int
}

func (c *counter) see(command string, doc []byte) {
	collection, _ := bson.Raw(doc).Lookup(command).StringValueOK()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]int{}
	}
	c.all++
	c.byName[command+" "+collection]++
}

func (c *counter) take() (all int, byName map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, byName = c.all, c.byName
	c.all, c.byName = 0, nil
	return all, byName
}

// TestCommandsOfCalls: the number of commands of each call is the one that
// docs/performance.md says, so that neither the calls nor the document drift.
func TestCommandsOfCalls(t *testing.T) {
	want := commandsIn(t)
	begin := time.Now()
	var later atomic.Int64
	server := mongotest.StartServer(t)
	db, err := mongo.Open(t.Context(), server.URI(), mongo.Options{
		Parts: append(roommongo.Parts(), trailmongo.Parts()...),
		// It stands still within a call: a slow machine remembers as long as a quick one.
		Now: func() time.Time { return begin.Add(time.Duration(later.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	type withRooms = roommongo.Store
	w := testkit.NewWorld(t, testkit.Options{Store: &struct {
		*withRooms
		trail.Store
	}{roommongo.New(db), trailmongo.New(db)}})
	w.Unlimited()
	root := w.User("root", "role=admin")
	w.User("ada", "email2fa")
	w.User("bob")
	bob, ada := w.As("bob"), &testkit.Client{}
	var seen counter
	server.Watch(seen.see)
	idle := func() { // returns when nothing is read for listeners any more
		over, end := context.WithCancel(t.Context())
		end()
		_ = w.Hub.Run(over)
	}
	row := func(what string, do func()) {
		t.Helper()
		later.Add(int64(time.Minute)) // nothing is remembered of what was written before
		idle()
		seen.take()
		do()
		idle()
		n, byName := seen.take()
		if n != want[what] {
			t.Errorf("%s: %d commands, and docs/performance.md says %d: %v", what, n, want[what], byName)
		}
		delete(want, what)
	}
	login := map[string]any{"user": map[string]any{"username": "ada"}, "password": testkit.PasswordOf("ada")}
	c := w.Connect()
	row("login with a password", func() { w.Connect().Login("bob") })
	row("login with a token", func() { w.Connect().Resume(bob) })
	row("login that asks for a code by mail", func() { c.Refused("totp-required", "login", login) })
	row("login with the code", func() {
		ada = c
		raw := ada.Must("login", map[string]any{"totp": map[string]any{"login": login, "code": w.Mails.Last()}})
		ada.Token = testkit.Unmarshal[struct{ Token string }](t, raw).Token
	})
	w.Set(settings.TwoFactorProtectedCalls, "getServerInfo")
	row("call that is refused until a code is given", func() { ada.Refused("totp-required", "getServerInfo") })
	row("call with the code", func() {
		ada.Must("getServerInfo", map[string]any{"twoFactorCode": w.Mails.Last(), "twoFactorMethod": "email"})
	})
	row("protected call while the factor is remembered", func() { ada.Must("getServerInfo") })
	w.Set(settings.TwoFactorProtectedCalls, "")
	row("call of somebody who is logged in", func() { ada.Must("getServerInfo") })
	for _, n := range []int{5, 500, 5000} {
		if raced && n > 500 {
			delete(want, fmt.Sprintf("first message to a room of %d", n))
			delete(want, fmt.Sprintf("message to a room of %d", n))
			continue
		}
		say := map[string]any{"rid": channelOf(t, w, n), "msg": "hello"}
		row(fmt.Sprintf("first message to a room of %d", n), func() { bob.Must("sendMessage", say) })
		row(fmt.Sprintf("message to a room of %d", n), func() { bob.Must("sendMessage", say) })
	}
	asked := testkit.Unmarshal[struct {
		ID string `json:"_id"`
	}](t, bob.Must("sendMessage", map[string]any{"rid": "room500", "msg": "who?"})).ID
	reply := map[string]any{"rid": "room500", "msg": "I", "tmid": asked}
	row("first answer in a thread, in a room of 500", func() { bob.Must("sendMessage", reply) })
	row("answer in a thread, in a room of 500", func() { bob.Must("sendMessage", reply) })
	other := channelOf(t, w, 20)
	row("join a room", func() { ada.Must("joinRoom", other) })
	row("leave a room", func() { ada.Must("leaveRoom", other) })
	again := w.Connect().Resume(bob)
	var last string
	for i := range 50 {
		last = testkit.Unmarshal[struct{ RID string }](t, ada.Must("createChannel", fmt.Sprint("own", i), []string{"bob"})).RID
		for _, c := range []*testkit.Client{bob, again} {
			c.Stream("stream-room-messages", last)
			c.Stream("stream-notify-room", last+"/user-activity")
			c.Stream("stream-notify-room", last+"/deleteMessage")
		}
	}
	row("removal of somebody who listens to 50 rooms in two sessions", func() {
		ada.Must("removeUserFromRoom", map[string]any{"rid": last, "username": "bob"})
	})
	row("other roles for somebody who listens to 50 rooms in two sessions", func() {
		roles := []string{"user", "bot"}
		if _, err := w.Accounts.UpdateUser(t.Context(), &rpc.Peer{}, root, w.Vars["bob"], accounts.UserChange{Roles: &roles}); err != nil {
			t.Fatal(err)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	again.Stream("stream-notify-logged", "user-status")
	told := func(ids ...string) { // after everything else that the presence of accounts costs
		for len(ids) > 0 {
			f := again.Event()
			ids = slices.DeleteFunc(ids, func(id string) bool { return strings.Contains(f.Text, `"user-status"`) && strings.Contains(f.Text, id) })
		}
	}
	running.Go(func() { _ = w.Presence.Run(ctx) })
	told(w.Vars["ada"], w.Vars["bob"])
	row("presence of an account that connects", func() {
		w.Presence.Connected(root.ID, "a")
		told(root.ID)
	})
	stop()
	running.Wait()
	for what, do := range partsOfQuiet(db, roommongo.New(db)) {
		row(what, func() {
			if err := do(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, what := range quiet { // TestCommandsOfQuietNodes
		delete(want, what)
	}
	if len(want) > 0 {
		t.Errorf("docs/performance.md counts what is not done here: %v", want)
	}
}

// channelOf makes a channel with bob and others in it.
func channelOf(t *testing.T, w *testkit.World, n int) string {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	id := fmt.Sprint("room", n)
	r := &rooms.Room{ID: id, Type: rooms.Channel, Name: id, FName: id, NameKey: id, TS: now, UpdatedAt: now, Membership: 1, Users: n}
	subs := make([]*rooms.Subscription, n)
	for i := range n {
		who := rooms.Ref{ID: fmt.Sprint("u", i), Username: fmt.Sprint("u", i)}
		if i == 0 {
			who = rooms.Ref{ID: w.Vars["bob"], Username: "bob"}
		}
		subs[i] = &rooms.Subscription{
			ID: fmt.Sprint(id, i), RoomID: id, Type: r.Type, Name: id, FName: id, Open: true, TS: now, UpdatedAt: now, User: who, UserKey: who.Username,
		}
	}
	if err := w.RoomStore().CreateRoom(context.Background(), r, subs); err != nil {
		t.Fatal(err)
	}
	return id
}

// quiet are the rows of TestCommandsOfQuietNodes.
var quiet = []string{"a node where nobody is, each minute", "a node with 1,000 quiet users, each minute", presenceOfMany}

// presenceOfMany is the row of TestPresenceOfManyIsFlat.
const presenceOfMany = "presence of 10,000 connected and quiet users, each minute"

// partsOfQuiet are what a node asks again and again, by their rows.
func partsOfQuiet(db store.Store, rm rooms.Store) map[string]func(context.Context) error {
	old := time.Now().Add(-time.Hour)
	return map[string]func(context.Context) error{
		"look for events": func(ctx context.Context) error { _, _, err := db.EventsSince(ctx, "1.1.x"); return err },
		"look for marks": func(ctx context.Context) error {
			_, err := db.MarksSince(ctx, feed.Mark{}, 1000, false)
			return err
		},
		"look for early marks alone": func(ctx context.Context) error {
			_, err := db.MarksSince(ctx, feed.Mark{}, 1000, true)
			return err
		},
		"mark drawn":   func(ctx context.Context) error { _, err := db.MarkNow(ctx); return err },
		"all settings": func(ctx context.Context) error { _, err := db.Settings(ctx); return err },
		"accounts read again, up to 200": func(ctx context.Context) error {
			_, err := db.UsersByIDs(ctx, make([]string, 200))
			return err
		},
		"beat of presence": func(ctx context.Context) error {
			_, err := rm.SweepPresence(ctx, old)
			return errors.Join(rm.TouchNode(ctx, "n", time.Now()), err, rm.SweepGone(ctx, old), rm.Mend(ctx, old))
		},
	}
}

// asked is a store that counts what quiet nodes ask, by the rows of the table.
type asked struct {
	testkit.Store
	mu sync.Mutex
	n  map[string]int
}

func (a *asked) note(row string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n[row]++
}

func (a *asked) EventsSince(ctx context.Context, cursor string) ([]feed.Event, string, error) {
	a.note("look for events")
	return a.Store.EventsSince(ctx, cursor)
}

func (a *asked) MarksSince(ctx context.Context, after feed.Mark, max int, earlyOnly bool) ([]feed.Mark, error) {
	if earlyOnly {
		a.note("look for early marks alone")
	} else {
		a.note("look for marks")
	}
	return a.Store.MarksSince(ctx, after, max, earlyOnly)
}

func (a *asked) MarkNow(ctx context.Context) (uint64, error) {
	a.note("mark drawn")
	return a.Store.MarkNow(ctx)
}

func (a *asked) Settings(ctx context.Context) ([]settings.Stored, error) {
	a.note("all settings")
	return a.Store.Settings(ctx)
}

func (a *asked) UsersByIDs(ctx context.Context, ids []string) ([]*user.User, error) {
	for range (len(ids) + 199) / 200 {
		a.note("accounts read again, up to 200")
	}
	return a.Store.UsersByIDs(ctx, ids)
}

func (a *asked) UserByID(ctx context.Context, id string) (*user.User, error) {
	a.note("call of somebody who is logged in")
	return a.Store.UserByID(ctx, id)
}

func (a *asked) SweepPresence(ctx context.Context, alive time.Time) ([]rooms.Presence, error) {
	a.note("beat of presence")
	return a.Store.SweepPresence(ctx, alive)
}

func (a *asked) SavePresence(ctx context.Context, node string, states []rooms.Presence, now, alive time.Time) ([]rooms.Presence, error) {
	a.note("presence of an account that connects")
	return a.Store.SavePresence(ctx, node, states, now, alive)
}

// TestCommandsOfQuietNodes: what a node that shares its database asks in a minute in
// which nobody does anything, times what each costs, is what docs/performance.md says.
func TestCommandsOfQuietNodes(t *testing.T) {
	want := commandsIn(t)
	crowd := 1000
	if raced {
		crowd = 120 // which makes as many reads: one for each step of a round, of up to 200
	}
	for i, users := range []int{0, crowd} {
		synctest.Test(t, func(t *testing.T) {
			db := &asked{Store: testkit.OpenStore(t), n: map[string]int{}}
			w := testkit.NewWorld(t, testkit.Options{Store: db, Events: db})
			w.Unlimited()
			go func() { _ = w.Base.Run(t.Context()) }()
			go func() { _ = w.Presence.Run(t.Context()) }()
			for n := range users {
				u := &user.User{ID: fmt.Sprint("u", n), Username: fmt.Sprint("u", n), CreatedAt: time.Now()}
				u.Services.Resume = &user.Resume{LoginTokens: []user.LoginToken{
					{HashedToken: accounts.HashToken(u.ID), When: time.Now(), LastUsedAt: time.Now()},
				}}
				if err := db.CreateUser(t.Context(), u); err != nil {
					t.Fatal(err)
				}
				w.Connect().Must("login", map[string]any{"resume": u.ID})
			}
			time.Sleep(10*time.Minute + 100*time.Millisecond) // a round begins with those who are here
			db.mu.Lock()
			clear(db.n)
			db.mu.Unlock()
			time.Sleep(10 * time.Minute)
			db.mu.Lock()
			defer db.mu.Unlock()
			all := 0
			for row, n := range db.n {
				if want[row] == 0 {
					t.Errorf("no row says what %q costs", row)
				}
				all += n * want[row]
			}
			if all /= 10; all != want[quiet[i]] {
				t.Errorf("%s: %d commands, and docs/performance.md says %d: %v in ten", quiet[i], all, want[quiet[i]], db.n)
			}
		})
	}
}

// TestPresenceOfManyIsFlat: ten thousand users who connect at once are written in
// batches of five hundred, and as long as nobody comes, goes or chooses another status,
// no document is written for any of them.
func TestPresenceOfManyIsFlat(t *testing.T) {
	want := commandsIn(t)
	synctest.Test(t, func(t *testing.T) {
		db := &asked{Store: testkit.OpenStore(t), n: map[string]int{}}
		w := testkit.NewWorld(t, testkit.Options{Store: db})
		take := func() map[string]int {
			db.mu.Lock()
			defer db.mu.Unlock()
			n := db.n
			db.n = map[string]int{}
			return n
		}
		for i := range 10_000 {
			w.Presence.Connected(fmt.Sprint("u", i), "c")
		}
		go func() { _ = w.Presence.Run(t.Context()) }()
		time.Sleep(time.Second)
		if n := take(); n["presence of an account that connects"] != 20 {
			t.Errorf("10,000 who connect cost %v", n)
		}
		time.Sleep(10 * time.Minute)
		all, n := 0, take()
		for row, n := range n {
			all += n * want[row]
		}
		if all /= 10; all != want[presenceOfMany] {
			t.Errorf("%d commands a minute, and docs/performance.md says %d: %v in ten", all, want[presenceOfMany], n)
		}
	})
}
