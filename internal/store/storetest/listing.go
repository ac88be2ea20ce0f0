package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/user"
)

// listed is what a query answers: the ids, and how many it selects in all.
func listed(t *testing.T, s Core, q user.Query) string {
	t.Helper()
	page, total, err := s.FindUsers(t.Context(), q)
	ok(t, err)
	var ids []string
	for _, u := range page {
		ids = append(ids, u.ID)
	}
	return fmt.Sprintf("%s of %d", strings.Join(ids, " "), total)
}

func counted(t *testing.T, s Core, trait string) int {
	t.Helper()
	n, err := s.CountUsers(t.Context(), trait)
	ok(t, err)
	return n
}

// testListings: accounts are found by their words and traits, in every order, and
// follow every change.
func testListings(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	if got := listed(t, s, user.Query{Count: 10}); got != " of 0" {
		t.Errorf("an empty store lists %s", got)
	}
	at := func(hours int) time.Time { return epoch.Add(time.Duration(hours) * time.Hour) }
	for i, name := range []string{"delta", "Alpha", "charlie", "bravo"} {
		create(t, s, name, func(u *user.User) {
			u.Name, u.CreatedAt, u.Roles = "Smith "+string(rune('d'-i)), at(i), []string{"user"}
			u.Services.Password = &user.Password{Bcrypt: "x"}
			if i%2 == 0 {
				u.Services.Email2FA = &user.Email2FA{Enabled: true}
			}
		})
	}
	change := func(id string, c user.Change) {
		t.Helper()
		c.At = epoch
		must[*user.User](t)(s.UpdateUser(ctx, id, c))
	}
	change("Alpha", user.Change{AddToken: ptr(user.LoginToken{HashedToken: "h1", When: at(5)}), Roles: &[]string{"user", "bot"}})
	change("delta", user.Change{AddToken: ptr(user.LoginToken{HashedToken: "h2", When: at(4)})})
	change("bravo", user.Change{Active: ptr(false), AddToken: ptr(pat("p", "h3"))})
	bots, factor := user.RoleTrait("bot"), user.TraitEmail
	for _, c := range []struct {
		q    user.Query
		want string
	}{
		{user.Query{Count: 10}, "Alpha bravo charlie delta of 4"},
		{user.Query{Count: 10, Descending: true}, "delta charlie bravo Alpha of 4"},
		{user.Query{Count: 2, Offset: 1}, "bravo charlie of 4"},
		{user.Query{Count: 0}, " of 4"},
		{user.Query{Count: 10, Offset: 9}, " of 4"},
		{user.Query{Count: 10, Order: user.ByName}, "bravo charlie Alpha delta of 4"},
		{user.Query{Count: 10, Order: user.ByCreatedAt}, "delta Alpha charlie bravo of 4"},
		{user.Query{Count: 2, Order: user.ByLastLogin, Descending: true}, "Alpha delta of 4"},
		{user.Query{Count: 10, Order: "nothing"}, "Alpha bravo charlie delta of 4"},
		{user.Query{Count: 10, Word: "smith b"}, "charlie of 1"},
		{user.Query{Count: 10, Word: "br"}, "bravo of 1"},
		{user.Query{Count: 10, Word: "example"}, "Alpha bravo charlie delta of 4"},
		{user.Query{Count: 10, Word: "mith"}, " of 0"},
		{user.Query{Count: 10, Traits: []string{bots}}, "Alpha of 1"},
		{user.Query{Count: 10, Traits: []string{factor}}, "charlie delta of 2"},
		{user.Query{Count: 10, Traits: []string{factor, user.TraitNeverIn}, Word: "smith"}, "charlie of 1"},
		{user.Query{Count: 10, Traits: []string{user.StateTrait(user.Inactive)}}, "bravo of 1"},
		{user.Query{Count: 10, Traits: []string{user.TraitTokens}}, "bravo of 1"},
		{user.Query{Count: 10, Traits: []string{"=role:nobody"}}, " of 0"},
	} {
		if got := listed(t, s, c.q); got != c.want {
			t.Errorf("%+v lists %q, want %q", c.q, got, c.want)
		}
	}
	if n := counted(t, s, user.TraitNoFactor); n != 2 {
		t.Errorf("%d accounts without a factor, want 2", n)
	}
	// What is given up is found no more, and neither is who is gone.
	change("Alpha", user.Change{Username: ptr("zeta"), Name: ptr("Miller"), Roles: &[]string{"user"}, RemoveTokens: true})
	ok(t, s.DeleteUser(ctx, "delta", true))
	for _, c := range []struct {
		q    user.Query
		want string
	}{
		{user.Query{Count: 10}, "bravo charlie Alpha of 3"},
		{user.Query{Count: 10, Word: "smith"}, "bravo charlie of 2"},
		{user.Query{Count: 10, Word: "alpha"}, "Alpha of 1"}, // the address
		{user.Query{Count: 10, Word: "mill"}, "Alpha of 1"},
		{user.Query{Count: 10, Order: user.ByLastLogin, Descending: true}, "Alpha charlie bravo of 3"}, // the end of a session is no login
		{user.Query{Count: 10, Traits: []string{bots}}, " of 0"},
		{user.Query{Count: 10, Traits: []string{factor}}, "charlie of 1"},
	} {
		if got := listed(t, s, c.q); got != c.want {
			t.Errorf("then %+v lists %q, want %q", c.q, got, c.want)
		}
	}
}

// testListingsOfOldData: accounts that another program, or an older version, wrote are
// listed from the next start on; one that cannot be read is in no list, and harms none.
func testListingsOfOldData(t *testing.T, db Database) {
	s := db.Open(t)
	ok(t, s.Close())
	for i := range 130 {
		db.Plant(t, bson.D{{Key: "_id", Value: fmt.Sprintf("u%03d", i)}, {Key: "createdAt", Value: epoch.Add(time.Duration(-i) * time.Hour)},
			{Key: "username", Value: fmt.Sprintf("old%03d", i)}, {Key: "name", Value: "Old One"}, {Key: "lastLogin", Value: epoch}, {Key: "foreign", Value: 1}})
	}
	db.Plant(t, bson.D{{Key: "_id", Value: "broken"}, {Key: "createdAt", Value: epoch}, {Key: "username", Value: 5}})
	s = open(t, db)
	if got := listed(t, s, user.Query{Count: 2, Word: "one", Order: user.ByCreatedAt}); got != "u129 u128 of 130" {
		t.Errorf("listed: %s", got)
	}
	if n := counted(t, s, user.TraitBeenIn); n != 130 {
		t.Errorf("%d have logged in, want 130", n)
	}
	if v := db.Raw(t, "u007").Lookup("foreign"); v.IsZero() {
		t.Error("what is not known was lost")
	}
}
