package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/netkey"
	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// A password is counted in the store before it is compared, so that neither a
// crash, a restart nor another node gives a guess for nothing, and taken back
// when it was right. What counts is the account, and who guesses: an account's
// wrong passwords from addresses it was never used from share one budget and one
// row; its sessions and each address it was used from have their own. So a
// stranger who guesses without end keeps other strangers out, not the owner (S032).

const (
	// knownFor is how long an address stays known after a login from it.
	knownFor = 60 * 24 * time.Hour
	// maxSources bounds the known addresses of an account; the one unused for
	// longest goes first.
	maxSources = 10
	// keepUnknown is how long a row of wrong passwords for a name that nobody has
	// is kept: long enough that waiting does not tell such names from others.
	keepUnknown = 7 * 24 * time.Hour
	// sourceAfresh is how old the note of a login may be before it is written anew.
	sourceAfresh = 24 * time.Hour
)

// attempt is one password that is counted until it ends.
type attempt struct {
	id   string
	list []Budget
	who  claimant
	// typed is the key of the budget of what a stranger typed, "" for others.
	typed string
	// masked tells that only the account's own budget is used up: the password is
	// refused in the words of a wrong one, after the same work.
	masked bool
	// password is the budget of the account, whatever is blocked.
	password Budget
}

// begin finds out in which budgets the password of a caller must fit, and
// refuses when one is full already, before the caller takes a place in the
// queue. account is the user id, or what was typed when nobody has it; both are
// treated alike. typed is what a caller who is not logged in typed, else "".
//
// What a stranger is told depends on what he typed: each name and each address of
// an account has a budget of its own beside the account's. Otherwise guesses at a
// name would block the address of the same account, and tell whose it is (A18).
func (s *Service) begin(ctx context.Context, p *rpc.Peer, u *user.User, account, typed string) (*attempt, error) {
	defer s.open.reading()()
	network := netkey.Of(p.Address)
	a := &attempt{id: random.ID(), who: claimant{address: network, account: account}}
	b := Budget{
		Key: TriesKey(account), Most: s.set.Int(settings.BlockLoginsUserTries), Window: s.minutes(settings.BlockLoginsUserTime),
		InRow: s.set.Int(settings.BlockLoginsInRow),
	}
	if u == nil {
		b.Key, b.Keep = "name/"+s.passwords.key.Digest("login name", account), keepUnknown
	} else if stored := u.PasswordHash(); stored != "" {
		b.Epoch = s.passwords.key.Digest("login epoch", stored)[:epochLength]
	}
	seen, err := s.store.Tries(ctx, b.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the counters of passwords: %w", err)
	}
	digest := s.passwords.sourceDigest(account, network)
	switch {
	case network != "" && seen.Knows(digest, s.time().Add(-knownFor)):
		b.Source, a.who.known = digest, true
	case typed == "":
		b.Source, a.who.known = Sessions, true
	}
	a.password = b
	if !s.set.Bool(settings.BlockLogins) || containsFold(s.listed(settings.BlockLoginsExempted), p.Address) {
		return a, nil
	}
	if s.set.Bool(settings.BlockLoginsByAddress) && network != "" {
		window := s.minutes(settings.BlockLoginsAddressTime)
		a.list = append(a.list, Budget{
			Key: "address/" + s.passwords.key.Digest("login address", network), Most: s.set.Int(settings.BlockLoginsAddressTries), Window: window, Keep: window,
		})
	}
	if s.set.Bool(settings.BlockLoginsByUser) {
		if !a.who.known && s.set.Bool(settings.AmbiguousErrors) {
			t := b
			t.Key, t.Keep = "typed/"+s.passwords.key.Digest("login typed", typed), keepUnknown
			a.typed, a.list = t.Key, append(a.list, t)
		}
		a.list = append(a.list, b)
	}
	return a, s.blocked(ctx, a, &seen)
}

// epochLength is how much of a digest names a password: enough that two differ.
const epochLength = 16

// blocked words why a password may not be compared; nil when it may. Whoever has still
// to wait gives what was seen of the account, which is not read again. Then passwords that
// this node is comparing are left out, since they may be right, and the caller is reading.
func (s *Service) blocked(ctx context.Context, a *attempt, seen *Tries) error {
	for _, b := range a.list {
		var t Tries
		var err error
		if seen != nil && seen.Key == b.Key {
			t = *seen
		} else {
			t, err = s.store.Tries(ctx, b.Key)
		}
		if seen != nil {
			s.open.leaveOut(&t)
		}
		switch {
		case err != nil:
			return fmt.Errorf("reading the counters of passwords: %w", err)
		case !t.Full(b, s.time()):
		case b.Key == a.password.Key && a.typed != "":
			a.masked = true
		case b.Key != a.password.Key && b.Key != a.typed:
			return ErrBlockedAddress
		case t.Stopped(b):
			return ErrStoppedUser
		default:
			return ErrBlockedUser
		}
	}
	if a.masked {
		a.list = slices.DeleteFunc(a.list, func(b Budget) bool { return b.Key == a.password.Key })
	}
	return nil
}

// count counts the password in every budget, or refuses it.
func (s *Service) count(ctx context.Context, a *attempt) error {
	if len(a.list) == 0 {
		return nil
	}
	s.open.add(a.id)
	err := s.store.CountTries(ctx, a.id, s.time(), a.list)
	if !errors.Is(err, dberr.Exhausted) {
		if err != nil {
			err = fmt.Errorf("counting a password: %w", err)
		}
		return err
	}
	budgets := len(a.list)
	if err := s.blocked(ctx, a, nil); err != nil {
		return err
	}
	if len(a.list) < budgets { // it is masked from here on
		return s.count(ctx, a)
	}
	return ErrBlockedUser // taken back meanwhile: refused all the same
}

// uncount takes a count back: the password was right, or was not compared. A
// right one whose count cannot be taken back is refused by the caller: it would
// stay counted as wrong. A caller who hangs up does not stop it.
func (s *Service) uncount(ctx context.Context, a *attempt, right bool) error {
	if len(a.list) == 0 {
		return nil
	}
	if err := s.store.EndTries(context.WithoutCancel(ctx), a.id, a.list, right); err != nil {
		return fmt.Errorf("taking the count of a password back: %w", err)
	}
	return nil
}

// remember notes that the account was used from the address, after a whole
// login: the password alone does not make an address known, nor does a token,
// which somebody may have found. A token keeps a known address known. A failure
// is none of the login: the address stays a stranger's.
func (s *Service) remember(ctx context.Context, userID, address string, whole bool) {
	network := netkey.Of(address)
	if network == "" {
		return
	}
	digest, now := s.passwords.sourceDigest(userID, network), s.time()
	if !whole && !s.noted.due(digest, now, sourceAfresh) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	t, err := s.store.Tries(ctx, TriesKey(userID))
	idle := t.Knows(digest, now.Add(-sourceAfresh)) || !whole && !t.Knows(digest, now.Add(-knownFor))
	if err == nil && !idle {
		err = s.store.AddSource(ctx, TriesKey(userID), digest, now, now.Add(-knownFor), maxSources)
	}
	if err != nil {
		s.log.Warn("login_address_not_noted", zap.String("user_id", userID), zap.Error(err))
		return
	}
	s.noted.done(digest, now)
}

func (s *Service) minutes(id string) time.Duration {
	return time.Duration(s.set.Int(id)) * time.Minute
}

// open lists the passwords that this node is comparing, by the id of their count.
type open struct {
	mu  sync.Mutex
	ids map[string]bool
	// readers are those that look at the store just now; ended are the passwords
	// that ended beside them, which their look may still show.
	readers int
	ended   []string
}

// maxEnded bounds what is kept for readers that never stop.
const maxEnded = 1000

// reading keeps what ends meanwhile in the list until the result is called.
func (o *open) reading() (done func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.readers++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.readers--; o.readers == 0 {
			o.forget()
		}
	}
}

func (o *open) forget() {
	for _, id := range o.ended {
		delete(o.ids, id)
	}
	o.ended = nil
}

func (o *open) add(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ids[id] = true
}

func (o *open) drop(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended = append(o.ended, id); o.readers == 0 || len(o.ended) > maxEnded {
		o.forget()
	}
}

// leaveOut takes the counts of these passwords out of a copy.
func (o *open) leaveOut(t *Tries) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.Recent = slices.DeleteFunc(t.Recent, func(c Try) bool {
		if o.ids[c.ID] && t.InRow[Row(c.Source)] > 0 {
			t.InRow[Row(c.Source)]--
		}
		return o.ids[c.ID]
	})
}
