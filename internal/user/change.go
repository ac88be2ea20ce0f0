package user

import (
	"slices"
	"time"
)

// Change is one conditional change of a user document: all conditions hold and
// everything is applied, or nothing is. Nil and zero members leave things as they
// are. Both stores run Apply atomically.
//
// Tokens are removed before AddToken is added.
type Change struct {
	// Conditions.
	IfBcrypt      *string // the password hash is still this ("" = none)
	IfToken       string  // a login token with this hash exists
	IfNoTokenName string  // no personal access token has this name
	IfUsername    *string // the user name is still this
	IfEmails      *[]Email
	IfResetToken  string // Services.Password.Reset, Earlier or Enroll holds this stored token
	// IfReset: the newest reset link is still this stored token ("" = none).
	// Whatever changes Earlier changes the newest link or removes it.
	IfReset *string
	// IfVerifications: the verification tokens are still these, by their stored
	// texts and in that order.
	IfVerifications *[]VerificationToken
	IfVerification  string // a verification token with this stored text exists
	// IfFactors: the factors are switched on and off as this FactorState says.
	IfFactors *string
	IfActive  *bool
	IfRoles   *[]string // the roles are still these

	// Plain fields.
	Username, Name, Status, StatusDefault, StatusText, Language, Type *string
	AvatarETag, AvatarOrigin                                          *string
	Emails                                                            *[]Email
	Roles                                                             *[]string
	Active                                                            *bool
	Profile                                                           *map[string]any
	CustomFields                                                      *map[string]any

	// Credentials. Bcrypt also removes pending reset and enrol tokens, an argon2 hash
	// and RequirePasswordChange.
	Bcrypt            *string
	ResetAt           *time.Time // when the password was set with a mailed link
	Reset, Enroll     *ResetToken
	Earlier           *[]ResetToken // the reset links beside Reset
	AddVerification   *VerificationToken
	ClearVerification string // drops every verification token of this address
	// Verifications replaces the whole list; the two members above are then ignored.
	Verifications *[]VerificationToken
	// Pending is the address that waits for its proof; the zero value removes it.
	Pending *PendingEmail
	// Factor changes what the document holds of a second factor, and nothing else. It
	// may run more than once, and must do the same each time.
	Factor func(*Services)

	// Login tokens. KeepToken limits RemoveSessions and RemoveTokens.
	AddToken       *LoginToken
	RemoveToken    string // the token with this hash
	RemoveSessions bool   // every session (not personal access tokens) but KeepToken
	RemoveTokens   bool   // every token but KeepToken
	KeepToken      string
	// UpgradeToken replaces the clear token of an old database by its hash.
	UpgradeToken *TokenUpgrade
	// ClearTrust forgets remembered trust on every token.
	ClearTrust bool

	// At is written to UpdatedAt; it is required.
	At time.Time
}

// TokenUpgrade names a clear token and the hash that replaces it.
type TokenUpgrade struct{ Clear, Hash string }

// Holds tells whether every condition is met by u.
func (c *Change) Holds(u *User) bool {
	switch {
	case c.IfBcrypt != nil && *c.IfBcrypt != u.PasswordHash(),
		c.IfToken != "" && u.LoginToken(c.IfToken) == nil,
		c.IfNoTokenName != "" && u.tokenNamed(c.IfNoTokenName) != nil,
		c.IfUsername != nil && *c.IfUsername != u.Username,
		c.IfEmails != nil && !slices.Equal(*c.IfEmails, u.Emails),
		c.IfFactors != nil && *c.IfFactors != u.FactorState(),
		c.IfActive != nil && *c.IfActive != u.IsActive(),
		c.IfRoles != nil && !slices.Equal(*c.IfRoles, u.Roles),
		c.IfResetToken != "" && !u.hasResetToken(c.IfResetToken),
		c.IfReset != nil && *c.IfReset != u.newestReset(),
		c.IfVerifications != nil && !u.hasVerifications(*c.IfVerifications),
		c.IfVerification != "" && !u.hasVerification(c.IfVerification):
		return false
	}
	return true
}

// Apply makes the change in u when the conditions hold, and reports whether they did.
func (c *Change) Apply(u *User) bool {
	if !c.Holds(u) {
		return false
	}
	set(&u.Username, c.Username)
	set(&u.Name, c.Name)
	set(&u.Status, c.Status)
	set(&u.StatusDefault, c.StatusDefault)
	set(&u.StatusText, c.StatusText)
	set(&u.Language, c.Language)
	set(&u.Type, c.Type)
	set(&u.AvatarETag, c.AvatarETag)
	set(&u.AvatarOrigin, c.AvatarOrigin)
	set(&u.Emails, c.Emails)
	set(&u.Roles, c.Roles)
	set(&u.Profile, c.Profile)
	set(&u.CustomFields, c.CustomFields)
	if c.Active != nil {
		active := *c.Active
		u.Active = &active
	}
	if c.Bcrypt != nil {
		u.RequirePasswordChange = false
	}
	c.applyCredentials(&u.Services)
	c.applyTokens(&u.Services)
	u.UpdatedAt = c.At
	u.FillKeys()
	return true
}

func (c *Change) applyCredentials(s *Services) {
	if s.Password == nil && (c.Bcrypt != nil || c.ResetAt != nil || c.Reset != nil || c.Enroll != nil || c.Earlier != nil) {
		s.Password = &Password{}
	}
	if c.Bcrypt != nil {
		s.Password = &Password{Bcrypt: *c.Bcrypt}
	}
	if c.Earlier != nil {
		s.Password.Earlier = slices.Clone(*c.Earlier)
	}
	if c.ResetAt != nil {
		s.Password.ResetAt = *c.ResetAt
	}
	if c.Reset != nil {
		s.Password.Reset = c.Reset
	}
	if c.Enroll != nil {
		s.Password.Enroll = c.Enroll
	}
	c.applyProofs(s)
	if c.Factor != nil {
		c.Factor(s)
	}
}

func (c *Change) applyProofs(s *Services) {
	if s.Email == nil {
		if c.AddVerification == nil && c.Verifications == nil && c.Pending == nil {
			return
		}
		s.Email = &Proofs{}
	}
	if c.ClearVerification != "" {
		s.Email.VerificationTokens = slices.DeleteFunc(s.Email.VerificationTokens, func(t VerificationToken) bool { return t.Address == c.ClearVerification })
	}
	if c.AddVerification != nil {
		s.Email.VerificationTokens = append(s.Email.VerificationTokens, *c.AddVerification)
	}
	if c.Verifications != nil {
		s.Email.VerificationTokens = slices.Clone(*c.Verifications)
	}
	if c.Pending != nil {
		s.Email.Pending = nil
		if c.Pending.Address != "" {
			p := *c.Pending
			s.Email.Pending = &p
		}
	}
}

func (c *Change) applyTokens(s *Services) {
	if s.Resume == nil {
		if c.AddToken == nil {
			return
		}
		s.Resume = &Resume{}
	}
	tokens := slices.DeleteFunc(s.Resume.LoginTokens, func(t LoginToken) bool {
		switch {
		case c.KeepToken != "" && t.HashedToken == c.KeepToken:
			return false
		case c.RemoveTokens, c.RemoveSessions && !t.IsPAT():
			return true
		}
		return c.RemoveToken != "" && t.HashedToken == c.RemoveToken
	})
	if c.AddToken != nil {
		tokens = append(tokens, *c.AddToken)
	}
	for i := range tokens {
		if up := c.UpgradeToken; up != nil && tokens[i].Token != "" && tokens[i].Token == up.Clear {
			tokens[i].Token, tokens[i].HashedToken = "", up.Hash
		}
		if c.ClearTrust {
			tokens[i].TrustHash, tokens[i].TrustFactor, tokens[i].TrustUntil = "", "", time.Time{}
		}
	}
	s.Resume.LoginTokens = tokens
}

// FillKeys sets UsernameKey and EmailKeys, and what accounts are listed by, from the
// other fields.
func (u *User) FillKeys() {
	u.fillListing()
	u.UsernameKey, u.EmailKeys = "", nil
	if u.Username != "" {
		u.UsernameKey = Key(u.Username)
	}
	for _, e := range u.Emails {
		if k := Key(e.Address); !slices.Contains(u.EmailKeys, k) {
			u.EmailKeys = append(u.EmailKeys, k)
		}
	}
}

func (u *User) tokenNamed(name string) *LoginToken {
	if u.Services.Resume == nil {
		return nil
	}
	for i := range u.Services.Resume.LoginTokens {
		if t := &u.Services.Resume.LoginTokens[i]; t.IsPAT() && t.Name == name {
			return t
		}
	}
	return nil
}

func (u *User) hasResetToken(stored string) bool {
	p := u.Services.Password
	return p != nil && (p.Enroll != nil && p.Enroll.Token == stored ||
		slices.ContainsFunc(p.Resets(), func(r ResetToken) bool { return r.Token == stored }))
}

func (u *User) newestReset() string {
	if p := u.Services.Password; p != nil && p.Reset != nil {
		return p.Reset.Token
	}
	return ""
}

func (u *User) hasVerifications(want []VerificationToken) bool {
	var have []VerificationToken
	if u.Services.Email != nil {
		have = u.Services.Email.VerificationTokens
	}
	return slices.EqualFunc(want, have, func(a, b VerificationToken) bool { return a.Token == b.Token })
}

func (u *User) hasVerification(stored string) bool {
	return u.Services.Email != nil && slices.ContainsFunc(u.Services.Email.VerificationTokens, func(t VerificationToken) bool { return t.Token == stored })
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}
