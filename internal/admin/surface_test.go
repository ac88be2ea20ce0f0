package admin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

type surface struct {
	Methods []struct {
		Name, Login, Factor, WhenNeeded string
		Effects, Actions, Errors        []string
		Passage                         bool
	}
	Routes []struct {
		Verb, Path, Method string
		Parameters         []struct {
			Name, In, Type string
			Required       bool
			Values         []string
		}
	}
	Streams    []streamLine
	Protection *struct {
		Setting, Value string
		Forced         bool
		Entries        []entry
	}
}

type streamLine struct {
	Name   string
	Events []string
}

type entry struct {
	Entry           string
	Known           bool
	Methods, Routes []string
}

// The surface is told whole over both doors; the protection to those who may see
// settings only, and what it says of each method is what the router does.
func TestSurfaceSaysWhatTheRouterDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testkit.NewAPI(t, testkit.Options{})
		w.Unlimited()
		w.User("ada", "role=admin")
		w.User("bob")
		ada, bob := w.As("ada"), w.As("bob")
		raw, fail := bob.Call("server:surface")
		if fail != nil {
			t.Fatal(fail)
		}
		seen := testkit.Unmarshal[surface](t, raw)
		if len(seen.Methods) != len(w.Router.Specs()) || len(seen.Routes) != len(w.REST.Routes()) || seen.Protection != nil {
			t.Errorf("%d methods, %d routes, protection %v", len(seen.Methods), len(seen.Routes), seen.Protection)
		}
		for _, m := range seen.Methods {
			if len(m.Effects) == 0 || m.Factor == "" || m.Login == "" || len(m.Actions) == 0 {
				t.Errorf("%+v", m)
			}
		}
		text := fmt.Sprintf("%+v", seen.Routes)
		for _, want := range []string{"{Verb:GET Path:users.list Method: Parameters:[{Name:count In:query Type:integer Required:false Values:[]}",
			"{Name:state In:query Type:string Required:false Values:[active inactive pending]}", "{Name:_id In:path Type:string Required:true Values:[]}"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s", want)
			}
		}
		if !slices.ContainsFunc(seen.Streams, func(s streamLine) bool { return s.Name == "stream-server" && slices.Contains(s.Events, "users") }) {
			t.Errorf("%+v", seen.Streams)
		}
		if _, fail := bob.Call("server:surface", map[string]any{"protectedCalls": "*"}); fail.Code() != "error-not-allowed" {
			t.Errorf("a preview for bob: %v", fail)
		}

		const list = "get*, users.info\nno-such-call, method.call/:method"
		raw, fail = ada.Call("server:surface", map[string]any{"protectedCalls": list})
		if fail != nil {
			t.Fatal(fail)
		}
		preview := testkit.Unmarshal[surface](t, raw).Protection
		if preview.Setting != settings.TwoFactorProtectedCalls || preview.Value != list || len(preview.Entries) != 4 {
			t.Fatalf("%+v", preview)
		}
		if known := preview.Entries[2].Known; preview.Entries[2].Entry != "no-such-call" || known {
			t.Errorf("%+v", preview.Entries[2])
		}
		w.Set(settings.TwoFactorProtectedCalls, list)
		raw, _ = ada.Call("server:surface")
		if saved := testkit.Unmarshal[surface](t, raw).Protection; fmt.Sprint(saved.Entries) != fmt.Sprint(preview.Entries) {
			t.Errorf("saved %+v, preview %+v", saved, preview)
		}
		for _, name := range []string{"getServerInfo", "getUsernameSuggestion", "permissions/get", "users:statistics"} {
			covered := slices.ContainsFunc(preview.Entries, func(e entry) bool { return slices.Contains(e.Methods, name) })
			_, fail := bob.Call(name)
			if asked := fail.Code() == "totp-required"; asked != covered {
				t.Errorf("%s: covered %v, asked %v (%v)", name, covered, asked, fail)
			}
		}
		long := strings.Repeat("a,", 9<<10)
		if _, fail := ada.Call("server:surface", map[string]any{"protectedCalls": long}); fail.Code() != "error-invalid-setting-value" {
			t.Errorf("a list that cannot be saved: %v", fail)
		}

		c := w.Caller()
		c.Take(c.OK("POST", "login", map[string]any{"user": "ada", "password": testkit.PasswordOf("ada")}))
		if a := c.OK("GET", "server.surface?protectedCalls=users.*", nil); a.Doc("protection")["value"] != "users.*" {
			t.Errorf("%v", a.Doc("protection"))
		}
	})
}
