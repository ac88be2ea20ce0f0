package user

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// harmless are the members of an account whose change is not marked: no session depends
// on them. A member that is added is marked until it is named here and in guarded.
var harmless = []string{
	"CreatedAt", "UpdatedAt", "Username", "Name", "Type", "Status", "StatusDefault", "StatusText", "Language", "Profile", "CustomFields", "Reason",
	"AvatarETag", "AvatarOrigin",
	"UsernameKey", "EmailKeys", "LastLogin", "NameKey", "ListKeys",
	"Services.Password.ResetAt", "Services.Password.Reset", "Services.Password.Enroll", "Services.Password.Earlier",
	// Where there is a hash of Argon2, this one does not count.
	"Services.Password.Bcrypt",
	"Services.Email",
	"Services.TOTP.TempSecret", "Services.TOTP.TempAt", "Services.TOTP.TempTries", "Services.TOTP.TempBound", "Services.TOTP.LastStep",
	"Services.TOTP.HashedBackup", "Services.TOTP.BackupSalt", "Services.TOTP.PendingReset",
	"Services.WebAuthn.Spent", "Services.WebAuthn.SpentBefore", "Services.WebAuthn.PendingReset",
	"Services.WebAuthn.Keys.Counter", "Services.WebAuthn.Keys.BackedUp", "Services.WebAuthn.Keys.Name", "Services.WebAuthn.Keys.LastUsedAt",
	"Services.Resume.LoginTokens.MadeFrom", "Services.Resume.LoginTokens.UsedFrom", "Services.Resume.LoginTokens.LastUsedAt",
}

// leaves calls visit with every member that holds no others, below what is named harmless
// only once.
func leaves(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	switch {
	case slices.Contains(harmless, path), v.Type() == reflect.TypeFor[time.Time]():
		visit(path, v)
	case v.Kind() == reflect.Pointer:
		leaves(v.Elem(), path, visit)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			name := path
			if f := v.Type().Field(i); !f.Anonymous || slices.Contains(harmless, path+"."+f.Name) {
				name = fmt.Sprintf("%s.%s", path, f.Name)
			}
			if path == "" {
				name = v.Type().Field(i).Name
			}
			leaves(v.Field(i), name, visit)
		}
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Index(0).Kind() == reflect.Struct:
		leaves(v.Index(0), path, visit)
	default:
		visit(path, v)
	}
}

// Every member is marked when it changes, but those that are named.
func TestWhatIsMarked(t *testing.T) {
	var paths []string
	full := func() *User {
		u := &User{}
		fill(reflect.ValueOf(u).Elem())
		u.Services.Resume.LoginTokens[1].HashedToken, u.Services.WebAuthn.Keys[1].ID = "other", "other"
		u.Services.Password.Argon2 = "another hash"
		return u
	}
	leaves(reflect.ValueOf(full()).Elem(), "", func(path string, _ reflect.Value) { paths = append(paths, path) })
	for _, path := range harmless {
		if !slices.Contains(paths, path) {
			t.Errorf("there is no %s", path)
		}
	}
	for i, path := range paths {
		changed := full()
		n := 0
		leaves(reflect.ValueOf(changed).Elem(), "", func(_ string, v reflect.Value) {
			if n == i {
				v.SetZero()
			}
			n++
		})
		if got, want := Marked(full(), changed), !slices.Contains(harmless, path); got != want {
			t.Errorf("a change of %s is marked: %v", path, got)
		}
	}
	if Marked(full(), full()) || Marked(&User{}, &User{}) {
		t.Error("no change is marked")
	}
}

// A login, and trust that is earned, are no marks; the loss of either is.
func TestMarksOfTokens(t *testing.T) {
	with := func(tokens ...LoginToken) *User {
		return &User{Services: Services{Resume: &Resume{LoginTokens: tokens}}}
	}
	a, b := LoginToken{HashedToken: "a"}, LoginToken{HashedToken: "b"}
	trusted, again := a, a
	trusted.TrustHash, again.TrustHash = "f", "g"
	for name, c := range map[string]struct {
		before, after *User
		want          bool
	}{
		"the first login": {&User{}, with(a), false}, "a login": {with(a), with(a, b), false}, "a logout": {with(a, b), with(b), true},
		"the last logout": {with(a), with(), true}, "one for another": {with(a), with(b), true}, "no tokens at all": {with(a), &User{}, true},
		"trust": {with(a), with(trusted), false}, "no trust": {with(trusted), with(a), true}, "other trust": {with(trusted), with(again), true},
		"a clear token is upgraded": {with(LoginToken{Token: "c"}), with(a), true},
	} {
		if got := Marked(c.before, c.after); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
