package settings_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/fault"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/storetest"
)

// A10: a rule that names a role or a factor that does not exist is refused with
// words that list what there is, over every way to give it: saving, forcing from
// the environment, and as a default.
func TestA10RolesThatDoNotExist(t *testing.T) {
	s := open(t, settings.Options{})
	for rule, want := range map[string]string{
		"": "", " ,\n, ": "", "admin": "", "admin, user": "", "admin:totp\nuser": "", " bot : totp ": "",
		"Admin": `there is no role "Admin"; the roles are admin, bot, user`, "admins": "no role", "admin,owner": "no role", "moderator": "no role",
		"admin:": "does not exist", "admin:email": "does not exist", "admin:TOTP": "does not exist", "admin:totp:totp": "does not exist", ":totp": "no role",
		"user admin": "no role",
	} {
		_, saved := s.Save(t.Context(), []settings.Change{{ID: settings.TwoFactorMandatoryRoles, Value: rule}})
		_, forced := settings.CheckOverrides(map[string]string{settings.TwoFactorMandatoryRoles: rule})
		_, initial := settings.Initial(settings.Table(), func(id string) (string, bool) { return rule, id == settings.TwoFactorMandatoryRoles })
		if want == "" {
			if saved != nil || forced != nil || initial != nil {
				t.Errorf("%q: %v, %v, %v", rule, saved, forced, initial)
			}
			continue
		}
		if !errors.Is(saved, settings.ErrValue) || !strings.Contains(reason(saved), want) {
			t.Errorf("%q: %v %q", rule, saved, reason(saved))
		}
		if forced == nil || initial == nil || !strings.Contains(forced.Error(), want) || !strings.Contains(initial.Error(), want) {
			t.Errorf("%q from outside: %v, %v", rule, forced, initial)
		}
	}
}

func reason(err error) string {
	f, _ := fault.From(err)
	d, _ := f.Details.(map[string]any)
	return fmt.Sprint(d["reason"])
}

// A10: for every combination of the switches, every rule, and every single
// change of any of them: refused exactly when afterwards an entry cannot be
// satisfied that could be before or was not there. So nobody locks out the role
// they have, neither by the rule nor by a switch, and an old mistake does not
// stand in the way of mending it. The same in a batch.
func TestA10NobodyLocksTheRoleOut(t *testing.T) {
	rules := []string{"", "admin", "admin:totp", "user, admin:totp"}
	type state struct {
		on, app, mail bool
		rule          string
	}
	stuck := func(s state) (out []string) {
		for _, e := range strings.Split(s.rule, ", ") {
			_, demanding := strings.CutSuffix(e, ":totp")
			if e != "" && (!s.on || !s.app && (demanding || !s.mail)) {
				out = append(out, e)
			}
		}
		return out
	}
	var all []state
	for n := range 8 {
		for _, r := range rules {
			all = append(all, state{n&1 > 0, n&2 > 0, n&4 > 0, r})
		}
	}
	value := func(s state, id string) any {
		return map[string]any{settings.TwoFactorEnabled: s.on, settings.TwoFactorByTOTP: s.app, settings.TwoFactorByEmail: s.mail,
			settings.TwoFactorMandatoryRoles: s.rule}[id]
	}
	ids := []string{settings.TwoFactorEnabled, settings.TwoFactorByTOTP, settings.TwoFactorByEmail, settings.TwoFactorMandatoryRoles}
	db := storetest.OpenSQLite(t)
	for _, from := range all {
		var stored []settings.Stored
		for _, id := range ids {
			stored = append(stored, settings.Stored{ID: id, Value: value(from, id), UpdatedAt: time.Now()})
		}
		if err := db.SaveSettings(t.Context(), stored); err != nil { // as other tools or releases may
			t.Fatal(err)
		}
		s := open(t, settings.Options{Store: db})
		for _, to := range all {
			var batch []settings.Change
			for _, id := range ids {
				if v := value(to, id); v != value(from, id) {
					batch = append(batch, settings.Change{ID: id, Value: v})
				}
			}
			if len(batch) != 1 && len(batch) != 4 {
				continue
			}
			was := stuck(from)
			refuse := slices.ContainsFunc(stuck(to), func(e string) bool { return !slices.Contains(was, e) })
			_, err := s.Save(t.Context(), batch)
			if refuse != (err != nil) || refuse && !(errors.Is(err, settings.ErrValue) && strings.Contains(reason(err), "second factor")) {
				t.Errorf("%+v to %+v: %v, want refused %v", from, to, err, refuse)
			}
			if !refuse { // back again
				if err := db.SaveSettings(t.Context(), stored); err != nil {
					t.Fatal(err)
				}
				if err := s.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A22: the same for passkeys, which the settings, or the address of the server, may rule
// out, and for demands on calls: whoever saves settings cannot shut himself out of saving
// them, by a demand or by a switch.
func TestA22NobodyDemandsPasskeysThatNobodyCanHave(t *testing.T) {
	type state struct {
		on, app, keys bool
		rule, calls   string
	}
	stuck := func(s state, ruledOut bool) (out []string) {
		keys := s.keys && !ruledOut
		if s.rule != "" && !(s.on && keys) {
			out = append(out, s.rule)
		}
		if _, factor, _ := strings.Cut(s.calls, " = "); factor != "" && (!s.on || !keys && (factor == "webauthn" || !s.app)) {
			out = append(out, s.calls)
		}
		return out
	}
	var all []state
	for n := range 8 {
		for _, rule := range []string{"", "admin:webauthn"} {
			for _, calls := range []string{"", "saveSettings", "saveSettings = totp", "saveSettings = webauthn"} {
				all = append(all, state{n&1 > 0, n&2 > 0, n&4 > 0, rule, calls})
			}
		}
	}
	values := func(s state) map[string]any {
		return map[string]any{settings.TwoFactorEnabled: s.on, settings.TwoFactorByTOTP: s.app, settings.TwoFactorByWebAuthn: s.keys,
			settings.TwoFactorMandatoryRoles: s.rule, settings.TwoFactorProtectedCalls: s.calls}
	}
	refusals := 0
	for _, why := range []string{"", "passkeys are made for names"} {
		db := storetest.OpenSQLite(t)
		for _, from := range all {
			var stored []settings.Stored
			for id, v := range values(from) {
				stored = append(stored, settings.Stored{ID: id, Value: v, UpdatedAt: time.Now()})
			}
			restore := func() {
				if err := db.SaveSettings(t.Context(), stored); err != nil { // as other tools or releases may
					t.Fatal(err)
				}
			}
			restore()
			var told []string
			s := open(t, settings.Options{Store: db, NoPasskeys: why, Warn: func(text string, _ error) { told = append(told, text) }})
			was := stuck(from, why != "")
			for _, entry := range was {
				begin := "not enforced: "
				if entry == from.calls {
					begin = "shut to everybody: "
				}
				if !slices.ContainsFunc(told, func(text string) bool { return strings.HasPrefix(text, fmt.Sprintf("%s%q", begin, entry)) }) {
					t.Errorf("%+v, %q: nobody is told of %q: %q", from, why, entry, told)
				}
			}
			if len(told) != len(was) {
				t.Errorf("%+v, %q: told %q", from, why, told)
			}
			for _, to := range all {
				var batch []settings.Change
				for id, v := range values(to) {
					if v != values(from)[id] {
						batch = append(batch, settings.Change{ID: id, Value: v})
					}
				}
				if len(batch) != 1 {
					continue
				}
				refuse := slices.ContainsFunc(stuck(to, why != ""), func(e string) bool { return !slices.Contains(was, e) })
				_, err := s.Save(t.Context(), batch)
				if refuse != (err != nil) || refuse && !(errors.Is(err, settings.ErrValue) && strings.Contains(reason(err), "nobody can")) {
					t.Errorf("%+v to %+v, %q: %v, want refused %v", from, to, why, err, refuse)
				}
				if refuse {
					refusals++
					continue
				}
				restore()
				if err := s.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if refusals < 100 {
		t.Errorf("%d refusals", refusals)
	}
}

// A10: what is stored or forced and cannot do what it says is kept, because its
// default would guard less, and told at the start and at every change; and once.
func TestA10WarningsOfRulesInForce(t *testing.T) {
	db := storetest.OpenSQLite(t)
	if err := db.SaveSettings(t.Context(), []settings.Stored{{ID: settings.TwoFactorMandatoryRoles, Value: "Admin, user:totp",
		UpdatedAt: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	var told []string
	s, err := settings.Open(t.Context(), settings.Options{Store: db, Overrides: map[string]string{settings.TwoFactorByTOTP: "false"},
		Warn: func(text string, _ error) { told = append(told, text) }})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all := strings.Join(told, "\n")
	if len(told) != 2 || !strings.Contains(all, `there is no role "Admin"`) || !strings.Contains(all, `not enforced: "user:totp"`) {
		t.Errorf("told %q", told)
	}
	if got := s.String(settings.TwoFactorMandatoryRoles); got != "Admin, user:totp" {
		t.Errorf("in force is %q", got)
	}
	if _, err := s.Save(t.Context(), []settings.Change{{ID: settings.TwoFactorMandatoryRoles, Value: "user"}}); err != nil || len(told) != 2 {
		t.Errorf("mended: %v, %q", err, told)
	}
}

// A22: an entry that was stored with a factor that does not exist demands the most, so that
// it is told as shut wherever one for a passkey is.
func TestA22AMisspelledDemandIsToldAsShut(t *testing.T) {
	for _, factor := range []string{"webauthn", "webautn", "", "totp"} {
		db := storetest.OpenSQLite(t)
		if err := db.SaveSettings(t.Context(), []settings.Stored{{ID: settings.TwoFactorProtectedCalls, Value: "saveSettings = " + factor,
			UpdatedAt: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		var told []string
		open(t, settings.Options{Store: db, Warn: func(text string, _ error) { told = append(told, text) },
			Overrides: map[string]string{settings.TwoFactorByWebAuthn: "false"}})
		if shut := strings.Contains(strings.Join(told, "\n"), "shut to everybody: "); shut != (factor != "totp") {
			t.Errorf("%q: told %q", factor, told)
		}
	}
}

// Roles that must have a factor in a database that was adopted stay so whatever the
// setting says, and may be roles that this server does not know.
func TestMandatoryRolesOfTheDatabase(t *testing.T) {
	db := storetest.OpenSQLite(t)
	var told []string
	o := settings.Options{Store: db, MandatoryRoles: []string{"admin", "leaders"}, Warn: func(text string, _ error) { told = append(told, text) }}
	s := open(t, o)
	value := func(want, when string) {
		t.Helper()
		if got := s.String(settings.TwoFactorMandatoryRoles); got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	save := func(v string) error {
		_, err := s.Save(t.Context(), []settings.Change{{ID: settings.TwoFactorMandatoryRoles, Value: v}})
		return err
	}
	value("admin,leaders", "at the start")
	if err := save("user, admin:totp"); err != nil {
		t.Error(err)
	}
	value("user, admin:totp,leaders", "another value was saved")
	if err := save(""); err != nil {
		t.Error(err)
	}
	value("admin,leaders", "the list was emptied")
	if err := save("leaders, admin"); err != nil {
		t.Error(err)
	}
	if save("nobody") == nil {
		t.Error("a role that nobody knows was saved")
	}
	if err := s.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	value("leaders, admin", "after a look at the store")
	if len(told) != 0 {
		t.Errorf("told %q", told)
	}
	o.Overrides = map[string]string{settings.TwoFactorMandatoryRoles: "user"}
	s = open(t, o)
	value("user,admin,leaders", "forced")
	o.MandatoryRoles = nil
	o.Overrides = nil
	s = open(t, o)
	value("leaders, admin", "without the database's word")
}
