package accounts

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// NewUser is an account that an administrator makes for somebody.
type NewUser struct {
	// Username, Email and Name are required by Rocket.Chat; here Username or Email is.
	Username, Email, Name string
	// Password may be zero: a link to choose one is mailed then.
	Password Password
	Verified bool
	Inactive bool
	// Welcome mails the address that there is an account, unless a link to choose a
	// password tells it.
	Welcome      bool
	Roles        []string
	CustomFields map[string]any
}

// CreateUser makes an account for somebody. The caller has checked the
// permission; only administrators make administrators.
//
// Errors: those of Register, but what is taken is named; ErrRole, ErrAdminOnly.
func (s *Service) CreateUser(ctx context.Context, p *rpc.Peer, by *user.User, n NewUser) (*user.User, error) {
	u, err := s.createUser(ctx, by, n)
	made := ""
	if u != nil {
		made = u.ID
	}
	s.record(p, "account_created", by.ID, err, target(made))
	if err != nil {
		return nil, err
	}
	s.granted(ctx, p, by, nil, u)
	switch {
	case len(u.Emails) == 0:
	case n.Password.IsZero():
		if err := s.sendEnrolment(inside(context.WithoutCancel(ctx)), u, u.Emails[0].Address); err != nil {
			s.log.Warn("enrolment_not_sent", zap.String("user_id", u.ID), zap.Error(err))
		}
	default:
		s.verifyNew(inside(ctx), u)
		if n.Welcome {
			s.welcome(ctx, u)
		}
	}
	return u, nil
}

func (s *Service) createUser(ctx context.Context, by *user.User, n NewUser) (*user.User, error) {
	u, err := s.draft(Registration{Username: n.Username, Email: n.Email, Name: n.Name})
	if err != nil {
		return nil, err
	}
	if err := cleanFields(n.CustomFields); err != nil {
		return nil, err
	}
	if u.Roles, err = s.roles(by, n.Roles, nil); err != nil {
		return nil, err
	}
	if len(u.Roles) == 0 {
		u.Roles = s.defaultRoles()
	}
	if len(u.Emails) > 0 {
		u.Emails[0].Verified = n.Verified
	}
	if !n.Password.IsZero() {
		if err := s.acceptable(n.Password); err != nil {
			return nil, err
		}
		hash, err := s.passwords.hasher.hashFor(ctx, owner(by.ID), n.Password)
		if err != nil {
			return nil, err
		}
		u.Services.Password = &user.Password{Bcrypt: hash}
	}
	u.CustomFields = n.CustomFields
	active := !n.Inactive
	u.Active = &active
	s.optIn(u)
	if u.Username == "" {
		if u.Username, err = s.SuggestUsername(ctx, n.Name, n.Email); err != nil {
			return nil, err
		}
	}
	if err := s.insert(ctx, u); err != nil {
		return nil, named403(err)
	}
	return u, nil
}

// named403 names what is taken, or why not, to those who may know.
func named403(err error) error {
	switch {
	case errors.Is(err, dberr.DuplicateUsername):
		return ErrUsernameExists.Because(err)
	case errors.Is(err, dberr.DuplicateEmail):
		return ErrEmailExists.Because(err)
	case errors.Is(err, dberr.NotFound):
		return ErrInvalidUser.Because(err)
	case errors.Is(err, dberr.LastAdmin):
		return ErrLastAdmin.Because(err)
	}
	return err
}

// roles checks the roles somebody wants to give to an account that has had some.
func (s *Service) roles(by *user.User, want, had []string) ([]string, error) {
	var out []string
	for _, r := range want {
		if !knownRole(r) {
			return nil, ErrRole
		}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	if slices.Contains(out, "admin") != slices.Contains(had, "admin") && !by.HasRole("admin") {
		return nil, ErrAdminOnly
	}
	return out, nil
}

// UserChange is a change of somebody's account by an administrator; nil members
// stay as they are.
type UserChange struct {
	Name, Username, Email *string
	// Verified applies to Email when that is new, else to the first address. A
	// new address called verified takes effect at once.
	Verified     *bool
	Password     Password
	Roles        *[]string
	Active       *bool
	StatusText   *string
	CustomFields *map[string]any
}

// UpdateUser makes all the changes or none. The caller has checked permission
// and factor. A new password ends every session of the account; deactivation
// ends every token.
//
// Errors: ErrInvalidUser, ErrAdminOnly, ErrLastAdmin, ErrRole, and those of SaveProfile.
func (s *Service) UpdateUser(ctx context.Context, p *rpc.Peer, by *user.User, id string, c UserChange) (*user.User, error) {
	var before, after *user.User
	var change user.Change
	err := retry(func() (err error) {
		before, after, change, err = s.updateUser(ctx, by, id, c)
		return err
	})
	s.record(p, "account_changed", by.ID, err, target(id))
	if err != nil {
		return nil, err
	}
	s.granted(ctx, p, by, before, after)
	if changesEmail(before, c.Email) {
		s.emailChanged(ctx, p, before, after)
	}
	if change.Bcrypt != nil {
		s.passwordChanged(ctx, p, after, also("Your password was changed by an administrator and you were logged out everywhere.",
			s.keysChanged(p, by.ID, before, after)), s.kept(after)...)
	}
	return after, nil
}

func (s *Service) updateUser(ctx context.Context, by *user.User, id string, c UserChange) (before, after *user.User, change user.Change, err error) {
	before, err = s.store.UserByID(ctx, id)
	if err != nil {
		return nil, nil, change, named403(err)
	}
	if before.HasRole("admin") && !by.HasRole("admin") {
		return nil, nil, change, ErrAdminOnly
	}
	if change, err = s.userChange(ctx, by, before, c); err != nil {
		return nil, nil, change, err
	}
	if !by.HasRole("admin") { // nor if it becomes one meanwhile
		change.IfRoles = &before.Roles
	}
	if after, err = s.apply(ctx, id, &change); err != nil {
		return nil, nil, change, named403(err)
	}
	s.tell(ctx, after, &change)
	return before, after, change, nil
}

func (s *Service) userChange(ctx context.Context, by, u *user.User, c UserChange) (user.Change, error) {
	change := user.Change{CustomFields: c.CustomFields}
	if c.Name != nil {
		name, err := cleanName(*c.Name)
		if err != nil {
			return change, err
		}
		change.Name = &name
	}
	if c.Username != nil && *c.Username != u.Username {
		if err := s.freeUsername(*c.Username, u); err != nil {
			return change, err
		}
		change.Username, change.IfUsername = c.Username, &u.Username
	}
	if err := s.emailsChange(u, c, &change); err != nil {
		return change, err
	}
	if c.Roles != nil {
		roles, err := s.roles(by, *c.Roles, u.Roles)
		if err != nil {
			return change, err
		}
		change.Roles = &roles
	}
	if c.Active != nil {
		change.Active, change.RemoveTokens = c.Active, !*c.Active
	}
	if err := s.presenceChange(Profile{StatusText: c.StatusText, CustomFields: c.CustomFields}, &change); err != nil {
		return change, err
	}
	if c.Password.IsZero() {
		return change, nil
	}
	if err := s.acceptable(c.Password); err != nil {
		return change, err
	}
	hash, err := s.passwords.hasher.hashFor(ctx, owner(u.ID), c.Password)
	change.Bcrypt, change.RemoveSessions, change.ClearTrust = &hash, true, true
	if by.ID != u.ID { // who changes his own has proved a factor of it
		s.suspendKeys(u, &change)
	}
	dropPending(u, &change)
	return change, err
}

// emailsChange replaces the address, or marks the one there is. A new address
// that is not called verified waits for its proof as any other does.
func (s *Service) emailsChange(u *user.User, c UserChange, change *user.Change) error {
	if changesEmail(u, c.Email) {
		addr, err := newEmail(*c.Email)
		if err != nil {
			return err
		}
		s.putEmail(u, addr, c.Verified != nil && *c.Verified, change)
		return nil
	}
	emails := slices.Clone(u.Emails)
	if c.Verified != nil && len(emails) > 0 {
		emails[0].Verified = *c.Verified
	}
	if !slices.Equal(emails, u.Emails) {
		change.Emails, change.IfEmails = &emails, &u.Emails
		if len(u.VerifiedEmails()) > 0 && !slices.ContainsFunc(emails, func(e user.Email) bool { return e.Verified }) {
			s.keepKeys(u, change)
		}
	}
	return nil
}

// ErrNoAddress answers when an account has no address that a link may be mailed to.
var ErrNoAddress = fault.New("error-no-address", "The account has no e-mail address that a link may be sent to")

// SendPasswordLink mails the owner of an account a link to choose a password: the one
// of a new account to one that has none yet. The caller has checked permission and
// factor. It counts against the mails that the account may get.
//
// Errors: ErrInvalidUser, also for an inactive account; ErrAdminOnly, ErrNoAddress,
// too-many-requests.
func (s *Service) SendPasswordLink(ctx context.Context, p *rpc.Peer, by *user.User, id string) error {
	err := s.sendPasswordLink(ctx, by, id)
	s.record(p, "password_reset_requested", by.ID, err, target(id))
	return err
}

func (s *Service) sendPasswordLink(ctx context.Context, by *user.User, id string) error {
	u, err := s.store.UserByID(ctx, id)
	switch {
	case err != nil:
		return named403(err)
	case !u.IsActive():
		return ErrInvalidUser
	case u.HasRole("admin") && !by.HasRole("admin"):
		return ErrAdminOnly
	}
	i := slices.IndexFunc(u.Emails, u.InForce)
	if i < 0 {
		return ErrNoAddress
	}
	if err := s.mailBudget("links-of/"+u.ID, linksPerAccount); err != nil {
		return err
	}
	if u.State() == user.Invited {
		return s.sendEnrolment(inside(ctx), u, u.Emails[i].Address)
	}
	return s.sendReset(inside(ctx), u, u.Emails[i].Address)
}

// SetActive activates or deactivates an account. Deactivation ends every token,
// closes every connection and refuses every further use.
func (s *Service) SetActive(ctx context.Context, p *rpc.Peer, by *user.User, id string, active bool) error {
	_, err := s.UpdateUser(ctx, p, by, id, UserChange{Active: &active})
	return err
}

// DeleteUser removes somebody's account for good and closes its connections.
// Errors: ErrInvalidUser, ErrAdminOnly, ErrLastAdmin.
func (s *Service) DeleteUser(ctx context.Context, p *rpc.Peer, by *user.User, id string) error {
	err := s.deleteUser(ctx, by, id)
	s.record(p, "account_deleted", by.ID, err, target(id))
	return err
}

func (s *Service) deleteUser(ctx context.Context, by *user.User, id string) error {
	switch err := s.store.DeleteUser(ctx, id, by.HasRole("admin")); {
	case errors.Is(err, dberr.Conflict):
		return ErrAdminOnly.Because(err)
	case err != nil:
		return named403(err)
	}
	s.changed(id, user.News{Ended: &user.EndedTokens{Kept: true}})
	s.follow(ctx, "deleted", id, func(ctx context.Context, f Follower) error { return f.Deleted(ctx, id) })
	return nil
}

// DeleteOwn removes the caller's account. proof is the hex SHA-256 of the
// password, or of the user name for an account without a password
// (docs/wire/rocketchat.md 2.5).
//
// Errors: ErrNotAllowed, ErrInvalidPassword, ErrInvalidUsername, ErrLastAdmin.
func (s *Service) DeleteOwn(ctx context.Context, p *rpc.Peer, u *user.User, proof string) error {
	if err := s.mayDeleteOwn(ctx, p, u, proof); err != nil {
		s.record(p, "account_deleted", u.ID, err, target(u.ID))
		return err
	}
	return s.DeleteUser(ctx, p, u, u.ID)
}

// mayDeleteOwn checks the proof.
func (s *Service) mayDeleteOwn(ctx context.Context, p *rpc.Peer, u *user.User, proof string) error {
	if !s.set.Bool(settings.AllowDeleteOwnAccount) {
		return ErrNotAllowed
	}
	if u.PasswordHash() == "" {
		sum := sha256.Sum256([]byte(u.Username))
		if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(proof)) != 1 {
			return ErrInvalidUsername
		}
		return nil
	}
	pw, err := Digest(proof, algorithm)
	if err != nil {
		return ErrInvalidPassword
	}
	switch err := s.ProvePassword(ctx, p, u, pw); {
	case errors.Is(err, ErrBlockedUser), errors.Is(err, ErrBlockedAddress):
		return err
	case isRefusal(err):
		return ErrInvalidPassword
	default:
		return err
	}
}
