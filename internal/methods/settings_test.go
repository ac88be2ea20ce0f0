package methods_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

type record struct {
	ID           string `json:"_id"`
	Value        any    `json:"value"`
	PackageValue any    `json:"packageValue"`
	Type         string `json:"type"`
	Public       bool   `json:"public"`
	ValueSource  string `json:"valueSource"`
}

func find(list []record, id string) *record {
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return nil
}

func TestSettingsConversations(t *testing.T) { play(t, "settings.txtar") }

func TestPublicSettings(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.Connect()
		raw, fail := c.Call("public-settings/get")
		if fail != nil {
			t.Fatal(fail.Code())
		}
		list := testkit.Unmarshal[[]record](t, raw)
		if r := find(list, settings.TwoFactorEnabled); r == nil || r.Value != true {
			t.Errorf("%+v", r)
		}
		for _, r := range list {
			if set, ok := w.Settings.Get(r.ID); !ok || !set.Public {
				t.Errorf("%s is shown to strangers", r.ID)
			}
		}
		time.Sleep(time.Minute) // bubble time
		since := time.Now()
		time.Sleep(time.Minute)
		w.Set(settings.SiteName, "New name")
		w.Set(settings.TwoFactorMaxDelta, 2) // not public
		c = w.Connect()                      // the first one answered no ping
		raw, fail = c.Call("public-settings/get", since)
		if fail != nil {
			t.Fatal(fail.Code())
		}
		diff := testkit.Unmarshal[struct {
			Update []record `json:"update"`
			Remove []any    `json:"remove"`
		}](t, raw)
		if len(diff.Update) != 1 || diff.Update[0].ID != settings.SiteName || diff.Update[0].Value != "New name" || diff.Remove == nil {
			t.Errorf("%s", raw)
		}
		for _, bad := range []string{`["2020"]`, `[5]`, `[{"$ne":1}]`, `[{"$date":"x"}]`} {
			if _, fail := c.CallRaw("public-settings/get", bad); fail.Code() != "400" {
				t.Errorf("%s: %s", bad, fail.Code())
			}
		}
	})
}

func TestPrivateSettings(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.User("ada", "role=admin")
		w.User("bob")
		for name, c := range map[string]*client{"stranger": w.Connect(), "user": w.As("bob")} {
			if raw, fail := c.Call("private-settings/get"); fail != nil || string(raw) != "[]" {
				t.Errorf("%s: %s %s", name, raw, fail.Code())
			}
		}
		c := w.As("ada")
		w.Set(settings.TwoFactorMaxDelta, 2)
		raw, fail := c.Call("private-settings/get")
		if fail != nil {
			t.Fatal(fail.Code())
		}
		list := testkit.Unmarshal[[]record](t, raw)
		if len(list) != len(settings.Table()) { // facts are not for an editor
			t.Errorf("%d of %d settings", len(list), len(settings.Table()))
		}
		r := find(list, settings.TwoFactorMaxDelta)
		if r == nil || r.Value != 2.0 || r.PackageValue != 1.0 || r.Type != "int" || r.ValueSource != "customValue" {
			t.Errorf("%+v", r)
		}
	})
}

// saveSetting and saveSettings ask for the factor, then the permission, then
// look at what is to be saved; a change is audited without its value.
func TestSaveSettings(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada", "role=admin")
		w.User("bob")
		const id = settings.SiteName
		pass := answer(testkit.DigestOf("ada"), "password")
		if _, fail := w.Connect().Call("saveSetting", id, "x"); fail.Code() != "error-not-authorized" {
			t.Errorf("%s", fail.Code())
		}
		bob := w.As("bob")
		if _, fail := bob.Call("saveSetting", id, "x"); fail.Code() != "totp-required" {
			t.Errorf("%s", fail.Code())
		}
		_, fail := bob.Call("saveSettings", []any{}, answer(testkit.DigestOf("bob"), "password"))
		if fail.Code() != "error-action-not-allowed" || fail.Reason != "Editing settings is not allowed" || string(fail.Details) != `{"method":"saveSettings"}` {
			t.Errorf("%+v", fail)
		}
		ada := w.As("ada")
		if _, fail := ada.Call("saveSetting", id, "stolen"); fail.Code() != "totp-required" {
			t.Fatalf("%s", fail.Code())
		}
		if raw, fail := ada.Call("saveSetting", id, "one", nil, pass); fail != nil || string(raw) != "true" {
			t.Fatalf("%s %s", raw, fail.Code())
		}
		if w.Settings.String(id) != "one" {
			t.Error("not saved")
		}
		// A genuine false in the last place arrives (docs/security-tests.md S049); trust is remembered now.
		if raw, fail := ada.Call("saveSetting", settings.FavoriteRooms, false); fail != nil || string(raw) != "true" || w.Settings.Bool(settings.FavoriteRooms) {
			t.Errorf("%s %s", raw, fail.Code())
		}
		// Trust is not enough for one that guards, nor for a batch with one in it.
		guard := []any{map[string]any{"_id": id, "value": "two", "editor": "x"}, map[string]any{"_id": settings.LoginExpiration, "value": 30}}
		if _, fail := ada.Call("saveSettings", guard); fail.Code() != "totp-required" || w.Settings.String(id) != "one" {
			t.Errorf("a batch with a guard, on trust: %s", fail.Code())
		}
		if _, fail := ada.Call("saveSetting", settings.AllowEmailChange, false); fail.Code() != "totp-required" || !w.Settings.Bool(settings.AllowEmailChange) {
			t.Errorf("a guard, on trust: %s", fail.Code())
		}
		if raw, fail := ada.Call("saveSettings", guard, pass); fail != nil || string(raw) != "true" || w.Settings.String(id) != "two" ||
			w.Settings.Int(settings.LoginExpiration) != 30 {
			t.Errorf("%s %s", raw, fail.Code())
		}
		events := w.Trail.Of("setting_changed")
		if len(events) != 4 || events[0].Target != id || events[0].User != w.Vars["ada"] || events[0].Method != "saveSetting" {
			t.Errorf("%+v", events)
		}
		if strings.Contains(fmt.Sprintf("%+v", events), "two") {
			t.Error("values are recorded")
		}
	})
}

// S079: nothing a client sends makes a setting that is not in the table, or half
// of a batch.
func TestSettingWriteAbuse(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		w.User("ada", "role=admin")
		c := w.As("ada")
		if _, fail := c.Call("saveSettings", []any{}, answer(testkit.DigestOf("ada"), "password")); fail != nil {
			t.Fatal(fail.Code())
		}
		good := map[string]any{"_id": settings.SiteName, "value": "half a batch"}
		many := make([]any, 10_000)
		for i := range many {
			many[i] = good
		}
		for name, try := range map[string]struct {
			method string
			params []any
			want   string
		}{
			"hidden field":  {"saveSetting", []any{"services.totp.secret", "x"}, "error-invalid-setting"},
			"operator":      {"saveSetting", []any{"$set", "x"}, "error-invalid-setting"},
			"dots":          {"saveSetting", []any{"a.b", "x"}, "error-invalid-setting"},
			"prototype":     {"saveSetting", []any{"__proto__", "x"}, "error-invalid-setting"},
			"id object":     {"saveSetting", []any{map[string]any{"$ne": ""}, "x"}, "400"},
			"value object":  {"saveSetting", []any{settings.SiteName, map[string]any{"$ne": ""}}, "400"},
			"value missing": {"saveSetting", []any{settings.SiteName}, "400"},
			"value null":    {"saveSetting", []any{settings.SiteName, nil}, "400"},
			"wrong type":    {"saveSetting", []any{settings.TwoFactorEnabled, "false"}, "400"},
			"long value":    {"saveSetting", []any{settings.SiteName, strings.Repeat("x", 500_000)}, "error-invalid-setting-value"},
			"range":         {"saveSetting", []any{settings.TwoFactorEmailExpiration, 1}, "error-invalid-setting-value"},
			"many":          {"saveSettings", []any{many}, "400"},
			"twice":         {"saveSettings", []any{[]any{good, good}}, "400"},
			"half":          {"saveSettings", []any{[]any{good, map[string]any{"_id": "nope", "value": 1}}}, "error-invalid-setting"},
			"no list":       {"saveSettings", []any{good}, "400"},
			"no id":         {"saveSettings", []any{[]any{map[string]any{"value": 1}}}, "400"},
		} {
			if _, fail := c.Call(try.method, append(try.params, answer(testkit.DigestOf("ada"), "password"))...); fail.Code() != try.want {
				t.Errorf("%s: %s, want %s", name, fail.Code(), try.want)
			}
		}
		stored, err := w.Store.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stored {
			if s.ID == settings.SiteName {
				t.Errorf("half a batch was stored: %v", s)
			}
			if _, known := w.Settings.Get(s.ID); !known {
				t.Errorf("setting %q was made", s.ID)
			}
		}
	})
}

// A change of a limit takes effect at once on connections that are open.
func TestLimitsFollowSettings(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.Connect()
		for i := range 10 {
			if _, fail := c.Call("getServerTime"); fail != nil {
				t.Fatalf("call %d: %s", i+1, fail.Code())
			}
		}
		_, fail := c.Call("getServerTime")
		var details struct {
			TimeToReset int64 `json:"timeToReset"`
		}
		if fail.Code() != "too-many-requests" {
			t.Fatalf("%s", fail.Code())
		}
		if err := json.Unmarshal(fail.Details, &details); err != nil || details.TimeToReset <= 0 || details.TimeToReset > 10_000 {
			t.Errorf("%s", fail.Details)
		}
		w.Set(settings.LimitConnectionMethodEnabled, false)
		if _, fail := c.Call("getServerTime"); fail != nil {
			t.Errorf("%s", fail.Code())
		}
		for range 20 { // the login rule is lifted too (docs/decisions.md 6.2)
			if _, fail := c.Call("login", map[string]any{}); fail.Code() != "400" {
				t.Fatalf("%s", fail.Code())
			}
		}
		w.Set(settings.LimitConnectionMethodEnabled, true)
		w.Set(settings.LimitConnectionMethodRequests, 1)
		_, _ = c.Call("permissions/get")
		if _, fail := c.Call("permissions/get"); fail.Code() != "too-many-requests" {
			t.Errorf("%s", fail.Code())
		}
	})
}

// docs/wire/ddp.md F2 A10: the sixth login within ten seconds.
func TestSixthLogin(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.Connect()
		for range 5 {
			if _, fail := c.Call("login", map[string]any{}); fail.Code() != "400" {
				t.Fatalf("%s", fail.Code())
			}
		}
		if _, fail := c.Call("login", map[string]any{}); fail.Code() != "too-many-requests" {
			t.Errorf("%s", fail.Code())
		}
		if _, fail := c.Call("createUser", map[string]any{}); fail.Code() == "too-many-requests" {
			t.Error("each method has a budget of its own")
		}
		time.Sleep(11 * time.Second)
		if _, fail := c.Call("login", map[string]any{}); fail.Code() != "400" {
			t.Errorf("%s", fail.Code())
		}
	})
}

func TestSystemMethods(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.User("ada")
		c := w.Connect()
		raw, fail := c.Call("getServerTime", "whatever")
		if fail != nil {
			t.Fatal(fail.Code())
		}
		if v, err := ejson.Decode(raw); err != nil || !v.(time.Time).Equal(time.Now().UTC().Truncate(time.Millisecond)) {
			t.Errorf("%s, %v", raw, err)
		}
		if _, fail := c.Call("getServerInfo"); fail.Code() != "error-not-authorized" {
			t.Errorf("%s", fail.Code())
		}
		a := w.As("ada")
		if raw, fail := a.Call("getServerInfo"); fail != nil || string(raw) != `{"version":"8.5.0","product":{"name":"ddpserver","version":"1.0.0"}}` {
			t.Errorf("%s %s", raw, fail.Code())
		}
		raw, fail = a.Call("permissions/get")
		if fail != nil || !strings.Contains(string(raw), `"_id":"create-personal-access-tokens","roles":["admin","user"]`) {
			t.Errorf("%.200s %s", raw, fail.Code())
		}
		raw, fail = a.Call("permissions/get", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
		if fail != nil || string(raw) != `{"update":[],"remove":[]}` {
			t.Errorf("%s %s", raw, fail.Code())
		}
	})
}

// docs/wire/ddp.md F2 A17, A19: the methods of Meteor's users collection.
func TestMutators(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.Unlimited()
		ada, bob := w.User("ada"), w.User("bob")
		c := w.As("ada")
		const restricted = "Access denied. In a restricted collection you can only update documents, not replace them. Use a Mongo update operator, such as '$set'."
		for _, try := range []struct{ method, params, want string }{
			{"configureLoginService", `[{"service":"x"}]`, "Service unknown [403]"},
			{"configureLoginService", `[{"service":5}]`, "Match failed [400]"},
			{"configureLoginService", `[]`, "Match failed [400]"},
			{"/users/insert", `[{"username":"x"}]`, "Access denied. No allow validators set on restricted collection for method 'insert'. [403]"},
			{"/users/insertAsync", `[{}]`, "Access denied. No allow validators set on restricted collection for method 'insertAsync'. [403]"},
			{"/users/remove", `["` + ada.ID + `"]`, "Access denied. No allow validators set on restricted collection for method 'remove'. [403]"},
			{"/users/remove", `[{"username":"bob"}]`, "Not permitted. Untrusted code may only remove documents by ID. [403]"},
			{"/users/update", `[{"username":"ada"},{"$set":{"profile":{}}}]`, "Not permitted. Untrusted code may only update documents by ID. [403]"},
			{"/users/update", `[{"_id":{"$ne":"x"}},{"$set":{"profile":{}}}]`, "Not permitted. Untrusted code may only update documents by ID. [403]"},
			{"/users/update", `["` + bob.ID + `",{"$set":{"profile":{}}}]`, "Access denied [403]"},
			{"/users/update", `["nobody",{"$set":{"profile":{}}}]`, "Access denied [403]"},
			{"/users/update", `["` + ada.ID + `",{"$set":{"roles":["admin"]}}]`, "Access denied [403]"},
			{"/users/update", `["` + ada.ID + `",{"$set":{"profile.x":1,"services.totp":null}}]`, "Access denied [403]"},
			{"/users/update", `["` + ada.ID + `",{"$rename":{"profile.a":"roles"}}]`, "Access denied. Operator $rename not allowed in a restricted collection. [403]"},
			{"/users/update", `["` + ada.ID + `",{"profile":{}}]`, restricted + " [403]"},
			{"/users/update", `["` + ada.ID + `",{}]`, restricted + " [403]"},
			{"/users/update", `["` + ada.ID + `",{"$set":{"profile":{}}},{"upsert":true}]`, "Access denied. Upserts not allowed in a restricted collection. [403]"},
			{"/users/update", `["` + ada.ID + `","x"]`, "Match failed [400]"},
			{"/users/update", `["` + ada.ID + `",{"$set":{"profile":5}}]`, "Match failed [400]"},
			{"/users/update", `["` + ada.ID + `",{"$set":5}]`, "Match failed [400]"},
		} {
			if raw, fail := c.CallRaw(try.method, try.params); fail == nil || fail.Message != try.want {
				t.Errorf("%s %s: %s %+v", try.method, try.params, raw, fail)
			}
		}
		if _, fail := w.Connect().CallRaw("/users/update", `["`+ada.ID+`",{"$set":{"profile":{}}}]`); fail == nil || fail.Message != "Access denied [403]" {
			t.Errorf("logged out: %+v", fail)
		}
		for _, step := range []struct{ params, want string }{
			{`["` + ada.ID + `",{"$set":{"profile":{"name":"A","deep":{"x":1}}}}]`, `{"deep":{"x":1},"name":"A"}`},
			{`[{"_id":"` + ada.ID + `"},{"$set":{"profile.deep.y":true},"$unset":{"profile.name":1}},{}]`, `{"deep":{"x":1,"y":true}}`},
			{`["` + ada.ID + `",{"$unset":{"profile":1}}]`, `null`},
		} {
			raw, fail := c.CallRaw("/users/updateAsync", step.params)
			if fail != nil || string(raw) != "1" {
				t.Fatalf("%s: %s %+v", step.params, raw, fail)
			}
			u, err := w.Accounts.User(t.Context(), ada.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ejson.Append(nil, u.Profile); err != nil || string(got) != step.want {
				t.Errorf("%s leaves %s, %v", step.params, got, err)
			}
			f := c.Event()
			for f.Msg == "added" {
				f = c.Event()
			}
			if f.Collection != "users" || f.Msg != "changed" || !strings.Contains(f.Text, "profile") {
				t.Errorf("the change is not pushed: %s", f.Text)
			}
		}
	})
}
