package accounts

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

const (
	// maxTokenName and maxTokens bound the personal access tokens of an account.
	maxTokenName = 100
	maxTokens    = 100
	// lastPart is how many characters of a token its owner can recognise it by.
	lastPart = 6
)

// TokenInfo describes a personal access token to its owner, without the token.
type TokenInfo struct {
	Name            string    `json:"name"`
	CreatedAt       time.Time `json:"createdAt"`
	LastTokenPart   string    `json:"lastTokenPart"`
	BypassTwoFactor bool      `json:"bypassTwoFactor"`
	// LastUsedAt is zero before the first use, and right to the minute; ExpiresAt is
	// zero for a token that never ends.
	LastUsedAt time.Time `json:"lastUsedAt,omitzero"`
	ExpiresAt  time.Time `json:"expiresAt,omitzero"`
	// AllowedAddresses is empty for a token that works from everywhere.
	AllowedAddresses []string `json:"allowedAddresses,omitempty"`
}

// TokenLimits narrow a personal access token; the zero value is a token that
// never ends and works from everywhere.
type TokenLimits struct {
	// Days until the token ends: 1 to 3650; 0 is never.
	Days int
	// Addresses are up to 20 network addresses or networks ("192.0.2.0/24") from
	// which the token works; none means all.
	Addresses []string
}

const (
	maxTokenDays      = 3650
	maxTokenAddresses = 20
)

// apply checks the limits and writes them into a token.
func (l TokenLimits) apply(t *user.LoginToken) error {
	if l.Days < 0 || l.Days > maxTokenDays || len(l.Addresses) > maxTokenAddresses {
		return ErrTokenLimits
	}
	if l.Days > 0 {
		t.ExpiresAt = t.CreatedAt.AddDate(0, 0, l.Days)
	}
	for _, text := range l.Addresses {
		if p, err := netip.ParsePrefix(text); err == nil {
			t.AllowedAddresses = append(t.AllowedAddresses, p.Masked().String())
			continue
		}
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return ErrTokenLimits
		}
		t.AllowedAddresses = append(t.AllowedAddresses, a.Unmap().String())
	}
	return nil
}

// tokenName checks a token's name: 1 to 100 printable characters.
func tokenName(name string) (string, error) {
	name, err := cleanName(name)
	if err != nil || name == "" || utf8.RuneCountInString(name) > maxTokenName {
		return "", ErrTokenName
	}
	return name, nil
}

// GenerateToken makes a personal access token, one for each name, and gives it
// out once. The caller has checked the permission and a fresh factor.
//
// At most one TokenLimits narrows the token.
//
// Errors: ErrTokenName, ErrTokenExists, ErrTooManyTokens, ErrTokenLimits.
func (s *Service) GenerateToken(ctx context.Context, p *rpc.Peer, u *user.User, name string, bypass bool, limits ...TokenLimits) (string, error) {
	t := user.LoginToken{Type: user.PersonalAccessToken, CreatedAt: s.time(), BypassTwoFactor: bypass, MadeFrom: s.origin(p)}
	var err error
	for _, l := range limits {
		err = errors.Join(err, l.apply(&t))
	}
	token := ""
	if err == nil {
		token, err = s.generate(ctx, u, name, t)
	} else {
		err = ErrTokenLimits
	}
	s.record(p, "token_created", u.ID, err, target(auditName(name)))
	if err != nil {
		return "", err
	}
	text := "A personal access token was created."
	if bypass {
		text += "\nIt is not asked for a second factor."
	}
	s.notice(ctx, p, u, nil, "New personal access token", text, itsName(name))
	return token, nil
}

func itsName(name string) string { return "It is named “" + strings.TrimSpace(name) + "”." }

func (s *Service) generate(ctx context.Context, u *user.User, name string, t user.LoginToken) (string, error) {
	name, err := tokenName(name)
	if err != nil {
		return "", err
	}
	if len(s.Tokens(u)) >= maxTokens {
		return "", ErrTooManyTokens
	}
	// The token belongs to the account as it was when its factor was asked: one
	// that outlives a change of password would undo the change.
	bcrypt, active := u.PasswordHash(), true
	c := user.Change{IfNoTokenName: name, IfBcrypt: &bcrypt, IfActive: &active}
	c.IfFactors = ptr(u.FactorState())
	token, err := s.addPAT(ctx, u.ID, name, t, c)
	if errors.Is(err, dberr.Conflict) {
		return "", s.whyNoToken(ctx, u, name)
	}
	return token, err
}

// whyNoToken words a conflict: the name is taken, or the account is no longer
// what it was.
func (s *Service) whyNoToken(ctx context.Context, u *user.User, name string) error {
	now, err := s.store.UserByID(ctx, u.ID)
	switch {
	case err == nil && named(now, name) == nil, errors.Is(err, dberr.NotFound):
		return fault.NotAuthorized
	case err != nil:
		return err
	}
	return ErrTokenExists
}

func (s *Service) addPAT(ctx context.Context, id, name string, t user.LoginToken, c user.Change) (string, error) {
	t.Name = name
	got, _, err := s.add(ctx, id, t, c)
	return got.Token, err
}

// RegenerateToken replaces a personal access token by a new one with the same
// name, bypass and addresses, that lives as long as the old one was to; the old one dies at once. ErrNoToken when there is none.
func (s *Service) RegenerateToken(ctx context.Context, p *rpc.Peer, u *user.User, name string) (string, error) {
	token, err := s.regenerate(ctx, p, u, name)
	s.record(p, "token_regenerated", u.ID, err, target(auditName(name)))
	if err != nil {
		return "", err
	}
	s.notice(ctx, p, u, nil, "Personal access token replaced",
		"A personal access token was replaced by a new one.", itsName(name))
	return token, nil
}

// regenerate puts the new token in the place of the old one, in one write: two
// at once make one winner, a crash loses neither, and a token that ends
// meanwhile, with a reset of the password for instance, does not come back.
func (s *Service) regenerate(ctx context.Context, p *rpc.Peer, u *user.User, name string) (string, error) {
	name, err := tokenName(name)
	if err != nil {
		return "", ErrNoToken
	}
	old := named(u, name)
	if old == nil {
		return "", ErrNoToken
	}
	active := true
	t := user.LoginToken{
		Type: user.PersonalAccessToken, CreatedAt: s.time(), BypassTwoFactor: old.BypassTwoFactor, AllowedAddresses: old.AllowedAddresses,
		MadeFrom: s.origin(p),
	}
	if !old.ExpiresAt.IsZero() {
		t.ExpiresAt = t.CreatedAt.Add(old.ExpiresAt.Sub(old.CreatedAt))
	}
	token, err := s.addPAT(ctx, u.ID, name, t, user.Change{IfToken: old.HashedToken, IfActive: &active, RemoveToken: old.HashedToken})
	if errors.Is(err, dberr.Conflict) || errors.Is(err, dberr.NotFound) {
		err = ErrNoToken.Because(err)
	}
	return token, err
}

// RemoveToken ends a personal access token and closes its connections.
// ErrNoToken when there is none of that name.
func (s *Service) RemoveToken(ctx context.Context, p *rpc.Peer, u *user.User, name string) error {
	err := s.remove(ctx, u, name)
	s.record(p, "token_removed", u.ID, err, target(auditName(name)))
	if err != nil {
		return err
	}
	s.notice(ctx, p, u, nil, "Personal access token removed",
		"A personal access token was removed.", itsName(name))
	return nil
}

func (s *Service) remove(ctx context.Context, u *user.User, name string) error {
	name, err := tokenName(name)
	if err != nil {
		return ErrNoToken
	}
	old := named(u, name)
	if old == nil {
		return ErrNoToken
	}
	return s.removePAT(ctx, u.ID, old)
}

func (s *Service) removePAT(ctx context.Context, id string, t *user.LoginToken) error {
	_, err := s.change(ctx, id, user.Change{IfToken: t.HashedToken, RemoveToken: t.HashedToken})
	if errors.Is(err, dberr.Conflict) || errors.Is(err, dberr.NotFound) {
		return ErrNoToken.Because(err)
	}
	return err
}

// Tokens lists the account's personal access tokens by name.
func (s *Service) Tokens(u *user.User) []TokenInfo {
	out := []TokenInfo{}
	if u.Services.Resume == nil {
		return out
	}
	for _, t := range u.Services.Resume.LoginTokens {
		if t.IsPAT() {
			out = append(out, TokenInfo{t.Name, t.CreatedAt, t.LastTokenPart, t.BypassTwoFactor, t.LastUsedAt, t.ExpiresAt, t.AllowedAddresses})
		}
	}
	slices.SortFunc(out, func(a, b TokenInfo) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func named(u *user.User, name string) *user.LoginToken {
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

// auditName keeps a client's text short in the audit stream.
func auditName(name string) string {
	if clean, err := tokenName(name); err == nil {
		return clean
	}
	return ""
}
