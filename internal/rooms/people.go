package rooms

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/user"
)

// ErrUserLimit answers a call that would add more people than one call may.
var ErrUserLimit = fault.New("error-user-limit-exceeded", "User Limit Exceeded")

// AddAll adds every account to a channel or group, or those alone that are active. It is an
// administrator's, and refused on a server with more than a thousand.
func (s *Service) AddAll(ctx context.Context, by *user.User, roomID string, activeOnly bool) error {
	if !permission.Has(by, permission.AddAllToRoom) {
		return fault.NotAllowed
	}
	a, err := s.seat(ctx, by, roomID)
	switch {
	case err != nil:
		return instead(err, dberr.NotFound, ErrInvalidRoom)
	case a.room.Type == Direct:
		return ErrDirectInvite
	case a.room.Archived:
		return ErrRoomArchived
	}
	all, total, err := s.store.ListUsers(ctx, 0, maxInvited)
	if err != nil {
		return err
	}
	if total > maxInvited {
		return ErrUserLimit
	}
	for _, u := range all {
		if activeOnly && !u.IsActive() || u.Username == "" {
			continue
		}
		if _, err := s.enter(ctx, a.room, u, by); err != nil {
			return err
		}
	}
	return nil
}

// ranks are the roles of a room in the order in which their holders are listed.
var ranks = []string{Owner, Moderator, Leader}

func rankOf(m *Subscription) int {
	for i, role := range ranks {
		if m.HasRole(role) {
			return i
		}
	}
	return len(ranks)
}

// RankedMember is a member as lists by role show it.
type RankedMember struct {
	User       *user.User
	Membership *Subscription
}

// MembersByRole pages through the members of a room: owners first, then moderators, then
// leaders, then everybody else, each by user name. Total counts those whom the query keeps.
func (s *Service) MembersByRole(ctx context.Context, by *user.User, roomID string, q MemberQuery) (page []RankedMember, total int, err error) {
	if _, err := s.member(ctx, by, roomID, ErrRoomNotFound, ErrNotAuthorized); err != nil {
		return nil, 0, err
	}
	if q.Count <= 0 || q.Count > maxMembers {
		q.Count = maxMembers
	}
	q.Offset = max(q.Offset, 0)
	first, err := s.store.MembersWithRole(ctx, roomID)
	if err != nil {
		return nil, 0, err
	}
	slices.SortStableFunc(first, func(a, b *Subscription) int {
		return cmp.Or(rankOf(a)-rankOf(b), strings.Compare(a.UserKey, b.UserKey), strings.Compare(a.ID, b.ID))
	})
	want := user.Key(q.Filter)
	take := func(some []*Subscription) error {
		for chunk := range slices.Chunk(some, maxMembers) {
			users, err := s.accountsOf(ctx, chunk)
			if err != nil {
				return err
			}
			for _, m := range chunk {
				u := users[m.User.ID]
				if u == nil || !q.keeps(u, want) {
					continue
				}
				if total++; total > q.Offset && len(page) < q.Count {
					page = append(page, RankedMember{User: u, Membership: m})
				}
			}
		}
		return nil
	}
	if err := take(first); err != nil {
		return nil, 0, err
	}
	for at := 0; ; at += maxMembers {
		batch, n, err := s.store.ListMembers(ctx, roomID, at, maxMembers)
		if err != nil {
			return nil, 0, err
		}
		err = take(slices.DeleteFunc(batch, func(m *Subscription) bool { return len(m.Roles) > 0 }))
		if err != nil || at+maxMembers >= n {
			return page, total, err
		}
	}
}

// accountsOf are the accounts of members, by id.
func (s *Service) accountsOf(ctx context.Context, subs []*Subscription) (map[string]*user.User, error) {
	ids := make([]string, len(subs))
	for i, m := range subs {
		ids[i] = m.User.ID
	}
	found, err := s.store.UsersByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*user.User, len(found))
	for _, u := range found {
		byID[u.ID] = u
	}
	return byID, nil
}

// maxOffices bounds the list of those who have a role of the server.
const maxOffices = 100

// Offices are the accounts that have a role of the server beside the one that everybody has,
// by user name, with these roles alone.
func (s *Service) Offices(ctx context.Context) ([]RoleMember, error) {
	var out []RoleMember
	for _, role := range permission.Roles() {
		if role.Scope != "Users" || role.ID == permission.User {
			continue
		}
		found, _, err := s.store.FindUsers(ctx, user.Query{Traits: []string{user.RoleTrait(role.ID)}, Count: maxOffices})
		if err != nil {
			return nil, err
		}
		for _, u := range found {
			if i := slices.IndexFunc(out, func(m RoleMember) bool { return m.User.ID == u.ID }); i >= 0 {
				out[i].Roles = append(out[i].Roles, role.ID)
			} else {
				out = append(out, RoleMember{User: ref(u), Roles: []string{role.ID}})
			}
		}
	}
	slices.SortFunc(out, func(a, b RoleMember) int { return strings.Compare(a.User.Username, b.User.Username) })
	return out, nil
}
