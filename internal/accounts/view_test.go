package accounts_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/user"
)

// fill sets every text in a value to a canary that names its place, so that
// whatever a view shows can be told by where it came from.
func fill(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path)
	case reflect.String:
		v.SetString("<" + path + ">")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), path)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]any{"k": "<" + path + ">"}))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	}
}

func TestS081ViewsShowNoSecrets(t *testing.T) {
	var u user.User
	fill(reflect.ValueOf(&u).Elem(), "u")
	u.Services.Email.Pending.Factors = u.FactorState() // under another state nothing waits
	for name, c := range map[string]struct {
		view  ejson.Doc
		shows []string
	}{
		"public": {accounts.Public(&u), []string{"ID", "Username", "Name", "Type", "Status", "StatusText", "AvatarETag"}},
		"full": {accounts.Full(&u), []string{"ID", "Username", "Name", "Type", "Status", "StatusText", "AvatarETag", "Emails.Address",
			"Services.Email.Pending.Address",
			"Roles", "Reason", "Language", "CustomFields"}},
		"own": {accounts.Own(&u), []string{"ID", "Username", "Name", "Type", "Status", "StatusText", "AvatarETag", "AvatarOrigin", "StatusDefault", "Emails.Address",
			"Services.Email.Pending.Address", "Roles", "Language", "CustomFields", "Profile"}},
	} {
		raw, err := ejson.Append(nil, c.view)
		if err != nil {
			t.Fatal(name, err)
		}
		text := string(raw)
		for _, place := range c.shows {
			if !strings.Contains(text, "<u."+place+">") {
				t.Errorf("%s lacks %s: %s", name, place, text)
			}
			text = strings.ReplaceAll(text, "<u."+place+">", "")
		}
		if i := strings.Index(text, "<u."); i >= 0 {
			t.Errorf("%s shows %s", name, text[i:])
		}
	}
	app, _ := accounts.OwnServices(&u).Get("totp")
	if _, ok := app.(ejson.Doc).Get("resetDue"); !ok {
		t.Error("the owner is not shown that the app is about to be removed")
	}
	// An account with nothing in it has views too (hostile or foreign documents).
	for _, v := range []ejson.Doc{accounts.Public(&user.User{}), accounts.Full(&user.User{}), accounts.Own(&user.User{})} {
		if _, err := ejson.AppendJSON(nil, v); err != nil {
			t.Error(err)
		}
	}
}
