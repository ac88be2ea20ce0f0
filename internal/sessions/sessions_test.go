package sessions_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/audit"
	"ddpserver/internal/dberr"
	"ddpserver/internal/rpc"
	"ddpserver/internal/sessions"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// world is a Service over a real embedded store.
type world struct {
	*sessions.Service
	ground *testkit.Ground
	peer   rpc.Peer
	trail  []audit.Event
}

func (w *world) Record(e audit.Event) { w.trail = append(w.trail, e) }

type open map[string]bool

func (o open) Tokens(string) map[string]bool { return o }

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{peer: rpc.Peer{Door: rpc.DDP, Address: "192.0.2.17"}}
	w.ground = testkit.NewGround(t, testkit.Options{})
	var err error
	w.Service, err = sessions.New(sessions.Options{
		Store: w.ground.Store, Settings: w.ground.Settings, Connections: open{"h1": true}, Feed: w.ground.Feed, Audit: w,
		Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// add makes an account with these tokens.
func (w *world) add(id string, tokens ...user.LoginToken) *user.User {
	w.ground.T.Helper()
	u := &user.User{ID: id, Username: id, Name: "Name of " + id, CreatedAt: now, Services: user.Services{Resume: &user.Resume{LoginTokens: tokens}}}
	if err := w.ground.Store.CreateUser(w.ground.T.Context(), u); err != nil {
		w.ground.T.Fatal(err)
	}
	return w.read(id)
}

func (w *world) read(id string) *user.User {
	w.ground.T.Helper()
	u, err := w.ground.Store.UserByID(w.ground.T.Context(), id)
	if err != nil {
		w.ground.T.Fatal(err)
	}
	return u
}

func token(hash string, ago time.Duration) user.LoginToken {
	return user.LoginToken{HashedToken: hash, When: now.Add(-ago)}
}

func (w *world) own(u *user.User) []sessions.Session {
	w.ground.T.Helper()
	list, total, err := w.Own(u, rpc.Login{UserID: u.ID, Token: "h1"}, sessions.Query{Count: 100})
	if err != nil || total != len(list) {
		w.ground.T.Fatal(total, err)
	}
	return list
}

// What an owner is shown: living sessions, with what is known of them; never a token,
// nor what is stored of one.
func TestOwn(t *testing.T) {
	w := newWorld(t)
	full := token("h1", time.Hour)
	full.MadeFrom = &user.Origin{Kind: sessions.Browser, Client: "<b>Firefox", Address: "192.0.2.17"}
	full.LastUsedAt, full.UsedFrom = now.Add(-time.Minute), &user.Origin{Kind: sessions.Browser, Address: "2001:db8:1:2::3"}
	full.TrustHash, full.TrustUntil = "fp", now.Add(time.Minute)
	over := token("h2", 2*time.Hour)
	over.TrustHash, over.TrustUntil = "fp", now
	ann := w.add("ann", full, over, token("dead", 91*24*time.Hour), user.LoginToken{Token: "clear", When: now.Add(-3 * time.Hour)},
		user.LoginToken{HashedToken: "pat", Type: user.PersonalAccessToken, Name: "ci", CreatedAt: now}, user.LoginToken{HashedToken: "startless"})
	list := w.own(ann)
	if len(list) != 3 {
		t.Fatalf("%+v", list)
	}
	first := list[0]
	if !first.Current || !first.Connected || !first.Trusted.Equal(full.TrustUntil) || first.MadeFrom.Address != "192.0.2.0/24" ||
		first.UsedFrom.Address != "2001:db8:1::/48" || first.MadeFrom.Client != "<b>Firefox" || !first.Expires.Equal(full.When.Add(90*24*time.Hour)) {
		t.Errorf("%+v", first)
	}
	if second := list[1]; second.Current || second.Connected || !second.Trusted.IsZero() || second.MadeFrom.Kind != sessions.Unknown || !second.Used.IsZero() {
		t.Errorf("%+v", second)
	}
	for _, s := range list {
		for _, secret := range []string{"h1", "h2", "clear"} {
			if strings.Contains(s.ID, secret) {
				t.Error(s.ID)
			}
		}
	}
	w.ground.Set(settings.SessionAddress, settings.AddressNone)
	if one := w.own(ann)[0]; one.MadeFrom.Address+one.UsedFrom.Address != "" {
		t.Errorf("%+v", one)
	}
	w.ground.Set(settings.SessionAddress, settings.AddressFull)
	if one := w.own(ann)[0]; one.MadeFrom.Address != "192.0.2.17" {
		t.Errorf("%+v", one)
	}
	// The clear token of an old database is found, and ends.
	if err := w.End(t.Context(), &w.peer, ann, list[2].ID); err != nil {
		t.Fatal(err)
	}
	left := w.own(w.read("ann"))
	if len(left) != 2 || w.End(t.Context(), &w.peer, w.read("ann"), list[2].ID) == nil {
		t.Errorf("%+v", left)
	}
	if _, err := w.ground.Store.UserByToken(t.Context(), "none", "clear"); !errors.Is(err, dberr.NotFound) {
		t.Errorf("the clear token: %v", err)
	}
}

// An adopted document's unknown members stay when a session beside them ends.
func TestAdopted(t *testing.T) {
	w := newWorld(t)
	raw, err := bson.Marshal(bson.D{{Key: "_id", Value: "ann"}, {Key: "createdAt", Value: now}, {Key: "services", Value: bson.D{{Key: "resume", Value: bson.D{
		{Key: "loginTokens", Value: bson.A{
			bson.D{{Key: "when", Value: now}, {Key: "hashedToken", Value: "a"}, {Key: "device", Value: "phone"}},
			bson.D{{Key: "when", Value: now}, {Key: "hashedToken", Value: "b"}},
		}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ground.Store.(interface {
		ImportUser(ctx context.Context, raw bson.Raw) error
	}).ImportUser(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	list := w.own(w.read("ann"))
	if len(list) != 2 || list[0].MadeFrom != (user.Origin{Kind: sessions.Unknown}) {
		t.Fatalf("%+v", list)
	}
	for _, s := range list {
		if err := w.EndAny(t.Context(), &w.peer, &user.User{ID: "root"}, s.ID); err != nil {
			t.Error(err)
		}
	}
	if len(w.own(w.read("ann"))) != 0 || len(w.trail) != 2 || w.trail[0].Target != "ann" || w.trail[0].User != "root" {
		t.Errorf("%+v", w.trail)
	}
}

// What is not there, what is over and what is somebody else's is one refusal, and
// changes nothing.
func TestNobodyElses(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.add("ann", token("h1", 0)), w.add("bob.x", token("h2", 0))
	hers := w.own(ann)[0].ID
	if _, err := w.InfoAny(t.Context(), rpc.Login{}, w.own(bob)[0].ID); err != nil {
		t.Error("an id with a dot:", err)
	}
	for _, id := range []string{hers, "", ".", "ann", "ann.", "ann.x", "h1", "bob.x." + hers[4:], strings.Repeat("a.", 1000)} {
		_, err1 := w.Info(bob, rpc.Login{}, id)
		err2 := w.End(t.Context(), &w.peer, bob, id)
		err3 := error(sessions.ErrNotFound)
		if id != "" { // means all
			err3 = w.ForgetTrust(t.Context(), &w.peer, bob, rpc.Login{UserID: "bob.x", Token: "h2"}, id)
		}
		err4 := error(sessions.ErrNotFound)
		if id != hers {
			err4 = w.EndAny(t.Context(), &w.peer, bob, id)
		}
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, sessions.ErrNotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
	}
	if len(w.own(w.read("ann"))) != 1 || len(w.own(w.read("bob.x"))) != 1 {
		t.Error("a session ended")
	}
}

// Order, search and parts of the list of all, beside a plain sort of everything.
func TestAll(t *testing.T) {
	w := newWorld(t)
	clients := []string{"Firefox", "chrome", "", "Safari"}
	for i := range 40 {
		var tokens []user.LoginToken
		for j := range i%4 + 1 {
			tok := token(fmt.Sprint(i, "/", j), time.Duration(i*7%13)*time.Hour)
			tok.MadeFrom = &user.Origin{Kind: sessions.Browser, Client: clients[(i+j)%4], Address: fmt.Sprintf("10.0.%d.%d", i, j)}
			tokens = append(tokens, tok)
		}
		w.add(fmt.Sprint("u", i), tokens...)
	}
	all := func(q sessions.Query) ([]sessions.Session, int) {
		t.Helper()
		list, total, err := w.All(t.Context(), rpc.Login{}, q)
		if err != nil {
			t.Fatal(err)
		}
		return list, total
	}
	every, total := all(sessions.Query{Count: 1000})
	if len(every) != 100 || total != 100 {
		t.Fatal(len(every), total)
	}
	for name, compare := range map[string]func(a, b sessions.Session) int{
		"createdAt": func(a, b sessions.Session) int { return a.Made.Compare(b.Made) },
		"username":  func(a, b sessions.Session) int { return cmp.Compare(a.Username, b.Username) },
		"client": func(a, b sessions.Session) int {
			return cmp.Compare(strings.ToLower(a.MadeFrom.Client), strings.ToLower(b.MadeFrom.Client))
		},
	} {
		want := slices.Clone(every)
		slices.SortFunc(want, func(a, b sessions.Session) int {
			return cmp.Or(compare(a, b), b.Made.Compare(a.Made), cmp.Compare(a.ID, b.ID))
		})
		var got []sessions.Session
		for offset := 0; offset < 105; offset += 7 {
			page, total := all(sessions.Query{Sort: name, Offset: offset, Count: 7})
			if got = append(got, page...); total != 100 {
				t.Error(total)
			}
		}
		if !slices.EqualFunc(got, want, func(a, b sessions.Session) bool { return a.ID == b.ID }) {
			t.Errorf("%s: another order", name)
		}
	}
	for _, c := range []struct {
		q    sessions.Query
		want int
	}{
		{sessions.Query{UserID: "u3"}, 4}, {sessions.Query{UserID: "nobody"}, 0}, {sessions.Query{Search: "NAME OF U3"}, 4 + 27}, {sessions.Query{Client: "fox"}, 30},
		{sessions.Query{Address: "10.0.7.200"}, 4}, {sessions.Query{Address: "10.0.7.0/24"}, 4}, {sessions.Query{Address: "10.0.7"}, 4},
		{sessions.Query{Address: "10.0.0.0/8"}, 100}, {sessions.Query{Address: "::ffff:10.0.7.1"}, 4}, {sessions.Query{Search: "10.0.7."}, 4},
		{sessions.Query{Client: "fox", UserID: "u3"}, 1}, {sessions.Query{Search: "%"}, 0}, {sessions.Query{Search: ".*"}, 0},
	} {
		if _, total := all(c.q); total != c.want {
			t.Errorf("%+v: %d, want %d", c.q, total, c.want)
		}
	}
	for _, q := range []sessions.Query{{Offset: -1}, {Count: -1}, {Offset: 50_001}, {Search: strings.Repeat("a", 201)}, {Sort: "token"}, {Sort: "--name"}} {
		if _, _, err := w.All(t.Context(), rpc.Login{}, q); !errors.Is(err, sessions.ErrQuery) && !errors.Is(err, sessions.ErrSort) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// BenchmarkAll is one page of the sessions of 10,000 accounts.
func BenchmarkAll(b *testing.B) {
	w := newWorld(b)
	for i := range 10_000 {
		var tokens []user.LoginToken
		for j := range 2 {
			tok := token(fmt.Sprint(i, "/", j), time.Duration(i)*time.Minute)
			tok.MadeFrom = &user.Origin{Kind: sessions.Browser, Client: "Firefox", ClientVersion: "131.0", System: "Linux", Address: "10.0.0.0/24", Door: "ddp"}
			tokens = append(tokens, tok)
		}
		w.add(fmt.Sprint("u", i), tokens...)
	}
	for name, q := range map[string]sessions.Query{"newest": {Count: 50}, "search": {Count: 50, Search: "u77"}, "last": {Offset: 9950, Count: 50},
		"account": {Count: 50, UserID: "u77"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := w.All(b.Context(), rpc.Login{}, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
