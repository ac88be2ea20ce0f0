package rooms

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/random"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Invite lets whoever has its token into a channel or group. There is one for each maker,
// room, number of days and of uses; what is spent is made anew in its place. The token is
// stored nowhere: it is a keyed digest of Seed, so that its maker can be shown it again and
// whoever reads the database cannot.
type Invite struct {
	ID     string `bson:"_id"`
	RoomID string `bson:"rid"`
	UserID string `bson:"userId"`
	// Days is how long it counts from CreatedAt on, 0 for ever; MaxUses how many it lets in,
	// 0 any number.
	Days      int       `bson:"days"`
	MaxUses   int       `bson:"maxUses"`
	Uses      int       `bson:"uses"`
	CreatedAt time.Time `bson:"createdAt"`
	UpdatedAt time.Time `bson:"_updatedAt"`
	// Seed is another one each time; Digest is the keyed digest of the token.
	Seed   string `bson:"seed"`
	Digest string `bson:"digest"`
}

// Expires is when it counts no more; zero for never.
func (i *Invite) Expires() time.Time {
	if i.Days == 0 {
		return time.Time{}
	}
	return i.CreatedAt.AddDate(0, 0, i.Days)
}

// Usable tells whether it lets somebody in.
func (i *Invite) Usable(now time.Time) bool {
	return (i.Days == 0 || now.Before(i.Expires())) && (i.MaxUses == 0 || i.Uses < i.MaxUses)
}

// InviteStore keeps invites.
type InviteStore interface {
	// PutInvite stores an invite in the place of the one with its id, unless that one is
	// usable still; it returns the one that is there then.
	PutInvite(ctx context.Context, i *Invite) (*Invite, error)
	InviteByID(ctx context.Context, id string) (*Invite, error)
	// InviteByDigest finds the invite that has one of these digests.
	InviteByDigest(ctx context.Context, digests []string) (*Invite, error)
	// UseInvite counts one use of the invite with that id and seed: Conflict when it is not
	// usable at that time, or was made anew.
	UseInvite(ctx context.Context, id, seed string, at time.Time) error
	// UnuseInvite takes a use back that let nobody in. One that was made anew is left alone.
	UnuseInvite(ctx context.Context, id, seed string, at time.Time) error
	RemoveInvite(ctx context.Context, id string) error
	// ListInvites pages through all, by id.
	ListInvites(ctx context.Context, offset, count int) (page []*Invite, total int, err error)
}

// The refusals of invites.
var (
	ErrInviteToken   = fault.New("error-invalid-token", "The invite token is invalid.")
	ErrInviteExpired = fault.New("error-invite-expired", "The invite token has expired.")
	ErrInvite        = fault.New("invalid-invitation-id", "Invalid Invitation _id")
)

// What the makers of invites choose from; anything else is the first.
var (
	inviteDays = []int{1, 0, 7, 15, 30}
	inviteUses = []int{0, 5, 10, 25, 50, 100}
)

// What digests are bound to.
const (
	inviteSeed  = "invite seed"
	inviteToken = "invite token"
)

// tokenLength is in hexadecimal digits.
const tokenLength = 40

// token is the token of an invite: that with the key with which it was made.
func (s *Service) token(i *Invite) string {
	for _, digest := range s.codes.Digests(inviteSeed, i.ID, i.Seed) {
		token := shortened(digest)
		if slices.Contains(s.codes.Digests(inviteToken, token), i.Digest) {
			return token
		}
	}
	return ""
}

// shortened is the part of a digest that is a token.
func shortened(digest string) string { return digest[:min(tokenLength, len(digest))] }

// InviteLink is where somebody with an invite goes; "" when its key is lost.
func (s *Service) InviteLink(i *Invite) string {
	token := s.token(i)
	if token == "" {
		return ""
	}
	return strings.TrimSuffix(s.set.String(settings.SiteURL), "/") + "/invite/" + token
}

// Invitation makes the caller's invite into a channel or group, or finds the one of that many
// days and uses that counts still.
func (s *Service) Invitation(ctx context.Context, by *user.User, roomID string, days, uses int) (*Invite, error) {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	switch {
	case a.unknown(permission.CreateInviteLinks):
		return nil, ErrInvalidRoom
	case a.room.Type == Direct || !a.may(permission.CreateInviteLinks):
		return nil, fault.NotAllowed
	case a.room.Archived:
		return nil, ErrRoomArchived
	}
	if !slices.Contains(inviteDays, days) {
		days = inviteDays[0]
	}
	if !slices.Contains(inviteUses, uses) {
		uses = inviteUses[0]
	}
	at := s.time()
	i := &Invite{ID: random.IDOf(roomID, by.ID, strconv.Itoa(days), strconv.Itoa(uses)), RoomID: roomID, UserID: by.ID, Days: days, MaxUses: uses,
		CreatedAt: at, UpdatedAt: at, Seed: random.Secret()}
	i.Digest = s.codes.Digest(inviteToken, shortened(s.codes.Digest(inviteSeed, i.ID, i.Seed)))
	return s.store.PutInvite(ctx, i)
}

// CheckInvite finds the room that a token leads to, and refuses one that leads nowhere: whose
// time or uses are over, whose room is gone or archived, or whose maker may let nobody in any
// more.
func (s *Service) CheckInvite(ctx context.Context, token string) (*Invite, *Room, error) {
	if len(token) != tokenLength {
		return nil, nil, ErrInviteToken
	}
	i, err := s.store.InviteByDigest(ctx, s.codes.Digests(inviteToken, token))
	if err != nil {
		return nil, nil, instead(err, dberr.NotFound, ErrInviteToken)
	}
	maker, err := s.store.UserByID(ctx, i.UserID)
	if err != nil {
		return nil, nil, instead(err, dberr.NotFound, ErrInviteToken)
	}
	a, err := s.seat(ctx, maker, i.RoomID)
	if err != nil {
		return nil, nil, instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	switch {
	case a.room.Type == Direct || !maker.IsActive() || !a.may(permission.CreateInviteLinks):
		return nil, nil, ErrInviteToken
	case !i.Usable(s.time()):
		return nil, nil, ErrInviteExpired
	case a.room.Archived:
		return nil, nil, ErrRoomArchived
	}
	return i, a.room, nil
}

// UseInvite makes the caller a member of the room that a token leads to. A use is counted
// before the caller is in, so that there are never more members by it than uses, and given
// back where nobody came.
func (s *Service) UseInvite(ctx context.Context, by *user.User, token string) (*Room, error) {
	i, room, err := s.CheckInvite(ctx, token)
	if err != nil {
		return nil, err
	}
	if by.Username == "" {
		return nil, ErrInvalidUser
	}
	if member, err := s.IsMember(ctx, by.ID, room.ID); err != nil || member {
		return room, err
	}
	if err := s.store.UseInvite(ctx, i.ID, i.Seed, s.time()); err != nil {
		return nil, instead(instead(err, dberr.Conflict, ErrInviteExpired), dberr.NotFound, ErrInviteToken)
	}
	entered, err := s.enter(ctx, room, by, nil)
	if !entered && !errors.Is(err, dberr.Unavailable) { // of which it is not known whether somebody came
		err = errors.Join(err, s.store.UnuseInvite(ctx, i.ID, i.Seed, s.time()))
	}
	return room, err
}

// Invites pages through all invites, for those who may make them everywhere.
func (s *Service) Invites(ctx context.Context, by *user.User, offset, count int) ([]*Invite, int, error) {
	if !permission.Has(by, permission.CreateInviteLinks) {
		return nil, 0, fault.NotAuthorized
	}
	return s.store.ListInvites(ctx, max(offset, 0), count)
}

// invite finds an invite that the caller may take back: the caller's own, and those of rooms
// where the caller may make them.
func (s *Service) invite(ctx context.Context, by *user.User, id string) (*Invite, error) {
	if id == "" {
		return nil, ErrInvite
	}
	i, err := s.store.InviteByID(ctx, id)
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrInvite)
	}
	if i.UserID == by.ID {
		return i, nil
	}
	a, err := s.seat(ctx, by, i.RoomID)
	switch {
	case errors.Is(err, dberr.NotFound) && permission.Has(by, permission.CreateInviteLinks):
		return i, nil // its room is gone
	case errors.Is(err, dberr.NotFound):
		return nil, ErrInvite
	case err != nil:
		return nil, err
	case !a.may(permission.CreateInviteLinks):
		return nil, ErrInvite
	}
	return i, nil
}

// InviteByOffice tells whether the caller may take an invite back by a role of the server alone.
func (s *Service) InviteByOffice(ctx context.Context, by *user.User, id string) (bool, error) {
	i, err := s.invite(ctx, by, id)
	if errors.Is(err, ErrInvite) {
		return false, nil // RemoveInvite refuses it
	}
	if err != nil || i.UserID == by.ID {
		return false, err
	}
	return s.ByOffice(ctx, by, i.RoomID, permission.CreateInviteLinks)
}

// RemoveInvite takes an invite back.
func (s *Service) RemoveInvite(ctx context.Context, by *user.User, id string) error {
	i, err := s.invite(ctx, by, id)
	if err != nil {
		return err
	}
	return instead(s.store.RemoveInvite(ctx, i.ID), dberr.NotFound, ErrInvite)
}
