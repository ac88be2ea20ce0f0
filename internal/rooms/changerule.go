package rooms

// What a change of a room does to its document and its memberships. Both stores run these
// rules.
import (
	"maps"
	"reflect"
	"slices"
	"time"

	"ddpserver/internal/user"
)

// RoomChange changes a room's document; nil, and an empty name or type, leave a field.
type RoomChange struct {
	Name, Type                                     string
	Topic, Description, Announcement               *string
	ReadOnly, ReactWhenReadOnly, Default, Archived *bool
	// JoinDigest is the keyed digest of the join code; empty takes the code away.
	JoinDigest   *string
	CustomFields *map[string]any
	AvatarETag   *string
	// Mute and Unmute name a member who may no longer write, or may again: also where the
	// room is read-only.
	Mute, Unmute *Ref
	At           time.Time
}

// Change makes the change and tells whether anything was otherwise before.
func (r *Room) Change(c RoomChange) bool {
	was := *r
	if c.Name != "" {
		r.Name, r.FName, r.NameKey = c.Name, c.Name, user.Key(c.Name)
	}
	if c.Type != "" {
		r.Type = c.Type
	}
	replace(&r.Topic, c.Topic)
	replace(&r.Description, c.Description)
	replace(&r.Announcement, c.Announcement)
	replace(&r.ReadOnly, c.ReadOnly)
	replace(&r.ReactWhenReadOnly, c.ReactWhenReadOnly)
	replace(&r.Default, c.Default)
	replace(&r.Archived, c.Archived)
	if c.JoinDigest != nil {
		r.JoinCodeRequired, r.JoinDigest, r.JoinCode = *c.JoinDigest != "", *c.JoinDigest, ""
	}
	replace(&r.AvatarETag, c.AvatarETag)
	if c.CustomFields != nil {
		r.CustomFields = maps.Clone(*c.CustomFields)
	}
	if c.Mute != nil {
		r.Muted, r.MutedIDs = with(r.Muted, c.Mute.Username), with(r.MutedIDs, c.Mute.ID)
		r.Unmuted, r.UnmutedIDs = without(r.Unmuted, c.Mute.Username), without(r.UnmutedIDs, c.Mute.ID)
	}
	if c.Unmute != nil {
		r.Muted, r.MutedIDs = without(r.Muted, c.Unmute.Username), without(r.MutedIDs, c.Unmute.ID)
		if r.ReadOnly || r.Broadcast {
			r.Unmuted, r.UnmutedIDs = with(r.Unmuted, c.Unmute.Username), with(r.UnmutedIDs, c.Unmute.ID)
		}
	}
	if was.sameAs(r) {
		return false
	}
	r.UpdatedAt = c.At
	return true
}

// with and without are a list of names with one more or less; the list itself is left alone.
func with(list []string, name string) []string {
	if name == "" || slices.Contains(list, name) {
		return list
	}
	return append(slices.Clone(list), name)
}

func without(list []string, name string) []string {
	if !slices.Contains(list, name) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(other string) bool { return other == name })
}

func replace[T any](field *T, by *T) {
	if by != nil {
		*field = *by
	}
}

// sameAs tells whether no change of a room was made between the two.
func (r *Room) sameAs(other *Room) bool {
	return r.Name == other.Name && r.FName == other.FName && r.Type == other.Type && r.Topic == other.Topic && r.Description == other.Description &&
		r.Announcement == other.Announcement && r.ReadOnly == other.ReadOnly && r.ReactWhenReadOnly == other.ReactWhenReadOnly &&
		r.Default == other.Default && r.Archived == other.Archived && r.JoinCodeRequired == other.JoinCodeRequired && r.JoinCode == other.JoinCode &&
		r.JoinDigest == other.JoinDigest && r.AvatarETag == other.AvatarETag && slices.Equal(r.Muted, other.Muted) && slices.Equal(r.MutedIDs, other.MutedIDs) &&
		slices.Equal(r.Unmuted, other.Unmuted) && slices.Equal(r.UnmutedIDs, other.UnmutedIDs) &&
		(len(r.CustomFields)+len(other.CustomFields) == 0 || reflect.DeepEqual(r.CustomFields, other.CustomFields))
}

// Calls tells whether the memberships of the room say of it what they would of the other.
func (r *Room) Calls(other *Room) bool {
	return r.Name == other.Name && r.FName == other.FName && r.Type == other.Type && r.Archived == other.Archived
}

// name has a membership say what the room is called, what kind it is and whether it is
// archived, and tells whether it said otherwise. Direct rooms are called after whoever is on
// the other side, and are never archived. An archived room leaves the lists of its members,
// and comes back into them.
func (r *Room) name(s *Subscription) bool {
	if r.Type == Direct || s.Name == r.Name && s.FName == r.FName && s.Type == r.Type && s.Archived == r.Archived {
		return false
	}
	if s.Archived != r.Archived {
		s.Archived, s.Open, s.Alert = r.Archived, !r.Archived, s.Alert && !r.Archived
	}
	s.Name, s.FName, s.Type = r.Name, r.FName, r.Type
	return true
}

// Follow has a membership follow a change of its room, and tells whether it changed.
func (s *Subscription) Follow(r *Room, at time.Time) bool {
	if !r.name(s) {
		return false
	}
	s.UpdatedAt = at
	return true
}

// SetBlocker and SetBlocked mark the two sides of a direct room in which one blocks the
// other, and tell whether it was otherwise.
func (s *Subscription) SetBlocker(on bool, at time.Time) bool { return s.mark(&s.Blocker, on, at) }

// SetBlocked is SetBlocker for the other side.
func (s *Subscription) SetBlocked(on bool, at time.Time) bool { return s.mark(&s.Blocked, on, at) }

func (s *Subscription) mark(flag *bool, on bool, at time.Time) bool {
	if *flag == on {
		return false
	}
	*flag, s.UpdatedAt = on, at
	return true
}

// muted tells whether a member may read only.
func (r *Room) muted(u *user.User) bool {
	return slices.Contains(r.Muted, u.Username) || slices.Contains(r.MutedIDs, u.ID)
}

// unmuted tells whether a member may write although the room is read-only. Names do not
// count here: whoever took one over later is somebody else.
func (r *Room) unmuted(u *user.User) bool { return slices.Contains(r.UnmutedIDs, u.ID) }
