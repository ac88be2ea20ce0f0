package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ddpserver/internal/config"
	"ddpserver/internal/ejson"
	"ddpserver/internal/passkey"
	"ddpserver/internal/passkey/passkeytest"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
	"ddpserver/internal/web"
)

// began is what a start tells of passkeys.
type began struct {
	party *passkey.Party
	logs  *observer.ObservedLogs
	out   string
}

// told is the one record of that name; nil when there is none.
func (b began) told(name string) *observer.LoggedEntry {
	if list := b.logs.FilterMessage(name).All(); len(list) == 1 {
		return &list[0]
	}
	return nil
}

// beginning runs the check of a start on a store that is open.
func beginning(t *testing.T, st store.Store, env ...string) began {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	out := &output{}
	a := &App{cfg: load(t, append([]string{"DATA_DIR=" + t.TempDir()}, env...)...), store: st, log: zap.New(core), opts: Options{Out: out}}
	var err error
	if a.settings, err = openSettings(t.Context(), a.cfg, st, nil, a.log); err != nil {
		t.Fatal(err)
	}
	p, err := a.relyingParty(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return began{p, logs, out.String()}
}

// stores are empty ones of both kinds.
func stores(t *testing.T) map[string]store.Store {
	t.Helper()
	out := map[string]store.Store{}
	for name, env := range map[string]string{"SQLite": "DATA_DIR=" + t.TempDir(), "MongoDB": "MONGO_URL=" + mongotest.Start(t)} {
		st, err := openStore(t.Context(), load(t, env, "ENCRYPTION_KEY="+strings.Repeat("ab", 32)), true, zap.NewNop(), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		out[name] = st
	}
	return out
}

// A start at another host says how many accounts have keys and none that works there, each
// once, whatever else they have; keys of which nobody said for whom they are work anywhere.
func TestOrphanedPasskeysAreCounted(t *testing.T) {
	kinds := []string{"chat.example.com", "other.example.com", "", "broken"}
	for name, st := range stores(t) {
		keys := map[string][]string{} // of each account with some, those that count
		for mask := range 1 << len(kinds) {
			for _, asked := range []bool{true, false} {
				id := fmt.Sprintf("u%d%v", mask, asked)
				u := &user.User{ID: id, Username: id, Services: user.Services{Password: &user.Password{Bcrypt: "x"}}}
				w := &user.WebAuthn{Handle: "h" + id, SecondFactor: asked}
				for i, kind := range kinds {
					if mask>>i&1 == 0 {
						continue
					}
					k := user.Passkey{ID: fmt.Sprint("k", i), PublicKey: storetest.PublicKey, RPID: kind}
					if kind == "broken" {
						k.PublicKey, k.RPID = []byte("nothing"), "chat.example.com"
					} else {
						keys[id] = append(keys[id], kind)
					}
					w.Keys = append(w.Keys, k)
				}
				u.Services.FactorFields = user.FactorFields{WebAuthn: w}
				if err := st.CreateUser(t.Context(), u); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, host := range []string{"chat.example.com", "other.example.com", "third.example.com", "example.com"} {
			lost := 0
			for _, have := range keys {
				if !slices.Contains(have, host) && !slices.Contains(have, "") {
					lost++
				}
			}
			b := beginning(t, st, "ROOT_URL=https://"+host)
			e := b.told("passkeys_orphaned")
			if lost == 0 || e == nil || e.Level != zap.ErrorLevel || e.ContextMap()["accounts"] != int64(lost) || e.ContextMap()["host"] != host ||
				!strings.Contains(b.out, fmt.Sprintf("Passkeys of %d accounts were made for another host than %s ", lost, host)) || b.party == nil {
				t.Errorf("%s, at %s: %v, %q; want %d", name, host, b.logs.All(), b.out, lost)
			}
		}
		for _, where := range []string{"http://chat.example.com", "https://192.0.2.1"} {
			b := beginning(t, st, "ROOT_URL="+where)
			if e := b.told("passkeys_unavailable"); b.party != nil || e == nil || e.Level != zap.ErrorLevel || e.ContextMap()["accounts"] != int64(len(keys)) {
				t.Errorf("%s, at %s: %v; want %d accounts", name, where, b.logs.All(), len(keys))
			}
		}
		// Whoever gets a key for the host is not lost any more.
		one := "u2true"
		key := user.Passkey{ID: "new", PublicKey: storetest.PublicKey, RPID: "example.com"}
		if _, err := st.UpdateUser(t.Context(), one, user.Change{Factor: user.AddPasskey(key, "x", time.Now()), At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		first := beginning(t, st, "ROOT_URL=https://third.example.com").told("passkeys_orphaned").ContextMap()["accounts"].(int64)
		if e := beginning(t, st, "ROOT_URL=https://example.com").told("passkeys_orphaned"); e == nil || e.ContextMap()["accounts"] != first-1 {
			t.Errorf("%s: after one got a key for the host: %v", name, e)
		}
	}
}

// Where browsers make no passkeys the start says so and goes on, softly while nobody has one.
func TestPasskeysAreRuledOut(t *testing.T) {
	for name, st := range stores(t) {
		for root, want := range map[string]string{
			"http://localhost:3000": "", "http://app.localhost:3000": "", "https://chat.example.com": "", "https://chat.example.com:8443/team": "",
			"http://chat.example.com": "over https only", "http://intranet": "no host that passkeys", "http://127.0.0.1:3000": "is an address",
			"https://192.0.2.7": "is an address", "https://[2001:db8::1]": "is an address",
		} {
			b := beginning(t, st, "ROOT_URL="+root, "MAIL_FROM=a@example.com")
			e := b.told("passkeys_unavailable")
			if (b.party != nil) != (want == "") || (e != nil) != (want != "") || b.out != "" || b.told("passkeys_orphaned") != nil {
				t.Errorf("%s, %s: %v", name, root, b.logs.All())
				continue
			}
			if e != nil && (e.Level != zap.InfoLevel || !strings.Contains(fmt.Sprint(e.ContextMap()["error"]), want)) {
				t.Errorf("%s, %s: %v %v", name, root, e.Level, e.ContextMap())
			}
		}
		if b := beginning(t, st, "OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_By_WebAuthn_Enabled=false"); b.told("passkeys_switched_off") == nil {
			t.Errorf("%s: %v", name, b.logs.All())
		}
		b := beginning(t, st, "ROOT_URL=https://example.com", "ALLOWED_ORIGINS=https://app.example.com,https://*.example.com,https://other.org,apps")
		if e := b.told("passkeys_elsewhere"); e == nil || e.ContextMap()["origins"] != "https://*.example.com https://other.org" {
			t.Errorf("%s: %v", name, b.logs.All())
		}
	}
}

// Demands for a passkey that nobody can have are told by name at the start, with what becomes
// of them, whatever rules passkeys out; and are not, where they can be had.
func TestDemandsThatNobodyCanMeetAreTold(t *testing.T) {
	for name, st := range stores(t) {
		for _, env := range []string{"ROOT_URL=http://chat.example.com", "ROOT_URL=https://192.0.2.7", "ROOT_URL=https://chat.example.com",
			"OVERWRITE_SETTING_" + settings.TwoFactorByWebAuthn + "=false"} {
			b := beginning(t, st, env, "MAIL_FROM=a@example.com", "OVERWRITE_SETTING_"+settings.TwoFactorMandatoryRoles+"=admin:webauthn",
				"OVERWRITE_SETTING_"+settings.TwoFactorProtectedCalls+"=saveSettings = webauthn")
			var told []string
			for _, e := range b.logs.FilterMessage("settings").All() {
				told = append(told, fmt.Sprint(e.ContextMap()["hint"]))
			}
			all := strings.Join(told, "\n")
			can := env == "ROOT_URL=https://chat.example.com"
			if strings.Contains(all, `not enforced: "admin:webauthn"`) == can || strings.Contains(all, `shut to everybody: "saveSettings = webauthn"`) == can {
				t.Errorf("%s, %s: %q", name, env, told)
			}
		}
	}
}

// What a page may do with passkeys is what it may do at all, on the host of the server and
// below it: an entry of ALLOWED_ORIGINS means the same to both checks, however it is spelled.
func TestOriginsMeanTheSame(t *testing.T) {
	const root = "https://example.com"
	entries := []string{"https://app.example.com", "https://APP.example.com/", "https://app.example.com:443", "https://app.example.com:8443",
		"wss://app.example.com", "http://app.example.com", "https://*.example.com", "https://*", "https://example.com.", "https://other.org", "loopback", "apps", "*"}
	pages := []string{root, "https://app.example.com", "https://app.example.com:8443", "https://x.app.example.com", "https://sub.example.com",
		"https://*.example.com", "http://app.example.com", "https://other.org", "https://example.com.evil.org", "https://notexample.com", "http://localhost"}
	for _, entry := range entries {
		p, _, err := passkey.NewParty(root, []string{entry})
		if err != nil {
			t.Fatal(err)
		}
		origins, err := web.NewOrigins(root, []string{entry})
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			allowed := origins.Allowed(&http.Request{Host: "example.com", Header: http.Header{"Origin": {page}}})
			below := page == root || strings.HasPrefix(page, "https://") && strings.HasSuffix(strings.TrimSuffix(page, ":8443"), ".example.com")
			many := entry == "*" && page != root // everybody may connect, and nobody else asks for passkeys
			real := !strings.Contains(page, "*") // no browser writes a star
			if got, want := answers(t, p, page), allowed && below && !many && real; got != want {
				t.Errorf("%s: a page of %s uses passkeys: %v, connects: %v", entry, page, got, allowed)
			}
		}
	}
}

// answers tells whether a key can be made on a page.
func answers(t *testing.T, p *passkey.Party, page string) bool {
	t.Helper()
	handle := strings.Repeat("A", 43)
	options, err := ejson.Append(nil, p.Creation(passkey.Creation{Challenge: handle, Handle: handle, Name: "ada", Verify: passkey.Required}))
	if err != nil {
		t.Fatal(err)
	}
	text, err := passkeytest.New(page).Create(options)
	if err != nil {
		t.Fatal(err)
	}
	n, err := passkey.ReadNew([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Accept(n, passkey.Demand{Challenge: handle, Handle: handle})
	return err == nil
}

// What the configuration takes for an application is what passkeys take for one.
func TestApplicationsAreReadAlike(t *testing.T) {
	digest := strings.Repeat("A", 43)
	for _, text := range []string{
		digest, digest[:42], digest + "A", digest + "=", digest[:42] + "B", digest[:42] + "8", "-_" + digest[2:], "+/" + digest[2:], "",
	} {
		entry := "android:apk-key-hash:" + text
		_, _, err := config.Load(config.Source{Environ: []string{"ALLOWED_ORIGINS=" + entry}})
		if (err == nil) != passkey.IsApp(entry) {
			t.Errorf("%s: an application %v, in the configuration %v", entry, passkey.IsApp(entry), err)
		}
	}
	if !passkey.IsApp("android:apk-key-hash:" + digest) {
		t.Error("none is one")
	}
}
