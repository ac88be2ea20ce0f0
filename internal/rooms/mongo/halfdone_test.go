package mongo_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/mongo"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/serverkey"
	store "ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// lastAdmin: of the administrators another node can take all but one away.
func lastAdmin(t *testing.T, n *nodes, _ string) {
	other := n.other
	list, err := other.Administrators(t.Context())
	if err != nil || len(list) == 0 {
		t.Fatalf("%d administrators, %v", len(list), err)
	}
	for i, u := range list {
		_, err := other.UpdateUser(t.Context(), u.ID, user.Change{Roles: &[]string{"user"}, At: at(10)})
		if last := i == len(list)-1; last != errors.Is(err, dberr.LastAdmin) || !last && err != nil {
			t.Fatalf("administrator %d of %d: %v", i, len(list), err)
		}
	}
	if err := other.DeleteUser(t.Context(), list[len(list)-1].ID, true); !errors.Is(err, dberr.LastAdmin) {
		t.Fatal("the last administrator was deleted:", err)
	}
	gone := &user.User{ID: "x" + list[len(list)-1].ID, CreatedAt: day, Roles: []string{"admin"}}
	if err := other.CreateUser(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if _, err := other.UpdateUser(t.Context(), list[len(list)-1].ID, user.Change{Roles: &[]string{"user"}, At: at(10)}); err != nil {
		t.Fatal("he may go when there is another:", err)
	}
}

// lastOwner: of the owners another node can take all but one away.
func lastOwner(t *testing.T, n *nodes, x string) {
	other := n.other
	list, err := other.MembersWithRole(t.Context(), x)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d owners, %v", len(list), err)
	}
	for i, m := range list {
		_, err := other.SetMemberRole(t.Context(), x, m.User.ID, rooms.Owner, false, at(10))
		if last := i == len(list)-1; last != errors.Is(err, dberr.Conflict) || !last && err != nil {
			t.Fatalf("owner %d of %d: %v", i, len(list), err)
		}
	}
}

// counted: no guess of an act that died is forgotten, and others still guess.
func counted(t *testing.T, n *nodes, x string) {
	other := n.other
	first := true
	for i := 2; ; i++ {
		err := other.CountTries(t.Context(), fmt.Sprint("t", i), day, budgets(x))
		if errors.Is(err, dberr.Exhausted) && !first {
			break
		}
		if err != nil || i > 6 {
			t.Fatalf("guess %d: %v", i, err)
		}
		first = false
	}
}

// room: as many mails fit in as are not there, when nobody is at it any more.
func room(t *testing.T, n *nodes, x string) {
	other := n.other
	waiting, _, err := other.SealedTexts(t.Context(), serverkey.Mail, "")
	there := 0
	for _, i := range waiting {
		if strings.HasPrefix(i.ID, x) {
			there++
		}
	}
	for ; there < 3 && err == nil; there++ {
		n.ahead.Add(int64(time.Hour))
		err = other.PutMail(t.Context(), letter(x, fmt.Sprint("more", there)), 3)
	}
	if full := other.PutMail(t.Context(), letter(x, "full"), 3); err != nil || !errors.Is(full, dberr.Exhausted) {
		t.Fatalf("%v, then %v", err, full)
	}
}

// state is what others can see of an act.
func state(t *testing.T, s *mongo.Store, x string) string {
	t.Helper()
	ctx := t.Context()
	var out []string
	say := func(format string, args ...any) {
		out = append(out, strings.ReplaceAll(fmt.Sprintf(format, args...), x, "x"))
	}
	fine := func(err error) bool {
		if err != nil && !errors.Is(err, dberr.NotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	var ids []string
	for _, who := range people {
		ids = append(ids, x+who)
		gone, err := s.GoneSubscriptions(ctx, x+who, time.Time{})
		fine(err)
		say("gone: %v", gone)
	}
	for _, id := range []string{x, x + "d"} {
		if r, err := s.RoomByID(ctx, id); fine(err) {
			last := ""
			if r.LastMessage != nil {
				last = r.LastMessage.ID
			}
			slices.Sort(r.Owners)
			say("room %s called %s %s of %d %v owned by %v: %d messages, last %s", id, r.Name, r.Type, r.Users, r.Usernames, r.Owners, r.Messages, last)
		}
		subs, err := s.SubscriptionsIn(ctx, id, ids)
		fine(err)
		slices.SortFunc(subs, func(a, b *rooms.Subscription) int { return strings.Compare(a.User.ID, b.User.ID) })
		for _, m := range subs {
			say("%s in %s as %s called %s %s: %v, open %v, alert %v, unread %d %d %d, seen %v, replied %v, threads %v %v %v, blocks %v, blocked %v",
				m.User.Username, id, m.User.ID, m.Name, m.Type, m.Roles, m.Open, m.Alert, m.Unread, m.UserMentions, m.GroupMentions,
				m.LastSeen.Sub(day), m.LastReply.Sub(day), m.Threads, m.UserThreads, m.GroupThreads, m.Blocker, m.Blocked)
		}
		list, err := s.History(ctx, rooms.HistoryQuery{RoomID: id})
		fine(err)
		for _, m := range list {
			say("message %s: %s %v, answers %q, %d answers until %v for %v", m.ID, m.Text, m.Reactions, m.ThreadID, m.Replies, m.LastReply.Sub(day), m.Followers)
		}
		gone, err := s.GoneMessages(ctx, id, rooms.Span{Limit: 9})
		fine(err)
		say("gone: %v", gone)
	}
	for _, id := range ids {
		if u, err := s.UserByID(ctx, id); fine(err) {
			say("account %s %s %v %s %v", u.ID, u.Username, u.Roles, u.Status, u.Services.Resume)
		}
	}
	if f, err := s.FileByID(ctx, x+"file"); fine(err) {
		say("file %s of %d: %s", f.ID, f.Size, f.State)
	}
	all, err := s.Settings(ctx)
	fine(err)
	for _, v := range all {
		if strings.HasPrefix(v.ID, x) {
			say("setting %s %v", v.ID, v.Value)
		}
	}
	mails, _, err := s.SealedTexts(ctx, serverkey.Mail, "")
	fine(err)
	for _, m := range mails {
		if strings.HasPrefix(m.ID, x) {
			say("mail %s", m.ID)
		}
	}
	return strings.Join(out, "\n")
}

// nodes are two nodes on one database, the clock of the other far enough ahead that no act of
// the first can be under way.
type nodes struct {
	server       *mongotest.Server
	first, other *mongo.Store
	mu           sync.Mutex
	commands     []string
	// ahead is how far the other's clock is, back how far the first one's.
	ahead, back atomic.Int64
}

func openNodes(t *testing.T, kind mongotest.Kind) *nodes {
	t.Helper()
	n := &nodes{server: mongotest.StartServer(t, kind)}
	n.ahead.Store(int64(time.Hour))
	url := n.server.URI()
	at := func(ahead func() time.Duration) *mongo.Store {
		core, err := store.Open(t.Context(), url, store.Options{Parts: mongo.Parts(), Now: func() time.Time { return time.Now().Add(ahead()) }})
		if err != nil {
			t.Fatal(err)
		}
		return mongo.New(core)
	}
	n.first = at(func() time.Duration { return -time.Duration(n.back.Load()) })
	n.other = at(func() time.Duration { return time.Duration(n.ahead.Load()) })
	t.Cleanup(func() {
		if err := errors.Join(n.first.Close(), n.other.Close()); err != nil {
			t.Error(err)
		}
	})
	n.server.Watch(func(command string, _ []byte) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.commands = append(n.commands, command)
	})
	return n
}

// heard are the commands since it was asked last.
func (n *nodes) heard() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.commands
	n.commands = nil
	return out
}

var writing = []string{"insert", "update", "delete", "findAndModify"}

func writes(commands []string) (count int) {
	for _, c := range commands {
		if slices.Contains(writing, c) {
			count++
		}
	}
	return count
}

// die runs an act whose node dies before its command number at, and tells whether it came that far.
func (n *nodes) die(t *testing.T, a *act, x string, at int) bool {
	t.Helper()
	hit := false
	// A refusal that nothing follows is the same to the database as a connection that ends, and quicker.
	n.server.Inject(mongotest.Fault{Skip: at, Times: -1, Code: 8, Name: "Dead", Hit: func() { hit = true }})
	err := a.do(t.Context(), n.first, x)
	n.server.Heal()
	n.server.EndTransactions() // a minute later
	if err == nil && !hit {
		return true
	}
	if err != nil && !errors.Is(err, dberr.Unavailable) {
		t.Fatalf("dying before command %d: %v, want unavailable", at, err)
	}
	return false
}

// kinds are databases with transactions and without.
var kinds = map[string]mongotest.Kind{"replica set": {}, "standalone": mongotest.Standalone()}

// TestNothingIsHalfDone: a node dies before and after every write of every act, and what others
// find then is the act done or not done, with counters that agree with what they count.
// The table says in which way, and that no act writes more documents than one without a way.
func TestNothingIsHalfDone(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := openNodes(t, kind)
			for i := range acts {
				a := &acts[i]
				t.Run(a.name, func(t *testing.T) {
					n.halfDone(t, a, func(k int) string { return fmt.Sprintf("r%d.%d.", i, k) })
				})
			}
		})
	}
}

func (n *nodes) halfDone(t *testing.T, a *act, fresh func(int) string) {
	prepare := func(k int) string {
		x := fresh(k)
		if a.before != nil {
			if err := a.before(t.Context(), n.first, x); err != nil {
				t.Fatal(err)
			}
		}
		return x
	}
	x := prepare(0)
	before := state(t, n.other, x)
	n.heard()
	documents := n.server.Changes()
	if err := a.do(t.Context(), n.first, x); err != nil {
		t.Fatal(err)
	}
	commands, documents := n.heard(), n.server.Changes()-documents
	several := writes(commands) > 1 || documents > 1
	switch {
	case several && a.way == "":
		t.Fatalf("it writes %d documents with %v and is in no way whole", documents, commands)
	case a.way == transaction && n.first.Transactions() != slices.Contains(commands, "commitTransaction"):
		t.Fatalf("%v", commands)
	}
	if a.way == "" {
		return // one document, or nothing
	}
	after := state(t, n.other, x)
	t.Logf("%d documents, %v", documents, commands)
	for k, c := range commands {
		if !slices.Contains(writing, c) && c != "commitTransaction" {
			continue
		}
		for at := k; at <= k+1; at++ { // before it, and after it
			if at == k && k > 0 && slices.Contains(writing, commands[k-1]) {
				continue // which was after the one before it
			}
			x := prepare(1 + at)
			done := n.die(t, a, x, at)
			if err := n.other.Mend(t.Context(), n.other.Clock()); err != nil {
				t.Fatal(err)
			}
			got := state(t, n.other, x)
			if a.way == apart && !done {
				if err := a.do(t.Context(), n.other, x); err != nil {
					t.Fatal(err)
				}
				got = state(t, n.other, x)
			}
			if got != after && (got != before || done) {
				t.Errorf("node dead before command %d of %v (done %v):\n%s\n\nbefore:\n%s\n\nafter:\n%s", at, commands, done, got, before, after)
			}
			if a.holds != nil {
				a.holds(t, n, x)
			}
		}
	}
}

// TestEveryActIsKnown: what writes is in the table, an operation on one document by
// construction, or writes nothing.
func TestEveryActIsKnown(t *testing.T) {
	n := openNodes(t, mongotest.Kind{})
	known := map[string]bool{"Close": true}
	for _, a := range acts {
		name, _, _ := strings.Cut(a.name, ":")
		known[name] = true
	}
	one := reflect.TypeFor[rule.Operations]()
	all := reflect.TypeFor[storetest.Store]()
	for i := range all.NumMethod() {
		m := all.Method(i)
		if _, is := one.MethodByName(m.Name); is || known[m.Name] {
			continue
		}
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for in := 1; in < m.Type.NumIn(); in++ {
			if p := m.Type.In(in); p.Kind() == reflect.Func {
				args = append(args, reflect.MakeFunc(p, func([]reflect.Value) []reflect.Value { return []reflect.Value{reflect.Zero(reflect.TypeFor[error]())} }))
			} else {
				args = append(args, reflect.Zero(p))
			}
		}
		n.heard()
		reflect.ValueOf(n.first).MethodByName(m.Name).Call(args)
		if c := n.heard(); writes(c) > 0 {
			t.Errorf("%s is not in the table and writes: %v", m.Name, c)
		}
	}
}
