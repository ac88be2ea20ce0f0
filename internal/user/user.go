// Package user says what a user document is: the Meteor and Rocket.Chat shape
// (docs/wire/rocketchat.md 7, docs/wire/ddp.md D8) that both stores keep and that a dump
// of an existing database already has.
//
// It holds values, look-ups inside one document, and the meaning of a change of
// one (Change), and the news of a change (Changed). It stores nothing and decides
// nobody's rights.
package user

import (
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// User is one account. Values handed out by a store belong to the caller.
type User struct {
	ID        string    `bson:"_id"`
	CreatedAt time.Time `bson:"createdAt"`
	UpdatedAt time.Time `bson:"_updatedAt,omitempty"`
	Username  string    `bson:"username,omitempty"`
	Name      string    `bson:"name,omitempty"`
	Emails    []Email   `bson:"emails,omitempty"`
	Roles     []string  `bson:"roles,omitempty"`
	Type      string    `bson:"type,omitempty"` // "user" or "bot"
	// Active is nil in documents of plain Meteor, which means active.
	Active *bool `bson:"active,omitempty"`
	// Status is the presence shown to others; StatusDefault what the user chose.
	Status        string         `bson:"status,omitempty"`
	StatusDefault string         `bson:"statusDefault,omitempty"`
	StatusText    string         `bson:"statusText,omitempty"`
	Language      string         `bson:"language,omitempty"`
	Profile       map[string]any `bson:"profile,omitempty"`
	CustomFields  map[string]any `bson:"customFields,omitempty"`
	Reason        string         `bson:"reason,omitempty"`
	// AvatarETag names the account's picture, AvatarOrigin says how it came here.
	AvatarETag   string `bson:"avatarETag,omitempty"`
	AvatarOrigin string `bson:"avatarOrigin,omitempty"`
	// RequirePasswordChange keeps everybody out until the account has a new password
	// (Change.Bcrypt); Rocket.Chat sets it.
	RequirePasswordChange bool `bson:"requirePasswordChange,omitempty"`

	Services Services `bson:"services,omitempty"`

	// UsernameKey and EmailKeys are the normalised spellings that unique
	// indexes and look-ups use (see Key). Stores fill them at every write.
	UsernameKey string   `bson:"ddpUsernameKey,omitempty"`
	EmailKeys   []string `bson:"ddpEmailKeys,omitempty"`

	// LastLogin is the start of the newest session that the account ever had.
	LastLogin time.Time `bson:"lastLogin,omitempty"`
	// NameKey and ListKeys are what administrators order and find accounts by; stores
	// fill them too.
	NameKey  string   `bson:"ddpNameKey,omitempty"`
	ListKeys []string `bson:"ddpListKeys,omitempty"`
}

// The statuses an account may be shown with.
const (
	Online  = "online"
	Away    = "away"
	Busy    = "busy"
	Offline = "offline"
)

// Email is one address of an account.
type Email struct {
	Address  string `bson:"address"`
	Verified bool   `bson:"verified"`
}

// Services holds credentials and factors. No part of it ever leaves the server
// except the two "enabled" flags.
type Services struct {
	Password *Password `bson:"password,omitempty"`
	Resume   *Resume   `bson:"resume,omitempty"`
	Email    *Proofs   `bson:"email,omitempty"`
	// FactorFields are those of second factors, in this same document.
	FactorFields `bson:",inline"`
	// Other keeps the keys of foreign services (oauth and the like) untouched.
	Other map[string]any `bson:",inline"`
}

// Password holds bcrypt over the lower-case hex SHA-256 of the password.
type Password struct {
	Bcrypt string `bson:"bcrypt,omitempty"`
	// Argon2 is the hash of a Meteor app that was set to that kind, over the same text.
	// Where it stands it counts and Bcrypt does not; a new password removes it.
	Argon2 string `bson:"argon2,omitempty"`
	// ResetAt is when it was last set with a link from a mail.
	ResetAt time.Time `bson:"resetAt,omitempty"`
	// Reset and Enroll are pending links; their tokens are stored hashed.
	Reset  *ResetToken `bson:"reset,omitempty"`
	Enroll *ResetToken `bson:"enroll,omitempty"`
	// Earlier holds reset links that were asked for before Reset and still work,
	// oldest first: whoever asks for one more must not void those.
	Earlier []ResetToken `bson:"earlierResets,omitempty"`
}

// Resets lists the pending reset links, oldest first.
func (p *Password) Resets() []ResetToken {
	if p == nil {
		return nil
	}
	list := append([]ResetToken(nil), p.Earlier...)
	if p.Reset != nil {
		list = append(list, *p.Reset)
	}
	return list
}

// ResetToken is a pending password link.
type ResetToken struct {
	// Token is base64 SHA-256 of the token, prefixed "sha256:". A value without
	// the prefix is the clear token of an adopted Meteor database.
	Token  string    `bson:"token"`
	Email  string    `bson:"email"`
	When   time.Time `bson:"when"`
	Reason string    `bson:"reason"`
}

// Resume holds the login tokens, sessions and personal access tokens alike.
type Resume struct {
	LoginTokens []LoginToken `bson:"loginTokens,omitempty"`
}

// PersonalAccessToken is LoginToken.Type of a personal access token.
const PersonalAccessToken = "personalAccessToken"

// LoginToken is one session token or personal access token.
type LoginToken struct {
	// HashedToken is base64 SHA-256 of the token; the token itself is not kept.
	HashedToken string `bson:"hashedToken,omitempty"`
	// Token is the clear token of an old Meteor database; replaced at first use.
	Token string `bson:"token,omitempty"`
	// When is the session's start; zero for a personal access token.
	When time.Time `bson:"when,omitempty"`
	// MadeFrom and UsedFrom tell where the token was made, and where it was used when
	// that was last noted; nil is unknown, as in the documents of other programs.
	MadeFrom *Origin `bson:"madeFrom,omitempty"`
	UsedFrom *Origin `bson:"usedFrom,omitempty"`
	// LastUsedAt is the last use that was noted: right to the minute for a personal
	// access token, to the hour for a session. Zero before the first.
	LastUsedAt time.Time `bson:"lastUsedAt,omitempty"`

	// The rest belongs to personal access tokens.
	Type            string    `bson:"type,omitempty"`
	CreatedAt       time.Time `bson:"createdAt,omitempty"`
	LastTokenPart   string    `bson:"lastTokenPart,omitempty"`
	Name            string    `bson:"name,omitempty"`
	BypassTwoFactor bool      `bson:"bypassTwoFactor,omitempty"`
	// ExpiresAt ends a personal access token; zero is never.
	ExpiresAt time.Time `bson:"expiresAt,omitempty"`
	// AllowedAddresses are the addresses and networks ("192.0.2.0/24") that the
	// token works from; none means all.
	AllowedAddresses []string `bson:"allowedAddresses,omitempty"`

	// Remembered trust (docs/wire/rocketchat.md 3).
	TrustHash  string    `bson:"twoFactorAuthorizedHash,omitempty"`
	TrustUntil time.Time `bson:"twoFactorAuthorizedUntil,omitempty"`
	// TrustFactor is what earned it; "" where nobody noted it, and then it counts for
	// nothing that asks for a factor by name.
	TrustFactor string `bson:"twoFactorAuthorizedBy,omitempty"`
}

// Origin is where a login token came from, as much of it as the server keeps. The
// texts were made of what a client sent: they are short and printable, and may be
// markup. Empty members are unknown.
type Origin struct {
	// Address is the client's network address, or the network that it lies in.
	Address string `bson:"address,omitempty"`
	// Client and System name the program and the operating system.
	Client        string `bson:"client,omitempty"`
	ClientVersion string `bson:"clientVersion,omitempty"`
	System        string `bson:"os,omitempty"`
	SystemVersion string `bson:"osVersion,omitempty"`
	// Kind is what kind of program it is.
	Kind string `bson:"kind,omitempty"`
	// Door is the way it came in.
	Door string `bson:"door,omitempty"`
}

// Use is one use of a login token.
type Use struct {
	At time.Time
	// From is where; nil leaves what was noted before.
	From *Origin
}

// IsPAT tells a personal access token from a session.
func (t *LoginToken) IsPAT() bool { return t.Type == PersonalAccessToken }

// Expired tells whether the token has an end of its own that has come.
func (t *LoginToken) Expired(now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// NextExpiry is when the first of the account's login tokens comes to an end of its own after
// that moment, in milliseconds since 1970; 0 if none does.
func (u *User) NextExpiry(after time.Time) (next int64) {
	if u.Services.Resume == nil {
		return 0
	}
	for i := range u.Services.Resume.LoginTokens {
		t := &u.Services.Resume.LoginTokens[i]
		if at := t.ExpiresAt.UnixMilli(); !t.ExpiresAt.IsZero() && !t.Expired(after) && (next == 0 || at < next) {
			next = at
		}
	}
	return next
}

// Allows tells whether the token works from a network address. What cannot be
// read, in the list or of the address, allows nothing.
func (t *LoginToken) Allows(address string) bool {
	if len(t.AllowedAddresses) == 0 {
		return true
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, text := range t.AllowedAddresses {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(a) {
			return true
		}
		if one, err := netip.ParseAddr(text); err == nil && one.Unmap() == a {
			return true
		}
	}
	return false
}

// Proofs holds pending verifications of addresses; tokens are stored hashed as
// in ResetToken.
type Proofs struct {
	VerificationTokens []VerificationToken `bson:"verificationTokens,omitempty"`
	// Pending is an address that takes the place of the others once it is
	// proved. It stands beside Emails, so that nothing finds the account by it,
	// reserves it or writes to it before: only its own verification link does.
	Pending *PendingEmail `bson:"pending,omitempty"`
}

// PendingEmail is an address that waits for its proof.
type PendingEmail struct {
	Address string    `bson:"address"`
	When    time.Time `bson:"when"`
	// Factors is the FactorState under which it was asked for. Under another one
	// nothing waits: what was proved then is not what the account asks for now.
	Factors string `bson:"factors,omitempty"`
}

// VerificationToken is one pending verification link.
type VerificationToken struct {
	Token   string    `bson:"token"`
	Address string    `bson:"address"`
	When    time.Time `bson:"when"`
}

// IsActive tells whether the account may be used.
func (u *User) IsActive() bool { return u.Active == nil || *u.Active }

// Administers tells whether the account has an administrator's rights now; a nil one,
// of an account that is not there, has not.
func (u *User) Administers() bool { return u != nil && u.IsActive() && u.HasRole("admin") }

// HasRole tells whether the account has that role.
func (u *User) HasRole(role string) bool {
	for _, r := range u.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// LoginToken finds a token by its hash, or nil.
func (u *User) LoginToken(hash string) *LoginToken {
	if u.Services.Resume == nil || hash == "" {
		return nil
	}
	for i := range u.Services.Resume.LoginTokens {
		if t := &u.Services.Resume.LoginTokens[i]; t.HashedToken == hash {
			return t
		}
	}
	return nil
}

// VerifiedEmails lists the verified addresses in document order.
func (u *User) VerifiedEmails() []string {
	var out []string
	for _, e := range u.Emails {
		if e.Verified {
			out = append(out, e.Address)
		}
	}
	return out
}

// PendingEmail is the address that waits for its proof, or "".
func (u *User) PendingEmail() string {
	if u.Services.Email == nil || u.Services.Email.Pending == nil || u.Services.Email.Pending.Factors != u.FactorState() {
		return ""
	}
	return u.Services.Email.Pending.Address
}

// ShownEmails are the addresses as the owner and administrators see them: those
// of the account, then the one that waits for its proof.
func (u *User) ShownEmails() []Email {
	if p := u.PendingEmail(); p != "" {
		return append(append([]Email(nil), u.Emails...), Email{Address: p})
	}
	return u.Emails
}

// InForce tells whether an address of the account may be used for anything: it
// is proved, or no address of the account is.
func (u *User) InForce(e Email) bool { return e.Verified || len(u.VerifiedEmails()) == 0 }

// PasswordHash is the stored password hash that counts, or "".
func (u *User) PasswordHash() string {
	if u.Services.Password == nil {
		return ""
	}
	if u.Services.Password.Argon2 != "" {
		return u.Services.Password.Argon2
	}
	return u.Services.Password.Bcrypt
}

// MeteorFactor is the key in Services under which Meteor's accounts-2fa keeps its
// second factor, an authenticator app (docs/wire/ddp.md D8). Stores make it one of
// ours when they read an account.
const MeteorFactor = "twoFactorAuthentication"

// Foreign tells accounts of a foreign service: those that hold a service which is
// none of the server's own, Meteor's or Rocket.Chat's (docs/wire/rocketchat.md 1.5.1).
func (u *User) Foreign() bool {
	for name, v := range u.Services.Other {
		switch name {
		case "emailCode", "passwordHistory", "cloud", "passwordless", MeteorFactor:
		default:
			if v != nil {
				return true
			}
		}
	}
	return false
}

// Key is the canonical spelling of a user name or address: NFKC, case folded,
// surrounding space removed. Uniqueness, look-ups and limits all use it.
func Key(s string) string {
	return cases.Fold().String(norm.NFKC.String(strings.TrimSpace(s)))
}

// Hidden tells the characters that print nothing or change the order of others:
// controls, format characters (U+200D joins emoji and stays), line separators,
// private use and unassigned ones. Texts that others see must not have them.
func Hidden(r rune) bool {
	if r == ' ' || r == '\u200d' {
		return false
	}
	return !unicode.IsGraphic(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || r == utf8.RuneError
}
