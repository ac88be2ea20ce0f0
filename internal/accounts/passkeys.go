package accounts

import (
	"context"

	"ddpserver/internal/audit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// dropKeys makes a change take the passkeys of an account away that were added while nobody
// had proved an address of it: whoever registered a foreign one would enter by them. Keys
// that are the owner's stay (keepKeys).
func (s *Service) dropKeys(u *user.User, c *user.Change) {
	s.changeKeys(u, c, user.DropUnkept(s.time()))
}

// keepKeys makes a change that calls the only proved address unproved keep the passkeys that
// were added under it from a proof of the same mailbox, which they are stronger than.
func (s *Service) keepKeys(u *user.User, c *user.Change) { s.changeKeys(u, c, user.KeepPasskeys) }

// suspendKeys makes a change of the password that the owner did not make in a session of
// the account keep its passkeys from proving anything alone: whoever had the password before
// may have added one. It is kept by a login with the new password and the key.
func (s *Service) suspendKeys(u *user.User, c *user.Change) {
	s.changeKeys(u, c, user.SuspendPasskeys(s.time()))
}

// changeKeys holds the change to the keys that were read, also where there were none: one
// that is added meanwhile is met at the next try.
func (s *Service) changeKeys(u *user.User, c *user.Change, change func(*user.Services)) {
	state := u.FactorState()
	if c.IfFactors = &state; len(u.Passkeys()) == 0 {
		return
	}
	if before := c.Factor; before != nil {
		then := change
		change = func(of *user.Services) {
			before(of)
			then(of)
		}
	}
	c.Factor = change
}

// What owners are told of it, beside what caused it.
const (
	keysDropped   = "The passkeys of the account were removed, because they were added before anybody proved to own this address."
	keysSuspended = "The passkeys of the account do not log in by themselves any more. Log in once with the new password and a passkey to keep that one. " +
		"If one of them is not yours, ask your administrator to remove them."
)

// keysChanged records what a change by somebody that was committed did to passkeys, and
// returns what the owner is told of it: "" for nothing.
func (s *Service) keysChanged(p *rpc.Peer, by string, before, after *user.User) (text string) {
	if before == nil {
		return ""
	}
	tell := func(act, what string) {
		s.record(p, act, by, nil, func(e *audit.Event) {
			if e.Factor = "webauthn"; by != after.ID {
				e.Target = after.ID
			}
		})
		text = also(text, what)
	}
	if len(after.Passkeys()) < len(before.Passkeys()) {
		tell("passkeys_removed", keysDropped)
	}
	if after.PasskeysSuspended() {
		tell("passkeys_suspended", keysSuspended)
	}
	return text
}

// also joins what owners are told.
func also(text, more string) string {
	if text == "" || more == "" {
		return text + more
	}
	return text + "\n" + more
}

// keysNotice tells the owner of an account whose first proof removed passkeys.
func (s *Service) keysNotice(ctx context.Context, p *rpc.Peer, before, after *user.User) {
	if len(after.Passkeys()) == len(before.Passkeys()) {
		return
	}
	s.notice(ctx, p, after, nil, "Passkeys of your account were removed", s.keysChanged(p, after.ID, before, after))
}
