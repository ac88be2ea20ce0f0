package mongo_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/feed"
	"ddpserver/internal/mail"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/mongo"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// The ways in which an act writes several documents.
const (
	// transaction is one where the database has them, and else noted: a note is written first, and what is left half
	// done is mended.
	transaction = "transaction"
	// noted is a note and a mend on every database.
	noted = "noted"
	// ordered is an order of its own, after each step of which a reader finds it done or not done.
	ordered = "ordered"
	// apart is several documents that have nothing to do with each other: the act is done again, by whoever.
	apart = "apart"
)

type doing = func(ctx context.Context, s *mongo.Store, x string) error

// act is one of the store's, on documents whose ids begin with x.
type act struct {
	name   string
	way    string // "" for those that write one document
	before doing
	do     doing
	// holds, when not nil, is what must hold on another node after the act died, beside the rest.
	holds func(t *testing.T, n *nodes, x string)
}

var day = time.Date(2126, 3, 4, 5, 6, 7, 0, time.UTC)

func at(seconds int) time.Time { return day.Add(time.Duration(seconds) * time.Second) }

var people = []string{"ann", "bob", "cid"}

func member(x, who string, roles ...string) *rooms.Subscription {
	return &rooms.Subscription{ID: x + who, RoomID: x, Type: rooms.Channel, Name: x, User: rooms.Ref{ID: x + who, Username: who}, UserKey: who,
		Roles: roles, Open: true, TS: day, UpdatedAt: day}
}

func said(x, id, who string, seconds int, mentions ...string) *rooms.Message {
	m := &rooms.Message{ID: x + id, RoomID: x, Text: id, TS: at(seconds), UpdatedAt: at(seconds), User: rooms.Ref{ID: x + who, Username: who}}
	for _, who := range mentions {
		m.Mentions = append(m.Mentions, rooms.Mention{ID: who, Username: who})
	}
	return m
}

// make makes a room of ann, who owns it, and bob; cid may join.
func makeRoom(ctx context.Context, s *mongo.Store, x string) error {
	r := &rooms.Room{ID: x, Type: rooms.Channel, Name: x, NameKey: x, TS: day, UpdatedAt: day, Users: 2, Membership: 1, Owners: []string{x + "ann"}}
	return s.CreateRoom(ctx, r, []*rooms.Subscription{member(x, "ann", rooms.Owner), member(x, "bob")})
}

// talked is a room with two messages, one of which mentions bob.
func talked(ctx context.Context, s *mongo.Store, x string) error {
	post := func(m *rooms.Message, e rooms.Unread) error {
		_, _, err := s.InsertMessage(ctx, m, e)
		return err
	}
	return errors.Join(makeRoom(ctx, s, x), post(said(x, "1", "ann", 1, x+"bob"), rooms.Unread{Users: []string{x + "bob"}, CountUsers: true}),
		post(said(x, "2", "bob", 2), rooms.Unread{CountUsers: true}))
}

// answer answers the first message, whose author and the one mentioned are told.
func answer(ctx context.Context, s *mongo.Store, x, id, who string, shown bool) error {
	m := said(x, id, who, int(id[0]-'0'), x+"ann")
	m.ThreadID, m.Shown = x+"1", shown
	return err3(s.InsertMessage(ctx, m, rooms.Unread{Thread: x + "1", Users: []string{x + "ann"}, CountUsers: true,
		Follow: []string{x + "ann", x + who}, Tell: []string{x + "ann", x + who, x + "bob"}}))
}

func answeredOnce(ctx context.Context, s *mongo.Store, x string) error {
	return answer(ctx, s, x, "3", "bob", false)
}

// answered is the first message with two answers, of which bob has not seen the second.
func answered(ctx context.Context, s *mongo.Store, x string) error {
	return errors.Join(answeredOnce(ctx, s, x), answer(ctx, s, x, "4", "cid", false))
}

func twoOwners(ctx context.Context, s *mongo.Store, x string) error {
	_, err := s.SetMemberRole(ctx, x, x+"bob", rooms.Owner, true, at(1))
	return err
}

func made(ctx context.Context, s *mongo.Store, x string, roles ...string) error {
	u := &user.User{ID: x + "ann", Username: x + "ann", CreatedAt: day, Roles: roles, Status: user.Online}
	u.Services.Resume = &user.Resume{LoginTokens: []user.LoginToken{{HashedToken: x + "h", When: day}, {HashedToken: x + "pat", Type: user.PersonalAccessToken,
		Name: "robot", CreatedAt: day}}}
	return s.CreateUser(ctx, u)
}

func budgets(x string) []accounts.Budget {
	return []accounts.Budget{{Key: accounts.TriesKey(x + "ann"), Most: 5, Window: time.Hour, InRow: 9},
		{Key: "address/" + x, Most: 5, Window: time.Hour, Keep: time.Hour}}
}

func letter(x, id string) mail.Item {
	return mail.Item{ID: x + id, Class: mail.Class(x), Sealed: "v1.x", CreatedAt: day, NotBefore: day, Expire: day.Add(time.Hour)}
}

// then is a preparation after another one.
func then(steps ...doing) doing {
	return func(ctx context.Context, s *mongo.Store, x string) error {
		for _, do := range steps {
			if err := do(ctx, s, x); err != nil {
				return err
			}
		}
		return nil
	}
}

func err2[T any](_ T, err error) error { return err }

func err3[T, U any](_ T, _ U, err error) error { return err }

func account(ctx context.Context, s *mongo.Store, x string) error { return made(ctx, s, x, "user") }

// acts are all that write and are not by construction one document's (rule.Operations).
var acts = []act{
	{"CreateRoom", transaction, nil, makeRoom, nil},
	{"AddMember", transaction, makeRoom, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.AddMember(ctx, member(x, "cid")))
	}, nil},
	{"AddMember: an owner", transaction, makeRoom, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.AddMember(ctx, member(x, "cid", rooms.Owner)))
	}, nil},
	{"RemoveMember", transaction, makeRoom, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.RemoveMember(ctx, x, x+"bob", false, at(9)))
	}, nil},
	{"RemoveMember: one of two owners", transaction, then(makeRoom, twoOwners), func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.RemoveMember(ctx, x, x+"bob", false, at(9)))
	}, lastOwner},
	{"SetMemberRole", "", makeRoom, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.SetMemberRole(ctx, x, x+"bob", rooms.Moderator, true, at(9)))
	}, nil},
	{"SetMemberRole: a new owner", transaction, makeRoom, twoOwners, lastOwner},
	{"SetMemberRole: one of two owners", transaction, then(makeRoom, twoOwners), func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.SetMemberRole(ctx, x, x+"ann", rooms.Owner, false, at(9)))
	}, lastOwner},
	{"InsertMessage", noted, talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.InsertMessage(ctx, said(x, "3", "ann", 3), rooms.Unread{CountUsers: true}))
	}, nil},
	{"InsertMessage: a mention", noted, then(talked, joined), func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.InsertMessage(ctx, said(x, "3", "cid", 3, x+"bob"), rooms.Unread{Users: []string{x + "bob"}, CountUsers: true}))
	}, nil},
	{"InsertMessage: for all", noted, then(talked, joined), func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.InsertMessage(ctx, said(x, "3", "bob", 3, "all"), rooms.Unread{Group: true, CountGroup: true}))
	}, nil},
	{"InsertMessage: every one counts", noted, then(makeRoom, joined), func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.InsertMessage(ctx, said(x, "3", "ann", 3), rooms.Unread{CountAll: true}))
	}, nil},
	{"InsertMessage: by the system", noted, talked, func(ctx context.Context, s *mongo.Store, x string) error {
		m := said(x, "3", "ann", 3)
		m.Type = "uj"
		return err3(s.InsertMessage(ctx, m, rooms.Unread{None: true}))
	}, nil},
	{"InsertMessage: an answer", noted, then(talked, joined), func(ctx context.Context, s *mongo.Store, x string) error {
		return answer(ctx, s, x, "3", "bob", false)
	}, nil},
	{"InsertMessage: an answer more", noted, then(talked, joined, answered), func(ctx context.Context, s *mongo.Store, x string) error {
		return answer(ctx, s, x, "5", "cid", false)
	}, nil},
	{"InsertMessage: an answer that is shown", noted, then(talked, joined), func(ctx context.Context, s *mongo.Store, x string) error {
		return answer(ctx, s, x, "3", "bob", true)
	}, nil},
	{"DeleteMessage: an answer", transaction, then(talked, joined, answered), func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.DeleteMessage(ctx, x+"4", at(9)))
	}, nil},
	{"DeleteMessage: the only answer", transaction, then(talked, answeredOnce), func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.DeleteMessage(ctx, x+"3", at(9)))
	}, nil},
	{"DeleteMessage: what was answered", transaction, then(talked, joined, answered), func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.DeleteMessage(ctx, x+"1", at(9)))
	}, nil},
	{"SetFollower", "", talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.SetFollower(ctx, x+"1", x+"bob", true, at(9)))
	}, nil},
	{"ForgetThread", apart, then(talked, joined, answered), func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.ForgetThread(ctx, x, x+"1", at(9)))
	}, nil},
	{"DeleteMessage", transaction, talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.DeleteMessage(ctx, x+"1", at(9)))
	}, nil},
	{"DeleteMessage: the last", transaction, talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.DeleteMessage(ctx, x+"2", at(9)))
	}, nil},
	{"DeleteMessage: the only one", transaction, func(ctx context.Context, s *mongo.Store, x string) error {
		return errors.Join(makeRoom(ctx, s, x), err3(s.InsertMessage(ctx, said(x, "1", "ann", 1), rooms.Unread{})))
	}, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.DeleteMessage(ctx, x+"1", at(9)))
	}, nil},
	{"EditMessage", "", talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.EditMessage(ctx, x+"1", rooms.Edit{Old: "1", Text: "one", At: at(9)}))
	}, nil},
	{"SetPinned", "", talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.SetPinned(ctx, x+"1", true, rooms.Ref{}, at(9)))
	}, nil},
	{"SetStar", "", talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.SetStar(ctx, x+"1", x+"ann", true, at(9)))
	}, nil},
	{"SetReaction", "", talked, react, nil},
	// The emoji behind which nobody stands any more goes with a second command; readers do not see it before.
	{"SetReaction: the last of an emoji", ordered, then(talked, react), react, nil},
	{"ChangeRoom", "", talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.ChangeRoom(ctx, x, rooms.RoomChange{Topic: new("topic"), ReadOnly: new(true), At: at(9)}))
	}, nil},
	{"ChangeRoom: its name", noted, talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.ChangeRoom(ctx, x, rooms.RoomChange{Name: x + "new", Type: rooms.Group, At: at(9)}))
	}, nil},
	{"ChangeRoom: archived", noted, talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.ChangeRoom(ctx, x, rooms.RoomChange{Archived: new(true), At: at(9)}))
	}, nil},
	{"DeleteRoom", noted, talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.DeleteRoom(ctx, x, at(9)))
	}, nil},
	{"SetBlocked", noted, func(ctx context.Context, s *mongo.Store, x string) error {
		both := &rooms.Room{ID: x + "d", Type: rooms.Direct, UserIDs: []string{x + "ann", x + "bob"}, Usernames: []string{x + "ann", "bob"},
			DirectKey: x, TS: day, UpdatedAt: day, Users: 2}
		return s.CreateRoom(ctx, both, direct(x))
	}, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.SetBlocked(ctx, x+"d", x+"ann", x+"bob", true, at(9)))
	}, nil},
	{"TouchLastMessage", "", talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.TouchLastMessage(ctx, said(x, "2", "bob", 2), at(9)))
	}, nil},
	{"ChangeSubscription", "", talked, func(ctx context.Context, s *mongo.Store, x string) error {
		return err3(s.ChangeSubscription(ctx, x, x+"ann", rooms.SubscriptionChange{Read: true, At: at(9)}))
	}, nil},
	{"RenameUser", noted, func(ctx context.Context, s *mongo.Store, x string) error {
		both := &rooms.Room{ID: x + "d", Type: rooms.Direct, UserIDs: []string{x + "ann", x + "bob"}, Usernames: []string{x + "ann", "bob"},
			DirectKey: x, TS: day, UpdatedAt: day, Users: 2}
		return errors.Join(account(ctx, s, x), makeRoom(ctx, s, x), s.CreateRoom(ctx, both, direct(x)),
			err2(s.UpdateUser(ctx, x+"ann", user.Change{Username: new(x + "eve"), At: at(1)})))
	}, func(ctx context.Context, s *mongo.Store, x string) error {
		return s.RenameUser(ctx, rooms.Ref{ID: x + "ann", Username: x + "eve"}, at(9))
	}, nil},
	{"AddFile", "", nil, func(ctx context.Context, s *mongo.Store, x string) error {
		return s.AddFile(ctx, upload(x, rooms.FileUploading))
	}, nil},
	{"SetFile", "", uploaded, func(ctx context.Context, s *mongo.Store, x string) error {
		return s.SetFile(ctx, upload(x, rooms.FileAttached), rooms.FileUploading)
	}, nil},
	{"TouchFile", "", uploaded, func(ctx context.Context, s *mongo.Store, x string) error { return s.TouchFile(ctx, x+"file", at(9)) }, nil},
	{"EndFile", "", uploaded, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.EndFile(ctx, x+"file", at(9)))
	}, nil},
	{"RemoveFile", "", then(uploaded, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.EndFile(ctx, x+"file", at(8)))
	}),
		func(ctx context.Context, s *mongo.Store, x string) error { return s.RemoveFile(ctx, x+"file") }, nil},
	{"AddHook", "", nil, func(ctx context.Context, s *mongo.Store, x string) error { return s.AddHook(ctx, hook(x)) }, nil},
	{"SetHook", "", hooked, func(ctx context.Context, s *mongo.Store, x string) error {
		h := hook(x)
		h.Enabled, h.UpdatedAt = true, at(9)
		return s.SetHook(ctx, h, day)
	}, nil},
	{"RemoveHook", "", hooked, func(ctx context.Context, s *mongo.Store, x string) error { return s.RemoveHook(ctx, x+"hook") }, nil},
	{"PutInvite", "", nil, func(ctx context.Context, s *mongo.Store, x string) error { return err2(s.PutInvite(ctx, invite(x))) }, nil},
	{"UseInvite", "", linked, func(ctx context.Context, s *mongo.Store, x string) error { return s.UseInvite(ctx, x+"i", x, day) }, nil},
	{"UnuseInvite", "", then(linked, func(ctx context.Context, s *mongo.Store, x string) error { return s.UseInvite(ctx, x+"i", x, day) }),
		func(ctx context.Context, s *mongo.Store, x string) error { return s.UnuseInvite(ctx, x+"i", x, day) }, nil},
	{"RemoveInvite", "", linked, func(ctx context.Context, s *mongo.Store, x string) error { return s.RemoveInvite(ctx, x+"i") }, nil},
	{"AddReport", "", nil, reported, nil},
	{"HideReports", apart, reported, func(ctx context.Context, s *mongo.Store, x string) error {
		return s.HideReports(ctx, rooms.ReportQuery{UserID: x + "bob"}, rooms.Moderation{HiddenAt: day})
	}, nil},
	{"SweepGone", apart, nil, func(ctx context.Context, s *mongo.Store, x string) error {
		return s.SweepGone(ctx, day.AddDate(-100, 0, 0))
	}, nil},
	{"Mend", "", nil, func(ctx context.Context, s *mongo.Store, x string) error { return s.Mend(ctx, day.AddDate(-100, 0, 0)) }, nil},
	{"TouchNode", "", nil, func(ctx context.Context, s *mongo.Store, x string) error { return s.TouchNode(ctx, x, day) }, nil},
	{"SavePresence", apart, nil, here, nil},
	{"SweepPresence", apart, here, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.SweepPresence(ctx, day.Add(time.Hour)))
	}, nil},
	{"SaveStatuses", apart, account, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.SaveStatuses(ctx, map[string]string{x + "ann": user.Away}, at(9)))
	}, nil},

	{"CreateUser", "", nil, account, nil},
	// What is left of an account that is gone belongs to nobody: ids are not used again.
	{"DeleteUser", ordered, then(account, tried), func(ctx context.Context, s *mongo.Store, x string) error { return s.DeleteUser(ctx, x+"ann", false) }, nil},
	{"DeleteUser: an administrator", ordered, then(admins, tried), func(ctx context.Context, s *mongo.Store, x string) error {
		return s.DeleteUser(ctx, x+"ann", true)
	}, lastAdmin},
	{"UpdateUser: an administrator loses his rights", ordered, admins, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.UpdateUser(ctx, x+"ann", user.Change{Roles: &[]string{"user"}, At: at(9)}))
	}, lastAdmin},
	{"UpdateUser: a token made anew", "", account, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.UpdateUser(ctx, x+"ann", user.Change{IfToken: x + "pat", RemoveToken: x + "pat", At: at(9),
			AddToken: &user.LoginToken{HashedToken: x + "new", Type: user.PersonalAccessToken, Name: "robot", CreatedAt: day}}))
	}, nil},
	{"SweepTokens", apart, func(ctx context.Context, s *mongo.Store, x string) error {
		u := &user.User{ID: x + "ann", CreatedAt: day}
		u.Services.Resume = &user.Resume{LoginTokens: []user.LoginToken{{HashedToken: x + "h", When: at(-9)}}}
		v := &user.User{ID: x + "bob", CreatedAt: day}
		v.Services.Resume = &user.Resume{LoginTokens: []user.LoginToken{{HashedToken: x + "h2", When: at(-9)}}}
		return errors.Join(s.CreateUser(ctx, u), s.CreateUser(ctx, v))
	}, func(ctx context.Context, s *mongo.Store, x string) error {
		return err2(s.SweepTokens(ctx, at(-1), at(-1), at(-1)))
	}, nil},
	{"ResetGuard", "", nil, func(ctx context.Context, s *mongo.Store, x string) error { return s.ResetGuard(ctx, x) }, nil},
	// What is counted in one document and not yet in the next is one guess less for whoever guesses.
	{"CountTries", ordered, tried, tried, counted},
	{"EndTries", ordered, tried, func(ctx context.Context, s *mongo.Store, x string) error {
		return s.EndTries(ctx, "t", budgets(x), true)
	}, nil},
	{"SaveSettings", ordered, nil, func(ctx context.Context, s *mongo.Store, x string) error {
		return s.SaveSettings(ctx, []settings.Stored{{ID: x + "a", Value: "v"}, {ID: x + "b", Value: "v"}})
	}, nil},
	{"SetKeyCheck", "", nil, func(ctx context.Context, s *mongo.Store, x string) error {
		return s.SetKeyCheck(ctx, "", "v")
	}, nil},
	{"PutMail", ordered, func(ctx context.Context, s *mongo.Store, x string) error { return s.PutMail(ctx, letter(x, "1"), 3) },
		func(ctx context.Context, s *mongo.Store, x string) error { return s.PutMail(ctx, letter(x, "2"), 3) }, room},
	{"DeleteMail", ordered, func(ctx context.Context, s *mongo.Store, x string) error { return s.PutMail(ctx, letter(x, "1"), 3) },
		func(ctx context.Context, s *mongo.Store, x string) error { return s.DeleteMail(ctx, x+"1") }, room},
	{"ClaimMail", "", func(ctx context.Context, s *mongo.Store, x string) error { return s.PutMail(ctx, letter(x, "1"), 3) },
		func(ctx context.Context, s *mongo.Store, x string) error {
			return err2(s.ClaimMail(ctx, "node", day, time.Hour))
		}, nil},
	{"AppendEvents", apart, nil, func(ctx context.Context, s *mongo.Store, x string) error {
		return s.AppendEvents(ctx, []feed.Event{{ID: x + "1", At: day}, {ID: x + "2", At: day}})
	}, nil},
	{"MarkNow", "", nil, func(ctx context.Context, s *mongo.Store, x string) error { return err2(s.MarkNow(ctx)) }, nil},
}

func direct(x string) []*rooms.Subscription {
	ann, bob := member(x, "ann"), member(x, "bob")
	for i, m := range []*rooms.Subscription{ann, bob} {
		m.ID, m.RoomID, m.Type, m.Name, m.FName = m.ID+"d", x+"d", rooms.Direct, []string{"bob", x + "ann"}[i], ""
	}
	ann.User.Username = x + "ann"
	return []*rooms.Subscription{ann, bob}
}

func invite(x string) *rooms.Invite {
	return &rooms.Invite{ID: x + "i", RoomID: x, UserID: x + "ann", MaxUses: 2, CreatedAt: day, UpdatedAt: day, Seed: x, Digest: x}
}

func linked(ctx context.Context, s *mongo.Store, x string) error {
	return err2(s.PutInvite(ctx, invite(x)))
}

func reported(ctx context.Context, s *mongo.Store, x string) error {
	return s.AddReport(ctx, &rooms.Report{ID: x + "report", TS: day, UpdatedAt: day, ReportedBy: rooms.Ref{ID: x + "ann"},
		ReportedUser: &rooms.Ref{ID: x + "bob"}})
}

func upload(x string, in rooms.FileState) *rooms.File {
	return &rooms.File{ID: x + "file", Name: "a", Size: 1, RoomID: x, UserID: x + "ann", UploadedAt: day, UpdatedAt: day, Store: rooms.OwnFiles, State: in}
}

func hook(x string) *rooms.Hook {
	return &rooms.Hook{ID: x + "hook", Type: rooms.IncomingHook, Channels: []string{"#" + x}, CreatedBy: rooms.Ref{ID: x + "ann"}, CreatedAt: day, UpdatedAt: day}
}

func hooked(ctx context.Context, s *mongo.Store, x string) error { return s.AddHook(ctx, hook(x)) }

func uploaded(ctx context.Context, s *mongo.Store, x string) error {
	return s.AddFile(ctx, upload(x, rooms.FileUploading))
}

func joined(ctx context.Context, s *mongo.Store, x string) error {
	return err2(s.AddMember(ctx, member(x, "cid")))
}

func react(ctx context.Context, s *mongo.Store, x string) error {
	_, _, _, err := s.SetReaction(ctx, x+"1", ":a:", "ann", nil, 9, at(9))
	return err
}

func here(ctx context.Context, s *mongo.Store, x string) error {
	return err2(s.SavePresence(ctx, x, []rooms.Presence{{UserID: x + "ann", Status: rooms.Online}, {UserID: x + "bob", Status: rooms.Online}}, day, day))
}

func tried(ctx context.Context, s *mongo.Store, x string) error {
	return s.CountTries(ctx, "t", day, budgets(x))
}

// admins makes two administrators, and lets those go who were left of others.
func admins(ctx context.Context, s *mongo.Store, x string) error {
	before, err := s.Administrators(ctx)
	err = errors.Join(err, made(ctx, s, x, "admin"), s.CreateUser(ctx, &user.User{ID: x + "bob", Username: x + "bob", CreatedAt: day, Roles: []string{"admin"}}))
	for _, u := range before {
		err = errors.Join(err, err2(s.UpdateUser(ctx, u.ID, user.Change{Roles: &[]string{"user"}, At: at(11)})))
	}
	return err
}
