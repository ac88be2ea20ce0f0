//go:build !norooms

package rest_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rooms"
	"ddpserver/internal/secret"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// The part of the walk over the surface that is about rooms: what the recorder
// notes of their store, what a stage has of them, and the scenes of their calls.

func init() {
	maps.Copy(scenesOfMethods, scenesOfRoomMethods)
	maps.Copy(scenesOfRoutes, scenesOfRoomRoutes)
}

func (r *recorder) CreateRoom(ctx context.Context, room *rooms.Room, m []*rooms.Subscription) error {
	r.note("CreateRoom " + room.Type)
	return r.Store.CreateRoom(ctx, room, m)
}

func (r *recorder) AddMember(ctx context.Context, s *rooms.Subscription) (*rooms.Room, error) {
	r.note("AddMember")
	return r.Store.AddMember(ctx, s)
}

func (r *recorder) RemoveMember(ctx context.Context, room, id string, force bool, at time.Time) (*rooms.Room, *rooms.Subscription, error) {
	r.note("RemoveMember")
	return r.Store.RemoveMember(ctx, room, id, force, at)
}

func (r *recorder) SetMemberRole(ctx context.Context, room, id, role string, on bool, at time.Time) (*rooms.Subscription, error) {
	r.note("SetMemberRole " + role + map[bool]string{true: " on", false: " off"}[on])
	return r.Store.SetMemberRole(ctx, room, id, role, on, at)
}

func (r *recorder) ChangeRoom(ctx context.Context, id string, c rooms.RoomChange) (*rooms.Room, *rooms.Room, error) {
	r.note("ChangeRoom " + membersOf(c))
	return r.Store.ChangeRoom(ctx, id, c)
}

func (r *recorder) DeleteRoom(ctx context.Context, id string, at time.Time) (*rooms.Room, []*rooms.Subscription, error) {
	r.note("DeleteRoom")
	return r.Store.DeleteRoom(ctx, id, at)
}

func (r *recorder) SetBlocked(ctx context.Context, room, blocker, blocked string, on bool, at time.Time) (bool, error) {
	r.note("SetBlocked")
	return r.Store.SetBlocked(ctx, room, blocker, blocked, on, at)
}

func (r *recorder) ChangeSubscription(ctx context.Context, room, id string, c rooms.SubscriptionChange) (*rooms.Subscription, bool, error) {
	r.note("ChangeSubscription " + membersOf(c))
	return r.Store.ChangeSubscription(ctx, room, id, c)
}

// membersOf names what a change changes; switches with what they are put to.
func membersOf(c any) string {
	var members []string
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		f := v.Field(i)
		if name := v.Type().Field(i).Name; name != "At" && !f.IsZero() {
			if f.Kind() == reflect.Pointer && f.Elem().Kind() == reflect.Bool {
				name += fmt.Sprint("=", f.Elem())
			}
			members = append(members, name)
		}
	}
	return strings.Join(members, " ")
}

func (r *recorder) InsertMessage(ctx context.Context, m *rooms.Message, e rooms.Unread) (*rooms.Room, []string, error) {
	r.note("InsertMessage")
	return r.Store.InsertMessage(ctx, m, e)
}

func (r *recorder) EditMessage(ctx context.Context, id string, e rooms.Edit) (*rooms.Message, error) {
	r.note("EditMessage")
	return r.Store.EditMessage(ctx, id, e)
}

func (r *recorder) SetPinned(ctx context.Context, id string, on bool, by rooms.Ref, at time.Time) (*rooms.Message, error) {
	r.note("SetPinned" + map[bool]string{true: " on", false: " off"}[on])
	return r.Store.SetPinned(ctx, id, on, by, at)
}

func (r *recorder) SetStar(ctx context.Context, id, userID string, on bool, at time.Time) (*rooms.Message, bool, error) {
	r.note("SetStar")
	return r.Store.SetStar(ctx, id, userID, on, at)
}

func (r *recorder) SetReaction(ctx context.Context, id, emoji, name string, on *bool, max int, at time.Time) (*rooms.Message, bool, bool, error) {
	r.note("SetReaction")
	return r.Store.SetReaction(ctx, id, emoji, name, on, max, at)
}

func (r *recorder) SetFollower(ctx context.Context, id, userID string, on bool, at time.Time) (*rooms.Message, bool, error) {
	r.note("SetFollower" + map[bool]string{true: " on", false: " off"}[on])
	return r.Store.SetFollower(ctx, id, userID, on, at)
}

func (r *recorder) ForgetThread(ctx context.Context, room, id string, at time.Time) ([]string, error) {
	r.note("ForgetThread")
	return r.Store.ForgetThread(ctx, room, id, at)
}

func (r *recorder) DeleteMessage(ctx context.Context, id string, at time.Time) (*rooms.Room, *rooms.Message, error) {
	r.note("DeleteMessage")
	return r.Store.DeleteMessage(ctx, id, at)
}

func (r *recorder) AddFile(ctx context.Context, f *rooms.File) error {
	r.note("AddFile" + whose(f))
	return r.Store.AddFile(ctx, f)
}

func (r *recorder) SetFile(ctx context.Context, f *rooms.File, from rooms.FileState) error {
	r.note("SetFile " + string(f.State) + whose(f))
	return r.Store.SetFile(ctx, f, from)
}

func (r *recorder) EndFile(ctx context.Context, id string, at time.Time) (*rooms.File, error) {
	kind := ""
	if f, err := r.Store.FileByID(ctx, id); err == nil {
		kind = whose(f)
	}
	r.note("EndFile" + kind)
	return r.Store.EndFile(ctx, id, at)
}

// whose says what a file belongs to, if it is a picture.
func whose(f *rooms.File) string {
	switch {
	case f.OfUser != "":
		return " of an account"
	case f.OfRoom != "":
		return " of a room"
	}
	return ""
}

// furnish makes the rooms and what is said in them.
func (s *stage) furnish() {
	ctx, w := s.T.Context(), s.walk
	must := func(err error) {
		s.T.Helper()
		if err != nil {
			s.T.Fatal(err)
		}
	}
	room := func(by *user.User, t, name string, with ...string) string {
		r, err := w.Chat.Create(ctx, by, rooms.NewRoom{Type: t, Name: fmt.Sprintf("%s%d", name, s.n), Usernames: with})
		must(err)
		return r.ID
	}
	s.own = room(s.admin, rooms.Channel, "own", s.other.Username)
	s.private = room(s.admin, rooms.Group, "private", s.other.Username)
	s.theirs = room(s.other, rooms.Channel, "theirs", s.admin.Username)
	d, err := w.Chat.CreateDirect(ctx, s.admin, []string{s.other.Username})
	must(err)
	s.direct = d.ID
	say := func(by *user.User, text string) string {
		m, err := w.Chat.Send(ctx, by, rooms.Draft{RoomID: s.own, Text: text})
		must(err)
		return m.ID
	}
	s.mine, s.hers = say(s.admin, "mine"), say(s.other, "hers")
}

func gone(s *stage) {
	if err := s.Chat.Leave(s.T.Context(), s.admin, s.theirs); err != nil {
		s.T.Fatal(err)
	}
}

// muted prepares a member who may not write.
func muted(s *stage) {
	if err := s.Chat.Mute(s.T.Context(), s.admin, s.own, s.other.Username, true); err != nil {
		s.T.Fatal(err)
	}
}

// archived prepares rooms that are out of use.
func archived(s *stage) {
	for _, room := range []string{s.own, s.private} {
		if err := s.Chat.Archive(s.T.Context(), s.admin, room, true); err != nil {
			s.T.Fatal(err)
		}
	}
}

func pinned(s *stage) {
	if _, err := s.Chat.Pin(s.T.Context(), s.admin, s.mine); err != nil {
		s.T.Fatal(err)
	}
}

// answered prepares an answer of somebody else to the caller's message.
func answered(s *stage) {
	if _, err := s.Chat.Send(s.T.Context(), s.other, rooms.Draft{RoomID: s.own, Text: "yes?", ThreadID: s.mine}); err != nil {
		s.T.Fatal(err)
	}
}

func hidden(s *stage) {
	for _, room := range []string{s.own, s.private, s.direct} {
		if _, err := s.Chat.Open(s.T.Context(), s.admin, room, false); err != nil {
			s.T.Fatal(err)
		}
	}
}

// theirRole prepares a role of somebody in a room where the caller has none.
func theirRole(role string) func(s *stage) {
	return func(s *stage) {
		third, err := s.Accounts.CreateByOperator(s.T.Context(), accounts.OperatorAccount{Username: fmt.Sprint("eve", s.n),
			Password: secret.String(testkit.Password)})
		if err == nil {
			err = s.Chat.Invite(s.T.Context(), s.other, s.theirs, []string{third.Username})
		}
		if err == nil && role != "" {
			err = s.Chat.SetRole(s.T.Context(), s.other, s.theirs, third.ID, role, true)
		}
		if err != nil {
			s.T.Fatal(err)
		}
		s.third = third
	}
}

// scenesOfRoomMethods has every method of rooms.
var scenesOfRoomMethods = map[string][]scene{
	"getSlashCommandPreviews": {with(func(s *stage) []any {
		return []any{object{"cmd": "me", "msg": object{"rid": s.own}}}
	}).hears("error-invalid-command")},
	"executeSlashCommandPreview": {with(func(s *stage) []any {
		return []any{object{"cmd": "me", "msg": object{"rid": s.own}}, object{"id": "1", "type": "text", "value": "x"}}
	}).hears("error-invalid-command")},
	"createChannel":       {with(func(s *stage) []any { return []any{fmt.Sprint("c", s.n)} })},
	"createPrivateGroup":  {with(func(s *stage) []any { return []any{fmt.Sprint("g", s.n)} })},
	"createDirectMessage": {with(func(s *stage) []any { return []any{s.third.Username} }).after(theirRole(""))},
	"joinRoom":            {with(func(s *stage) []any { return []any{s.theirs} }).after(gone)},
	"leaveRoom":           {with(func(s *stage) []any { return []any{s.theirs} })},
	"addUsersToRoom":      {with(func(s *stage) []any { return []any{object{"rid": s.own, "users": []any{s.third.Username}}} }).after(theirRole("")).free()},
	"addUserToRoom":       {with(func(s *stage) []any { return []any{object{"rid": s.own, "username": s.third.Username}} }).after(theirRole("")).free()},
	"removeUserFromRoom":  {with(func(s *stage) []any { return []any{object{"rid": s.own, "username": s.other.Username}} })},
	"addRoomOwner":        {with(func(s *stage) []any { return []any{s.own, s.other.ID} })},
	"removeRoomOwner":     {with(func(s *stage) []any { return []any{s.theirs, s.third.ID} }).after(theirRole("owner"))},
	"addRoomModerator":    {with(func(s *stage) []any { return []any{s.own, s.other.ID} })},
	"removeRoomModerator": {with(func(s *stage) []any { return []any{s.theirs, s.third.ID} }).after(theirRole("moderator"))},
	"addRoomLeader":       {with(func(s *stage) []any { return []any{s.own, s.other.ID} })},
	"removeRoomLeader":    {with(func(s *stage) []any { return []any{s.theirs, s.third.ID} }).after(theirRole("leader"))},
	"addAllUserToRoom":    {with(func(s *stage) []any { return []any{s.own} }).after(theirRole(""))},
	"getUserRoles":        {with(nothing)},
	"muteUserInRoom":      {with(func(s *stage) []any { return []any{object{"rid": s.own, "username": s.other.Username}} })},
	"unmuteUserInRoom":    {with(func(s *stage) []any { return []any{object{"rid": s.own, "username": s.other.Username}} }).after(muted)},
	"blockUser":           {with(func(s *stage) []any { return []any{object{"rid": s.direct, "blocked": s.other.ID}} })},
	"unblockUser":         {with(func(s *stage) []any { return []any{object{"rid": s.direct, "blocked": s.other.ID}} })},
	"getRoomRoles":        {with(func(s *stage) []any { return []any{s.own} })},
	"saveRoomSettings": {
		with(func(s *stage) []any { return []any{s.own, "roomTopic", fmt.Sprint("topic ", s.n)} }),
		with(func(s *stage) []any {
			return []any{s.own, object{"roomName": fmt.Sprint("renamed", s.n), "readOnly": true}}
		}).named("several"),
		with(func(s *stage) []any { return []any{s.private, "roomType", "c"} }).named("public"),
		with(func(s *stage) []any { return []any{s.own, "roomAvatar", avatarData} }).named("a picture"),
	},
	"archiveRoom":          {with(func(s *stage) []any { return []any{s.own} })},
	"unarchiveRoom":        {with(func(s *stage) []any { return []any{s.own} }).after(archived)},
	"eraseRoom":            {with(func(s *stage) []any { return []any{s.own} }), with(func(s *stage) []any { return []any{s.theirs} }).named("another's")},
	"rooms/get":            {with(nothing)},
	"getRoomByTypeAndName": {with(func(s *stage) []any { return []any{"c", fmt.Sprint("own", s.n)} })},
	"getRoomIdByNameOrId":  {with(func(s *stage) []any { return []any{s.own} })},
	"getRoomNameById":      {with(func(s *stage) []any { return []any{s.own} })},
	"roomNameExists":       {with(func(s *stage) []any { return []any{fmt.Sprint("private", s.n)} })},
	"getUsersOfRoom":       {with(func(s *stage) []any { return []any{s.own, true} })},

	"sendMessage":              {with(func(s *stage) []any { return []any{object{"rid": s.own, "msg": "hello"}} })},
	"updateMessage":            {with(func(s *stage) []any { return []any{object{"_id": s.mine, "msg": "edited"}} })},
	"deleteMessage":            {with(func(s *stage) []any { return []any{object{"_id": s.mine}} })},
	"pinMessage":               {with(func(s *stage) []any { return []any{object{"_id": s.mine}} })},
	"unpinMessage":             {with(func(s *stage) []any { return []any{object{"_id": s.mine}} }).after(pinned)},
	"starMessage":              {with(func(s *stage) []any { return []any{object{"_id": s.mine, "starred": true}} })},
	"setReaction":              {with(func(s *stage) []any { return []any{":+1:", s.mine} })},
	"followMessage":            {with(func(s *stage) []any { return []any{object{"mid": s.hers}} })},
	"unfollowMessage":          {with(func(s *stage) []any { return []any{object{"mid": s.mine}} }).after(answered)},
	"readThreads":              {with(func(s *stage) []any { return []any{s.mine} }).after(answered)},
	"getThreadMessages":        {with(func(s *stage) []any { return []any{object{"tmid": s.mine}} }).after(answered)},
	"getThreadsList":           {with(func(s *stage) []any { return []any{object{"rid": s.own}} })},
	"getUserMentionsByChannel": {with(func(s *stage) []any { return []any{object{"roomId": s.own}} })},
	"loadHistory":              {with(func(s *stage) []any { return []any{s.own} })},
	"loadMissedMessages":       {with(func(s *stage) []any { return []any{s.own, time.UnixMilli(0)} })},
	"getSingleMessage":         {with(func(s *stage) []any { return []any{s.mine} })},

	"setAvatarFromService": {
		with(func(s *stage) []any { return []any{avatarData, "image/png", "upload"} }).named("oneself"),
		with(func(s *stage) []any { return []any{avatarData, "image/png", "upload", s.other.ID} }).named("another's"),
	},
	"resetAvatar": {
		with(nothing).named("oneself").after(portrayed),
		with(func(s *stage) []any { return []any{s.other.ID} }).named("another's").after(portrayed),
	},
	"getAvatarSuggestion":     {with(nothing)},
	"spotlight":               {list("gen")},
	"channelsList":            {list("", "public"), list("", "private").named("private")},
	"browseChannels":          {list(object{"type": "channels"}), list(object{"type": "users"}).named("people")},
	"loadSurroundingMessages": {with(func(s *stage) []any { return []any{object{"_id": s.mine}} })},
	"unreadMessages": {
		with(func(s *stage) []any { return []any{nil, s.own} }), with(func(s *stage) []any { return []any{object{"_id": s.hers}} }).named("from a message on"),
	},
	"ignoreUser": {with(func(s *stage) []any { return []any{object{"rid": s.own, "userid": s.other.ID, "ignore": true}} })},

	"findOrCreateInvite":  {with(func(s *stage) []any { return []any{object{"rid": s.own, "days": 1, "maxUses": 5}} })},
	"validateInviteToken": {with(func(s *stage) []any { return []any{s.token} })},
	"useInviteToken":      {with(func(s *stage) []any { return []any{s.token} }).after(invited)},
	"listInvites":         {with(nothing)},
	"removeInvite":        {with(func(s *stage) []any { return []any{s.token} }).after(inviting)},

	"reportMessage": {with(func(s *stage) []any { return []any{s.hers, "rude"} })},
	"reportUser":    {with(func(s *stage) []any { return []any{s.other.ID, "rude"} })},

	"listEmojiCustom":   {with(nothing)},
	"deleteFileMessage": {with(func(s *stage) []any { return []any{s.token} }).after(sentFile)},

	"subscriptions/get":             {with(nothing)},
	"readMessages":                  {with(func(s *stage) []any { return []any{s.own} })},
	"openRoom":                      {with(func(s *stage) []any { return []any{s.own} }).after(hidden)},
	"hideRoom":                      {with(func(s *stage) []any { return []any{s.own} })},
	"toggleFavorite":                {with(func(s *stage) []any { return []any{s.own, true} })},
	"stream-notify-room":            {with(func(s *stage) []any { return []any{s.own + "/typing", s.admin.Username, true} })},
	"UserPresence:connect":          {with(nothing)},
	"UserPresence:online":           {with(nothing)},
	"UserPresence:away":             {with(nothing)},
	"UserPresence:setDefaultStatus": {list("busy")},
	"setUserStatus":                 {list("busy")},
}

// scenesOfRoomRoutes has every route but those of one kind of rooms (scenesOfRooms).
var scenesOfRoomRoutes = map[string][]scene{
	"GET rooms.info":              {at("rooms.info?roomId=%s", own)},
	"GET rooms.get":               {req(plain)},
	"POST rooms.favorite":         {req(func(s *stage) any { return object{"roomId": s.own, "favorite": true} })},
	"POST rooms.saveRoomSettings": {req(func(s *stage) any { return object{"rid": s.own, "joinCode": "sesame", "roomAnnouncement": "news"} })},
	"POST rooms.changeArchivationState": {
		req(func(s *stage) any { return object{"rid": s.own, "action": "archive"} }),
		req(func(s *stage) any { return object{"rid": s.own, "action": "unarchive"} }).after(archived).named("back"),
	},
	"GET rooms.nameExists":                     {at("rooms.nameExists?roomName=private%d", func(s *stage) any { return s.n })},
	"GET rooms.isMember":                       {at("rooms.isMember?roomId=%s&userId=%s", own, func(s *stage) any { return s.other.ID })},
	"POST rooms.open":                          {req(func(s *stage) any { return object{"roomId": s.own} }).after(hidden)},
	"POST rooms.hide":                          {req(func(s *stage) any { return object{"roomId": s.own} })},
	"POST rooms.join":                          {req(func(s *stage) any { return object{"roomId": s.theirs} }).after(gone)},
	"GET rooms.adminRooms":                     {req(plain)},
	"GET rooms.adminRooms.getRoom":             {at("rooms.adminRooms.getRoom?rid=%s", own)},
	"GET rooms.autocomplete.adminRooms":        {req(plain)},
	"GET rooms.autocomplete.channelAndPrivate": {req(plain)},
	"POST rooms.delete":                        {req(func(s *stage) any { return object{"roomId": s.private} })},
	"GET rooms.membersOrderedByRole":           {at("rooms.membersOrderedByRole?roomId=%s", own)},
	"POST rooms.muteUser":                      {req(func(s *stage) any { return object{"roomId": s.own, "userId": s.other.ID} })},
	"POST rooms.unmuteUser":                    {req(func(s *stage) any { return object{"roomId": s.own, "username": s.other.Username} }).after(muted)},
	"GET subscriptions.get":                    {req(plain)},
	"GET subscriptions.getOne":                 {at("subscriptions.getOne?roomId=%s", own)},
	"POST subscriptions.read":                  {req(func(s *stage) any { return object{"rid": s.own} })},

	"GET rooms.autocomplete.channelAndPrivate.withPagination": {req(plain)},

	"GET spotlight":             {at("spotlight?query=%s", func(*stage) any { return "gen" })},
	"GET directory":             {req(plain)},
	"POST subscriptions.unread": {req(func(s *stage) any { return object{"roomId": s.own} })},
	"GET chat.ignoreUser":       {at("chat.ignoreUser?rid=%s&userId=%s", own, func(s *stage) any { return s.other.ID })},

	"POST findOrCreateInvite":  {req(func(s *stage) any { return object{"rid": s.own} })},
	"POST validateInviteToken": {post(object{"token": "nothing"})},
	"POST useInviteToken":      {req(func(s *stage) any { return object{"token": s.token} }).after(invited)},
	"GET listInvites":          {req(plain)},
	"DELETE removeInvite/:_id": {at("removeInvite/%s", func(s *stage) any { return s.token }).after(inviting)},

	"POST chat.reportMessage":              {req(func(s *stage) any { return object{"messageId": s.hers, "description": "rude"} })},
	"POST moderation.reportUser":           {req(func(s *stage) any { return object{"userId": s.other.ID, "description": "rude"} })},
	"GET moderation.reportsByUsers":        {req(plain)},
	"GET moderation.userReports":           {req(plain)},
	"GET moderation.reports":               {at("moderation.reports?msgId=%s", func(s *stage) any { return s.hers })},
	"GET moderation.reportInfo":            {at("moderation.reportInfo?reportId=%s", func(s *stage) any { return s.token }).after(reported)},
	"GET moderation.user.reportedMessages": {at("moderation.user.reportedMessages?userId=%s", func(s *stage) any { return s.other.ID })},
	"GET moderation.user.reportsByUserId":  {at("moderation.user.reportsByUserId?userId=%s", func(s *stage) any { return s.other.ID })},
	"POST moderation.dismissReports":       {req(func(s *stage) any { return object{"userId": s.other.ID} })},
	"POST moderation.dismissUserReports":   {req(func(s *stage) any { return object{"userId": s.other.ID} }).after(reported)},

	"POST rooms.upload/:rid": {req(func(*stage) any { return testkit.PartsOf("file", "a.txt", "hello", "msg=look") }).at("rooms.upload/", own)},
	"POST rooms.media/:rid":  {req(func(*stage) any { return testkit.PartsOf("file", "a.txt", "hello") }).at("rooms.media/", own)},
	"POST rooms.mediaConfirm/:rid/:fileId": {post(object{"msg": "look"}).after(waitingFile).
		at("rooms.mediaConfirm/", func(s *stage) any { return s.own + "/" + s.token })},
	"POST users.setAvatar": {
		req(func(*stage) any { return testkit.PartsOf("image", "a.png", avatarBytes()) }).named("oneself"),
		req(func(s *stage) any { return testkit.PartsOf("image", "a.png", avatarBytes(), "userId="+s.other.ID) }).named("another's"),
	},
	"POST users.resetAvatar": {
		req(plain).named("oneself").after(portrayed),
		req(func(s *stage) any { return object{"userId": s.other.ID} }).named("another's").after(portrayed),
	},
	"GET users.getAvatar":           {at("users.getAvatar?userId=%s", func(s *stage) any { return s.other.ID })},
	"GET users.getAvatarSuggestion": {req(plain)},
	"POST uploads.delete":           {req(func(s *stage) any { return object{"fileId": s.token} }).after(sentFile)},
	"GET emoji-custom.list":         {req(plain)},
	"GET rooms.images":              {at("rooms.images?roomId=%s", own)},
	"GET channels.images":           {at("channels.images?roomId=%s", own)},

	"POST chat.sendMessage": {req(func(s *stage) any { return object{"message": object{"rid": s.own, "msg": "hello"}} })},
	"POST chat.postMessage": {
		req(func(s *stage) any { return object{"roomId": s.own, "text": "hello"} }),
		req(func(s *stage) any { return object{"channel": "@" + s.third.Username, "text": "hello"} }).named("a direct room").after(theirRole("")),
	},
	"POST chat.followMessage":       {req(func(s *stage) any { return object{"mid": s.hers} })},
	"POST chat.unfollowMessage":     {req(func(s *stage) any { return object{"mid": s.mine} }).after(answered)},
	"GET chat.getThreadsList":       {at("chat.getThreadsList?rid=%s", own)},
	"GET chat.getThreadMessages":    {at("chat.getThreadMessages?tmid=%s", func(s *stage) any { return s.mine })},
	"GET chat.syncThreadsList":      {at("chat.syncThreadsList?updatedSince=2020-01-01T00:00:00Z&rid=%s", own)},
	"GET chat.syncThreadMessages":   {at("chat.syncThreadMessages?updatedSince=2020-01-01T00:00:00Z&tmid=%s", func(s *stage) any { return s.mine })},
	"GET chat.getMentionedMessages": {at("chat.getMentionedMessages?roomId=%s", own)},
	"GET chat.getDeletedMessages":   {at("chat.getDeletedMessages?since=2020-01-01T00:00:00Z&roomId=%s", own)},
	"POST chat.update":              {req(func(s *stage) any { return object{"roomId": s.own, "msgId": s.mine, "text": "edited"} })},
	"POST chat.delete":              {req(func(s *stage) any { return object{"roomId": s.own, "msgId": s.mine} })},
	"GET chat.getMessage":           {at("chat.getMessage?msgId=%s", func(s *stage) any { return s.mine })},
	"POST chat.pinMessage":          {req(func(s *stage) any { return object{"messageId": s.mine} })},
	"POST chat.unPinMessage":        {req(func(s *stage) any { return object{"messageId": s.mine} }).after(pinned)},
	"POST chat.starMessage":         {req(func(s *stage) any { return object{"messageId": s.mine} })},
	"POST chat.unStarMessage":       {req(func(s *stage) any { return object{"messageId": s.mine} })},
	"POST chat.react":               {req(func(s *stage) any { return object{"messageId": s.mine, "emoji": ":+1:"} })},
	"GET chat.search":               {at("chat.search?searchText=mine&roomId=%s", own)},
	"GET chat.syncMessages":         {at("chat.syncMessages?lastUpdate=2020-01-01T00:00:00Z&roomId=%s", own)},
	"GET chat.getPinnedMessages":    {at("chat.getPinnedMessages?roomId=%s", own)},
	"GET chat.getStarredMessages":   {at("chat.getStarredMessages?roomId=%s", own)},
	"GET users.presence":            {req(plain)},
	"GET users.getPresence":         {req(plain)},
	"GET users.getStatus":           {req(plain)},
	"POST users.setStatus":          {post(object{"status": "busy"})},
	"GET commands.list":             {req(plain)},
	"GET commands.get":              {{path: func(*stage) string { return "commands.get?command=me" }, body: plain}},
	"GET commands.preview":          {at("commands.preview?command=me&params=x&roomId=%s", own).hears("error-invalid-command")},
	"POST commands.preview": {req(func(s *stage) any {
		return object{"command": "me", "roomId": s.own, "previewItem": object{"id": "1", "type": "text", "value": "x"}}
	}).hears("error-invalid-command")},
}

func own(s *stage) any { return s.own }

// avatarData is a picture of one pixel, as a data: URL.
const avatarData = "data:image/png;base64," +
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="

func avatarBytes() string {
	_, text, _ := strings.Cut(avatarData, ",")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// portrayed gives the caller and somebody else a picture.
func portrayed(s *stage) {
	for _, u := range []*user.User{s.admin, s.other} {
		if err := s.Chat.SetAvatarData(s.T.Context(), s.admin, u, avatarData); err != nil {
			s.T.Fatal(err)
		}
	}
}

// at says the address of a scene with a body: what its path begins with, and what follows.
func (c scene) at(begin string, rest func(s *stage) any) scene {
	c.path = func(s *stage) string { return begin + rest(s).(string) }
	return c
}

// waitingFile uploads a file of the administrator's, and keeps its id.
func waitingFile(s *stage) {
	ctx := s.T.Context()
	up, err := s.Chat.BeginUpload(ctx, s.admin, s.own, "a.txt", 5)
	if err == nil {
		defer up.Close()
		_, err = up.Write([]byte("hello"))
	}
	var f *rooms.File
	if err == nil {
		f, err = up.Keep()
	}
	if err != nil {
		s.T.Fatal(err)
	}
	s.token = f.ID
}

// sentFile sends it as well.
func sentFile(s *stage) {
	waitingFile(s)
	if _, err := s.Chat.SendFile(s.T.Context(), s.admin, s.token, rooms.Draft{RoomID: s.own}, ""); err != nil {
		s.T.Fatal(err)
	}
}

// scenesOfRooms are those of the routes that every kind of room has, by what
// follows the kind.
func scenesOfRooms(kind, verb, name string) []scene {
	room := func(s *stage) string {
		switch kind {
		case "channels":
			return s.own
		case "groups":
			return s.private
		}
		return s.direct
	}
	about := func(more func(s *stage) object) scene {
		return req(func(s *stage) any {
			body := object{"roomId": room(s)}
			for k, v := range more(s) {
				body[k] = v
			}
			return body
		})
	}
	nobody := func(*stage) object { return nil }
	annie := func(s *stage) object { return object{"userId": s.other.ID} }
	role := func(role string) func(s *stage) {
		return func(s *stage) {
			if err := s.Chat.SetRole(s.T.Context(), s.admin, room(s), s.other.ID, role, true); err != nil {
				s.T.Fatal(err)
			}
		}
	}
	if verb == "GET" && strings.HasPrefix(name, "list") {
		return []scene{req(plain)}
	}
	if verb == "GET" && name == "online" {
		return []scene{at(kind+".online?_id=%s", func(s *stage) any { return room(s) })}
	}
	if verb == "GET" {
		return []scene{at(kind+"."+name+"?roomId=%s", func(s *stage) any { return room(s) })}
	}
	switch name {
	case "create":
		if kind == "im" || kind == "dm" {
			return []scene{req(func(s *stage) any { return object{"username": s.third.Username} }).after(theirRole(""))}
		}
		return []scene{req(func(s *stage) any { return object{"name": fmt.Sprint("made", s.n)} })}
	case "open":
		return []scene{about(nobody).after(hidden)}
	case "close":
		return []scene{about(nobody)}
	case "join":
		return []scene{req(func(s *stage) any { return object{"roomId": s.theirs} }).after(gone)}
	case "leave":
		return []scene{about(nobody).after(role("owner"))}
	case "invite":
		return []scene{about(func(s *stage) object { return object{"userId": s.third.ID} }).after(theirRole(""))}
	case "kick", "addOwner", "addModerator", "addLeader":
		return []scene{about(annie)}
	case "removeOwner":
		return []scene{about(annie).after(role("owner"))}
	case "addAll":
		return []scene{about(nobody).after(theirRole(""))}
	case "removeLeader":
		return []scene{about(annie).after(role("leader"))}
	case "removeModerator":
		return []scene{about(annie).after(role("moderator"))}
	case "blockUser":
		return []scene{about(func(*stage) object { return object{"block": true} })}
	case "archive", "delete":
		return []scene{about(nobody)}
	case "unarchive":
		return []scene{about(nobody).after(archived)}
	case "setTopic", "setDescription", "setPurpose", "setAnnouncement":
		return []scene{about(func(s *stage) object { return object{strings.ToLower(name[3:]): fmt.Sprint("text ", s.n)} })}
	case "rename":
		return []scene{about(func(s *stage) object { return object{"name": fmt.Sprint("renamed", s.n)} })}
	case "setReadOnly":
		return []scene{about(func(s *stage) object { return object{"readOnly": true} })}
	case "setType":
		return []scene{about(func(s *stage) object { return object{"type": map[string]string{"channels": "p", "groups": "c"}[kind]} })}
	case "setCustomFields":
		return []scene{about(func(s *stage) object { return object{"customFields": object{"n": s.n}} })}
	case "setJoinCode":
		return []scene{about(func(s *stage) object { return object{"joinCode": "sesame"} })}
	case "setDefault":
		return []scene{about(func(s *stage) object { return object{"default": true} })}
	}
	return nil
}

// A3: what an administrator does to other people's accounts, rooms and messages by
// a role of the server alone asks for a factor; remembered trust and a bypass
// token pass. Whoever runs the room is asked nothing, nor is anybody for what is
// his own.
func TestA3ActsOfOfficeAsk(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	acts := map[string]func(s *stage, room string) (verb, path string, body any){
		"invite": func(s *stage, room string) (string, string, any) {
			return "POST", "channels.invite", object{"roomId": room, "userId": s.admin.ID}
		},
		"kick": func(s *stage, room string) (string, string, any) {
			return "POST", "channels.kick", object{"roomId": room, "userId": s.third.ID}
		},
		"owner": func(s *stage, room string) (string, string, any) {
			return "POST", "channels.addOwner", object{"roomId": room, "userId": s.third.ID}
		},
		"moderator": func(s *stage, room string) (string, string, any) {
			return "POST", "channels.addModerator", object{"roomId": room, "userId": s.third.ID}
		},
		"edit": func(s *stage, room string) (string, string, any) {
			return "POST", "chat.update", object{"roomId": room, "msgId": s.hers, "text": "edited"}
		},
		"delete": func(s *stage, room string) (string, string, any) {
			return "POST", "chat.delete", object{"roomId": room, "msgId": s.hers}
		},
	}
	for name, act := range acts {
		for _, office := range []bool{true, false} {
			s := w.stage(false, true)
			theirRole("")(s)
			room := s.theirs
			if !office {
				room = s.own
				if err := s.Chat.Invite(t.Context(), s.admin, s.own, []string{s.third.Username}); err != nil {
					t.Fatal(err)
				}
			}
			m, err := s.Chat.Send(t.Context(), s.third, rooms.Draft{RoomID: room, Text: "a third's"})
			if err != nil {
				t.Fatal(err)
			}
			s.hers = m.ID
			verb, path, body := act(s, room)
			a := s.session.Do(verb, path, body)
			if asked := a.ErrorType() == "totp-required"; asked != office {
				t.Errorf("%s in a room of somebody else (%v): %d %s", name, office, a.Status, a.Raw)
			}
			if !office {
				continue
			}
			if a := s.bypass.Do(verb, path, body); a.ErrorType() == "totp-required" {
				t.Errorf("%s by a bypass token: %s", name, a.Raw)
			}
		}
	}
}
