package storetest

import (
	"context"
	"time"

	"ddpserver/internal/rooms"
	core "ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

// Failing is a store one of whose operations fails: those that package rooms asks
// for are counted.
type Failing struct {
	Store
	core.Turns
}

// UserByID fails when its turn has come.
func (f *Failing) UserByID(ctx context.Context, id string) (r0 *user.User, err error) {
	if err = f.Next("UserByID"); err == nil {
		r0, err = f.Store.UserByID(ctx, id)
	}
	return
}

// UserByUsername fails when its turn has come.
func (f *Failing) UserByUsername(ctx context.Context, key string) (r0 *user.User, err error) {
	if err = f.Next("UserByUsername"); err == nil {
		r0, err = f.Store.UserByUsername(ctx, key)
	}
	return
}

// UpdateUser fails when its turn has come.
func (f *Failing) UpdateUser(ctx context.Context, id string, c user.Change) (r0 *user.User, err error) {
	if err = f.Next("UpdateUser"); err == nil {
		r0, err = f.Store.UpdateUser(ctx, id, c)
	}
	return
}

// UsersByIDs fails when its turn has come.
func (f *Failing) UsersByIDs(ctx context.Context, ids []string) (r0 []*user.User, err error) {
	if err = f.Next("UsersByIDs"); err == nil {
		r0, err = f.Store.UsersByIDs(ctx, ids)
	}
	return
}

// UsersByUsernames fails when its turn has come.
func (f *Failing) UsersByUsernames(ctx context.Context, keys []string) (r0 []*user.User, err error) {
	if err = f.Next("UsersByUsernames"); err == nil {
		r0, err = f.Store.UsersByUsernames(ctx, keys)
	}
	return
}

// ListUsers fails when its turn has come.
func (f *Failing) ListUsers(ctx context.Context, offset, count int) (r0 []*user.User, r1 int, err error) {
	if err = f.Next("ListUsers"); err == nil {
		r0, r1, err = f.Store.ListUsers(ctx, offset, count)
	}
	return
}

// FindUsers fails when its turn has come.
func (f *Failing) FindUsers(ctx context.Context, q user.Query) (r0 []*user.User, r1 int, err error) {
	if err = f.Next("FindUsers"); err == nil {
		r0, r1, err = f.Store.FindUsers(ctx, q)
	}
	return
}

// SaveStatuses fails when its turn has come.
func (f *Failing) SaveStatuses(ctx context.Context, statuses map[string]string, at time.Time) (r0 []*user.User, err error) {
	if err = f.Next("SaveStatuses"); err == nil {
		r0, err = f.Store.SaveStatuses(ctx, statuses, at)
	}
	return
}

// UsersNotOffline fails when its turn has come.
func (f *Failing) UsersNotOffline(ctx context.Context, limit int) (r0 []*user.User, err error) {
	if err = f.Next("UsersNotOffline"); err == nil {
		r0, err = f.Store.UsersNotOffline(ctx, limit)
	}
	return
}

// CreateRoom fails when its turn has come.
func (f *Failing) CreateRoom(ctx context.Context, r *rooms.Room, members []*rooms.Subscription) (err error) {
	if err = f.Next("CreateRoom"); err == nil {
		err = f.Store.CreateRoom(ctx, r, members)
	}
	return
}

// RoomByID fails when its turn has come.
func (f *Failing) RoomByID(ctx context.Context, id string) (r0 *rooms.Room, err error) {
	if err = f.Next("RoomByID"); err == nil {
		r0, err = f.Store.RoomByID(ctx, id)
	}
	return
}

// RoomByName fails when its turn has come.
func (f *Failing) RoomByName(ctx context.Context, key string) (r0 *rooms.Room, err error) {
	if err = f.Next("RoomByName"); err == nil {
		r0, err = f.Store.RoomByName(ctx, key)
	}
	return
}

// RoomByDirectKey fails when its turn has come.
func (f *Failing) RoomByDirectKey(ctx context.Context, key string) (r0 *rooms.Room, err error) {
	if err = f.Next("RoomByDirectKey"); err == nil {
		r0, err = f.Store.RoomByDirectKey(ctx, key)
	}
	return
}

// RoomsByIDs fails when its turn has come.
func (f *Failing) RoomsByIDs(ctx context.Context, ids []string, since time.Time) (r0 []*rooms.Room, err error) {
	if err = f.Next("RoomsByIDs"); err == nil {
		r0, err = f.Store.RoomsByIDs(ctx, ids, since)
	}
	return
}

// ListRooms fails when its turn has come.
func (f *Failing) ListRooms(ctx context.Context, q rooms.RoomQuery) (r0 []*rooms.Room, r1 int, err error) {
	if err = f.Next("ListRooms"); err == nil {
		r0, r1, err = f.Store.ListRooms(ctx, q)
	}
	return
}

// DefaultRooms fails when its turn has come.
func (f *Failing) DefaultRooms(ctx context.Context) (r0 []*rooms.Room, err error) {
	if err = f.Next("DefaultRooms"); err == nil {
		r0, err = f.Store.DefaultRooms(ctx)
	}
	return
}

// ChangeRoom fails when its turn has come.
func (f *Failing) ChangeRoom(ctx context.Context, id string, c rooms.RoomChange) (r0, r1 *rooms.Room, err error) {
	if err = f.Next("ChangeRoom"); err == nil {
		r0, r1, err = f.Store.ChangeRoom(ctx, id, c)
	}
	return
}

// DeleteRoom fails when its turn has come.
func (f *Failing) DeleteRoom(ctx context.Context, id string, at time.Time) (r0 *rooms.Room, r1 []*rooms.Subscription, err error) {
	if err = f.Next("DeleteRoom"); err == nil {
		r0, r1, err = f.Store.DeleteRoom(ctx, id, at)
	}
	return
}

// TouchLastMessage fails when its turn has come.
func (f *Failing) TouchLastMessage(ctx context.Context, m *rooms.Message, at time.Time) (r0 bool, err error) {
	if err = f.Next("TouchLastMessage"); err == nil {
		r0, err = f.Store.TouchLastMessage(ctx, m, at)
	}
	return
}

// AddMember fails when its turn has come.
func (f *Failing) AddMember(ctx context.Context, s *rooms.Subscription) (r0 *rooms.Room, err error) {
	if err = f.Next("AddMember"); err == nil {
		r0, err = f.Store.AddMember(ctx, s)
	}
	return
}

// RemoveMember fails when its turn has come.
func (f *Failing) RemoveMember(ctx context.Context, roomID, userID string, force bool, at time.Time) (r0 *rooms.Room, r1 *rooms.Subscription, err error) {
	if err = f.Next("RemoveMember"); err == nil {
		r0, r1, err = f.Store.RemoveMember(ctx, roomID, userID, force, at)
	}
	return
}

// SetMemberRole fails when its turn has come.
func (f *Failing) SetMemberRole(ctx context.Context, roomID, userID, role string, on bool, at time.Time) (r0 *rooms.Subscription, err error) {
	if err = f.Next("SetMemberRole"); err == nil {
		r0, err = f.Store.SetMemberRole(ctx, roomID, userID, role, on, at)
	}
	return
}

// SetBlocked fails when its turn has come.
func (f *Failing) SetBlocked(ctx context.Context, roomID, blocker, blocked string, on bool, at time.Time) (r0 bool, err error) {
	if err = f.Next("SetBlocked"); err == nil {
		r0, err = f.Store.SetBlocked(ctx, roomID, blocker, blocked, on, at)
	}
	return
}

// Subscription fails when its turn has come.
func (f *Failing) Subscription(ctx context.Context, roomID, userID string) (r0 *rooms.Subscription, err error) {
	if err = f.Next("Subscription"); err == nil {
		r0, err = f.Store.Subscription(ctx, roomID, userID)
	}
	return
}

// SubscriptionsOf fails when its turn has come.
func (f *Failing) SubscriptionsOf(ctx context.Context, userID string, since time.Time) (r0 []*rooms.Subscription, err error) {
	if err = f.Next("SubscriptionsOf"); err == nil {
		r0, err = f.Store.SubscriptionsOf(ctx, userID, since)
	}
	return
}

// SubscriptionsIn fails when its turn has come.
func (f *Failing) SubscriptionsIn(ctx context.Context, roomID string, userIDs []string) (r0 []*rooms.Subscription, err error) {
	if err = f.Next("SubscriptionsIn"); err == nil {
		r0, err = f.Store.SubscriptionsIn(ctx, roomID, userIDs)
	}
	return
}

// RoomIDsOf fails when its turn has come.
func (f *Failing) RoomIDsOf(ctx context.Context, userID string) (r0 []string, err error) {
	if err = f.Next("RoomIDsOf"); err == nil {
		r0, err = f.Store.RoomIDsOf(ctx, userID)
	}
	return
}

// Members fails when its turn has come.
func (f *Failing) Members(ctx context.Context, roomID string) (r0 []string, r1 int64, err error) {
	if err = f.Next("Members"); err == nil {
		r0, r1, err = f.Store.Members(ctx, roomID)
	}
	return
}

// ListMembers fails when its turn has come.
func (f *Failing) ListMembers(ctx context.Context, roomID string, offset, count int) (r0 []*rooms.Subscription, r1 int, err error) {
	if err = f.Next("ListMembers"); err == nil {
		r0, r1, err = f.Store.ListMembers(ctx, roomID, offset, count)
	}
	return
}

// MembersWithRole fails when its turn has come.
func (f *Failing) MembersWithRole(ctx context.Context, roomID string) (r0 []*rooms.Subscription, err error) {
	if err = f.Next("MembersWithRole"); err == nil {
		r0, err = f.Store.MembersWithRole(ctx, roomID)
	}
	return
}

// ChangeSubscription fails when its turn has come.
func (f *Failing) ChangeSubscription(ctx context.Context, roomID, userID string, c rooms.SubscriptionChange) (r0 *rooms.Subscription, r1 bool, err error) {
	if err = f.Next("ChangeSubscription"); err == nil {
		r0, r1, err = f.Store.ChangeSubscription(ctx, roomID, userID, c)
	}
	return
}

// RenameUser fails when its turn has come.
func (f *Failing) RenameUser(ctx context.Context, r rooms.Ref, at time.Time) (err error) {
	if err = f.Next("RenameUser"); err == nil {
		err = f.Store.RenameUser(ctx, r, at)
	}
	return
}

// GoneSubscriptions fails when its turn has come.
func (f *Failing) GoneSubscriptions(ctx context.Context, userID string, since time.Time) (r0 []rooms.Gone, err error) {
	if err = f.Next("GoneSubscriptions"); err == nil {
		r0, err = f.Store.GoneSubscriptions(ctx, userID, since)
	}
	return
}

// InsertMessage fails when its turn has come.
func (f *Failing) InsertMessage(ctx context.Context, m *rooms.Message, e rooms.Unread) (r0 *rooms.Room, r1 []string, err error) {
	if err = f.Next("InsertMessage"); err == nil {
		r0, r1, err = f.Store.InsertMessage(ctx, m, e)
	}
	return
}

// MessageByID fails when its turn has come.
func (f *Failing) MessageByID(ctx context.Context, id string) (r0 *rooms.Message, err error) {
	if err = f.Next("MessageByID"); err == nil {
		r0, err = f.Store.MessageByID(ctx, id)
	}
	return
}

// History fails when its turn has come.
func (f *Failing) History(ctx context.Context, q rooms.HistoryQuery) (r0 []*rooms.Message, err error) {
	if err = f.Next("History"); err == nil {
		r0, err = f.Store.History(ctx, q)
	}
	return
}

// CountHistory fails when its turn has come.
func (f *Failing) CountHistory(ctx context.Context, q rooms.HistoryQuery) (r0 int, err error) {
	if err = f.Next("CountHistory"); err == nil {
		r0, err = f.Store.CountHistory(ctx, q)
	}
	return
}

// ChangedMessages fails when its turn has come.
func (f *Failing) ChangedMessages(ctx context.Context, roomID string, in rooms.Span) (r0 []*rooms.Message, err error) {
	if err = f.Next("ChangedMessages"); err == nil {
		r0, err = f.Store.ChangedMessages(ctx, roomID, in)
	}
	return
}

// GoneMessages fails when its turn has come.
func (f *Failing) GoneMessages(ctx context.Context, roomID string, in rooms.Span) (r0 []rooms.Gone, err error) {
	if err = f.Next("GoneMessages"); err == nil {
		r0, err = f.Store.GoneMessages(ctx, roomID, in)
	}
	return
}

// EditMessage fails when its turn has come.
func (f *Failing) EditMessage(ctx context.Context, id string, e rooms.Edit) (r0 *rooms.Message, err error) {
	if err = f.Next("EditMessage"); err == nil {
		r0, err = f.Store.EditMessage(ctx, id, e)
	}
	return
}

// SetPinned fails when its turn has come.
func (f *Failing) SetPinned(ctx context.Context, id string, on bool, by rooms.Ref, at time.Time) (r0 *rooms.Message, err error) {
	if err = f.Next("SetPinned"); err == nil {
		r0, err = f.Store.SetPinned(ctx, id, on, by, at)
	}
	return
}

// SetStar fails when its turn has come.
func (f *Failing) SetStar(ctx context.Context, id, userID string, on bool, at time.Time) (r0 *rooms.Message, r1 bool, err error) {
	if err = f.Next("SetStar"); err == nil {
		r0, r1, err = f.Store.SetStar(ctx, id, userID, on, at)
	}
	return
}

// SetReaction fails when its turn has come.
func (f *Failing) SetReaction(ctx context.Context, id, emoji, username string, on *bool, max int, at time.Time,
) (r0 *rooms.Message, r1 bool, r2 bool, err error) {
	if err = f.Next("SetReaction"); err == nil {
		r0, r1, r2, err = f.Store.SetReaction(ctx, id, emoji, username, on, max, at)
	}
	return
}

// SetFollower fails when its turn has come.
func (f *Failing) SetFollower(ctx context.Context, id, userID string, on bool, at time.Time) (r0 *rooms.Message, r1 bool, err error) {
	if err = f.Next("SetFollower"); err == nil {
		r0, r1, err = f.Store.SetFollower(ctx, id, userID, on, at)
	}
	return
}

// ForgetThread fails when its turn has come.
func (f *Failing) ForgetThread(ctx context.Context, roomID, id string, at time.Time) (r0 []string, err error) {
	if err = f.Next("ForgetThread"); err == nil {
		r0, err = f.Store.ForgetThread(ctx, roomID, id, at)
	}
	return
}

// DeleteMessage fails when its turn has come.
func (f *Failing) DeleteMessage(ctx context.Context, id string, at time.Time) (r0 *rooms.Room, r1 *rooms.Message, err error) {
	if err = f.Next("DeleteMessage"); err == nil {
		r0, r1, err = f.Store.DeleteMessage(ctx, id, at)
	}
	return
}

// SweepGone fails when its turn has come.
func (f *Failing) SweepGone(ctx context.Context, before time.Time) (err error) {
	if err = f.Next("SweepGone"); err == nil {
		err = f.Store.SweepGone(ctx, before)
	}
	return
}

// Mend fails when its turn has come.
func (f *Failing) Mend(ctx context.Context, now time.Time) (err error) {
	if err = f.Next("Mend"); err == nil {
		err = f.Store.Mend(ctx, now)
	}
	return
}

// SavePresence fails when its turn has come.
func (f *Failing) SavePresence(ctx context.Context, node string, states []rooms.Presence, now, alive time.Time) (r0 []rooms.Presence, err error) {
	if err = f.Next("SavePresence"); err == nil {
		r0, err = f.Store.SavePresence(ctx, node, states, now, alive)
	}
	return
}

// TouchNode fails when its turn has come.
func (f *Failing) TouchNode(ctx context.Context, node string, now time.Time) (err error) {
	if err = f.Next("TouchNode"); err == nil {
		err = f.Store.TouchNode(ctx, node, now)
	}
	return
}

// SweepPresence fails when its turn has come.
func (f *Failing) SweepPresence(ctx context.Context, alive time.Time) (r0 []rooms.Presence, err error) {
	if err = f.Next("SweepPresence"); err == nil {
		r0, err = f.Store.SweepPresence(ctx, alive)
	}
	return
}

// AddFile fails when its turn has come.
func (f *Failing) AddFile(ctx context.Context, file *rooms.File) (err error) {
	if err = f.Next("AddFile"); err == nil {
		err = f.Store.AddFile(ctx, file)
	}
	return
}

// FileByID fails when its turn has come.
func (f *Failing) FileByID(ctx context.Context, id string) (r0 *rooms.File, err error) {
	if err = f.Next("FileByID"); err == nil {
		r0, err = f.Store.FileByID(ctx, id)
	}
	return
}

// SetFile fails when its turn has come.
func (f *Failing) SetFile(ctx context.Context, file *rooms.File, from rooms.FileState) (err error) {
	if err = f.Next("SetFile"); err == nil {
		err = f.Store.SetFile(ctx, file, from)
	}
	return
}

// TouchFile fails when its turn has come.
func (f *Failing) TouchFile(ctx context.Context, id string, at time.Time) (err error) {
	if err = f.Next("TouchFile"); err == nil {
		err = f.Store.TouchFile(ctx, id, at)
	}
	return
}

// EndFile fails when its turn has come.
func (f *Failing) EndFile(ctx context.Context, id string, at time.Time) (r0 *rooms.File, err error) {
	if err = f.Next("EndFile"); err == nil {
		r0, err = f.Store.EndFile(ctx, id, at)
	}
	return
}

// RemoveFile fails when its turn has come.
func (f *Failing) RemoveFile(ctx context.Context, id string) (err error) {
	if err = f.Next("RemoveFile"); err == nil {
		err = f.Store.RemoveFile(ctx, id)
	}
	return
}

// FilesSize fails when its turn has come.
func (f *Failing) FilesSize(ctx context.Context, userID string) (r0 int64, err error) {
	if err = f.Next("FilesSize"); err == nil {
		r0, err = f.Store.FilesSize(ctx, userID)
	}
	return
}

// ListFiles fails when its turn has come.
func (f *Failing) ListFiles(ctx context.Context, q rooms.FileQuery) (r0 []*rooms.File, r1 int, err error) {
	if err = f.Next("ListFiles"); err == nil {
		r0, r1, err = f.Store.ListFiles(ctx, q)
	}
	return
}

// StaleFiles fails when its turn has come.
func (f *Failing) StaleFiles(ctx context.Context, in rooms.FileState, before time.Time, limit int) (r0 []*rooms.File, err error) {
	if err = f.Next("StaleFiles"); err == nil {
		r0, err = f.Store.StaleFiles(ctx, in, before, limit)
	}
	return
}

// FilesAfter fails when its turn has come.
func (f *Failing) FilesAfter(ctx context.Context, id string, limit int) (r0 []*rooms.File, err error) {
	if err = f.Next("FilesAfter"); err == nil {
		r0, err = f.Store.FilesAfter(ctx, id, limit)
	}
	return
}

// AddHook fails when its turn has come.
func (f *Failing) AddHook(ctx context.Context, h *rooms.Hook) (err error) {
	if err = f.Next("AddHook"); err == nil {
		err = f.Store.AddHook(ctx, h)
	}
	return
}

// HookByID fails when its turn has come.
func (f *Failing) HookByID(ctx context.Context, id string) (r0 *rooms.Hook, err error) {
	if err = f.Next("HookByID"); err == nil {
		r0, err = f.Store.HookByID(ctx, id)
	}
	return
}

// SetHook fails when its turn has come.
func (f *Failing) SetHook(ctx context.Context, h *rooms.Hook, was time.Time) (err error) {
	if err = f.Next("SetHook"); err == nil {
		err = f.Store.SetHook(ctx, h, was)
	}
	return
}

// RemoveHook fails when its turn has come.
func (f *Failing) RemoveHook(ctx context.Context, id string) (err error) {
	if err = f.Next("RemoveHook"); err == nil {
		err = f.Store.RemoveHook(ctx, id)
	}
	return
}

// ListHooks fails when its turn has come.
func (f *Failing) ListHooks(ctx context.Context, q rooms.HookQuery) (r0 []*rooms.Hook, r1 int, err error) {
	if err = f.Next("ListHooks"); err == nil {
		r0, r1, err = f.Store.ListHooks(ctx, q)
	}
	return
}

// PutInvite fails when its turn has come.
func (f *Failing) PutInvite(ctx context.Context, i *rooms.Invite) (r0 *rooms.Invite, err error) {
	if err = f.Next("PutInvite"); err == nil {
		r0, err = f.Store.PutInvite(ctx, i)
	}
	return
}

// InviteByID fails when its turn has come.
func (f *Failing) InviteByID(ctx context.Context, id string) (r0 *rooms.Invite, err error) {
	if err = f.Next("InviteByID"); err == nil {
		r0, err = f.Store.InviteByID(ctx, id)
	}
	return
}

// InviteByDigest fails when its turn has come.
func (f *Failing) InviteByDigest(ctx context.Context, digests []string) (r0 *rooms.Invite, err error) {
	if err = f.Next("InviteByDigest"); err == nil {
		r0, err = f.Store.InviteByDigest(ctx, digests)
	}
	return
}

// UseInvite fails when its turn has come.
func (f *Failing) UseInvite(ctx context.Context, id, seed string, at time.Time) (err error) {
	if err = f.Next("UseInvite"); err == nil {
		err = f.Store.UseInvite(ctx, id, seed, at)
	}
	return
}

// UnuseInvite fails when its turn has come.
func (f *Failing) UnuseInvite(ctx context.Context, id, seed string, at time.Time) (err error) {
	if err = f.Next("UnuseInvite"); err == nil {
		err = f.Store.UnuseInvite(ctx, id, seed, at)
	}
	return
}

// RemoveInvite fails when its turn has come.
func (f *Failing) RemoveInvite(ctx context.Context, id string) (err error) {
	if err = f.Next("RemoveInvite"); err == nil {
		err = f.Store.RemoveInvite(ctx, id)
	}
	return
}

// ListInvites fails when its turn has come.
func (f *Failing) ListInvites(ctx context.Context, offset, count int) (r0 []*rooms.Invite, r1 int, err error) {
	if err = f.Next("ListInvites"); err == nil {
		r0, r1, err = f.Store.ListInvites(ctx, offset, count)
	}
	return
}

// AddReport fails when its turn has come.
func (f *Failing) AddReport(ctx context.Context, r *rooms.Report) (err error) {
	if err = f.Next("AddReport"); err == nil {
		err = f.Store.AddReport(ctx, r)
	}
	return
}

// ReportByID fails when its turn has come.
func (f *Failing) ReportByID(ctx context.Context, id string) (r0 *rooms.Report, err error) {
	if err = f.Next("ReportByID"); err == nil {
		r0, err = f.Store.ReportByID(ctx, id)
	}
	return
}

// ListReports fails when its turn has come.
func (f *Failing) ListReports(ctx context.Context, q rooms.ReportQuery) (r0 []*rooms.Report, r1 int, err error) {
	if err = f.Next("ListReports"); err == nil {
		r0, r1, err = f.Store.ListReports(ctx, q)
	}
	return
}

// HideReports fails when its turn has come.
func (f *Failing) HideReports(ctx context.Context, q rooms.ReportQuery, m rooms.Moderation) (err error) {
	if err = f.Next("HideReports"); err == nil {
		err = f.Store.HideReports(ctx, q, m)
	}
	return
}
