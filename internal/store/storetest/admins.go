package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

func asAdmin(u *user.User) { u.Roles = []string{"user", "admin"} }

// administrators are the ids of the active ones.
func administrators(t testing.TB, s Core) []string {
	t.Helper()
	var ids []string
	for _, u := range must[[]*user.User](t)(s.Administrators(t.Context())) {
		ids = append(ids, u.ID)
	}
	return ids
}

// departure is a way for an administrator to lose the rights: by a change, or deleted
// where there is none.
type departure struct {
	name   string
	change *user.Change
}

var departures = []departure{
	{"demote", &user.Change{Roles: &[]string{"user"}, At: epoch}},
	{"deactivate", &user.Change{Active: ptr(false), RemoveTokens: true, At: epoch}},
	{"delete", nil},
}

func (d departure) run(ctx context.Context, s Core, id string) error {
	return d.operation(s, id).run(ctx, rule.On(s.(rule.Engine)))
}

// operation is the departure as together runs it. A deletion is no rule, so it meets
// the other one without having been read before.
func (d departure) operation(s Core, id string) operation {
	return operation{name: d.name, run: func(ctx context.Context, o rule.Operations) error {
		if d.change == nil {
			return s.DeleteUser(ctx, id, true)
		}
		_, err := o.UpdateUser(ctx, id, *d.change)
		return err
	}}
}

// testAdministrators: no operation takes the last active administrator away, alone
// or beside another one.
func testAdministrators(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "off", asAdmin, func(u *user.User) { u.Active = ptr(false) })
	create(t, s, "mere")
	create(t, s, "root", asAdmin)
	for _, d := range departures {
		fails(t, d.run(ctx, s, "root"), dberr.LastAdmin)
	}
	if got := administrators(t, s); !slices.Equal(got, []string{"root"}) {
		t.Fatal(got)
	}
	fails(t, s.DeleteUser(ctx, "root", false), dberr.Conflict)
	fails(t, s.DeleteUser(ctx, "off", false), dberr.Conflict)
	_, err := s.UpdateUser(ctx, "root", user.Change{IfRoles: &[]string{"user"}, Roles: &[]string{}, At: epoch})
	fails(t, err, dberr.Conflict)
	// Whoever has no rights to lose may go, and a change that leaves them is none.
	must[*user.User](t)(s.UpdateUser(ctx, "root", user.Change{Roles: &[]string{"admin"}, Name: ptr("r"), Active: ptr(true), At: epoch}))
	must[*user.User](t)(s.UpdateUser(ctx, "off", user.Change{Roles: &[]string{"user"}, At: epoch}))
	ok(t, s.DeleteUser(ctx, "off", false))
	ok(t, s.DeleteUser(ctx, "mere", false))

	// One whose document nobody can read is no help.
	db.Plant(t, bson.D{{Key: "_id", Value: "broken"}, {Key: "createdAt", Value: epoch}, {Key: "roles", Value: bson.A{"admin"}},
		{Key: "username", Value: 5.5}})
	for _, d := range departures {
		fails(t, d.run(ctx, s, "root"), dberr.LastAdmin)
	}
	create(t, s, "next", asAdmin)
	ok(t, departures[0].run(ctx, s, "root"))
	if got := administrators(t, s); !slices.Equal(got, []string{"next"}) {
		t.Fatal(got)
	}

	// A crowd of administrators who all go at once: one cannot.
	for _, d := range departures {
		for i := range crowd {
			create(t, s, fmt.Sprint(d.name, i), asAdmin)
		}
		for _, id := range administrators(t, s) {
			if len(id) <= len(d.name) || id[:len(d.name)] != d.name {
				ok(t, departures[0].run(ctx, s, id))
			}
		}
		won := race(t, func(i int) error { return d.run(ctx, s, fmt.Sprint(d.name, i)) }, dberr.LastAdmin, dberr.Unavailable)
		if left := administrators(t, s); len(left) != crowd-won || len(left) == 0 {
			t.Errorf("%s: %d of %d went, left are %v", d.name, won, crowd, left)
		}
	}
}

// testAdministratorsMeet: two of them leave from two connections, both having been
// read before either is written, where the database is shared. Where there are two,
// one stays; where there are more, both go.
func testAdministratorsMeet(t *testing.T, db Database) {
	one := open(t, db)
	two := one
	if db.Shared() {
		two = open(t, db)
	}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		for _, id := range administrators(t, one) { // from the round before; the last of them leaves below
			if err := departures[0].run(t.Context(), one, id); err != nil && !errors.Is(err, dberr.LastAdmin) {
				rt.Fatal(err)
			}
		}
		had := administrators(t, one)
		ids := make([]string, rapid.IntRange(2, 3).Draw(rt, "administrators"))
		for i := range ids {
			ids[i] = fmt.Sprintf("m%d-%d", n, i)
			create(t, one, ids[i], asAdmin)
		}
		for _, id := range had {
			ok(t, departures[0].run(t.Context(), one, id))
		}
		a, b := rapid.SampledFrom(departures).Draw(rt, "a"), rapid.SampledFrom(departures).Draw(rt, "b")
		other := rapid.SampledFrom(ids).Draw(rt, "whom b takes away")
		errs := together(t, db.Shared(), one, two, a.operation(one, ids[0]), b.operation(two, other))
		left := administrators(t, one)
		gone := len(ids) - len(left)
		switch last := len(ids) == 2; {
		case other == ids[0]: // the same one twice: the second finds it gone, or does the same again
			if gone != 1 || errs[0] != nil && !errors.Is(errs[0], dberr.NotFound) || errs[1] != nil && !errors.Is(errs[1], dberr.NotFound) {
				rt.Fatalf("%s and %s of one: %v; left %v", a.name, b.name, errs, left)
			}
		case last && (gone != 1 || errs[0] == nil == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), dberr.LastAdmin)),
			!last && (gone != 2 || errs[0] != nil || errs[1] != nil):
			rt.Fatalf("%s and %s: %v; left %v", a.name, b.name, errs, left)
		}
	})
}
