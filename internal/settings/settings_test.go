package settings_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/storetest"
)

// news collects published events.
type news struct {
	mu   sync.Mutex
	keys []string
}

func (n *news) Publish(e feed.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keys = append(n.keys, string(e.Kind)+" "+e.Key)
}

func open(t *testing.T, o settings.Options) *settings.Service {
	t.Helper()
	if o.Store == nil {
		o.Store = storetest.OpenSQLite(t)
	}
	s, err := settings.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The table of docs/wire/rocketchat.md 4 with the defaults of docs/decisions.md 3.
func TestDefaults(t *testing.T) {
	s := open(t, settings.Options{})
	for _, want := range []struct {
		id     string
		value  any
		public bool
	}{
		{"Accounts_TwoFactorAuthentication_Enabled", true, true},
		{"Accounts_TwoFactorAuthentication_MaxDelta", 1, false},
		{"Accounts_TwoFactorAuthentication_By_TOTP_Enabled", true, true},
		{"Accounts_TwoFactorAuthentication_By_Email_Enabled", true, true},
		{"Accounts_twoFactorAuthentication_email_available_for_OAuth_users", true, true},
		{"Accounts_TwoFactorAuthentication_By_Email_Auto_Opt_In", true, false},
		{"Accounts_TwoFactorAuthentication_By_Email_Code_Expiration", 600, false},
		{"Accounts_TwoFactorAuthentication_Max_Invalid_Email_Code_Attempts", 5, false},
		{"Accounts_TwoFactorAuthentication_RememberFor", 300, false},
		{"Accounts_TwoFactorAuthentication_Enforce_Password_Fallback", true, true},
		{"Accounts_TwoFactorAuthentication_Email_Private_Answers", false, false},
		{"Accounts_TwoFactorAuthentication_Meteor_Words", false, true},
		{"Accounts_TwoFactorAuthentication_Max_Emails_Per_Hour", 10, false},
		{"Accounts_TwoFactorAuthentication_Max_Emails_Per_Hour_Per_Address", 20, false},
		{"Accounts_TwoFactorAuthentication_Reset_Delay", 0, false},
		{"Accounts_TwoFactorAuthentication_Protected_Calls", "", false},
		{"Accounts_TwoFactorAuthentication_Mandatory_Roles", "", false},
		{"DDP_Rate_Limit_IP_Requests_Allowed", 120_000, false},
		{"DDP_Rate_Limit_User_Requests_Allowed", 1200, false},
		{"DDP_Rate_Limit_Connection_Requests_Allowed", 600, false},
		{"DDP_Rate_Limit_User_By_Method_Requests_Allowed", 20, false},
		{"DDP_Rate_Limit_Connection_By_Method_Requests_Allowed", 10, false},
		{"API_Enable_Rate_Limiter_Limit_Calls_Default", 10, false},
		{"API_Enable_Rate_Limiter_Limit_Time_Default", 60_000, false},
		{"Accounts_LoginExpiration", 90, true},
		{"Message_MaxAllowedSize", 5000, true},
	} {
		got, ok := s.Get(want.id)
		if !ok {
			t.Errorf("%s is missing", want.id)
			continue
		}
		if got.Value != want.value || got.Public != want.public {
			t.Errorf("%s = %v public %v, want %v %v", want.id, got.Value, got.Public, want.value, want.public)
		}
	}
}

// Every default passes its own check, and every id reads with its own type.
func TestTableIsSound(t *testing.T) {
	s := open(t, settings.Options{})
	for _, set := range s.All() {
		if _, err := s.Save(t.Context(), []settings.Change{{ID: set.ID, Value: set.Default}}); err != nil {
			t.Errorf("%s: the default %v is refused: %v", set.ID, set.Default, err)
		}
		if set.Group == "" {
			t.Errorf("%s has no group", set.ID)
		}
	}
	if !slices.IsSortedFunc(s.All(), func(a, b *settings.Setting) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("All is not ordered by id")
	}
}

func TestCheck(t *testing.T) {
	s := open(t, settings.Options{Overrides: map[string]string{"Site_Name": "Forced"}})
	for _, c := range []struct {
		id    string
		value any
		want  *fault.Error
	}{
		{settings.TwoFactorEnabled, false, nil},
		{settings.TwoFactorEnabled, "false", fault.MatchFailed},
		{settings.TwoFactorEnabled, nil, fault.MatchFailed},
		{settings.TwoFactorEnabled, 0.0, fault.MatchFailed},
		{settings.TwoFactorMaxDelta, 2.0, nil},
		{settings.TwoFactorMaxDelta, 3.0, nil}, // capped, see TestCapped
		{settings.TwoFactorMaxDelta, 1.5, fault.MatchFailed},
		{settings.TwoFactorMaxDelta, -1.0, settings.ErrValue},
		{settings.TwoFactorMaxDelta, "1", fault.MatchFailed},
		{settings.TwoFactorMaxDelta, 1e300, fault.MatchFailed},
		{settings.TwoFactorEmailExpiration, 29.0, settings.ErrValue},
		{settings.TwoFactorEmailExpiration, 600.0, nil},
		{settings.TwoFactorWrongPerHour, 0.0, settings.ErrValue},
		{settings.TwoFactorWrongInRow, 0.0, settings.ErrValue},
		{settings.TwoFactorResetDelay, -1.0, settings.ErrValue},
		{settings.TwoFactorResetDelay, 169.0, settings.ErrValue},
		{settings.TwoFactorResetDelay, 168.0, nil},
		{settings.TwoFactorRememberFor, 0.0, nil},
		{settings.RegistrationForm, "Disabled", nil},
		{settings.RegistrationForm, "disabled", settings.ErrValue},
		{settings.Language, strings.Repeat("x", 1001), settings.ErrValue},
		{settings.Language, "e\nn", settings.ErrValue},
		{settings.Language, "\xff", settings.ErrValue},
		{settings.Language, map[string]any{"$ne": ""}, fault.MatchFailed},
		{settings.TwoFactorProtectedCalls, "a,\nb", nil},
		{settings.TwoFactorProtectedCalls, strings.Repeat("x", 5<<20), settings.ErrValue},
		{settings.FromEmail, "", nil},
		{settings.FromEmail, "Site <site@example.com>", nil},
		{settings.FromEmail, "site@example.com, other@example.com", settings.ErrValue},
		{"services.totp.secret", "x", settings.ErrUnknown},
		{"$set", "x", settings.ErrUnknown},
		{"", "x", settings.ErrUnknown},
		{"__proto__", "x", settings.ErrUnknown},
		{"site_name", "x", settings.ErrUnknown},
		{"Site_Name", "other", settings.ErrNotAllowed},
	} {
		_, err := s.Save(t.Context(), []settings.Change{{ID: c.id, Value: c.value}})
		if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s = %.40v: got %v, want %v", c.id, c.value, err, c.want)
		}
	}
}

// S079: whole batch or nothing, nothing twice, nothing that is not in the table.
func TestSaveIsAllOrNothing(t *testing.T) {
	db := storetest.OpenSQLite(t)
	var n news
	s := open(t, settings.Options{Store: db, Publisher: &n})
	many := make([]settings.Change, 10_000)
	for i := range many {
		many[i] = settings.Change{ID: settings.SiteName, Value: "x"}
	}
	for name, batch := range map[string][]settings.Change{
		"unknown id":   {{ID: settings.SiteName, Value: "new"}, {ID: "nope", Value: 1.0}},
		"wrong type":   {{ID: settings.SiteName, Value: "new"}, {ID: settings.LoginExpiration, Value: "9"}},
		"out of range": {{ID: settings.SiteName, Value: "new"}, {ID: settings.LoginExpiration, Value: 0.0}},
		"twice":        {{ID: settings.SiteName, Value: "new"}, {ID: settings.SiteName, Value: "newer"}},
		"too many":     many,
	} {
		if _, err := s.Save(t.Context(), batch); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
	if got := s.String(settings.SiteName); got != "ddpserver" {
		t.Errorf("a refused batch changed the name to %q", got)
	}
	if stored, err := db.Settings(t.Context()); err != nil || len(stored) != 0 {
		t.Errorf("a refused batch stored %v, %v", stored, err)
	}
	if len(n.keys) != 0 {
		t.Errorf("a refused batch published %v", n.keys)
	}

	changed, err := s.Save(t.Context(), []settings.Change{
		{ID: settings.SiteName, Value: "new"}, {ID: settings.LoginExpiration, Value: 30.0}, {ID: settings.Language, Value: "en"},
	})
	if err != nil || len(changed) != 2 {
		t.Fatalf("saved %d settings, %v; want 2, because the language was en before", len(changed), err)
	}
	if s.String(settings.SiteName) != "new" || s.Int(settings.LoginExpiration) != 30 {
		t.Error("the change is not in force")
	}
	if want := []string{"setting-changed Accounts_LoginExpiration", "setting-changed Site_Name"}; !slices.Equal(n.keys, want) {
		t.Errorf("published %v, want %v", n.keys, want)
	}
	again := open(t, settings.Options{Store: db})
	if again.String(settings.SiteName) != "new" || again.Int(settings.LoginExpiration) != 30 {
		t.Error("the change did not survive a restart")
	}
}

// A store that fails leaves the values in force and tells nobody.
func TestSaveFails(t *testing.T) {
	db := storetest.OpenSQLite(t)
	var n news
	s := open(t, settings.Options{Store: db, Publisher: &n})
	s.Subscribe(func([]*settings.Setting) { t.Error("a failed save was announced") })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Save(t.Context(), []settings.Change{{ID: settings.SiteName, Value: "new"}})
	if _, safe := fault.From(err); err == nil || safe {
		t.Errorf("Save gives %v, want an internal error", err)
	}
	if s.String(settings.SiteName) != "ddpserver" || len(n.keys) != 0 {
		t.Error("a failed save took effect")
	}
}

func TestOverrides(t *testing.T) {
	var warned []string
	db := storetest.OpenSQLite(t)
	plain := open(t, settings.Options{Store: db})
	if _, err := plain.Save(t.Context(), []settings.Change{{ID: settings.TwoFactorRememberFor, Value: 60.0}}); err != nil {
		t.Fatal(err)
	}
	s := open(t, settings.Options{
		Store: db, Warn: func(text string, _ error) { warned = append(warned, text) },
		Overrides: map[string]string{
			settings.TwoFactorRememberFor: " 0 ", settings.TwoFactorPasswordFallback: "FALSE", "Nope": "1",
		},
	})
	if s.Int(settings.TwoFactorRememberFor) != 0 || s.Bool(settings.TwoFactorPasswordFallback) {
		t.Error("the environment does not win")
	}
	if len(warned) != 1 || warned[0] != "OVERWRITE_SETTING_Nope: there is no such setting" {
		t.Errorf("warned %q", warned)
	}
	set, _ := s.Get(settings.TwoFactorRememberFor)
	if r := set.Record(); !r.Blocked || r.ValueSource != "processEnvValue" {
		t.Errorf("a forced setting shows as %+v", r)
	}
	_, err := settings.Open(t.Context(), settings.Options{Store: db, Overrides: map[string]string{
		settings.TwoFactorEnabled: "yes", settings.TwoFactorMaxDelta: "one", settings.RegistrationForm: "Secret",
	}})
	if err == nil {
		t.Fatal("ill-typed overrides are accepted")
	}
	for _, id := range []string{settings.TwoFactorEnabled, settings.TwoFactorMaxDelta, settings.RegistrationForm} {
		if !strings.Contains(err.Error(), settings.EnvPrefix+id) {
			t.Errorf("the error does not name %s: %v", id, err)
		}
	}
	warnings, err := settings.CheckOverrides(map[string]string{"Nope": "", settings.Language: "de"})
	if len(warnings) != 1 || err != nil {
		t.Errorf("CheckOverrides gives %v, %v", warnings, err)
	}
}

// S011, S014: a longer life of codes or a wider window is taken for the most
// there may be, and somebody is told, whichever way it comes.
func TestCapped(t *testing.T) {
	db := storetest.OpenSQLite(t)
	var warned int
	s := open(t, settings.Options{Store: db, Warn: func(string, error) { warned++ }})
	if _, err := s.Save(t.Context(), []settings.Change{{ID: settings.TwoFactorMaxDelta, Value: 50.0},
		{ID: settings.TwoFactorEmailExpiration, Value: 3600.0}}); err != nil {
		t.Fatal(err)
	}
	if s.Int(settings.TwoFactorMaxDelta) != 2 || s.Int(settings.TwoFactorEmailExpiration) != 600 || warned != 2 {
		t.Errorf("saved %d steps and %d s with %d warnings", s.Int(settings.TwoFactorMaxDelta), s.Int(settings.TwoFactorEmailExpiration), warned)
	}
	warnings, err := settings.CheckOverrides(map[string]string{settings.TwoFactorEmailExpiration: "3600", settings.TwoFactorMaxDelta: "2"})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "600 is used") {
		t.Errorf("forced: %v, %v", warnings, err)
	}
}

// An adopted database may hold other numeric types, and values that never fit.
func TestStoredValues(t *testing.T) {
	db := storetest.OpenSQLite(t)
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, v := range []settings.Stored{
		{ID: settings.LoginExpiration, Value: int32(7), UpdatedAt: at},
		{ID: settings.TwoFactorMaxDelta, Value: 2.0, UpdatedAt: at},
		{ID: settings.TwoFactorEnabled, Value: "true", UpdatedAt: at},
		{ID: settings.TwoFactorEmailExpiration, Value: int64(3600), UpdatedAt: at},
		{ID: "Livechat_enabled", Value: true, UpdatedAt: at},
	} {
		if err := db.SaveSettings(t.Context(), []settings.Stored{v}); err != nil {
			t.Fatal(err)
		}
	}
	var warned int
	s := open(t, settings.Options{Store: db, Warn: func(string, error) { warned++ }})
	if s.Int(settings.LoginExpiration) != 7 || s.Int(settings.TwoFactorMaxDelta) != 2 {
		t.Error("a stored number is not read")
	}
	if !s.Bool(settings.TwoFactorEnabled) || s.Int(settings.TwoFactorEmailExpiration) != 600 || warned != 2 {
		t.Errorf("values that do not fit are used, or not reported (%d warnings)", warned)
	}
	set, _ := s.Get(settings.LoginExpiration)
	if !set.UpdatedAt.Equal(at) {
		t.Errorf("updated at %v", set.UpdatedAt)
	}
}

// A stored value that does not fit is told once, and again when it became another
// one, however often the store is read (a node on MongoDB reads it every five seconds).
func TestMisfitsAreToldOnce(t *testing.T) {
	db := storetest.OpenSQLite(t)
	store := func(id string, value any) {
		t.Helper()
		if err := db.SaveSettings(t.Context(), []settings.Stored{{ID: id, Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	warn := func(text string, err error) { told = append(told, fmt.Sprint(text, err)) }
	store(settings.LoginExpiration, "ninety")
	store(settings.TwoFactorEmailExpiration, int64(3600))
	s := open(t, settings.Options{Store: db, Warn: warn})
	refresh := func(want int, when string) {
		t.Helper()
		told = nil
		for range 3 {
			if err := s.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if len(told) != want {
			t.Errorf("%s: told %q, want %d warnings", when, told, want)
		}
	}
	if len(told) != 2 {
		t.Errorf("at the start: told %q", told)
	}
	refresh(0, "nothing changed")
	if _, err := s.Save(t.Context(), []settings.Change{{ID: settings.SiteName, Value: "x"}}); err != nil || len(told) != 0 {
		t.Errorf("another setting was saved: %v, told %q", err, told)
	}
	store(settings.LoginExpiration, int64(-1))
	refresh(1, "another wrong value")
	store(settings.LoginExpiration, int64(7))
	refresh(0, "a right value")
	store(settings.LoginExpiration, "ninety")
	refresh(1, "wrong again")
}

// Where the default would let in whoever comes, a value that does not fit closes.
func TestMisfitsThatWouldOpen(t *testing.T) {
	db := storetest.OpenSQLite(t)
	for id, value := range map[string]any{settings.RegistrationForm: "Secret", settings.ManuallyApproveUsers: "yes"} {
		if err := db.SaveSettings(t.Context(), []settings.Stored{{ID: id, Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, settings.Options{Store: db})
	if form := s.String(settings.RegistrationForm); form != settings.RegistrationDisabled {
		t.Errorf("registration is %q", form)
	}
	if !s.Bool(settings.ManuallyApproveUsers) {
		t.Error("accounts that register need no approval")
	}
}

// A secret is accepted, never shown, and survives a form that is sent back as shown.
func TestSecrets(t *testing.T) {
	s := open(t, settings.Options{Definitions: []settings.Definition{
		{ID: "Key", Type: settings.Text, Default: "", Secret: true, Public: true, Group: "G"},
	}})
	if _, err := s.Save(t.Context(), []settings.Change{{ID: "Key", Value: "hunter2"}}); err != nil {
		t.Fatal(err)
	}
	set, _ := s.Get("Key")
	if set.Record().Value != settings.Masked || set.PublicRecord().Value != settings.Masked || set.ChangeRecord().Value != settings.Masked {
		t.Error("a secret is shown")
	}
	if changed, err := s.Save(t.Context(), []settings.Change{{ID: "Key", Value: settings.Masked}}); err != nil || len(changed) != 0 {
		t.Errorf("the mask was saved: %v, %v", changed, err)
	}
	if s.String("Key") != "hunter2" {
		t.Error("the secret is lost")
	}
}

// Two nodes on one database: a change on one is in force on the other after a
// refresh, and by itself within the poll (S069, S109).
func TestOtherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.OpenSQLite(t)
		n1 := open(t, settings.Options{Store: db})
		n2 := open(t, settings.Options{Store: db, Poll: 5 * time.Second})
		var heard atomic.Int32
		n2.Subscribe(func(changed []*settings.Setting) {
			if len(changed) != 1 || changed[0].ID != settings.TwoFactorEnabled || n2.Bool(settings.TwoFactorEnabled) {
				t.Errorf("heard of %v", changed)
			}
			heard.Add(1)
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- n2.Run(ctx) }()
		if _, err := n1.Save(t.Context(), []settings.Change{{ID: settings.TwoFactorEnabled, Value: false}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second) // bubble time
		if n2.Bool(settings.TwoFactorEnabled) || heard.Load() != 1 {
			t.Errorf("the other node did not follow (heard %d)", heard.Load())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A change is judged by what the store holds, not by what this node heard last: a
// value that is equal to the old copy is written, and two changes that together lock a
// role out are refused, whichever node takes the second.
func TestSaveJudgesWhatIsStored(t *testing.T) {
	db := storetest.OpenSQLite(t)
	n1, n2 := open(t, settings.Options{Store: db}), open(t, settings.Options{Store: db})
	save := func(s *settings.Service, id string, value any) error {
		_, err := s.Save(t.Context(), []settings.Change{{ID: id, Value: value}})
		return err
	}
	if err := errors.Join(save(n1, settings.TwoFactorByEmail, false), save(n2, settings.TwoFactorByEmail, true)); err != nil {
		t.Fatal(err)
	}
	if err := n1.Refresh(t.Context()); err != nil || !n1.Bool(settings.TwoFactorByEmail) {
		t.Errorf("the second node's change is lost: %v", err)
	}
	if err := errors.Join(save(n1, settings.TwoFactorMandatoryRoles, "admin"), save(n1, settings.TwoFactorByTOTP, false)); err != nil {
		t.Fatal(err)
	}
	if err := save(n2, settings.TwoFactorByEmail, false); !errors.Is(err, settings.ErrValue) {
		t.Errorf("the other node switches the last factor of a mandatory role off: %v", err)
	}
}

// A node whose store fails keeps what it knows, warns once, and follows later.
func TestRefreshFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &broken{Store: storetest.OpenSQLite(t)}
		var warned atomic.Int32
		s := open(t, settings.Options{Store: db, Poll: time.Second, Warn: func(string, error) { warned.Add(1) }})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = s.Run(ctx) }()
		db.down.Store(true)
		time.Sleep(10 * time.Second)
		if warned.Load() != 1 || s.String(settings.SiteName) != "ddpserver" {
			t.Errorf("warned %d times", warned.Load())
		}
		if err := db.SaveSettings(t.Context(), []settings.Stored{{ID: settings.SiteName, Value: "late", UpdatedAt: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		db.down.Store(false)
		time.Sleep(2 * time.Second)
		if s.String(settings.SiteName) != "late" {
			t.Error("the node does not follow any more")
		}
	})
}

// unreadable is the real store and what somebody wrote into it that nobody can read.
type unreadable struct {
	settings.Store
	also []settings.Stored
}

func (u *unreadable) Settings(ctx context.Context) ([]settings.Stored, error) {
	all, err := u.Store.Settings(ctx)
	all = slices.DeleteFunc(all, func(v settings.Stored) bool {
		return slices.ContainsFunc(u.also, func(other settings.Stored) bool { return other.ID == v.ID })
	})
	return append(all, u.also...), err
}

// A stored setting that cannot be read is told once, and none of the others suffers. One
// that guards stays as it is, and nobody starts without knowing it: its default may guard
// less than what somebody saved.
func TestUnreadableSettings(t *testing.T) {
	db := &unreadable{Store: storetest.OpenSQLite(t)}
	var told []string
	o := settings.Options{Store: db, Warn: func(text string, err error) { told = append(told, fmt.Sprint(text, err)) }}
	s := open(t, o)
	why := errors.New("nobody can read it")
	harmless, guards := 0, 0
	for _, d := range settings.Table() {
		if d.Guards() {
			guards++
		} else {
			harmless++
		}
		db.also = append(db.also, settings.Stored{ID: d.ID, Unreadable: why})
	}
	all := db.also
	db.also = nil
	for id, value := range map[string]any{settings.SiteName: "ours", settings.LoginExpiration: 7, settings.RegistrationForm: settings.RegistrationDisabled} {
		if _, err := s.Save(t.Context(), []settings.Change{{ID: id, Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	db.also = append(all, settings.Stored{ID: "of another program", Unreadable: why})
	told = nil
	for range 3 {
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != harmless+guards+1 {
		t.Errorf("told %d times of %d: %q", len(told), harmless+guards+1, told)
	}
	if s.String(settings.SiteName) == "ours" || s.Int(settings.LoginExpiration) != 7 || s.String(settings.RegistrationForm) != settings.RegistrationDisabled {
		t.Errorf("in force are %q, %d and %v", s.String(settings.SiteName), s.Int(settings.LoginExpiration), s.String(settings.RegistrationForm))
	}
	_, err := settings.Open(t.Context(), o)
	if err == nil || strings.Count(err.Error(), "mend or delete its document") != guards {
		t.Errorf("a start: %v", err)
	}
	o.Overrides = map[string]string{}
	for _, d := range settings.Table() {
		if d.Guards() {
			o.Overrides[d.ID] = fmt.Sprint(d.Default)
		}
	}
	if _, err := settings.Open(t.Context(), o); err != nil {
		t.Errorf("a start with all guards forced: %v", err)
	}
}

// broken is the real store with a switch that cuts reads.
type broken struct {
	store.Store
	down atomic.Bool
}

func (b *broken) Settings(ctx context.Context) ([]settings.Stored, error) {
	if b.down.Load() {
		return nil, errors.New("cut")
	}
	return b.Store.Settings(ctx)
}

// Reads see whole snapshots while writers save; run with -race.
func TestConcurrentReads(t *testing.T) {
	s := open(t, settings.Options{})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if d, r := s.Int(settings.TwoFactorMaxDelta), s.Int(settings.TwoFactorRememberFor); d < 0 || r < 0 {
					t.Errorf("read %d and %d", d, r)
					return
				}
			}
		})
	}
	for i := range 20 {
		if _, err := s.Save(t.Context(), []settings.Change{
			{ID: settings.TwoFactorMaxDelta, Value: float64(i % 3)}, {ID: settings.TwoFactorRememberFor, Value: float64(i)},
		}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	readers.Wait()
	if s.Int(settings.TwoFactorRememberFor) != 19 {
		t.Error("the last write does not stand")
	}
}

func BenchmarkBool(b *testing.B) {
	s, err := settings.Open(b.Context(), settings.Options{Store: storetest.OpenSQLite(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !s.Bool(settings.TwoFactorEnabled) {
			b.Fatal("off")
		}
	}
}
