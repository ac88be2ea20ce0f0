package user_test

import (
	"reflect"
	"strings"
	"testing"

	"ddpserver/internal/feed/feedtest"
	"ddpserver/internal/user"
)

var kinds = []feedtest.Case{
	feedtest.Of(user.Changed),
}

func TestNews(t *testing.T) { feedtest.Run(t, kinds...) }

func FuzzNews(f *testing.F) { feedtest.Fuzz(f, kinds...) }

// Whatever a change changes, its news says so.
func TestFieldsOfEveryChange(t *testing.T) {
	if f := (&user.Change{}).Fields(); f == nil || len(f) != 0 {
		t.Errorf("nothing changed, and the news says %v", f)
	}
	shape := reflect.TypeFor[user.Change]()
	for i := range shape.NumField() {
		name := shape.Field(i).Name
		if strings.HasPrefix(name, "If") || name == "At" || name == "KeepToken" {
			continue // conditions, the time, and what limits a removal
		}
		var c user.Change
		switch v := reflect.ValueOf(&c).Elem().Field(i); v.Kind() {
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
		case reflect.String:
			v.SetString("x")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Func:
			v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value { return nil }))
		default:
			t.Fatalf("%s is of a new type", name)
		}
		if len(c.Fields()) != 1 {
			t.Errorf("%s changed, and the news says %v", name, c.Fields())
		}
	}
}

func TestSecurity(t *testing.T) {
	for _, c := range []struct {
		change user.Change
		want   string
	}{
		{user.Change{}, ""}, {user.Change{RemoveSessions: true}, "sessions tokens"}, {user.Change{ClearTrust: true}, "trust"},
		{user.Change{Factor: user.DropTOTP, RemoveTokens: true, ClearTrust: true}, "sessions tokens trust factors"},
		{user.Change{Emails: new([]user.Email), Pending: new(user.PendingEmail)}, "addresses"}, {user.Change{Bcrypt: new(string)}, "password"},
		{user.Change{Name: new(string), Roles: new([]string), Profile: new(map[string]any), Status: new(string)}, ""},
	} {
		if got := strings.Join((user.News{Fields: c.change.Fields()}).Security(), " "); got != c.want {
			t.Errorf("%v is told as %q, want %q", c.change.Fields(), got, c.want)
		}
	}
	if got := strings.Join((user.News{}).Security(), " "); got != "sessions tokens trust factors addresses password" {
		t.Errorf("of a change that names nothing is told %q", got)
	}
}

func TestOnly(t *testing.T) {
	for _, c := range []struct {
		fields []string
		want   bool
	}{{nil, false}, {[]string{}, true}, {[]string{"a"}, true}, {[]string{"b", "a"}, true}, {[]string{"a", "roles"}, false}, {[]string{"newer"}, false}} {
		if got := (user.News{Fields: c.fields}).Only("a", "b"); got != c.want {
			t.Errorf("%v: %v", c.fields, got)
		}
	}
}

func TestEndedTokens(t *testing.T) {
	inactive := false
	account := func(hashes ...string) *user.User {
		u := &user.User{ID: "u"}
		u.Services.Resume = &user.Resume{}
		for _, h := range hashes {
			u.Services.Resume.LoginTokens = append(u.Services.Resume.LoginTokens, user.LoginToken{HashedToken: h})
		}
		return u
	}
	gone := account("a")
	gone.Active = &inactive
	for name, c := range map[string]struct {
		ended      *user.EndedTokens
		dead, kept string
	}{
		"nothing ended":   {user.Ended(account("a", "b"), account("b", "a", "c")), "", "a b c"},
		"some ended":      {user.Ended(account("a", "b", "c"), account("b")), "a c", "b d"},
		"all but some":    {user.EndedBut(account("b")), "a c", "b"},
		"none is left":    {user.EndedBut(account()), "a b", ""},
		"deactivated":     {user.EndedBut(gone), "a b", ""},
		"without tokens":  {user.EndedBut(&user.User{}), "a", ""},
		"no news of them": {nil, "", "a"},
	} {
		for _, hash := range strings.Fields(c.dead) {
			if !c.ended.Has(hash) {
				t.Errorf("%s: %s counts as alive", name, hash)
			}
		}
		for _, hash := range strings.Fields(c.kept) {
			if c.ended.Has(hash) {
				t.Errorf("%s: %s counts as dead", name, hash)
			}
		}
	}
	if (user.News{Ended: &user.EndedTokens{}}).Check() == nil {
		t.Error("an empty list of dead tokens was taken for news")
	}
}
