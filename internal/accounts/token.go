package accounts

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

const (
	// maxToken bounds a token on the wire; the server's own have 43 characters.
	maxToken = 256
	// maxSessions bounds the sessions of one account; the oldest ends when one
	// more begins, so that the document stays small.
	maxSessions = 200
	// linkPrefix marks the stored form of link tokens; without it the text is the
	// clear token of an adopted Meteor database.
	linkPrefix = "sha256:"
)

// HashToken is the stored form of a login token: base64 SHA-256
// (docs/wire/ddp.md D6).
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// linkForms are the two stored texts a link token may be found by: its hash and,
// unless that could be taken for a stored hash, itself.
func linkForms(token string) (hash, clear string, ok bool) {
	if token == "" || len(token) > maxToken {
		return "", "", false
	}
	if strings.HasPrefix(token, linkPrefix) {
		return linkPrefix + HashToken(token), "", true
	}
	return linkPrefix + HashToken(token), token, true
}

// Issued is a login token in its owner's hands.
type Issued struct {
	UserID string
	// Token is the clear token; it is not kept anywhere.
	Token string
	// Hash is its stored form, which rpc.Login carries.
	Hash    string
	Expires time.Time
}

// Login is the identity that the token gives a connection.
func (i Issued) Login() rpc.Login { return rpc.Login{UserID: i.UserID, Token: i.Hash} }

// expiry is the moment at which a token stops working. Personal access tokens
// without an end never do and say so with a date 100 years ahead, which clients
// read (docs/divergences.md).
func (s *Service) expiry(t *user.LoginToken) time.Time {
	switch {
	case t.IsPAT() && !t.ExpiresAt.IsZero():
		return t.ExpiresAt.UTC()
	case t.IsPAT():
		return s.time().AddDate(100, 0, 0)
	}
	return t.When.Add(s.sessionLife()).UTC()
}

// IssueToken begins a session. It is the last step of a login, after every
// factor was checked: u is the account as Authenticate (or Register,
// ResetPassword, VerifyEmail) returned it, and the token is refused with
// ErrCredentials when its password or its factors changed or it was deactivated
// since: a login that was under way must not outlive such a change (S021).
// Whatever the door, none is issued to an account that is not admitted
// (ErrUnverified, ErrPasswordChange). how names the kind of login for the audit stream.
func (s *Service) IssueToken(ctx context.Context, p *rpc.Peer, u *user.User, how string) (Issued, error) {
	if err := s.admitted(u); err != nil {
		s.record(p, "login", u.ID, err, method(how))
		return Issued{}, err
	}
	bcrypt, factors, active := u.PasswordHash(), u.FactorState(), true
	unchanged := user.Change{IfBcrypt: &bcrypt, IfFactors: &factors, IfActive: &active}
	got, after, err := s.add(ctx, u.ID, user.LoginToken{When: s.time(), MadeFrom: s.origin(p)}, unchanged)
	if errors.Is(err, dberr.Conflict) || errors.Is(err, dberr.NotFound) {
		err = ErrCredentials.Because(err)
	}
	s.record(p, "login", u.ID, err, method(how))
	if err != nil {
		return Issued{}, err
	}
	s.remember(ctx, u.ID, p.Address, true)
	s.endOldest(ctx, after, got.Hash)
	return got, nil
}

// add makes a token with the given entry under the given conditions.
func (s *Service) add(ctx context.Context, id string, t user.LoginToken, c user.Change) (Issued, *user.User, error) {
	token := random.Secret()
	t.HashedToken = HashToken(token)
	if t.IsPAT() {
		t.LastTokenPart = token[len(token)-lastPart:]
	}
	c.AddToken = &t
	reading := user.BeginReading(ctx)
	after, err := s.change(ctx, id, c)
	if err != nil {
		return Issued{}, nil, err
	}
	reading.Keep(after)
	return Issued{UserID: id, Token: token, Hash: t.HashedToken, Expires: s.expiry(&t)}, after, nil
}

// endOldest keeps the number of sessions bounded. A failure is left to the next login.
func (s *Service) endOldest(ctx context.Context, u *user.User, keep string) {
	var sessions []user.LoginToken
	for _, t := range u.Services.Resume.LoginTokens {
		if !t.IsPAT() && t.HashedToken != keep && t.HashedToken != "" {
			sessions = append(sessions, t)
		}
	}
	slices.SortStableFunc(sessions, func(a, b user.LoginToken) int { return a.When.Compare(b.When) })
	for i := 0; i < len(sessions)-maxSessions+1; i++ {
		if _, err := s.change(ctx, u.ID, user.Change{RemoveToken: sessions[i].HashedToken}); err != nil {
			return
		}
	}
}

// RenewToken exchanges the connection's session for another one with the same
// start, so the session does not live longer. The old token stays until it is
// removed. ErrNotLoggedIn without a login; ErrInvalidToken for a token that is
// gone or is a personal access token: those must not turn into sessions that
// outlive them.
func (s *Service) RenewToken(ctx context.Context, p *rpc.Peer, l rpc.Login) (Issued, error) {
	if l.UserID == "" || l.Token == "" {
		return Issued{}, ErrNotLoggedIn
	}
	u, err := s.store.UserByID(ctx, l.UserID)
	if err != nil && !errors.Is(err, dberr.NotFound) {
		return Issued{}, err
	}
	var old *user.LoginToken
	if err == nil {
		old = u.LoginToken(l.Token)
	}
	if old == nil || old.IsPAT() || !u.IsActive() || !s.now().Before(s.expiry(old)) {
		return Issued{}, ErrInvalidToken
	}
	active := true
	next := user.LoginToken{When: old.When, MadeFrom: old.MadeFrom, LastUsedAt: s.time(), UsedFrom: s.origin(p)}
	got, after, err := s.add(ctx, l.UserID, next, user.Change{IfToken: l.Token, IfActive: &active})
	if errors.Is(err, dberr.Conflict) || errors.Is(err, dberr.NotFound) {
		err = ErrInvalidToken.Because(err)
	}
	s.record(p, "token_renewed", l.UserID, err)
	if err != nil {
		return Issued{}, err
	}
	s.endOldest(ctx, after, got.Hash)
	return got, nil
}

// RemoveOtherTokens ends every other session of the account and closes its
// connections. Personal access tokens stay: removing one asks for a factor.
func (s *Service) RemoveOtherTokens(ctx context.Context, p *rpc.Peer, l rpc.Login) error {
	if l.UserID == "" || l.Token == "" {
		return ErrNotLoggedIn
	}
	_, err := s.change(ctx, l.UserID, user.Change{IfToken: l.Token, RemoveSessions: true, KeepToken: l.Token})
	if errors.Is(err, dberr.Conflict) || errors.Is(err, dberr.NotFound) {
		err = ErrNotLoggedIn.Because(err)
	}
	s.record(p, "other_sessions_removed", l.UserID, err)
	return err
}

// Logout ends the session and closes what else uses it. Logging out with a
// personal access token leaves the token alone. Nobody logged in is fine.
func (s *Service) Logout(ctx context.Context, p *rpc.Peer, l rpc.Login) error {
	if l.UserID == "" || l.Token == "" {
		return nil
	}
	u, err := s.store.UserByID(ctx, l.UserID)
	if errors.Is(err, dberr.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if t := u.LoginToken(l.Token); t != nil && !t.IsPAT() {
		_, err = s.change(ctx, l.UserID, user.Change{RemoveToken: l.Token})
		if errors.Is(err, dberr.NotFound) {
			err = nil
		}
	}
	s.record(p, "logout", l.UserID, err)
	return err
}

// LogoutUser ends every session of an account, for an administrator or the owner
// (keep is a token hash to spare, or empty).
func (s *Service) LogoutUser(ctx context.Context, p *rpc.Peer, by *user.User, id, keep string) error {
	_, err := s.change(ctx, id, user.Change{RemoveSessions: true, KeepToken: keep})
	if errors.Is(err, dberr.NotFound) {
		err = ErrInvalidUser
	}
	s.record(p, "sessions_removed", by.ID, err, target(id))
	return err
}
