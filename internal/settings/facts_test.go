package settings_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/store/storetest"
)

// Nobody changes a fact: not by saving, not from the environment, and not by what a
// database holds of another program. It is public and guards nothing, and no setting has
// its name.
func TestFactsAreFixed(t *testing.T) {
	db := storetest.OpenSQLite(t)
	table := settings.Table()
	var ids []string
	for _, d := range table {
		ids = append(ids, d.ID)
	}
	facts := settings.Facts("https://chat.example.com")
	overrides := map[string]string{}
	for _, f := range facts {
		if slices.Contains(ids, f.ID) {
			t.Errorf("%s is a setting and a fact", f.ID)
		}
		overrides[f.ID] = "x"
		if f.ID == settings.UniqueID {
			continue
		}
		if err := db.SaveSettings(t.Context(), []settings.Stored{{ID: f.ID, Value: "foreign"}}); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	s := open(t, settings.Options{Store: db, Overrides: overrides, Definitions: append(table, facts...),
		Warn: func(text string, _ error) { told = append(told, text) }})
	if len(told) != len(facts) {
		t.Errorf("%d warnings of %d forced facts: %q", len(told), len(facts), told)
	}
	for _, f := range facts {
		got, ok := s.Get(f.ID)
		if !ok || !got.Public || got.Secret || got.Forced {
			t.Errorf("%s: %+v", f.ID, got)
		}
		if list, isList := f.Default.([]any); isList {
			if v, ok := got.Value.([]any); !ok || len(v) != len(list) {
				t.Errorf("%s is %v", f.ID, got.Value)
			}
		} else if got.Value != f.Default {
			t.Errorf("%s is %v, not %v", f.ID, got.Value, f.Default)
		}
		_, err := s.Save(t.Context(), []settings.Change{{ID: f.ID, Value: f.Default}})
		if !errors.Is(err, settings.ErrNotAllowed) {
			t.Errorf("saving %s: %v", f.ID, err)
		}
	}
	if err := s.Refresh(t.Context()); err != nil { // compares what cannot be compared
		t.Error(err)
	}
	if u, _ := s.Get(settings.SiteURL); u.Value != "https://chat.example.com" {
		t.Errorf("Site_Url %v", u.Value)
	}
}

// A database has one name for ever: the one that it was adopted with, or one that the
// first node gives it.
func TestIdentify(t *testing.T) {
	facts := func() []settings.Definition { return append(settings.Table(), settings.Facts("")...) }
	db := storetest.OpenSQLite(t)
	first, second := open(t, settings.Options{Store: db, Definitions: facts()}), open(t, settings.Options{Store: db, Definitions: facts()})
	for i, s := range []*settings.Service{first, second, first} {
		if err := s.Identify(t.Context(), fmt.Sprint("name ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := first.String(settings.UniqueID)
	if name != "name 1" { // both began without one, and the second was the last to say so
		t.Errorf("the name %q", name)
	}
	third := open(t, settings.Options{Store: db, Definitions: facts()})
	if err := third.Identify(t.Context(), "another"); err != nil || third.String(settings.UniqueID) != name {
		t.Errorf("%q after %q, %v", third.String(settings.UniqueID), name, err)
	}

	adopted := storetest.OpenSQLite(t)
	if err := adopted.SaveSettings(t.Context(), []settings.Stored{{ID: settings.UniqueID, Value: "of Rocket.Chat"}}); err != nil {
		t.Fatal(err)
	}
	s := open(t, settings.Options{Store: adopted, Definitions: facts()})
	if err := s.Identify(t.Context(), "another"); err != nil || s.String(settings.UniqueID) != "of Rocket.Chat" {
		t.Errorf("%q, %v", s.String(settings.UniqueID), err)
	}
}
