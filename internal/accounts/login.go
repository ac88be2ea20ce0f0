package accounts

import (
	"context"
	"errors"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Selector says which account a login is for. Exactly one member is set.
type Selector struct{ ID, Username, Email string }

// typed is what the client wrote, as the counters of wrong passwords know it
// when nobody has it.
func (sel Selector) typed() string {
	return "?" + lookupKey(sel.ID+sel.Username+sel.Email)
}

// lookup finds the one account a selector means, in whatever case it is typed;
// dberr.NotFound when there is none. A user name with an "@" may be an address:
// some clients always send "username" (docs/wire/clients.md 2.3).
func (s *Service) lookup(ctx context.Context, sel Selector) (*user.User, error) {
	switch {
	case sel.ID != "":
		if lookupKey(sel.ID) == "" {
			return nil, dberr.NotFound
		}
		return s.store.UserByID(ctx, sel.ID)
	case sel.Email != "":
		if key := lookupKey(sel.Email); key != "" {
			return s.store.UserByEmail(ctx, key)
		}
	case sel.Username != "":
		key := lookupKey(sel.Username)
		if key == "" {
			break
		}
		u, err := s.store.UserByUsername(ctx, key)
		if errors.Is(err, dberr.NotFound) && strings.Contains(key, "@") {
			return s.store.UserByEmail(ctx, key)
		}
		return u, err
	}
	return nil, dberr.NotFound
}

// Authenticate checks a password, the first factor of a login. Unknown user,
// wrong password, no password and deactivated account get the same answer after
// the same work, unless the setting AmbiguousErrors is off. Nothing is issued:
// the caller asks for a second factor and then calls IssueToken with the user
// returned here, who carries the password hash that was matched.
//
// Errors: ErrCredentials (or a specific text), ErrBlockedUser, ErrStoppedUser,
// ErrBlockedAddress, too-many-requests when too many passwords are being
// hashed, and those of admitted.
func (s *Service) Authenticate(ctx context.Context, p *rpc.Peer, sel Selector, pw Password) (*user.User, error) {
	u, err := s.lookup(ctx, sel)
	if err != nil && !errors.Is(err, dberr.NotFound) {
		return nil, err
	}
	account := sel.typed()
	if err == nil {
		account = u.ID
	} else {
		u = nil
	}
	checked, err := s.authenticate(ctx, p, u, account, sel.typed(), pw)
	if err != nil {
		id := ""
		if u != nil {
			id = u.ID
		}
		s.record(p, "login", id, err, method("password"))
		return nil, err
	}
	return checked, nil
}

func (s *Service) authenticate(ctx context.Context, p *rpc.Peer, u *user.User, account, typed string, pw Password) (*user.User, error) {
	who, err := s.compare(ctx, p, u, account, typed, pw)
	if err != nil {
		return nil, err
	}
	if err := s.admitted(u); err != nil {
		return nil, err
	}
	return s.rehash(ctx, who, u, pw), nil
}

// admitted refuses accounts that nobody is logged in to as they are: those without a
// proved address where the server insists on one (ErrUnverified), and those whose
// owner must choose a new password first (ErrPasswordChange). A link for a new
// password, or an administrator who sets one, opens the latter.
func (s *Service) admitted(u *user.User) error {
	switch {
	case s.mustVerify(u):
		return ErrUnverified
	case u.RequirePasswordChange:
		return ErrPasswordChange
	}
	return nil
}

// mustVerify tells whether the server insists on a proved address that the
// account does not have.
func (s *Service) mustVerify(u *user.User) bool {
	return s.set.Bool(settings.EmailVerification) && !u.HasRole("admin") && len(u.VerifiedEmails()) == 0
}

// ProvePassword checks the password of an account that is logged in. Its wrong
// ones count as those of a login do, in a budget of the account's sessions unless
// the address is known, and are refused alike.
func (s *Service) ProvePassword(ctx context.Context, p *rpc.Peer, u *user.User, pw Password) error {
	_, err := s.compare(ctx, p, u, u.ID, "", pw)
	return err
}

// compare is the only place that compares passwords of logins. u is nil for an
// unknown account; typed is "" for a caller who is logged in. The password is
// counted first, once it is the caller's turn, and its count is taken back when
// it was right or nothing was compared.
func (s *Service) compare(ctx context.Context, p *rpc.Peer, u *user.User, account, typed string, pw Password) (claimant, error) {
	a, err := s.begin(ctx, p, u, account, typed)
	if err != nil {
		return claimant{}, err
	}
	leave, err := s.passwords.hasher.gate.enter(ctx, a.who)
	if err != nil {
		return a.who, err
	}
	defer leave()
	defer s.open.drop(a.id)
	if err := s.count(ctx, a); err != nil {
		return a.who, err
	}
	stored := ""
	if u != nil && !a.masked {
		stored = u.PasswordHash()
	}
	ok, err := s.passwords.hasher.check(ctx, stored, pw)
	switch {
	case err != nil: // nothing was compared
		return a.who, errors.Join(err, s.uncount(ctx, a, false))
	case ok && u.IsActive():
		return a.who, s.uncount(ctx, a, true)
	case s.set.Bool(settings.AmbiguousErrors):
		return a.who, ErrCredentials
	case u == nil:
		return a.who, fault.Num(403, "User not found")
	case stored == "":
		return a.who, fault.Num(403, "User has no password set")
	case ok:
		return a.who, ErrNotActivated
	}
	return a.who, fault.Num(403, "Incorrect password")
}

// Resume logs in with a token that was issued before: a session's, until it
// expires, or a personal access token. The same token and its expiry come back.
//
// Errors: ErrLoggedOut (unknown token, deactivated account, an address that the
// token does not work from), ErrSessionExpired.
func (s *Service) Resume(ctx context.Context, p *rpc.Peer, token string) (*user.User, Issued, error) {
	u, got, err := s.resume(ctx, p, token)
	id := ""
	if u != nil {
		id = u.ID
	}
	s.record(p, "login", id, err, method("resume"))
	if err != nil {
		return nil, Issued{}, err
	}
	s.remember(ctx, u.ID, p.Address, false)
	return u, got, nil
}

func (s *Service) resume(ctx context.Context, p *rpc.Peer, token string) (*user.User, Issued, error) {
	reading := user.BeginReading(ctx)
	u, t, err := s.byToken(ctx, token)
	if err != nil {
		if errors.Is(err, dberr.NotFound) {
			err = ErrLoggedOut
		}
		return nil, Issued{}, err
	}
	expires := s.expiry(t)
	switch {
	case !u.IsActive(), u.RequirePasswordChange, !t.Allows(p.Address): // whoever found a token learns nothing
		return u, Issued{}, ErrLoggedOut
	case !s.now().Before(expires):
		// Once refused for its age it is gone: a clock that jumps back brings no
		// session back. The refusal does not depend on it.
		_, _ = s.change(ctx, u.ID, user.Change{RemoveToken: t.HashedToken})
		return u, Issued{}, ErrSessionExpired
	}
	s.used(ctx, p, u, t)
	reading.Keep(u)
	return u, Issued{UserID: u.ID, Token: token, Hash: t.HashedToken, Expires: expires}, nil
}

// byToken finds the account and the entry of a token; dberr.NotFound when it is
// unknown. The clear token of an adopted Meteor database is replaced by its
// hash on the way; a stored hash is never itself a token.
func (s *Service) byToken(ctx context.Context, token string) (*user.User, *user.LoginToken, error) {
	if token == "" || len(token) > maxToken {
		return nil, nil, dberr.NotFound
	}
	hash := HashToken(token)
	u, err := s.store.UserByToken(ctx, hash, token)
	if err != nil {
		return nil, nil, err
	}
	if t := u.LoginToken(hash); t != nil {
		return u, t, nil
	}
	u, err = s.store.UpdateUser(ctx, u.ID, user.Change{UpgradeToken: &user.TokenUpgrade{Clear: token, Hash: hash}, At: s.time()})
	if err != nil {
		return nil, nil, err
	}
	if t := u.LoginToken(hash); t != nil {
		return u, t, nil
	}
	return nil, nil, dberr.NotFound
}

// Caller reads the account behind a connection's login as it is now, or takes what the
// login itself read (Remembering).
// fault.NotAuthorized when nobody is logged in, or the token, its time or the
// account has ended since. What is a use of the token is told by Used.
func (s *Service) Caller(ctx context.Context, l rpc.Login) (*user.User, error) {
	if l.UserID == "" || l.Token == "" {
		return nil, fault.NotAuthorized
	}
	u, err := s.User(ctx, l.UserID)
	switch {
	case errors.Is(err, dberr.NotFound):
		return nil, fault.NotAuthorized
	case err != nil:
		return nil, err
	}
	t := u.LoginToken(l.Token)
	if t == nil || !u.IsActive() || u.RequirePasswordChange || !s.now().Before(s.expiry(t)) {
		return nil, fault.NotAuthorized
	}
	return u, nil
}

// Header authenticates a REST request by its user id and clear token.
// fault.NotAuthorized unless both belong together and are alive.
func (s *Service) Header(ctx context.Context, p *rpc.Peer, userID, token string) (*user.User, rpc.Login, error) {
	u, got, err := s.resume(ctx, p, token)
	if _, refused := fault.From(err); err != nil && !refused {
		return nil, rpc.Login{}, err
	}
	if err != nil || u.ID != userID {
		return nil, rpc.Login{}, fault.NotAuthorized
	}
	return u, got.Login(), nil
}
