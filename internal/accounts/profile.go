package accounts

import (
	"context"
	"errors"
	"strings"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Limits of the texts in a profile, in characters.
const (
	maxStatusText = 120
	maxLanguage   = 16
)

// Profile is a change of one's own account; nil members stay as they are.
type Profile struct {
	Name, Username, Email, Status, StatusText, Language *string
	// Password is the new password; zero means none.
	Password     Password
	CustomFields *map[string]any
}

// Sensitive tells whether a change touches what identifies the account, the
// address or the password, so that a fresh second factor must be asked for first.
func (s *Service) Sensitive(u *user.User, c Profile) bool {
	return !c.Password.IsZero() || changesEmail(u, c.Email)
}

func changesEmail(u *user.User, email *string) bool {
	return email != nil && *email != "" && spelled(u, *email) == ""
}

// SaveProfile makes all the changes or none, in one write. The caller has asked
// for a fresh factor when Sensitive says so; u is the account that was asked.
// A new address gets a link; until it is proved a proved one of before stays in
// force. A new password ends the other sessions (personal access tokens stay,
// and the notice says so) and drops an address that waits for its proof.
//
// Errors: ErrNotAllowed, ErrUsername, ErrReserved, ErrUnavailable, ErrEmail,
// ErrDomain, ErrName, ErrStatus, ErrTooLong, ErrPolicy, ErrSamePassword,
// too-many-requests for more than 10 new addresses in an hour.
func (s *Service) SaveProfile(ctx context.Context, p *rpc.Peer, l rpc.Login, u *user.User, c Profile) (*user.User, error) {
	if !s.set.Bool(settings.AllowProfileChange) {
		return nil, ErrNotAllowed
	}
	change, err := s.profileChange(u, c)
	if err == nil && changesEmail(u, c.Email) {
		err = s.mailBudget("address-of/"+u.ID, changesPerAccount)
	}
	if err == nil && s.Sensitive(u, c) { // for the account that was asked for its factor, and in that session
		old := u.PasswordHash()
		change.IfBcrypt, change.IfToken = &old, l.Token
		change.IfFactors = ptr(u.FactorState())
	}
	if err == nil && !c.Password.IsZero() {
		err = s.newPassword(ctx, l, u, c.Password, &change)
	}
	var after *user.User
	if err == nil {
		after, err = s.change(ctx, u.ID, change)
	}
	switch {
	case errors.Is(err, dberr.DuplicateUsername), errors.Is(err, dberr.DuplicateEmail):
		err = ErrUnavailable.Because(err)
	case errors.Is(err, dberr.Conflict):
		err = ErrNotAllowed.Because(err)
	}
	s.record(p, "profile_changed", u.ID, err)
	if err != nil {
		return nil, err
	}
	if changesEmail(u, c.Email) {
		s.emailChanged(ctx, p, u, after)
	}
	if change.Bcrypt != nil {
		s.record(p, "password_changed", u.ID, nil)
		s.passwordChanged(ctx, p, after, "Your password was changed and your other sessions were closed.", s.kept(after)...)
	}
	return after, nil
}

// kept names the personal access tokens that outlive a change of password: they
// are kept on purpose, and the owner should know (docs/security-tests.md S055).
func (s *Service) kept(u *user.User) []string {
	list := s.Tokens(u)
	if len(list) == 0 {
		return nil
	}
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = t.Name
	}
	return []string{"These personal access tokens still work: " + strings.Join(names, ", ") + "."}
}

// profileChange checks the plain parts of a profile.
func (s *Service) profileChange(u *user.User, c Profile) (user.Change, error) {
	active := true
	change := user.Change{IfActive: &active, StatusText: c.StatusText, CustomFields: c.CustomFields}
	if c.Name != nil && *c.Name != u.Name {
		name, err := cleanName(*c.Name)
		switch {
		case err != nil:
			return change, err
		case !s.set.Bool(settings.AllowRealNameChange):
			return change, ErrNotAllowed
		}
		change.Name = &name
	}
	if c.Username != nil && *c.Username != "" && *c.Username != u.Username {
		if !s.set.Bool(settings.AllowUsernameChange) && u.Username != "" {
			return change, ErrNotAllowed
		}
		if err := s.freeUsername(*c.Username, u); err != nil {
			return change, err
		}
		change.Username, change.IfUsername = c.Username, &u.Username
	}
	if changesEmail(u, c.Email) {
		addr, err := newEmail(*c.Email)
		if err == nil {
			err = s.allowedDomain(addr)
		}
		switch {
		case err != nil:
			return change, err
		case !s.set.Bool(settings.AllowEmailChange):
			return change, ErrNotAllowed
		}
		s.putEmail(u, addr, false, &change)
	}
	return change, s.presenceChange(c, &change)
}

func (s *Service) presenceChange(c Profile, change *user.Change) error {
	if c.Status != nil {
		switch *c.Status {
		case "online", "away", "busy", "offline":
		default:
			return ErrStatus
		}
		if *c.Status == "offline" && !s.set.Bool(settings.AllowInvisible) {
			return ErrNotAllowed // as setUserStatus: nobody becomes invisible by another door
		}
		change.StatusDefault = c.Status
	}
	if c.StatusText != nil {
		if !s.set.Bool(settings.AllowStatusChange) {
			return ErrNotAllowed
		}
		text, err := cleanText(*c.StatusText, maxStatusText)
		if err != nil {
			return err
		}
		change.StatusText = &text
	}
	if c.Language != nil {
		text, err := cleanText(*c.Language, maxLanguage)
		if err != nil {
			return err
		}
		change.Language = &text
	}
	if c.CustomFields != nil {
		if err := cleanFields(*c.CustomFields); err != nil {
			return err
		}
	}
	return nil
}

// newPassword adds a new password to a change: other sessions end, trust is
// forgotten, and the password must still be the one that was proved.
func (s *Service) newPassword(ctx context.Context, l rpc.Login, u *user.User, pw Password, change *user.Change) error {
	if !s.set.Bool(settings.AllowPasswordChange) {
		return ErrNotAllowed
	}
	if err := s.acceptable(pw); err != nil {
		return err
	}
	old := u.PasswordHash()
	same, err := s.passwords.hasher.matches(ctx, owner(u.ID), old, pw)
	if err != nil {
		return err
	}
	if same {
		return ErrSamePassword
	}
	fresh, err := s.passwords.hasher.hashFor(ctx, owner(u.ID), pw)
	if err != nil {
		return err
	}
	change.IfBcrypt, change.Bcrypt = &old, &fresh
	change.RemoveSessions, change.KeepToken, change.ClearTrust = true, l.Token, true
	change.IfToken = l.Token
	change.IfFactors = ptr(u.FactorState())
	dropPending(u, change)
	return nil
}

// ChangePassword sets a new password. The caller has proved the old one with
// ProvePassword, and a second factor where there is one; u is the account that
// was asked. The caller's session stays, the others end.
//
// Errors: ErrNotAllowed, ErrPolicy, ErrSamePassword, ErrCredentials when the
// password changed meanwhile.
func (s *Service) ChangePassword(ctx context.Context, p *rpc.Peer, l rpc.Login, u *user.User, pw Password) error {
	active := true
	change := user.Change{IfActive: &active}
	err := s.newPassword(ctx, l, u, pw, &change)
	var after *user.User
	if err == nil {
		after, err = s.change(ctx, u.ID, change)
	}
	if errors.Is(err, dberr.Conflict) {
		err = ErrCredentials.Because(err)
	}
	s.record(p, "password_changed", u.ID, err)
	if err != nil {
		return err
	}
	s.passwordChanged(ctx, p, after, "Your password was changed and your other sessions were closed.", s.kept(after)...)
	return nil
}

// passwordChanged ends what the old password's owner may have started and tells
// the owner.
func (s *Service) passwordChanged(ctx context.Context, p *rpc.Peer, u *user.User, text string, about ...string) {
	s.forgetCodes(ctx, u.ID)
	s.notice(ctx, p, u, nil, "Your password was changed", text, about...)
}

// forgetCodes ends pending mail codes after a change that was committed.
func (s *Service) forgetCodes(ctx context.Context, id string) {
	if s.factors == nil {
		return
	}
	if err := s.factors.Forget(context.WithoutCancel(ctx), id); err != nil {
		s.log.Warn("codes_not_ended", zap.String("user_id", id), zap.Error(err))
	}
}
