package user

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ada() *User {
	return &User{
		ID: "ada", Username: "Ada", Emails: []Email{{Address: "Ada@X.com", Verified: true}, {Address: "b@x.com"}},
		Services: Services{
			Password: &Password{Bcrypt: "$2b$", Reset: &ResetToken{Token: "sha256:r"}},
			Resume: &Resume{LoginTokens: []LoginToken{
				{HashedToken: "one", When: at, TrustHash: "f", TrustUntil: at},
				{HashedToken: "two", When: at},
				{HashedToken: "pat", Type: PersonalAccessToken, Name: "ci", CreatedAt: at},
				{Token: "clear", When: at},
			}},
		},
	}
}

func hashes(u *User) []string {
	var out []string
	for _, t := range u.Services.Resume.LoginTokens {
		out = append(out, t.HashedToken+t.Token)
	}
	return out
}

// N2, N8: one account has one spelling, whatever is typed.
func TestKeyFoldsSpellings(t *testing.T) {
	for _, s := range []string{"ADA", " ada ", "Ada", "ａｄａ", "ᴬda"} {
		if got := Key(s); got != "ada" {
			t.Errorf("Key(%q) = %q", s, got)
		}
	}
	if Key("Straße") != Key("STRASSE") || Key("аda") == Key("ada") {
		t.Error("folding must follow Unicode and must not join different scripts")
	}
}

func TestChangeTokens(t *testing.T) {
	for name, c := range map[string]struct {
		change Change
		want   []string
	}{
		"one token":            {Change{RemoveToken: "one"}, []string{"two", "pat", "clear"}},
		"sessions but own":     {Change{RemoveSessions: true, KeepToken: "two"}, []string{"two", "pat"}},
		"every token":          {Change{RemoveTokens: true}, nil},
		"every token but own":  {Change{RemoveTokens: true, KeepToken: "pat"}, []string{"pat"}},
		"upgrade of old token": {Change{UpgradeToken: &TokenUpgrade{Clear: "clear", Hash: "h"}}, []string{"one", "two", "pat", "h"}},
		"new token":            {Change{AddToken: &LoginToken{HashedToken: "new"}}, []string{"one", "two", "pat", "clear", "new"}},
	} {
		u := ada()
		c.change.At = at
		if !c.change.Apply(u) {
			t.Errorf("%s: not applied", name)
		}
		if d := cmp.Diff(c.want, hashes(u)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestChangeConditions(t *testing.T) {
	yes, no := true, false
	str := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		change Change
		want   bool
	}{
		"same password":       {Change{IfBcrypt: str("$2b$")}, true},
		"other password":      {Change{IfBcrypt: str("")}, false},
		"token there":         {Change{IfToken: "pat"}, true},
		"token gone":          {Change{IfToken: "gone"}, false},
		"name free":           {Change{IfNoTokenName: "cd"}, true},
		"name taken":          {Change{IfNoTokenName: "ci"}, false},
		"same name":           {Change{IfUsername: str("Ada")}, true},
		"other name":          {Change{IfUsername: str("ada")}, false},
		"reset pending":       {Change{IfResetToken: "sha256:r"}, true},
		"reset gone":          {Change{IfResetToken: "sha256:x"}, false},
		"verification gone":   {Change{IfVerification: "sha256:v"}, false},
		"factors off":         {Change{IfFactors: str("false false ")}, true},
		"mail factor on":      {Change{IfFactors: str("false true ")}, false},
		"app on":              {Change{IfFactors: str("true false ")}, false},
		"active":              {Change{IfActive: &yes}, true},
		"inactive":            {Change{IfActive: &no}, false},
		"same addresses":      {Change{IfEmails: &[]Email{{"Ada@X.com", true}, {"b@x.com", false}}}, true},
		"addresses moved on":  {Change{IfEmails: &[]Email{{"Ada@X.com", true}}}, false},
		"two, one of them no": {Change{IfToken: "pat", IfActive: &no}, false},
	} {
		u, before := ada(), ada()
		c.change.Name, c.change.At = str("New"), at
		if got := c.change.Apply(u); got != c.want {
			t.Errorf("%s: applied %v", name, got)
		}
		if !c.want {
			if d := cmp.Diff(before, u); d != "" {
				t.Errorf("%s: a refused change left a trace: %s", name, d)
			}
		} else if u.Name != "New" || !u.UpdatedAt.Equal(at) {
			t.Errorf("%s: not written", name)
		}
	}
}

func TestChangeCredentials(t *testing.T) {
	u := ada()
	hash := "$2b$new"
	c := Change{Bcrypt: &hash, ClearTrust: true, AddVerification: &VerificationToken{Token: "sha256:v", Address: "b@x.com"}, At: at}
	if !c.Apply(u) {
		t.Fatal("refused")
	}
	if u.PasswordHash() != hash || u.Services.Password.Reset != nil {
		t.Error("a new password must end pending reset links")
	}
	if tok := u.LoginToken("one"); tok.TrustHash != "" || !tok.TrustUntil.IsZero() {
		t.Error("trust outlived the change")
	}
	if !u.hasVerification("sha256:v") {
		t.Error("verification token lost")
	}
	if d := cmp.Diff([]string{"ada@x.com", "b@x.com"}, u.EmailKeys); d != "" || u.UsernameKey != "ada" {
		t.Errorf("keys %q %s", u.UsernameKey, d)
	}
	c = Change{ClearVerification: "b@x.com", At: at}
	if c.Apply(u); u.hasVerification("sha256:v") {
		t.Error("verification token stayed")
	}
}

func TestZeroUserIsHarmless(t *testing.T) {
	u := &User{}
	if !u.IsActive() || u.HasRole("admin") || u.LoginToken("") != nil || u.LoginToken("x") != nil || u.TOTPEnabled() || u.Email2FAEnabled() ||
		u.PasswordHash() != "" || u.VerifiedEmails() != nil {
		t.Error("an empty document grants something")
	}
	c := Change{RemoveTokens: true, ClearTrust: true, ClearVerification: "x", At: at}
	if !c.Apply(u) || u.Services.Resume != nil {
		t.Error("removing from nothing must do nothing")
	}
}
