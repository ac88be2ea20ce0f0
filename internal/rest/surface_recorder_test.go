package rest_test

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// recorder is the real store, and notes which writes were asked of it.
type recorder struct {
	testkit.Store
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

// seen is what was noted since the last time that it was handed out.
func (r *recorder) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ops)
}

// reads are the operations of a store that change nothing, and those that keep
// the server's own books: attempts, codes, trust, mails, events, presence, its key. No
// call is told from another by them.
var reads = strings.Fields(`
	UserByID UserByUsername UserByEmail UserByToken UserByResetToken UserByVerificationToken ListUsers FindUsers CountUsers Administrators Guard Settings
	NextMail MailQueue EventsSince UsersByIDs UsersByUsernames RoomByID RoomByName RoomByDirectKey RoomsByIDs ListRooms DefaultRooms Subscription SubscriptionsOf
	SubscriptionsIn RoomIDsOf Members ListMembers MembersWithRole GoneSubscriptions MessageByID History CountHistory FileByID FilesSize InviteByID InviteByDigest
	ListInvites ReportByID ListReports HookByID ListHooks ListFiles StaleFiles FilesAfter TouchFile RemoveFile ChangedMessages GoneMessages
	UsersNotOffline Ping Close
	CountPendingTOTP DropPendingTOTP UseTOTPStep UsePasskey UserByPasskeys ResealTOTP UseBackupCode SetTrust ClearTrust CountAttempt Succeeded ResetGuard
	AddMailCode UseMailCode UndoMailCode KillMailCodes PutMail ClaimMail RetryMail DeleteMail AppendEvents TouchLastMessage SavePresence TouchNode SweepPresence
	AppendTrail PageTrail CountTrail TrimTrail MarksSince MarkNow
	SaveStatuses SweepTokens SweepGone Mend RenameUser UseToken TokenOwners Tries CountTries EndTries AddSource KeyCheck SetKeyCheck ApplyReset DueResets SealedTexts Reseal`)

func (r *recorder) CreateUser(ctx context.Context, u *user.User) error {
	r.note("CreateUser")
	return r.Store.CreateUser(ctx, u)
}

func (r *recorder) DeleteUser(ctx context.Context, id string, admins bool) error {
	r.note("DeleteUser")
	return r.Store.DeleteUser(ctx, id, admins)
}

// UpdateUser is told apart by what the change touches.
func (r *recorder) UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error) {
	var members []string
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if !strings.HasPrefix(name, "If") && name != "At" && name != "ClearTrust" && name != "KeepToken" && !v.Field(i).IsZero() {
			if name == "Factor" {
				name += r.factorOf(ctx, id, c.Factor)
			}
			members = append(members, name)
		}
	}
	r.note("UpdateUser " + strings.Join(members, " "))
	return r.Store.UpdateUser(ctx, id, c)
}

// factorOf says what a change does to the factors of an account.
func (r *recorder) factorOf(ctx context.Context, id string, do func(*user.Services)) string {
	u, err := r.Store.UserByID(ctx, id)
	if err != nil {
		return "OfNobody"
	}
	before := u.Clone()
	do(&u.Services)
	switch n := len(u.Passkeys()) - len(before.Passkeys()); {
	case n > 0:
		return "KeyAdded"
	case n < 0:
		return "KeyRemoved"
	case !reflect.DeepEqual(before.Services.WebAuthn, u.Services.WebAuthn):
		return "KeyNamed"
	case !reflect.DeepEqual(before.Services.Email2FA, u.Services.Email2FA):
		return "Email"
	}
	return "App"
}

func (r *recorder) SetPendingTOTP(ctx context.Context, id, sealed, token, state string, at time.Time) error {
	r.note("SetPendingTOTP")
	return r.Store.SetPendingTOTP(ctx, id, sealed, token, state, at)
}

func (r *recorder) EnableTOTP(ctx context.Context, id, pending string, t user.TOTP, keep string, at time.Time) (*user.User, error) {
	r.note("EnableTOTP")
	return r.Store.EnableTOTP(ctx, id, pending, t, keep, at)
}

func (r *recorder) DisableTOTP(ctx context.Context, id, secret, keep string, at time.Time) (*user.User, error) {
	r.note("DisableTOTP")
	return r.Store.DisableTOTP(ctx, id, secret, keep, at)
}

func (r *recorder) ScheduleReset(ctx context.Context, id, factor, mark, by string, due time.Time) error {
	r.note("ScheduleReset")
	return r.Store.ScheduleReset(ctx, id, factor, mark, by, due)
}

func (r *recorder) CancelReset(ctx context.Context, id, factor string, now time.Time) error {
	r.note("CancelReset")
	return r.Store.CancelReset(ctx, id, factor, now)
}

func (r *recorder) ReplaceBackupCodes(ctx context.Context, id, secret, salt string, stored []string) error {
	r.note("ReplaceBackupCodes")
	return r.Store.ReplaceBackupCodes(ctx, id, secret, salt, stored)
}

func (r *recorder) SaveSettings(ctx context.Context, v []settings.Stored) error {
	r.note("SaveSettings")
	return r.Store.SaveSettings(ctx, v)
}

var _ twofactor.Store = (*recorder)(nil)

// A new operation of the store is either listed as one that no call is told by,
// or noted above. What the recorder does not override is generated code.
func TestRecorderKnowsEveryOperation(t *testing.T) {
	own := reflect.TypeFor[*recorder]()
	ops := reflect.TypeFor[testkit.Store]()
	for i := range ops.NumMethod() {
		name := ops.Method(i).Name
		m, ok := own.MethodByName(name)
		if !ok {
			t.Fatalf("no method %s", name)
		}
		file, _ := runtime.FuncForPC(m.Func.Pointer()).FileLine(m.Func.Pointer())
		if noted := file != "<autogenerated>"; noted == slices.Contains(reads, name) {
			t.Errorf("%s: noted by a method of recorder: %v, listed in reads: %v; one of the two must be", name, noted, noted)
		}
	}
}
