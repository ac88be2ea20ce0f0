package accounts_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// admin makes an administrator as an operator does.
func (w *world) admin(name string) *user.User {
	w.t.Helper()
	u, err := w.CreateByOperator(w.t.Context(), accounts.OperatorAccount{
		Username: name, Email: name + "@x.com", Verified: true, Roles: []string{"admin", "user"}, Password: "secret",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func TestRegister(t *testing.T) {
	w := newWorld(t)
	u, err := w.Register(t.Context(), w.peer, accounts.Registration{
		Username: "Ada", Email: " Ada@x.com ", Name: " Ada Lovelace ", Password: plain(t, "secret"), Reason: "to count", Profile: map[string]any{"name": "A"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := w.user(u.ID)
	if len(got.ID) != 17 || got.Username != "Ada" || got.Name != "Ada Lovelace" || got.Reason != "to count" || got.Profile["name"] != "A" ||
		fmt.Sprint(got.Emails) != "[{Ada@x.com false}]" || fmt.Sprint(got.Roles) != "[user]" || got.Type != "user" || !got.IsActive() ||
		!got.CreatedAt.Equal(w.now()) || got.UsernameKey != "ada" || fmt.Sprint(got.EmailKeys) != "[ada@x.com]" {
		t.Errorf("%+v", got)
	}
	if !got.Email2FAEnabled() || len(got.VerifiedEmails()) != 0 {
		t.Error("the mail factor is switched on and waits for a verified address (docs/decisions.md 3.3)")
	}
	mails := w.mailed()
	// no name: the address may be anybody's
	if len(mails) != 1 || mails[0].Template != accounts.TemplateVerify || mails[0].To[0] != "Ada@x.com" || len(mails[0].Data) != 1 ||

		!strings.HasPrefix(mails[0].Data["url"], "http://localhost:3000/#/verify-email/") {
		t.Errorf("%+v", mails)
	}
	if e := w.lastAudit("account_created"); e.Outcome != "ok" || e.User != u.ID {
		t.Errorf("%+v", e)
	}
	w.with(settings.TwoFactorEmailOptIn, false)
	if w.add("bob", "bob@x.com").Email2FAEnabled() {
		t.Error("opted in against the setting")
	}
}

func TestRegisterRefuses(t *testing.T) {
	w := newWorld(t)
	w.add("Ada", "Ada@x.com")
	w.with(settings.BlockedUsernames, "root2, boss", settings.AllowedDomains, "x.com,Example.org")
	for _, c := range []struct {
		r    accounts.Registration
		want *fault.Error
	}{
		{accounts.Registration{}, accounts.ErrNeedNameOrEmail},
		{accounts.Registration{Username: "ADA"}, accounts.ErrCredentials},
		{accounts.Registration{Username: "x1", Email: "ADA@X.COM"}, accounts.ErrCredentials},
		{accounts.Registration{Username: "a b"}, accounts.ErrUsername},
		{accounts.Registration{Username: "аda"}, accounts.ErrUsername}, // Cyrillic а
		{accounts.Registration{Username: "ada\x00"}, accounts.ErrUsername},
		{accounts.Registration{Username: strings.Repeat("a", 10<<10)}, accounts.ErrUsername},
		{accounts.Registration{Username: "..."}, accounts.ErrUsername},
		{accounts.Registration{Username: "ada@x.com"}, accounts.ErrUsername},
		{accounts.Registration{Username: "All"}, accounts.ErrReserved},
		{accounts.Registration{Username: "here"}, accounts.ErrReserved},
		{accounts.Registration{Username: "Admin"}, accounts.ErrReserved},
		{accounts.Registration{Username: "SYSTEM"}, accounts.ErrReserved},
		{accounts.Registration{Username: "boss"}, accounts.ErrReserved},
		{accounts.Registration{Email: "no address"}, accounts.ErrEmail},
		{accounts.Registration{Email: "a@y.com"}, accounts.ErrDomain},
		{accounts.Registration{Username: "x1", Name: "a\u202eb"}, accounts.ErrName},
		{accounts.Registration{Username: "x1", Name: strings.Repeat("a", 129)}, accounts.ErrName},
		{accounts.Registration{Username: "x1", Name: strings.Repeat("a", 10<<10)}, accounts.ErrName},
		{accounts.Registration{Username: "x1", Reason: strings.Repeat("a", 1001)}, accounts.ErrTooLong},
		{accounts.Registration{Username: "x1", Password: plain(t, "short")}, accounts.ErrPolicy},
		{accounts.Registration{Username: "x1", Profile: map[string]any{"$set": 1.0}}, accounts.ErrTooLong},
		{accounts.Registration{Username: "x1", Profile: map[string]any{"a.b": 1.0}}, accounts.ErrTooLong},
		{accounts.Registration{Username: "x1", Profile: map[string]any{"a": map[string]any{"": 1.0}}}, accounts.ErrTooLong},
		{accounts.Registration{Username: "x1", Profile: map[string]any{"a": strings.Repeat("x", 11<<10)}}, accounts.ErrTooLong},
		{accounts.Registration{Username: "x1", Profile: map[string]any{"a": struct{}{}}}, accounts.ErrTooLong},
	} {
		if u, err := w.Register(t.Context(), w.peer, c.r); !errors.Is(err, c.want) || u != nil {
			t.Errorf("%.80q: %v, want %v", fmt.Sprintf("%+v", c.r), err, c.want)
		}
	}
	if _, total, _ := w.List(t.Context(), 0, 10); total != 1 {
		t.Errorf("%d accounts: a refused registration left one", total)
	}
	w.with(settings.RegistrationForm, "Disabled")
	if _, err := w.Register(t.Context(), w.peer, accounts.Registration{Username: "x1"}); !errors.Is(err, accounts.ErrSignupsForbidden) {
		t.Error(err)
	}
}

// Where a secret address is asked for, it opens the registration and nothing else
// does; while there is none, the registration is closed. Wrong ones are counted as
// registrations are.
func TestRegistrationBySecretURL(t *testing.T) {
	w := newWorld(t)
	w.with(settings.RegistrationForm, settings.RegistrationSecret)
	try := func(p *rpc.Peer, name, secret string, want error) {
		t.Helper()
		if _, err := w.Register(t.Context(), p, accounts.Registration{Username: name, Secret: secret}); !errors.Is(err, want) {
			t.Errorf("%s with %q: %v, want %v", name, secret, err, want)
		}
	}
	try(w.peer, "x1", "", accounts.ErrRegistrationSecret)
	w.with(settings.RegistrationSecretURL, "correct-horse")
	try(w.peer, "x1", "", accounts.ErrRegistrationSecret)
	try(w.peer, "x1", "correct-Horse", accounts.ErrRegistrationSecret)
	try(w.peer, "x1", "correct-horse", nil)
	guesser := w.from("198.51.100.9")
	for range 10 {
		try(guesser, "x2", "a guess", accounts.ErrRegistrationSecret)
	}
	_, err := w.Register(t.Context(), guesser, accounts.Registration{Username: "x2", Secret: "correct-horse"})
	if f, ok := fault.From(err); !ok || f.Code != "too-many-requests" {
		t.Errorf("after ten guesses: %v", err)
	}
	try(w.from("203.0.113.4"), "x3", "correct-horse", nil)
}

// S035: whoever registers many accounts does not flood other people's mailboxes.
func TestS035RegistrationsDoNotFloodMailboxes(t *testing.T) {
	w := newWorld(t)
	w.with(settings.LimitRegisterUser, 100) // the limit of registrations would come first
	register := func(p *rpc.Peer, n int) int {
		for i := range n {
			r := accounts.Registration{Email: fmt.Sprintf("%s%d@x.com", strings.ReplaceAll(p.Address, ":", "-"), i)}
			if _, err := w.Register(t.Context(), p, r); err != nil {
				t.Fatal(err)
			}
		}
		return len(w.mailed())
	}
	if got := register(w.from("198.51.100.7"), 70); got != 60 {
		t.Errorf("%d mails from one address in an hour, want 60", got)
	}
	if got := register(w.from("127.0.0.1"), 70); got != 70 {
		t.Errorf("%d mails from this machine, want 70", got)
	}
}

func TestRegistrationRace(t *testing.T) {
	w := newWorld(t)
	w.with(settings.LimitRegisterUser, 100)
	for round := range 5 {
		spell := []string{"race%d", "RACE%d", "Race%d"}
		i := make(chan int, 32)
		for n := range 32 {
			i <- n
		}
		errs := together(32, func() error {
			name := fmt.Sprintf(spell[<-i%3], round)
			_, err := w.Register(t.Context(), w.peer, accounts.Registration{Username: name, Email: name + "@x.com"})
			return err
		})
		if won, lost := count(errs, nil), count(errs, accounts.ErrCredentials); won != 1 || lost != 31 {
			t.Fatalf("round %d: %d won, %d lost", round, won, lost)
		}
	}
}

func TestWaitingAccounts(t *testing.T) {
	w := newWorld(t)
	w.with(settings.ManuallyApproveUsers, true, settings.DefaultRoles, "bot, admin, nonsense, bot")
	u := w.add("ada", "")
	if u.IsActive() || fmt.Sprint(u.Roles) != "[bot]" {
		t.Errorf("%+v", u)
	}
	if err := w.try("ada", "secret"); !errors.Is(err, accounts.ErrCredentials) {
		t.Error(err)
	}
}

func TestSuggestUsername(t *testing.T) {
	w := newWorld(t)
	w.add("Ada.Lovelace", "")
	for _, c := range []struct{ name, email, want string }{
		{"Ada Lovelace", "", "Ada.Lovelace-1"}, {"", "bob+x@x.com", "bobx"}, {"Bob", "bob@x.com", "Bob"}, {"Admin", "carl@x.com", "Admin-1"},
	} {
		if got, err := w.SuggestUsername(t.Context(), c.name, c.email); err != nil || got != c.want {
			t.Errorf("%+v: %q %v", c, got, err)
		}
	}
	for _, c := range [][2]string{{"", ""}, {"…", "@"}, {strings.Repeat("a", 1000), ""}} {
		got, err := w.SuggestUsername(t.Context(), c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Register(t.Context(), w.peer, accounts.Registration{Username: got}); err != nil {
			t.Errorf("%.20q gave %q: %v", c, got, err)
		}
	}
	u, err := w.Register(t.Context(), w.peer, accounts.Registration{Email: "dora@x.com", NeedUsername: true})
	if err != nil || u.Username != "dora" {
		t.Error(err, u)
	}
	free, err := w.UsernameFree(t.Context(), u, "DORA")
	if err != nil || !free {
		t.Error("one's own name is free:", err)
	}
	if free, err := w.UsernameFree(t.Context(), u, "ADA.lovelace"); err != nil || free {
		t.Error("somebody else's is not:", err)
	}
}

func TestOperator(t *testing.T) {
	w := newWorld(t)
	u, err := w.CreateByOperator(t.Context(), accounts.OperatorAccount{Username: "admin", Email: "admin@localhost", Verified: true, Password: "secret",
		Email2FA: true})
	if err != nil || !u.Email2FAEnabled() || fmt.Sprint(u.Roles) != "[user]" || !u.Emails[0].Verified {
		t.Fatal(err, u)
	}
	if err := w.try("admin", "secret"); err != nil {
		t.Error(err)
	}
	// The policy is for strangers; whoever runs the server decides for a test machine.
	if _, err := w.CreateByOperator(t.Context(), accounts.OperatorAccount{Username: "short", Password: "12345"}); err != nil {
		t.Error("an operator's short password:", err)
	}
	for name, a := range map[string]accounts.OperatorAccount{
		"taken name":    {Username: "ADMIN", Password: "secret"},
		"taken address": {Username: "x", Email: "ADMIN@localhost", Password: "secret"},
		"no password":   {Username: "x"},
		"long password": {Username: "x", Password: secret.String(strings.Repeat("x", 257))},
		"no name":       {Password: "secret"},
		"bad name":      {Username: "a b", Password: "secret"},
		"bad role":      {Username: "x", Password: "secret", Roles: []string{"king"}},
		"bad address":   {Username: "x", Password: "secret", Email: "x"},
	} {
		if _, err := w.CreateByOperator(t.Context(), a); err == nil {
			t.Error(name, "was accepted")
		} else if _, ok := fault.From(err); !ok {
			t.Error(name, err)
		}
	}
}

func TestEnsureAdmin(t *testing.T) {
	w := newWorld(t)
	made, password, err := w.EnsureAdmin(t.Context(), accounts.FirstAdmin{Username: "admin", Email: "admin@localhost", Name: "Administrator"})
	if err != nil || !made || len(password.Reveal()) != 17 {
		t.Fatal(made, err)
	}
	u, err := w.Find(t.Context(), "ADMIN")
	if err != nil || !u.HasRole("admin") || !u.Emails[0].Verified || u.Email2FAEnabled() {
		t.Fatalf("%+v %v", u, err)
	}
	if err := w.try("admin", password.Reveal()); err != nil {
		t.Error(err)
	}
	for range 2 {
		if made, password, err := w.EnsureAdmin(t.Context(), accounts.FirstAdmin{Username: "second", Password: "secret"}); made || password != "" || err != nil {
			t.Error("a second administrator:", made, err)
		}
	}

	w = newWorld(t)
	if made, password, err := w.EnsureAdmin(t.Context(), accounts.FirstAdmin{Username: "boss", Email: "b@x.com", Password: "given-one"}); !made ||
		password != "" || err != nil {
		t.Error(made, err)
	}
	if err := w.try("boss", "given-one"); err != nil {
		t.Error(err)
	}

	w = newWorld(t)
	if _, err := w.CreateByOperator(t.Context(), accounts.OperatorAccount{Username: "admin", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	if made, _, err := w.EnsureAdmin(t.Context(), accounts.FirstAdmin{Username: "Admin", Email: "a@localhost"}); made || !errors.Is(err, accounts.ErrNoAdmin) {
		t.Error("took over somebody's name, or did not say that there is no administrator:", made, err)
	}
	if _, _, err := w.EnsureAdmin(t.Context(), accounts.FirstAdmin{Username: "a b", Password: secret.String("secret")}); !errors.Is(err, accounts.ErrUsername) {
		t.Error(err)
	}
	if _, err := w.Find(t.Context(), "a b"); !errors.Is(err, dberr.NotFound) {
		t.Error(err)
	}
}
