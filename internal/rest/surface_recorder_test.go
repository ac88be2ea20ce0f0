package rest_test

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// recorder is the real store, and notes which writes were asked of it.
type recorder struct {
	database
	mu  sync.Mutex
	ops []string
}

func (r *recorder) note(op string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, op)
}

// take hands out what was noted since the last time.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ops := r.ops
	r.ops = nil
	return ops
}

// reads are the operations of a store that change nothing, and those that keep
// the server's own books: attempts, codes, trust, mails, events, presence, its key. No
// call is told from another by them.
var reads = strings.Fields(`
	UserByID UserByUsername UserByEmail UserByToken UserByResetToken UserByVerificationToken ListUsers CountAdmins Guard Settings
	NextMail EventsSince UsersByIDs UsersByUsernames RoomByID RoomByName RoomByDirectKey RoomsByIDs ListRooms DefaultRooms Subscription SubscriptionsOf
	SubscriptionsIn RoomIDsOf Members ListMembers MembersWithRole GoneSubscriptions MessageByID History CountHistory ChangedMessages GoneMessages
	UsersNotOffline Ping Close
	CountPendingTOTP DropPendingTOTP UseTOTPStep ResealTOTP UseBackupCode SetTrust ClearTrust CountAttempt Succeeded ResetGuard
	AddMailCode UseMailCode UndoMailCode KillMailCodes PutMail ClaimMail RetryMail DeleteMail AppendEvent TouchLastMessage SavePresence TouchNode SweepPresence
	SaveStatuses SweepTokens SweepGone RenameUser UseToken Tries CountTries EndTries AddSource KeyCheck SetKeyCheck ApplyTOTPReset DueTOTPResets SealedTexts Reseal`)

func (r *recorder) CreateUser(ctx context.Context, u *user.User) error {
	r.note("CreateUser")
	return r.database.CreateUser(ctx, u)
}

func (r *recorder) DeleteUser(ctx context.Context, id string) error {
	r.note("DeleteUser")
	return r.database.DeleteUser(ctx, id)
}

// UpdateUser is told apart by what the change touches.
func (r *recorder) UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error) {
	var members []string
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if !strings.HasPrefix(name, "If") && name != "At" && name != "ClearTrust" && name != "KeepToken" && !v.Field(i).IsZero() {
			members = append(members, name)
		}
	}
	r.note("UpdateUser " + strings.Join(members, " "))
	return r.database.UpdateUser(ctx, id, c)
}

func (r *recorder) SetPendingTOTP(ctx context.Context, id, sealed, token, state string, at time.Time) error {
	r.note("SetPendingTOTP")
	return r.database.SetPendingTOTP(ctx, id, sealed, token, state, at)
}

func (r *recorder) EnableTOTP(ctx context.Context, id, pending string, t user.TOTP, keep string, at time.Time) (*user.User, error) {
	r.note("EnableTOTP")
	return r.database.EnableTOTP(ctx, id, pending, t, keep, at)
}

func (r *recorder) DisableTOTP(ctx context.Context, id, secret, keep string, at time.Time) (*user.User, error) {
	r.note("DisableTOTP")
	return r.database.DisableTOTP(ctx, id, secret, keep, at)
}

func (r *recorder) ScheduleTOTPReset(ctx context.Context, id, secret, by string, due time.Time) error {
	r.note("ScheduleTOTPReset")
	return r.database.ScheduleTOTPReset(ctx, id, secret, by, due)
}

func (r *recorder) CancelTOTPReset(ctx context.Context, id string, now time.Time) error {
	r.note("CancelTOTPReset")
	return r.database.CancelTOTPReset(ctx, id, now)
}

func (r *recorder) ReplaceBackupCodes(ctx context.Context, id, secret, salt string, stored []string) error {
	r.note("ReplaceBackupCodes")
	return r.database.ReplaceBackupCodes(ctx, id, secret, salt, stored)
}

func (r *recorder) SaveSettings(ctx context.Context, v []settings.Stored) error {
	r.note("SaveSettings")
	return r.database.SaveSettings(ctx, v)
}

func (r *recorder) CreateRoom(ctx context.Context, room *rooms.Room, m []*rooms.Subscription) error {
	r.note("CreateRoom " + room.Type)
	return r.database.CreateRoom(ctx, room, m)
}

func (r *recorder) AddMember(ctx context.Context, s *rooms.Subscription) (*rooms.Room, error) {
	r.note("AddMember")
	return r.database.AddMember(ctx, s)
}

func (r *recorder) RemoveMember(ctx context.Context, room, id string, force bool, at time.Time) (*rooms.Room, *rooms.Subscription, error) {
	r.note("RemoveMember")
	return r.database.RemoveMember(ctx, room, id, force, at)
}

func (r *recorder) SetMemberRole(ctx context.Context, room, id, role string, on bool, at time.Time) (*rooms.Subscription, error) {
	r.note("SetMemberRole " + role + map[bool]string{true: " on", false: " off"}[on])
	return r.database.SetMemberRole(ctx, room, id, role, on, at)
}

func (r *recorder) ChangeSubscription(ctx context.Context, room, id string, c rooms.SubscriptionChange) (*rooms.Subscription, bool, error) {
	var members []string
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		f := v.Field(i)
		if name := v.Type().Field(i).Name; name != "At" && !f.IsZero() {
			if f.Kind() == reflect.Pointer {
				name += fmt.Sprint("=", f.Elem())
			}
			members = append(members, name)
		}
	}
	r.note("ChangeSubscription " + strings.Join(members, " "))
	return r.database.ChangeSubscription(ctx, room, id, c)
}

func (r *recorder) InsertMessage(ctx context.Context, m *rooms.Message, e rooms.Unread) (*rooms.Room, []string, error) {
	r.note("InsertMessage")
	return r.database.InsertMessage(ctx, m, e)
}

func (r *recorder) EditMessage(ctx context.Context, id string, e rooms.Edit) (*rooms.Message, error) {
	r.note("EditMessage")
	return r.database.EditMessage(ctx, id, e)
}

func (r *recorder) SetPinned(ctx context.Context, id string, on bool, by rooms.Ref, at time.Time) (*rooms.Message, error) {
	r.note("SetPinned" + map[bool]string{true: " on", false: " off"}[on])
	return r.database.SetPinned(ctx, id, on, by, at)
}

func (r *recorder) SetStar(ctx context.Context, id, userID string, on bool, at time.Time) (*rooms.Message, bool, error) {
	r.note("SetStar")
	return r.database.SetStar(ctx, id, userID, on, at)
}

func (r *recorder) SetReaction(ctx context.Context, id, emoji, name string, on *bool, max int, at time.Time) (*rooms.Message, bool, bool, error) {
	r.note("SetReaction")
	return r.database.SetReaction(ctx, id, emoji, name, on, max, at)
}

func (r *recorder) DeleteMessage(ctx context.Context, id string, at time.Time) (*rooms.Room, *rooms.Message, error) {
	r.note("DeleteMessage")
	return r.database.DeleteMessage(ctx, id, at)
}

var _ twofactor.Store = (*recorder)(nil)

// A new operation of the store is either listed as one that no call is told by,
// or noted above. What the recorder does not override is generated code.
func TestRecorderKnowsEveryOperation(t *testing.T) {
	own := reflect.TypeFor[*recorder]()
	ops := reflect.TypeFor[database]()
	for i := range ops.NumMethod() {
		name := ops.Method(i).Name
		m, ok := own.MethodByName(name)
		if !ok {
			t.Fatalf("no method %s", name)
		}
		file, _ := runtime.FuncForPC(m.Func.Pointer()).FileLine(m.Func.Pointer())
		if noted := file != "<autogenerated>"; noted == slices.Contains(reads, name) {
			t.Errorf("%s: noted %v, listed as one that needs no note %v", name, noted, !noted == false)
		}
	}
}
