package rooms

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/user"
)

// newSubscription is a new member's place in a room, with nothing unread.
func newSubscription(r *Room, u *user.User, at time.Time) *Subscription {
	return &Subscription{
		ID: newID(), RoomID: r.ID, Type: r.Type, Name: r.Name, FName: r.FName, User: ref(u), UserKey: u.UsernameKey,
		Open: true, TS: at, UpdatedAt: at,
	}
}

// Join makes the caller a member of a public channel; code is its join code, where
// it has one. It tells whether the caller was none before.
func (s *Service) Join(ctx context.Context, by *user.User, roomID, code string) (bool, error) {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return false, instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	switch {
	case a.sub != nil:
		return false, nil
	case a.room.Type != Channel:
		return false, fault.NotAllowed
	case a.room.Archived:
		return false, ErrRoomArchived
	case a.room.JoinCodeRequired && code == "":
		return false, ErrCodeRequired
	case a.room.JoinCodeRequired && !s.opens(a.room, code):
		return false, ErrCodeInvalid
	}
	return s.enter(ctx, a.room, by, nil)
}

// joinCode is what the digest of a join code is bound to, beside its room.
const joinCode = "join code"

// opens compares a join code in constant time. A room whose code is lost has none
// that fits.
func (s *Service) opens(r *Room, code string) bool {
	if r.JoinDigest == "" {
		w, g := sha256.Sum256([]byte(r.JoinCode)), sha256.Sum256([]byte(code))
		return r.JoinCode != "" && subtle.ConstantTimeCompare(w[:], g[:]) == 1
	}
	same := 0
	for _, digest := range s.codes.Digests(joinCode, r.ID, code) {
		same |= subtle.ConstantTimeCompare([]byte(digest), []byte(r.JoinDigest))
	}
	return same == 1
}

// JoinDefaults makes a new account a member of the default rooms. It may be
// called again; what is done is not done twice.
func (s *Service) JoinDefaults(ctx context.Context, u *user.User) error {
	if u.Username == "" {
		return nil
	}
	rooms, err := s.store.DefaultRooms(ctx)
	if err != nil {
		return err
	}
	for _, r := range rooms {
		if r.Type != Channel || r.Archived {
			continue
		}
		if _, err := s.enter(ctx, r, u, nil); err != nil {
			return err
		}
	}
	return nil
}

// enter adds a member and says so in the room. inviter is nil for somebody who
// came by himself; being brought into a room counts as one unread mention, but
// not into one that is just being made, as in Rocket.Chat.
func (s *Service) enter(ctx context.Context, r *Room, u *user.User, inviter *user.User) (bool, error) {
	at := s.time()
	sub := newSubscription(r, u, at)
	if inviter == nil {
		sub.LastSeen = at
	} else {
		sub.Alert, sub.Unread, sub.UserMentions = true, 1, 1
	}
	room, err := s.store.AddMember(ctx, sub)
	if errors.Is(err, dberr.Duplicate) {
		return false, nil
	}
	if err != nil {
		return false, instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	if err := s.tellArrivals(room, []*Subscription{sub}); err != nil {
		return true, err
	}
	if inviter == nil {
		return true, s.announce(ctx, room, &Message{Type: TypeJoined, Text: u.Username, User: ref(u), TS: at})
	}
	return true, s.announce(ctx, room, &Message{Type: TypeAdded, Text: u.Username, User: ref(inviter), TS: at})
}

// Invite adds users to a channel or group. Those who are in it already are left
// alone; the caller is told of them by a note in the room.
func (s *Service) Invite(ctx context.Context, by *user.User, roomID string, usernames []string) error {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	if a.room.Type == Direct {
		return ErrDirectInvite
	}
	anyRoom := permission.AddUserToAnyC
	if a.room.Type == Group {
		anyRoom = permission.AddUserToAnyP
	}
	if (a.sub == nil || !a.may(permission.AddUserToRoom)) && !a.may(anyRoom) {
		return fault.NotAllowed
	}
	switch {
	case a.room.Archived:
		return ErrRoomArchived
	case len(usernames) > maxInvited:
		return ErrTooManyUsers
	}
	users, err := s.users(ctx, usernames)
	if err != nil {
		return err
	}
	for _, u := range users {
		added, err := s.enter(ctx, a.room, u, by)
		if err == nil && !added {
			err = s.tellEphemeral(by.ID, roomID, "@"+u.Username+" is already in here.", s.time())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Leave ends the caller's membership. The last owner must name another first;
// direct rooms cannot be left.
func (s *Service) Leave(ctx context.Context, by *user.User, roomID string) error {
	a, err := s.member(ctx, by, roomID, ErrInvalidRoom, ErrNotMember)
	if err != nil {
		return err
	}
	need := permission.LeaveChannels
	if a.room.Type == Group {
		need = permission.LeaveGroups
	}
	if a.room.Type == Direct || !a.may(need) {
		return fault.NotAllowed
	}
	return s.part(ctx, a.room.ID, ref(by), ErrNotMember, &Message{Type: TypeLeft, Text: by.Username, User: ref(by)})
}

// Remove ends somebody else's membership of a channel or group.
func (s *Service) Remove(ctx context.Context, by *user.User, roomID, username string) error {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return instead(err, dberr.NotFound, fault.NotAllowed)
	}
	if a.room.Type == Direct || !a.may(permission.RemoveUser) {
		return fault.NotAllowed
	}
	users, err := s.users(ctx, []string{username})
	if err != nil {
		return instead(err, ErrUserNotFound, ErrInvalidUser)
	}
	return s.part(ctx, roomID, ref(users[0]), ErrOtherNotMember, &Message{Type: TypeRemoved, Text: users[0].Username, User: ref(by)})
}

// part ends a membership, closes the streams that went with it and says so in
// the room, in this order: the one who went does not hear of it there.
func (s *Service) part(ctx context.Context, roomID string, who Ref, missing error, note *Message) error {
	at := s.time()
	room, sub, err := s.store.RemoveMember(ctx, roomID, who.ID, false, at)
	switch {
	case errors.Is(err, dberr.NotFound):
		return missing
	case errors.Is(err, dberr.Conflict):
		return ErrLastOwner
	case err != nil:
		return err
	}
	s.tellMembership(room, true, who.ID)
	if err := errors.Join(s.tellSubscription(sub, removed), s.tellOwnRoom(room, who.ID, removed)); err != nil {
		return err
	}
	note.TS = at
	return s.announce(ctx, room, note)
}

// MayGive is the permission that giving and taking a role of a room needs.
func MayGive(role string) string {
	switch role {
	case Owner:
		return permission.SetOwner
	case Leader:
		return permission.SetLeader
	}
	return permission.SetModerator
}

// SetRole gives a member a role in a room, or takes it back.
func (s *Service) SetRole(ctx context.Context, by *user.User, roomID, userID, role string, on bool) error {
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	}
	if a.room.Type == Direct || !a.may(MayGive(role)) {
		return fault.NotAllowed
	}
	at := s.time()
	sub, err := s.store.SetMemberRole(ctx, roomID, userID, role, on, at)
	switch {
	case errors.Is(err, dberr.NotFound):
		return ErrOtherNotMember
	case errors.Is(err, dberr.Conflict):
		return s.roleConflict(ctx, roomID, userID, role, on)
	case err != nil:
		return err
	}
	action, note := "added", TypeRoleAdded
	if !on {
		action, note = removed, TypeRoleRemoved
	}
	s.tellUnread(roomID, by.ID, userID)
	if err := s.tellRole(a.room, by.ID, roleChange(action, role, sub)); err != nil {
		return err
	}
	return s.announce(ctx, a.room, &Message{Type: note, Text: sub.User.Username, Role: role, User: ref(by), TS: at})
}

// roleConflict names why a role could not be given or taken.
func (s *Service) roleConflict(ctx context.Context, roomID, userID, role string, on bool) error {
	if on {
		return aboutRole("error-user-already-"+role, "User is already %s", role)
	}
	sub, err := s.store.Subscription(ctx, roomID, userID)
	switch {
	case err != nil:
		return instead(err, dberr.NotFound, ErrOtherNotMember)
	case sub.HasRole(role):
		return ErrRemoveOwner
	}
	return aboutRole("error-user-not-"+role, "User is not %s", role)
}

// aboutRole is a refusal that names a role of a room, in the code as well: clients compare it.
func aboutRole(code, reason, role string) *fault.Error {
	article := "a "
	if role == Owner {
		article = "an "
	}
	return fault.New(code, fmt.Sprintf(reason, article+role))
}

// RoleMember is who holds which roles in a room.
type RoleMember struct {
	// ID is that of the membership.
	ID     string
	RoomID string
	User   Ref
	Roles  []string
}

// Roles lists the members of a room that carry a role, for its members.
func (s *Service) Roles(ctx context.Context, by *user.User, roomID string) ([]RoleMember, error) {
	if _, _, err := s.Room(ctx, by, roomID); err != nil {
		return nil, err
	}
	subs, err := s.store.MembersWithRole(ctx, roomID)
	if err != nil {
		return nil, err
	}
	out := make([]RoleMember, len(subs))
	for i, sub := range subs {
		out[i] = RoleMember{ID: sub.ID, RoomID: roomID, User: sub.User, Roles: sub.Roles}
	}
	return out, nil
}

// MemberQuery selects members of a room.
type MemberQuery struct {
	// Online leaves out those who are offline.
	Online bool
	// Filter keeps those whose user name or name contains it, in any case.
	Filter string
	// Statuses, if there are any, keeps those who are shown so.
	Statuses []string
	// Matching makes the total that of those whom the query keeps; all members are
	// looked at then.
	Matching      bool
	Offset, Count int
}

// maxMembers bounds a page of members.
const maxMembers = 100

// ListMembers pages through the members of a room, by user name; total counts
// all members, whatever q leaves out, unless q says otherwise.
func (s *Service) ListMembers(ctx context.Context, by *user.User, roomID string, q MemberQuery) (page []*user.User, total int, err error) {
	if _, err := s.member(ctx, by, roomID, ErrRoomNotFound, ErrNotAuthorized); err != nil {
		return nil, 0, err
	}
	if q.Count <= 0 || q.Count > maxMembers {
		q.Count = maxMembers
	}
	q.Offset = max(q.Offset, 0)
	if !q.Online && q.Filter == "" && len(q.Statuses) == 0 {
		return s.memberPage(ctx, roomID, q.Offset, q.Count)
	}
	want := user.Key(q.Filter)
	matching := 0
	for at := 0; ; at += maxMembers {
		batch, n, err := s.memberPage(ctx, roomID, at, maxMembers)
		if err != nil {
			return nil, 0, err
		}
		total = n
		for _, u := range batch {
			if !q.keeps(u, want) {
				continue
			}
			if matching++; matching > q.Offset && len(page) < q.Count {
				page = append(page, u)
			}
			if len(page) == q.Count && !q.Matching {
				return page, total, nil
			}
		}
		if at+maxMembers < n {
			continue
		}
		if q.Matching {
			total = matching
		}
		return page, total, nil
	}
}

// keeps tells whether the query keeps that member; want is the key of its filter.
func (q *MemberQuery) keeps(u *user.User, want string) bool {
	status := cmp.Or(u.Status, Offline)
	switch {
	case q.Online && status == Offline, len(q.Statuses) > 0 && !slices.Contains(q.Statuses, status):
		return false
	}
	return matches(u, want)
}

func (s *Service) memberPage(ctx context.Context, roomID string, offset, count int) ([]*user.User, int, error) {
	subs, total, err := s.store.ListMembers(ctx, roomID, offset, count)
	if err != nil || len(subs) == 0 {
		return nil, total, err
	}
	byID, err := s.accountsOf(ctx, subs)
	if err != nil {
		return nil, 0, err
	}
	page := make([]*user.User, 0, len(subs))
	for _, sub := range subs {
		if u := byID[sub.User.ID]; u != nil {
			page = append(page, u)
		}
	}
	return page, total, nil
}

func matches(u *user.User, want string) bool {
	return want == "" || strings.Contains(u.UsernameKey, want) || strings.Contains(user.Key(u.Name), want)
}

func roleChange(action, role string, sub *Subscription) ejson.Doc {
	return ejson.Doc{
		{Key: "type", Value: action}, {Key: "_id", Value: role},
		{Key: "u", Value: sub.User.Doc()}, {Key: "scope", Value: sub.RoomID},
	}
}
