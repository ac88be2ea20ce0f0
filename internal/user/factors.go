package user

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FactorFields are the fields of Services that hold second factors, one for each. A new
// factor is a field here, its type, an element of Factors, and a line of clone for what
// it points to.
type FactorFields struct {
	Email2FA *Email2FA `bson:"email2fa,omitempty"`
	TOTP     *TOTP     `bson:"totp,omitempty"`
	WebAuthn *WebAuthn `bson:"webauthn,omitempty"`
}

// Factor is what the document of an account says of one second factor, without its
// secrets.
type Factor struct {
	// Key is the name of its field in Services.
	Key string
	// On tells whether it is switched on, whatever the state of the addresses and the
	// settings of the server.
	On bool
	// Dated says that the field keeps when it was switched, Held that it is there;
	// Changed is that time.
	Dated, Held bool
	Changed     time.Time
	// ResetDue is when a removal that somebody else asked for takes effect; zero when
	// none is pending.
	ResetDue time.Time
}

// Factors lists the second factors that a document can hold. Owners are shown them, and
// no token is issued, and nothing that waits takes effect, once one was switched on or
// off meanwhile. One that came later is listed only where the document has it: it must not
// change what documents of before say.
func (u *User) Factors() []Factor {
	list := []Factor{
		{Key: "totp", On: u.TOTPEnabled(), Held: u.Services.TOTP != nil, ResetDue: u.ResetDue("totp")},
		{Key: "email2fa", On: u.Email2FAEnabled(), Dated: true},
	}
	if e := u.Services.Email2FA; e != nil {
		list[1].Held, list[1].Changed = true, e.ChangedAt
	}
	if w := u.Services.WebAuthn; w != nil {
		list = append(list, Factor{Key: "webauthn", On: u.PasskeysEnabled(), Dated: true, Held: true, Changed: w.ChangedAt, ResetDue: u.ResetDue("webauthn")})
	}
	return list
}

// clone copies what the fields point to (User.Clone).
func (f FactorFields) clone() FactorFields {
	f.Email2FA = clonePointer(f.Email2FA)
	if f.TOTP = clonePointer(f.TOTP); f.TOTP != nil {
		f.TOTP.HashedBackup = slices.Clone(f.TOTP.HashedBackup)
	}
	f.WebAuthn = f.WebAuthn.clone()
	return f
}

// FactorState is the fingerprint of which factors the account has switched on: what
// was proved under one state counts for nothing under another. Off and on again is a
// change too, where the document tells. It says nothing of their secrets.
func (u *User) FactorState() string {
	var on, changed []string
	for _, f := range u.Factors() {
		on = append(on, strconv.FormatBool(f.On))
		if f.Dated && !f.Changed.IsZero() {
			changed = append(changed, strconv.FormatInt(f.Changed.UnixMilli(), 10))
		}
	}
	return strings.Join(on, " ") + " " + strings.Join(changed, " ")
}

// ProofState is a fingerprint of everything that somebody proved, or could have
// been asked to prove, with that login token: the token itself, the password, the
// factors and the addresses. Something that was begun under one state must not be
// finished under another. It is "" when the account does not have the token.
func (u *User) ProofState(token string) string {
	if u.LoginToken(token) == nil {
		return ""
	}
	parts := []string{token, u.PasswordHash()}
	if t := u.Services.TOTP; t != nil {
		parts = append(parts, strconv.FormatBool(t.Enabled), t.Secret)
	} else {
		parts = append(parts, "false", "")
	}
	parts = append(parts, u.FactorState())
	for _, e := range u.Emails {
		parts = append(parts, e.Address, strconv.FormatBool(e.Verified))
	}
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Email2FA says whether codes by mail are a factor of the account.
type Email2FA struct {
	Enabled   bool      `bson:"enabled"`
	ChangedAt time.Time `bson:"changedAt,omitempty"`
}

// SetEmail2FA is a Change.Factor that replaces the field.
func SetEmail2FA(e Email2FA) func(*Services) {
	return func(s *Services) {
		v := e
		s.Email2FA = &v
	}
}

// DropTOTP is a Change.Factor that takes the authenticator app away, with everything
// that waits for it.
func DropTOTP(s *Services) { s.TOTP = nil }

// TOTP is the authenticator app factor. Secret and TempSecret are sealed texts
// ("v1." prefix, see package secret); a text without the prefix is the plain
// base32 of an adopted database.
type TOTP struct {
	Enabled bool   `bson:"enabled"`
	Secret  string `bson:"secret,omitempty"`
	// TempSecret waits for its first code since TempAt; TempTries counts wrong ones.
	TempSecret string    `bson:"tempSecret,omitempty"`
	TempAt     time.Time `bson:"tempAt,omitempty"`
	TempTries  int       `bson:"tempTries,omitempty"`
	// TempBound is the ProofState under which TempSecret was made.
	TempBound string `bson:"tempBound,omitempty"`
	// LastStep is the newest accepted time step; it only grows.
	LastStep int64 `bson:"lastStep,omitempty"`
	// HashedBackup holds backup codes, salted and keyed ("v1." prefix) or plain
	// hex SHA-256 of an adopted database.
	HashedBackup []string `bson:"hashedBackup,omitempty"`
	BackupSalt   string   `bson:"backupSalt,omitempty"`
	PendingReset `bson:",inline"`
}

// TOTPEnabled tells whether the authenticator app factor is switched on.
func (u *User) TOTPEnabled() bool { return u.Services.TOTP != nil && u.Services.TOTP.Enabled }

// Email2FAEnabled tells whether the mail factor is switched on, whatever the
// state of the addresses.
func (u *User) Email2FAEnabled() bool {
	return u.Services.Email2FA != nil && u.Services.Email2FA.Enabled
}
