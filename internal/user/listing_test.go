package user

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatAccountsAreListedBy(t *testing.T) {
	off := false
	u := &User{
		ID: "u", Username: "ann.smith", Name: "Ann  Smith-Ångström", Emails: []Email{{Address: "A.Smith@Example.org"}}, Roles: []string{"user"},
		Services: Services{
			Password: &Password{Bcrypt: "x"}, FactorFields: FactorFields{Email2FA: &Email2FA{Enabled: true}},
			Resume: &Resume{LoginTokens: []LoginToken{{HashedToken: "a", When: at}, {HashedToken: "b", When: at.Add(-time.Hour)}, {Type: PersonalAccessToken}}},
		},
	}
	u.FillKeys()
	if !u.LastLogin.Equal(at) || u.NameKey != "ann  smith-ångström" {
		t.Error(u.LastLogin, u.NameKey)
	}
	for _, found := range []string{"ann", "Ann.Sm", "SMITH", "smith-å", "example", "a.smith@ex", "org", "@example.org", " ångström"} {
		word, ok := WordOf(found)
		if !ok || !slices.ContainsFunc(u.ListKeys, func(k string) bool { return word <= k && k < AfterWord(word) }) {
			t.Errorf("%q (%q) is not found in %q", found, word, u.ListKeys)
		}
	}
	for _, not := range []string{"mith", "bob", "=state", "user"} {
		word, _ := WordOf(not)
		if slices.ContainsFunc(u.ListKeys, func(k string) bool { return word <= k && k < AfterWord(word) }) {
			t.Errorf("%q is found in %q", not, u.ListKeys)
		}
	}
	if _, ok := WordOf(" @! "); ok {
		t.Error("a text without a letter is a word")
	}
	for _, c := range []struct {
		change func()
		has    string
	}{
		{func() {}, "=state:active =role:user =factor:email =tokens =login:once"},
		{func() { u.Services.TOTP = &TOTP{Enabled: true} }, "=factor:email =factor:totp =factor:both"},
		{func() { u.Services = Services{} }, "=state:pending =factor:none =login:once"}, // it has been logged in to once
		{func() { u.LastLogin = time.Time{} }, "=login:never"},
		{func() { u.Services.Other = map[string]any{"github": 1} }, "=state:active"},
		{func() { u.Active = &off }, "=state:inactive"},
	} {
		c.change()
		u.FillKeys()
		for _, trait := range strings.Fields(c.has) {
			if !slices.Contains(u.ListKeys, trait) {
				t.Errorf("no %s in %q", trait, u.ListKeys)
			}
		}
	}
	long := words(strings.Repeat("ä", 100))
	if len(long) != 1 || len(long[0]) != maxWord || len(words(strings.Repeat("a ", 100))) != maxWords {
		t.Errorf("%q", long)
	}
}
