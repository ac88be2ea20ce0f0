package twofactor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/passkey"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Refusals of passkeys. The codes are those of Meteor's accounts-webauthn.
var (
	// ErrPasskeysOff refuses keys where the setting or the address of the server rules
	// them out.
	ErrPasskeysOff = fault.New("webauthn-not-supported", "Passkeys cannot be used on this server")
	// ErrPasskeyNew answers what is no new key, or none that was asked for.
	ErrPasskeyNew = fault.New("invalid-webauthn-registration", "This passkey could not be added. Ask for it anew")
	// ErrPasskeyKey refuses a key of a size or kind that is not kept, ErrPasskeyKind one that
	// is kept elsewhere than the setting has it.
	ErrPasskeyKey  = fault.New("webauthn-key-not-supported", "The key that this device makes is not taken here. Use another device")
	ErrPasskeyKind = fault.New("webauthn-key-kind-not-allowed", "Passkeys that are kept there are not taken by this server. Choose another place for it")
	// ErrPasskeyTwice refuses a key that the account has.
	ErrPasskeyTwice = fault.New("webauthn-credential-in-use", "The account has this passkey already")
	// ErrPasskeyMany refuses one key too many.
	ErrPasskeyMany = fault.New("webauthn-too-many-credentials", "The account has as many passkeys as it may have. Remove one first")
	// ErrPasskeyGone names a key that the account does not have.
	ErrPasskeyGone = fault.New("webauthn-credential-not-found", "The account has no such passkey")
	// ErrPasskeyLast keeps the only way into an account.
	ErrPasskeyLast = fault.New("webauthn-last-credential",
		"This passkey is the only way into the account. Set a password first, with a password reset mail, or add another passkey")
	// ErrPasskeyName refuses names that people could not tell apart or read.
	ErrPasskeyName = fault.New("error-invalid-name", "The name of a passkey is a line of up to 64 characters")
	// ErrPasskeyLogin answers every login by passkey that fails, so that none tells which
	// accounts and keys there are.
	ErrPasskeyLogin = fault.New("invalid-webauthn-assertion", "The login with this passkey failed")
	// ErrPasskeyLoginOff refuses them where the setting does.
	ErrPasskeyLoginOff = fault.New("webauthn-passwordless-disabled", "Logging in with a passkey alone is switched off")
)

// What happens to passkeys.
var (
	PasskeyAdded = Change{Name: "passkey-added", Factor: WebAuthn, Act: "factor_enabled",
		Subject: "A passkey was added to your account",
		Text:    "The passkey {key} can now log in to your account, and is a second factor of it. Your other sessions were closed."}
	PasskeyRemoved = Change{Name: "passkey-removed", Factor: WebAuthn, Act: "factor_disabled",
		Subject: "A passkey was removed from your account",
		Text:    "The passkey {key} does not open your account any more. Your other sessions were closed."}
	// PasskeysReset: by an administrator.
	PasskeysReset = Change{Name: "passkeys-reset", Factor: WebAuthn, Act: "factor_reset", Ends: true,
		Subject: "Your passkeys have been removed",
		Text: "The administrator {by} removed all passkeys from your account, and all its sessions and tokens are closed. " +
			"Log in again and set two-factor authentication up anew."}
	// PasskeysResetPending: an administrator asked for a reset that takes effect later.
	PasskeysResetPending = Change{Name: "passkeys-reset-pending", Factor: WebAuthn, Act: "factor_reset_pending", Ends: true,
		Subject: "Your passkeys are going to be removed",
		Text: "The administrator {by} asked to remove all passkeys from your account. It takes effect at {due}; until then nothing changes." +
			"\nIf you have lost them, wait until then: all your sessions and tokens are closed, and you log in without them." +
			"\nIf you still have one, stop it: log in with it, or use it for anything that asks for a second factor. " +
			"If you did not ask for this, tell whoever runs the server."}
	// PasskeysResetStopped: the owner showed that they are not lost.
	PasskeysResetStopped = Change{Name: "passkeys-reset-stopped", Factor: WebAuthn, Act: "factor_reset_stopped",
		Subject: "Your passkeys stay",
		Text: "The removal of the passkeys from your account, which an administrator had asked for, was stopped by its owner's proof. " +
			"If that was not you, somebody else has one of your passkeys or your password: ask an administrator for help."}
	// PasskeysResetVoid: whoever asked for it is no administrator any more.
	PasskeysResetVoid = Change{Name: "passkeys-reset-void", Factor: WebAuthn, Act: "factor_reset_void",
		Subject: "Your passkeys stay",
		Text: "The removal of the passkeys from your account is void: whoever asked for it is no administrator any more. " +
			"If you have lost them, ask another administrator."}
	// PasskeyCloned: a device answered that has signed less than it had before.
	PasskeyCloned = Change{Name: "passkey-cloned", Factor: WebAuthn, Act: "passkey_cloned",
		Subject: "A passkey of your account was refused",
		Text: "The passkey {key} was refused, because it has signed fewer times than this server knows of: there may be a copy of it. " +
			"If you did not use it just now, remove it from your account."}
)

// PasskeyOptions are the options of a new key of r.User, for ten seconds' work: the
// challenge in them is good for two minutes. An existing factor is asked first, as for
// every change of factors (rpc.Proofs.OfFactors). Refusals:
// ErrPasskeysOff, ErrPasskeyMany, ErrOvertaken, and those of Check.
func (s *Service) PasskeyOptions(ctx context.Context, r Request) (ejson.Doc, error) {
	u, err := s.reload(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case !(passkeyFactor{Base{}, s}).Offered(u):
		return nil, ErrPasskeysOff
	case len(u.Passkeys()) >= user.MaxPasskeys:
		return nil, ErrPasskeyMany
	}
	if u, err = s.proveOwner(ctx, r, u); err != nil {
		return nil, err
	}
	state := u.ProofState(r.Token)
	if state == "" {
		return nil, ErrInvalidUser
	}
	text := s.challengeFor(enrolling, "", u.ID, r.Token, state)
	handle := u.PasskeyHandle()
	if c, ok := s.openChallenge(enrolling, text, u.ID, r.Token, state); ok && handle == "" {
		handle = handleFrom(c)
	}
	name := u.Username
	if name == "" && len(u.Emails) > 0 {
		name = u.Emails[0].Address
	}
	return s.creation(text, handle, name, u.Name, u.Passkeys()), nil
}

// creation writes the options of a new key.
func (s *Service) creation(challenge, handle, name, display string, has []user.Passkey) ejson.Doc {
	if display == "" {
		display = name
	}
	return s.party.Creation(passkey.Creation{
		Challenge: challenge, Site: s.issuerName(""), Handle: handle, Name: name, Display: display, Has: has, Verify: s.verification(),
		Kind: s.passkeyKind(), Life: challengeLife,
	})
}

// passkeyKind is where the setting has new keys kept, "" for anywhere.
func (s *Service) passkeyKind() string {
	if kind := s.config.String(settings.WebAuthnKind); kind != settings.WebAuthnAnyKind {
		return kind
	}
	return ""
}

// accept checks the key that answers a challenge, for an account that authenticators know
// by that handle. Refusals: ErrPasskeyKey, ErrPasskeyKind, and ErrPasskeyNew for all else.
func (s *Service) accept(n *passkey.New, handle string, verified bool) (user.Passkey, error) {
	key, err := s.party.Accept(n, passkey.Demand{Challenge: n.Challenge, Handle: handle, Verified: verified, Kind: s.passkeyKind()})
	switch {
	case errors.Is(err, passkey.ErrKey):
		return key, ErrPasskeyKey.Because(err)
	case errors.Is(err, passkey.ErrKind):
		return key, ErrPasskeyKind.Because(err)
	case err != nil:
		return key, ErrPasskeyNew
	}
	return key, nil
}

// proveOwner asks for a fresh factor before the passkeys of an account change, and returns
// the account as it is then: what was proved may have been sealed meanwhile, and nothing
// else of what protects it may have changed.
func (s *Service) proveOwner(ctx context.Context, r Request, u *user.User) (*user.User, error) {
	r.User, r.Policy = u, Fresh
	if err := s.Check(ctx, r); err != nil {
		return nil, err
	}
	after, err := s.reload(ctx, r)
	if err == nil && (after.FactorState() != u.FactorState() || after.PasswordHash() != u.PasswordHash()) {
		err = ErrOvertaken
	}
	return after, err
}

// AddPasskey adds the key that answers the options of PasskeyOptions. It asks no factor:
// the challenge is good only for the token and the state of the account under which one
// was proved. Other sessions and trust end in the same write. Refusals: ErrPasskeysOff,
// ErrPasskeyName, ErrPasskeyNew, ErrPasskeyKey, ErrPasskeyKind, ErrPasskeyTwice, ErrOvertaken.
func (s *Service) AddPasskey(ctx context.Context, r Request, answer []byte, name string) (user.Passkey, error) {
	u, err := s.reload(ctx, r)
	if err != nil {
		return user.Passkey{}, err
	}
	r.User = u
	if !(passkeyFactor{Base{}, s}).Offered(u) {
		return user.Passkey{}, ErrPasskeysOff
	}
	if name, err = passkeyName(name); err != nil {
		return user.Passkey{}, err
	}
	n, err := passkey.ReadNew(answer)
	if err != nil {
		return user.Passkey{}, s.refuse(r, WebAuthn, ErrPasskeyNew)
	}
	state := u.ProofState(r.Token)
	c, good := s.openChallenge(enrolling, n.Challenge, u.ID, r.Token, state)
	if !good || state == "" {
		return user.Passkey{}, s.refuse(r, WebAuthn, ErrPasskeyNew)
	}
	handle := u.PasskeyHandle()
	if handle == "" {
		handle = handleFrom(c)
	}
	key, err := s.accept(n, handle, s.verification() == passkey.Required)
	switch {
	case err != nil:
		return user.Passkey{}, s.refuse(r, WebAuthn, err)
	case u.Passkey(key.ID) != nil:
		return user.Passkey{}, ErrPasskeyTwice
	}
	now, factors := s.now(), u.FactorState()
	key.CreatedAt, key.Name = now, name
	if key.Name == "" {
		key.Name = freeName(u)
	}
	after, err := s.store.UpdateUser(ctx, u.ID, user.Change{
		IfFactors: &factors, IfToken: r.Token, Factor: user.AddPasskey(key, handle, now), RemoveSessions: true, KeepToken: r.Token, ClearTrust: true, At: now,
	})
	switch {
	case errors.Is(err, dberr.Conflict):
		return user.Passkey{}, ErrOvertaken
	case err != nil:
		return user.Passkey{}, fmt.Errorf("adding a passkey: %w", err)
	}
	s.recovered(ctx, Request{User: after, Peer: r.Peer, Action: r.Action}, WebAuthn)
	s.settle(ctx, r, u, after, PasskeyAdded.about("key", key.DisplayName()))
	return key, nil
}

// RemovePasskey removes a key of r.User after a fresh factor, with which the mailbox is
// not enough. What only the settings keep from use is not removed with less
// (ErrTwoFactorOff). Other sessions and trust end in the same write. Further refusals:
// ErrPasskeyGone, ErrPasskeyLast, ErrOvertaken, and those of Check.
func (s *Service) RemovePasskey(ctx context.Context, r Request, id string) error {
	u, err := s.reload(ctx, r)
	if err != nil {
		return err
	}
	if u.PasskeysEnabled() && (!(passkeyFactor{Base{}, s}).Enabled(u) || len(s.on(u)) == 0) {
		return ErrTwoFactorOff
	}
	if u, err = s.proveOwner(ctx, r, u); err != nil {
		return err
	}
	key := u.Passkey(id)
	switch {
	case key == nil:
		return ErrPasskeyGone
	case u.PasswordHash() == "" && !u.Foreign() && !slices.ContainsFunc(u.Passkeys(), func(k user.Passkey) bool { return k.ID != id && s.opens(k) }):
		return ErrPasskeyLast
	}
	now, factors, bcrypt := s.now(), u.FactorState(), u.PasswordHash()
	after, err := s.store.UpdateUser(ctx, u.ID, user.Change{
		IfFactors: &factors, IfBcrypt: &bcrypt, Factor: user.RemovePasskey(id, now), RemoveSessions: true, KeepToken: r.Token, ClearTrust: true, At: now,
	})
	switch {
	case errors.Is(err, dberr.Conflict):
		return ErrOvertaken
	case err != nil:
		return fmt.Errorf("removing a passkey: %w", err)
	}
	s.settle(ctx, r, u, after, PasskeyRemoved.about("key", key.DisplayName()))
	return nil
}

// opens tells whether a key lets its owner in by itself, on this host and under the settings
// in force: only such a one is a way in.
func (s *Service) opens(k user.Passkey) bool {
	return s.mayEnter() == nil && k.UserVerified && !k.NeedsPassword && (k.RPID == "" || k.RPID == s.party.ID)
}

// RenamePasskey names a key of r.User. Refusals: ErrPasskeyGone, ErrPasskeyName.
func (s *Service) RenamePasskey(ctx context.Context, r Request, id, name string) error {
	u, err := s.reload(ctx, r)
	if err != nil {
		return err
	}
	if name, err = passkeyName(name); err != nil || name == "" {
		return ErrPasskeyName
	}
	if u.Passkey(id) == nil {
		return ErrPasskeyGone
	}
	factors := u.FactorState()
	_, err = s.store.UpdateUser(ctx, u.ID, user.Change{IfFactors: &factors, Factor: user.RenamePasskey(id, name), At: s.now()})
	switch {
	case errors.Is(err, dberr.Conflict):
		return ErrOvertaken
	case err != nil:
		return fmt.Errorf("naming a passkey: %w", err)
	}
	s.tell(u.ID, user.FieldFactors)
	return nil
}

// passkeyName is a name as it is kept; "" is none.
func passkeyName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if utf8.RuneCountInString(name) > user.MaxPasskeyName || strings.ContainsFunc(name, user.Hidden) {
		return "", ErrPasskeyName
	}
	return name, nil
}

// freeName is what a key is called that nobody named.
func freeName(u *user.User) string { return fmt.Sprintf("Passkey %d", len(u.Passkeys())+1) }
