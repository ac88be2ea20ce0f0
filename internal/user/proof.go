package user

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// ProofState is a fingerprint of everything that somebody proved, or could have
// been asked to prove, with that login token: the token itself, the password, the
// factors and the addresses. Something that was begun under one state must not be
// finished under another. It is "" when the account does not have the token.
func (u *User) ProofState(token string) string {
	if u.LoginToken(token) == nil {
		return ""
	}
	parts := []string{token, u.Bcrypt()}
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

// FactorState says which factors the account has switched on, for what must not
// outlive a change of them. It tells nothing of their secrets.
func (u *User) FactorState() string {
	changed := ""
	if e := u.Services.Email2FA; e != nil && !e.ChangedAt.IsZero() {
		changed = strconv.FormatInt(e.ChangedAt.UnixMilli(), 10) // off and on again is a change too
	}
	return strconv.FormatBool(u.TOTPEnabled()) + " " + strconv.FormatBool(u.Email2FAEnabled()) + " " + changed
}
