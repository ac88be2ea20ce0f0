package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

func tries(t testing.TB, s Core, key string) accounts.Tries {
	t.Helper()
	return must[accounts.Tries](t)(s.Tries(t.Context(), key))
}

// What is remembered of passwords: counted in all budgets or none, for each
// source apart, in rows that outlive everything but a right password or another one.
func testTries(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	at := func(m int) time.Time { return epoch.Add(time.Duration(m) * time.Minute) }
	key := accounts.TriesKey("ann")
	ann := accounts.Budget{Key: key, Epoch: "one", Most: 3, Window: 10 * time.Minute, InRow: 5}
	net := accounts.Budget{Key: "net", Most: 5, Window: 5 * time.Minute, Keep: 5 * time.Minute}
	both := []accounts.Budget{net, ann}
	same(t, "nothing", tries(t, s, key), accounts.Tries{Key: key})
	for i := range 3 {
		ok(t, s.CountTries(ctx, fmt.Sprint("w", i), at(i), both))
	}
	before, beforeNet := tries(t, s, key), tries(t, s, "net")
	fails(t, s.CountTries(ctx, "over", at(3), both), dberr.Exhausted)
	same(t, "counted in none: the account", tries(t, s, key), before)
	if got := tries(t, s, "net").Recent; !slices.Equal(got, beforeNet.Recent) { // it may be kept longer
		t.Fatalf("counted in none: the address has %+v", got)
	}
	if before.InRow["strangers"] != 3 || !before.Recent[0].At.Equal(at(0).Truncate(time.Millisecond)) {
		t.Fatalf("%+v", before)
	}
	// Every source has a budget of its own, every class a row.
	home, session := ann, ann
	home.Source, session.Source = "digest of home", accounts.Sessions
	for i := range 3 {
		ok(t, s.CountTries(ctx, fmt.Sprint("h", i), at(3), []accounts.Budget{home}))
		ok(t, s.CountTries(ctx, fmt.Sprint("s", i), at(3), []accounts.Budget{session}))
	}
	fails(t, s.CountTries(ctx, "h3", at(3), []accounts.Budget{home}), dberr.Exhausted)
	// A right one takes its own count back and ends its class's row only.
	ok(t, s.EndTries(ctx, "h2", []accounts.Budget{home}, true))
	if got := tries(t, s, key); got.InRow["known"] != 0 || got.InRow["strangers"] != 3 || got.InRow["sessions"] != 3 || len(got.Recent) != 8 {
		t.Fatalf("after a right one: %+v", got)
	}
	// One that was not compared takes back what it had counted, once.
	for range 2 {
		ok(t, s.EndTries(ctx, "s2", []accounts.Budget{session}, false))
	}
	if got := tries(t, s, key); got.InRow["sessions"] != 2 || len(got.Recent) != 7 {
		t.Fatalf("after one that was not compared: %+v", got)
	}
	// The window moves on, the row does not, and ends at its bound.
	for i := range 2 {
		ok(t, s.CountTries(ctx, fmt.Sprint("n", i), at(20), []accounts.Budget{ann}))
	}
	fails(t, s.CountTries(ctx, "n2", at(600_000), []accounts.Budget{ann}), dberr.Exhausted)
	if got := tries(t, s, key); !got.Stopped(ann) || got.Stopped(home) {
		t.Fatalf("rows %+v", got)
	}
	// The row is about one password; the next has none yet.
	other := ann
	other.Epoch = "two"
	ok(t, s.CountTries(ctx, "o", at(600_000), []accounts.Budget{other}))
	if got := tries(t, s, key); got.InRow["strangers"] != 1 || len(got.InRow) != 1 {
		t.Fatalf("another password: %+v", got)
	}
	// A clock that jumps back forgets nothing.
	for i := range 2 {
		ok(t, s.CountTries(ctx, fmt.Sprint("b", i), at(600_000), []accounts.Budget{other}))
	}
	fails(t, s.CountTries(ctx, "b2", at(0), []accounts.Budget{other}), dberr.Exhausted)

	ok(t, s.Close())
	s = open(t, db)
	if got := tries(t, s, key); got.InRow["strangers"] != 3 || len(got.Recent) != 3 {
		t.Errorf("after reopening: %+v", got)
	}
	must[[]string](t)(s.SweepTokens(ctx, epoch, epoch, epoch))
	if got := tries(t, s, key); got.InRow["strangers"] != 3 {
		t.Errorf("after sweeping: %+v", got)
	}
	create(t, s, "ann")
	ok(t, s.DeleteUser(ctx, "ann", true))
	same(t, "after deleting the account", tries(t, s, key), accounts.Tries{Key: key})
}

// The addresses an account was used from: few, fresh, the newest last.
func testSources(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	const life = 60 * 24 * time.Hour
	add := func(digest string, day int) {
		t.Helper()
		now := epoch.Add(time.Duration(day) * 24 * time.Hour)
		ok(t, s.AddSource(ctx, "k", digest, now, now.Add(-life), 3))
	}
	names := func() (out string) {
		for _, x := range tries(t, s, "k").Sources {
			out += x.Digest
		}
		return out
	}
	for i, d := range []string{"a", "b", "c", "a"} {
		add(d, i)
	}
	if got := names(); got != "bca" {
		t.Errorf("sources %q", got)
	}
	add("d", 4)
	if got := names(); got != "cad" {
		t.Errorf("one too many: %q", got)
	}
	add("d", 62)
	if got := names(); got != "ad" {
		t.Errorf("old ones: %q", got)
	}
	got := tries(t, s, "k")
	day := func(n int) time.Time { return epoch.Add(time.Duration(n) * 24 * time.Hour) }
	if !got.Knows("d", day(3)) || got.Knows("d", day(63)) || got.Knows("c", day(0)) {
		t.Errorf("knows %+v", got.Sources)
	}
	// Counting leaves them alone.
	ok(t, s.CountTries(ctx, "w", day(62), []accounts.Budget{{Key: "k", Most: 1, Window: time.Minute, InRow: 9}}))
	ok(t, s.EndTries(ctx, "w", []accounts.Budget{{Key: "k", Most: 1, Window: time.Minute, InRow: 9}}, true))
	if left := tries(t, s, "k").Sources; !slices.Equal(left, got.Sources) {
		t.Errorf("sources %+v, want %+v", left, got.Sources)
	}
}

func testRacesOnTries(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	b := []accounts.Budget{
		{Key: "net", Most: 20, Window: time.Hour, Keep: time.Hour},
		{Key: "user", Most: 10, Window: time.Hour, InRow: 100},
	}
	if won := race(t, func(i int) error { return s.CountTries(ctx, fmt.Sprint("w", i), epoch, b) }, dberr.Exhausted); won != 10 {
		t.Errorf("%d passwords counted, want 10", won)
	}
	if n, u := tries(t, s, "net"), tries(t, s, "user"); len(n.Recent) != 10 || len(u.Recent) != 10 || u.InRow["strangers"] != 10 {
		t.Errorf("address %d, account %d, in a row %v", len(n.Recent), len(u.Recent), u.InRow)
	}
	row := []accounts.Budget{{Key: "row", Most: 100, Window: time.Hour, InRow: 7}}
	if won := race(t, func(i int) error { return s.CountTries(ctx, fmt.Sprint("w", i), epoch, row) }, dberr.Exhausted); won != 7 {
		t.Errorf("%d passwords in a row, want 7", won)
	}
	// Every one that was not compared takes back its own, whatever others do.
	free := []accounts.Budget{{Key: "free", Most: 100, Window: time.Hour, InRow: 100}}
	race(t, func(i int) error {
		id := fmt.Sprint("w", i)
		if err := s.CountTries(ctx, id, epoch, free); err != nil {
			return err
		}
		if i%2 == 0 {
			return s.AddSource(ctx, "free", id, epoch, epoch.Add(-time.Hour), 100)
		}
		return s.EndTries(ctx, id, free, false)
	})
	if got := tries(t, s, "free"); len(got.Recent) != crowd/2 || got.InRow["strangers"] != crowd/2 || len(got.Sources) != crowd/2 {
		t.Errorf("%d counted, %v in a row, %d sources", len(got.Recent), got.InRow, len(got.Sources))
	}
}

// The last use of a token is written into its entry and nowhere else.
func testTokenUse(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	limited := pat("ci", "h2")
	limited.ExpiresAt, limited.AllowedAddresses = epoch.Add(time.Hour).Truncate(time.Millisecond), []string{"192.0.2.0/24", "2001:db8::1"}
	create(t, s, "ann", withTokens(session("h1"), limited, pat("other", "h3")))
	want := get(t, s, "ann")
	if got := want.LoginToken("h2"); !got.ExpiresAt.Equal(limited.ExpiresAt) || !slices.Equal(got.AllowedAddresses, limited.AllowedAddresses) {
		t.Fatalf("kept %+v", got)
	}
	at := epoch.Add(time.Minute).Truncate(time.Millisecond)
	ok(t, s.UseToken(ctx, "ann", "h2", user.Use{At: at}))
	want.LoginToken("h2").LastUsedAt = at
	same(t, "after a use", get(t, s, "ann"), want)
	from := user.Origin{Address: "192.0.2.0/24", Client: "<b>Fire&fox", ClientVersion: "1", System: "Linux", SystemVersion: "6", Kind: "browser", Door: "ddp"}
	ok(t, s.UseToken(ctx, "ann", "h1", user.Use{At: at, From: &from}))
	want.LoginToken("h1").LastUsedAt, want.LoginToken("h1").UsedFrom = at, &from
	same(t, "after a use from somewhere", get(t, s, "ann"), want)
	ok(t, s.UseToken(ctx, "ann", "h1", user.Use{At: at.Add(time.Hour)}))
	want.LoginToken("h1").LastUsedAt = at.Add(time.Hour)
	same(t, "after a use from nowhere known", get(t, s, "ann"), want)
	fails(t, s.UseToken(ctx, "ann", "gone", user.Use{At: at}), dberr.Conflict)
	fails(t, s.UseToken(ctx, "nobody", "h2", user.Use{At: at}), dberr.NotFound)
}

// Whoever has a login token is shown with its tokens, and with nothing else.
func testTokenOwners(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	owners := func() map[string]*user.User {
		t.Helper()
		found := map[string]*user.User{}
		ok(t, s.TokenOwners(ctx, func(u *user.User) error {
			if found[u.ID] != nil {
				t.Error(u.ID, "came twice")
			}
			found[u.ID] = u
			return nil
		}))
		return found
	}
	same(t, "nobody", owners(), map[string]*user.User{})
	create(t, s, "bare")
	ann := create(t, s, "Ann", withTokens(session("h1"), pat("ci", "h2")), func(u *user.User) {
		u.Name, u.Active, u.Profile = "Ann B", ptr(false), map[string]any{"a": 1}
		u.Services.Password = &user.Password{Bcrypt: "b"}
	})
	create(t, s, "left", withTokens(session("h3")))
	must[*user.User](t)(s.UpdateUser(ctx, "left", user.Change{RemoveToken: "h3", At: epoch}))
	when := epoch.Truncate(time.Millisecond)
	create(t, s, "old", withTokens(user.LoginToken{Token: "clear1", When: when}))
	db.Plant(t, bson.D{{Key: "_id", Value: "broken"}, {Key: "services", Value: bson.D{
		{Key: "resume", Value: bson.D{{Key: "loginTokens", Value: bson.A{bson.D{{Key: "hashedToken", Value: 5}}}}}}}}})
	stored, old := get(t, s, "Ann"), get(t, s, "old")
	want := map[string]*user.User{
		"Ann": {ID: "Ann", Username: ann.Username, Name: "Ann B", Active: ptr(false), Services: user.Services{Resume: stored.Services.Resume}},
		"old": {ID: "old", Username: old.Username, Name: old.Name, Active: old.Active, Services: user.Services{Resume: old.Services.Resume}},
	}
	same(t, "the owners", owners(), want)
	enough := errors.New("enough")
	n := 0
	fails(t, s.TokenOwners(ctx, func(*user.User) error { n++; return enough }), enough)
	if n != 1 {
		t.Errorf("%d were shown after the error", n)
	}
}

func triesOperations(d drawn) []operation {
	return []operation{{"AddSource", func(ctx context.Context, o rule.Operations) error {
		return o.AddSource(ctx, accounts.TriesKey(d.id), d.token, d.at, epoch.Add(-time.Hour), 2)
	}}}
}
