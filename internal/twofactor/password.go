package twofactor

import (
	"context"
	"strings"

	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Password is the name of the fallback.
const Password = "password"

// passwordFactor is the fallback of an account without another factor: the hex
// SHA-256 digest of its password (docs/wire/rocketchat.md 1.7). The clear password
// is not accepted, and naming the factor does not choose it.
type passwordFactor struct {
	Base
	*Service
}

func (passwordFactor) Name() string       { return Password }
func (passwordFactor) Strength() Strength { return ByPassword }

// Enabled is for ordinary checks; it leaves out accounts without a password.
// Policy Fresh asks whatever the setting says.
func (f passwordFactor) Enabled(u *user.User) bool {
	return f.config.Bool(settings.TwoFactorPasswordFallback) && u.PasswordHash() != ""
}

// Offered and SwitchedOn are false: the password is no second factor.
func (passwordFactor) Offered(*user.User) bool    { return false }
func (passwordFactor) SwitchedOn(*user.User) bool { return false }

func (f passwordFactor) Verify(ctx context.Context, r Request) (string, error) {
	digest, ok := passwordDigest(r.Proof.Typed())
	if !ok || r.User.PasswordHash() == "" {
		return "", nil
	}
	if ok, err := f.passwords.VerifyPassword(ctx, r.User, digest); err != nil || !ok {
		return "", err
	}
	return Password, nil
}

// passwordDigest checks that code is 64 hex digits and writes them small.
func passwordDigest(code string) (string, bool) {
	if len(code) != 64 {
		return "", false
	}
	for _, c := range []byte(code) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return "", false
		}
	}
	return strings.ToLower(code), true
}
