package rooms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/permission"
	"ddpserver/internal/random"
	"ddpserver/internal/rooms/blob"
	"ddpserver/internal/user"
)

// Settings is what the package reads of the runtime settings; *settings.Service
// has it.
type Settings interface {
	Bool(id string) bool
	Int(id string) int
	String(id string) string
}

// Codes makes keyed digests of codes that must not be readable at rest; *secret.Key has it.
type Codes interface {
	// Digest is that with the present key; Digests are those with every key there was.
	Digest(parts ...string) string
	Digests(parts ...string) []string
}

// noCodes are those of a tracker, which lets nobody into a room: none fits.
type noCodes struct{}

func (noCodes) Digest(...string) string    { return "" }
func (noCodes) Digests(...string) []string { return nil }

// Options are the parts a Service works with. All but Now are required.
type Options struct {
	Store    Store
	Settings Settings
	Feed     feed.Publisher
	// Codes keeps the join codes of rooms.
	Codes Codes
	// Blobs keep the bytes of files; nil takes none.
	Blobs blob.Store
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Service has the rules of rooms and messages. It is safe for concurrent use
// and starts no goroutine.
type Service struct {
	store Store
	set   Settings
	feed  feed.Publisher
	codes Codes
	now   func() time.Time
	blobs blob.Store
	// uploads are those under way on this node.
	uploads uploads
}

// New makes a Service.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Settings == nil || o.Feed == nil || o.Codes == nil {
		return nil, errors.New("rooms: store, settings, feed and codes are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{store: o.Store, set: o.Settings, feed: o.Feed, codes: o.Codes, now: o.Now, blobs: o.Blobs}, nil
}

// Start makes the channel GENERAL if it is not there. It may run on several
// nodes at once.
func (s *Service) Start(ctx context.Context) error {
	if _, err := s.store.RoomByID(ctx, GeneralID); !errors.Is(err, dberr.NotFound) {
		return err
	}
	at := s.time()
	err := s.store.CreateRoom(ctx, &Room{
		ID: GeneralID, Type: Channel, Name: GeneralName, FName: GeneralName, NameKey: user.Key(GeneralName),
		Default: true, TS: at, UpdatedAt: at,
	}, nil)
	if err != nil && !errors.Is(err, dberr.Duplicate) {
		return fmt.Errorf("create %s: %w", GeneralID, err)
	}
	return nil
}

// time is the present as the database keeps it.
func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// ref names an account inside another document.
func ref(u *user.User) Ref { return Ref{ID: u.ID, Username: u.Username, Name: u.Name} }

// seat is a member in a room: everything a rule may ask for.
type seat struct {
	user *user.User
	room *Room
	// sub is nil for somebody who is not in the room.
	sub *Subscription
}

// unknown tells whether the room is none of the user's to know of: no channel, he is not in it, and
// no role of the server lets him do there what he asks for.
func (a *seat) unknown(permission string) bool {
	return a.sub == nil && a.room.Type != Channel && !a.may(permission)
}

// may tells whether the server's or the room's roles of the user allow that.
func (a *seat) may(id string) bool {
	if permission.Has(a.user, id) {
		return true
	}
	return a.sub != nil && a.user.IsActive() && permission.InRoom(a.sub.Roles, id)
}

// seat reads the room and the user's place in it; dberr.NotFound when there is
// no such room.
func (s *Service) seat(ctx context.Context, by *user.User, roomID string) (*seat, error) {
	if roomID == "" {
		return nil, dberr.NotFound
	}
	room, err := s.store.RoomByID(ctx, roomID)
	if err != nil {
		return nil, err
	}
	sub, err := s.store.Subscription(ctx, roomID, by.ID)
	if err != nil && !errors.Is(err, dberr.NotFound) {
		return nil, err
	}
	return &seat{user: by, room: room, sub: sub}, nil
}

// member is seat for calls that are open to members only. The refusals say what
// the two reasons are called there.
func (s *Service) member(ctx context.Context, by *user.User, roomID string, missing, outside error) (*seat, error) {
	a, err := s.seat(ctx, by, roomID)
	if errors.Is(err, dberr.NotFound) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	if a.sub == nil {
		return nil, outside
	}
	return a, nil
}

// instead replaces dberr.NotFound (or another error of dberr) by a refusal.
func instead(err, was, refusal error) error {
	if errors.Is(err, was) {
		return refusal
	}
	return err
}

// IsMember tells whether the user is in the room. Streams ask it.
func (s *Service) IsMember(ctx context.Context, userID, roomID string) (bool, error) {
	if userID == "" || roomID == "" {
		return false, nil
	}
	_, err := s.store.Subscription(ctx, roomID, userID)
	if errors.Is(err, dberr.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// RoomIDs are the ids of the rooms that a user is in.
func (s *Service) RoomIDs(ctx context.Context, userID string) ([]string, error) {
	return s.store.RoomIDsOf(ctx, userID)
}

// Members are the ids of a room's members with the membership counter that
// they are at least as new as. A room that is gone has none.
func (s *Service) Members(ctx context.Context, roomID string) ([]string, int64, error) {
	ids, n, err := s.store.Members(ctx, roomID)
	if errors.Is(err, dberr.NotFound) {
		return nil, 0, nil
	}
	return ids, n, err
}

// SubscriptionsIn are the memberships of these users in a room.
func (s *Service) SubscriptionsIn(ctx context.Context, roomID string, userIDs []string) ([]*Subscription, error) {
	return s.store.SubscriptionsIn(ctx, roomID, userIDs)
}

// users finds accounts by user name, in the order of the names and each once. A
// name that nobody has is ErrUserNotFound with the name in its details.
func (s *Service) users(ctx context.Context, names []string) ([]*user.User, error) {
	keys := make([]string, 0, len(names))
	for _, n := range names {
		k := user.Key(trimAt(n))
		if k == "" {
			return nil, ErrUserNotFound
		}
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	found, err := s.store.UsersByUsernames(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := make([]*user.User, len(keys))
	for _, u := range found {
		if i := slices.Index(keys, u.UsernameKey); i >= 0 {
			out[i] = u
		}
	}
	if slices.Contains(out, nil) {
		return nil, ErrUserNotFound
	}
	return out, nil
}

// trimAt lets names be written as mentions.
func trimAt(name string) string {
	if len(name) > 1 && name[0] == '@' {
		return name[1:]
	}
	return name
}

func newID() string { return random.ID() }
