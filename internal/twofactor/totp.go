package twofactor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"ddpserver/internal/dberr"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

const (
	// step is the length of a time step in seconds (RFC 6238 5.2).
	step = 30
	// secretBytes is the length of a new secret: 256 bit.
	secretBytes = 32
	// minSecretBytes refuses adopted secrets that are no secrets (80 bit is what
	// the oldest authenticator apps were given).
	minSecretBytes = 10
	// sealTOTP is the purpose that sealed secrets are bound to, besides the owner.
	sealTOTP = secret.PurposeTOTP
)

// TOTP is the factor's name.
const TOTP = "totp"

// totpFactor asks for the six digits of an authenticator app, or for a backup
// code. The algorithm is pquerna/otp's; the walk through the window and the
// memory of spent steps are ours, because its validator trims blanks and forgets.
type totpFactor struct {
	Base
	*Service
}

func (totpFactor) Name() string                 { return TOTP }
func (totpFactor) Strength() Strength           { return ByTOTP }
func (totpFactor) SwitchedOn(u *user.User) bool { return u.TOTPEnabled() }
func (totpFactor) Tries() int                   { return 0 }

func (f totpFactor) Offered(*user.User) bool { return f.config.Bool(settings.TwoFactorByTOTP) }

func (f totpFactor) Enabled(u *user.User) bool { return f.Offered(u) && u.TOTPEnabled() }

// Verify spends an answer. One that is right ends a pending reset of the
// authenticator in the same write, and the owner is told, whatever fails from there on.
func (f totpFactor) Verify(ctx context.Context, r Request) (accepted string, err error) {
	accepted, err = f.compare(ctx, r)
	if accepted != "" && !r.User.ResetDue(TOTP).IsZero() {
		f.ended(ctx, r, r.User, TOTPResetStopped)
	}
	return accepted, err
}

// compare takes exactly eight characters for a backup code and everything else
// for a code of the app (docs/wire/rocketchat.md 1.6.3).
func (f totpFactor) compare(ctx context.Context, r Request) (string, error) {
	code := r.Proof.Typed()
	u := r.User
	t := u.Services.TOTP
	if t == nil || !t.Enabled {
		return "", nil
	}
	if len(code) == backupLength {
		return f.useBackup(ctx, u, code)
	}
	if !sixDigits(code) {
		return "", nil
	}
	plain, ok := f.openSecret(r, t.Secret)
	if !ok {
		return "", nil
	}
	for _, at := range f.matches(plain, code) {
		switch err := f.store.UseTOTPStep(ctx, u.ID, t.Secret, at); {
		case err == nil:
			return TOTP, f.reseal(ctx, u, t.Secret, plain)
		case !errors.Is(err, dberr.Conflict) && !errors.Is(err, dberr.NotFound):
			return "", err
		}
	}
	return "", nil
}

func (totpFactor) Prepare(context.Context, Request, *Details, bool) error { return nil }

// matches lists the time steps of the window whose code this is, oldest first.
// It compares every step, in constant time, whatever matches.
func (s *Service) matches(plain, code string) []int64 {
	delta := int64(min(max(s.config.Int(settings.TwoFactorMaxDelta), 0), maxDelta))
	var found []int64
	present := s.now().Unix() / step
	for at := present - delta; at <= present+delta; at++ {
		want, err := hotp.GenerateCode(plain, uint64(at)) // #nosec G115 -- the present is not before 1970
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = append(found, at)
		}
	}
	return found
}

// openSecret gives the base32 text of a stored secret of r.User: sealed ones are opened,
// plain ones of an adopted database are taken as they are. What cannot be opened
// or is no secret is refused and told to the audit stream.
func (s *Service) openSecret(r Request, stored string) (plain string, ok bool) {
	plain, err := stored, error(nil)
	if secret.Sealed(stored) {
		plain, err = s.key.Open(sealTOTP, r.User.ID, stored)
	}
	if err == nil {
		if plain, ok = usable(plain); ok {
			return plain, true
		}
	}
	s.record(r, event{act: "secret_unreadable", outcome: "error", factor: TOTP, user: r.User.ID})
	return "", false
}

// usable is a secret as codes are made of it: base32 in capitals. People may have
// typed it in groups, which Meteor's library reads over.
func usable(plain string) (string, bool) {
	plain = strings.NewReplacer(" ", "", "-", "").Replace(strings.ToUpper(strings.TrimRight(plain, "=")))
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(plain)
	return plain, err == nil && len(raw) >= minSecretBytes
}

// UsableSecret tells whether codes can be made of a stored secret; one that is sealed
// counts as usable.
func UsableSecret(stored string) bool {
	_, ok := usable(stored)
	return ok || secret.Sealed(stored)
}

// reseal seals a plain secret at its first use. Somebody else doing the same at
// once is fine.
func (s *Service) reseal(ctx context.Context, u *user.User, stored, plain string) error {
	if secret.Sealed(stored) {
		return nil
	}
	err := s.store.ResealTOTP(ctx, u.ID, stored, s.key.Seal(sealTOTP, u.ID, plain))
	if err != nil && !errors.Is(err, dberr.Conflict) {
		return fmt.Errorf("sealing an adopted secret: %w", err)
	}
	return nil
}

// issuerName is the name in authenticator apps: the one that a client asks for, if
// any, else the server's.
func (s *Service) issuerName(asked string) string {
	for _, name := range []string{asked, s.issuer, s.config.String(settings.SiteName)} {
		// Without a colon: that is what parts issuer and account in a key URL.
		if name = strings.TrimSpace(strings.ReplaceAll(name, ":", " ")); name != "" {
			return name
		}
	}
	return "ddpserver"
}

// accountName is what an account is called there.
func accountName(u *user.User) string {
	if u.Username != "" {
		return u.Username
	}
	if len(u.Emails) > 0 {
		return u.Emails[0].Address
	}
	return u.ID
}

// newSecret makes a secret and the URL that authenticator apps read.
func newSecret(issuer, account string) (plain, url string, err error) {
	raw := make([]byte, secretBytes)
	rand.Read(raw)
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: issuer, AccountName: account, Secret: raw, SecretSize: secretBytes,
		Period: step, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return "", "", fmt.Errorf("making a key URL: %w", err)
	}
	return key.Secret(), key.URL(), nil
}

// sixDigits is the one spelling of a code of an app or a mail, after rpc.Proof.Typed.
func sixDigits(code string) bool {
	if len(code) != 6 {
		return false
	}
	for _, c := range []byte(code) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
