package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// That the last active administrator stays is decided without transactions, since not
// every database has them and two that take different administrators away would not meet
// in one: in one small document, the list of those who are about to lose their rights:
//
//  1. The account is read, and the change turns out to take an administrator away.
//  2. The account is put on the list (claim), on condition that the list is still
//     what it was when the administrators were looked up: so claims are decided one
//     after the other, and each sees all those before it.
//  3. The account is changed, on condition that it is still what it was in step 1.
//  4. It is taken off the list.
//
// A node that dies in between leaves its claim on the list. Whoever is in need of
// that administrator changes a member of the account first, so that no write of
// before can come true any more, and then takes it off the list (settle): nothing
// depends on clocks.

// leaving is that list.
type leaving struct {
	ID     string  `bson:"_id"`
	Rev    string  `bson:"rev"` // another one after every change, so that the list is never what it was
	Claims []claim `bson:"claims,omitempty"`
}

// claim is one administrator who is about to lose the rights.
type claim struct {
	ID   string    `bson:"id"`
	User string    `bson:"user"`
	At   time.Time `bson:"at"`
}

// leavingID is the document of the list, beside the counters.
const leavingID = "administratorsLeaving"

// claimAge is how old a claim of another node must be before it is taken for one
// that was left behind: longer than an operation takes.
const claimAge = opTimeout + time.Second

var (
	// errUnclaimed says that a change would take an administrator away without a claim
	// on that account in the state it was read in.
	errUnclaimed = errors.New("mongo: an administrator leaves without a claim")
	// errClaimed says that it depends on claims of others whether this is the last one.
	errClaimed = errors.New("mongo: the other administrators are about to leave")
)

// departure is what one operation knows of the administrator it may take away.
type departure struct {
	claim string    // "" while there is none
	state time.Time // when the account had last been changed before it was claimed
}

// may tells whether an account that was read as before may become after; nil when
// it is deleted.
func (d *departure) may(before, after *user.User) error {
	if !before.Administers() || after.Administers() {
		return nil
	}
	if d.claim != "" && d.state.Equal(before.UpdatedAt) {
		return nil
	}
	d.state = before.UpdatedAt
	return errUnclaimed
}

// ChangeUser implements rule.Engine.
func (s *Store) ChangeUser(ctx context.Context, id string, do func(*user.User) error) (u *user.User, err error) {
	err = s.keepAnAdmin(ctx, id, func(ctx context.Context, d *departure) (err error) {
		u, err = s.userDocs.Change(ctx, id, func(v *user.User) error {
			before := &user.User{Roles: slices.Clone(v.Roles), Active: v.Active, UpdatedAt: v.UpdatedAt}
			if err := do(v); err != nil {
				return err
			}
			return d.may(before, v)
		})
		return err
	})
	return u, err
}

// keepAnAdmin runs one operation on an account, with a claim where it turns out to
// need one.
func (s *Store) keepAnAdmin(ctx context.Context, id string, act func(context.Context, *departure) error) error {
	d := &departure{}
	err := act(ctx, d)
	if !errors.Is(err, errUnclaimed) {
		return err
	}
	ctx, cancel := s.op(ctx)
	defer cancel()
	for round := range maxRounds {
		if err := pause(ctx, round); err != nil {
			return err
		}
		if d.claim, err = s.claim(ctx, id); err != nil {
			return err
		}
		err = act(ctx, d)
		if !errors.Is(err, dberr.Unavailable) { // else the write may still come true
			s.letGo(ctx, d.claim)
		}
		if !errors.Is(err, errUnclaimed) {
			return err
		}
	}
	return fmt.Errorf("MongoDB: %w: an account was changed %d times while its administrator was to leave", dberr.Unavailable, maxRounds)
}

// claim puts an account on the list. LastAdmin when no other active administrator is
// there; while that depends on what becomes of claims of others, it waits for them.
func (s *Store) claim(ctx context.Context, id string) (string, error) {
	c := claim{ID: random.ID(), User: id, At: document.Milli(s.now())}
	for round := range maxRounds {
		if err := pause(ctx, round); err != nil {
			return "", err
		}
		var open []claim
		_, err := s.leavingDocs.Change(ctx, leavingID, func(l *leaving) (err error) {
			open, err = s.addClaim(ctx, l, c)
			return err
		})
		if !errors.Is(err, errClaimed) {
			return c.ID, err
		}
		for _, old := range open {
			if s.now().Sub(old.At).Abs() < claimAge { // one of the future is left behind, too, or its node has another clock
				continue
			}
			if err := s.settle(ctx, old); err != nil {
				return "", err
			}
		}
	}
	return "", fmt.Errorf("MongoDB: %w: other administrators were about to leave all the time", dberr.Unavailable)
}

// addClaim adds a claim to the list as it was read. The administrators are looked up
// after that: what has changed them since changed the list too. open are the claims
// that it depends on, beside errClaimed.
func (s *Store) addClaim(ctx context.Context, l *leaving, c claim) (open []claim, err error) {
	admins, err := s.administrators(ctx)
	if err != nil {
		return nil, err
	}
	others := make(map[string]bool)
	for _, u := range admins {
		others[u.ID] = u.ID != c.User
	}
	stay := 0
	for id, other := range others {
		if other && !slices.ContainsFunc(l.Claims, func(c claim) bool { return c.User == id }) {
			stay++
		}
	}
	for _, old := range l.Claims {
		if others[old.User] {
			open = append(open, old)
		}
	}
	switch {
	case stay == 0 && len(open) == 0:
		return nil, dberr.LastAdmin
	case stay == 0:
		return open, errClaimed
	}
	l.Claims = slices.DeleteFunc(l.Claims, func(old claim) bool {
		_, still := others[old.User]
		return !still
	})
	l.Claims, l.Rev = append(l.Claims, c), random.ID()
	return nil, nil
}

// settle takes a claim that was left behind off the list, after it made sure that
// no write of its node can come true any more: each is conditional on the account as
// it was before the claim.
func (s *Store) settle(ctx context.Context, c claim) error {
	s.log.Warn("administrator_claim_left_behind", zap.String("user_id", c.User), zap.Time("since", c.At))
	_, err := s.userDocs.Change(ctx, c.User, func(u *user.User) error {
		at := document.Milli(s.now())
		if !at.After(u.UpdatedAt) {
			at = u.UpdatedAt.Add(time.Millisecond)
		}
		u.UpdatedAt = at
		return nil
	})
	if err != nil && !errors.Is(err, dberr.NotFound) && !errors.Is(err, document.ErrBroken) {
		return err
	}
	return s.unclaim(ctx, c.ID)
}

func (s *Store) unclaim(ctx context.Context, id string) error {
	_, err := s.leavingDocs.Change(ctx, leavingID, func(l *leaving) error {
		n := len(l.Claims)
		if l.Claims = slices.DeleteFunc(l.Claims, func(c claim) bool { return c.ID == id }); len(l.Claims) < n {
			l.Rev = random.ID()
		}
		return nil
	})
	return err
}

// letGo takes an own claim off the list. What it was for is done, so a failure is
// only logged: whoever the claim stands in the way of settles it.
func (s *Store) letGo(ctx context.Context, id string) {
	if err := s.unclaim(ctx, id); err != nil {
		s.log.Warn("administrator_claim_not_released", zap.Error(err))
	}
}

// Administrators implements accounts.Store.
func (s *Store) Administrators(ctx context.Context) ([]*user.User, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	return s.administrators(ctx)
}

func (s *Store) administrators(ctx context.Context) (found []*user.User, err error) {
	filter := bson.D{{Key: "roles", Value: "admin"}, {Key: "active", Value: bson.D{{Key: "$ne", Value: false}}}}
	err = findAll(ctx, newest(s.users), filter, func(raw bson.Raw) error {
		u, err := document.DecodeUser(raw)
		if err == nil && u.Administers() {
			found = append(found, u)
		}
		if errors.Is(err, document.ErrBroken) {
			return nil
		}
		return err
	}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	return found, err
}
