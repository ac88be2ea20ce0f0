package calls

import (
	"context"
	"strings"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rooms"
)

// command is a slash command.
type command struct {
	name, params, about string
	// carries are the methods that it calls, that for which a code is asked first.
	carries []string
	run     func(ctx context.Context, g *slash, t *typed) error
}

// commands are those that there are, by name: what is listed is what runs.
var commands []command

func init() { // the help lists them all
	commands = []command{
		{"archive", "#channel", "Takes a room out of use", []string{"archiveRoom"}, archive(true)},
		{"create", "#channel [--private]", "Makes a channel, or a private group", []string{"createChannel", "createPrivateGroup"}, create},
		{"gimme", "[message]", "Shows ༼ つ ◕_◕ ༽つ before the message", []string{"sendMessage"}, say(func(s string) string { return "༼ つ ◕_◕ ༽つ " + s })},
		{"help", "", "Lists the commands", nil, help},
		{"hide", "[#room | @username]", "Hides a room from the list", []string{"hideRoom"}, hide},
		{"invite", "@username …", "Brings people into this room", []string{"addUsersToRoom"}, invite},
		{"invite-all-from", "#room", "Brings everybody of another room into this one", []string{"addUsersToRoom"}, inviteAllFrom},
		{"invite-all-to", "#room", "Brings everybody of this room into another one", []string{"addUsersToRoom", "createChannel", "createPrivateGroup"}, inviteAllTo},
		{"join", "#channel", "Joins a channel", []string{"joinRoom"}, join},
		{"kick", "@username", "Removes somebody from this room", []string{"removeUserFromRoom"}, about("removeUserFromRoom")},
		{"leave", "", "Leaves this room", []string{"leaveRoom"}, leave},
		{"lenny", "[message]", "Shows ( ͡° ͜ʖ ͡°) after the message", []string{"sendMessage"}, say(func(s string) string { return s + " ( ͡° ͜ʖ ͡°)" })},
		{"me", "message", "Says what you do", []string{"sendMessage"}, me},
		{"msg", "@username message", "Writes to somebody alone", []string{"createDirectMessage", "sendMessage"}, msg},
		{"mute", "@username", "Keeps somebody from writing in this room", []string{"muteUserInRoom"}, about("muteUserInRoom")},
		{"open", "#room | @username", "Shows a room in the list", []string{"openRoom", "createDirectMessage"}, open},
		{"part", "", "Leaves this room", []string{"leaveRoom"}, leave},
		{"shrug", "[message]", `Shows ¯\_(ツ)_/¯ after the message`, []string{"sendMessage"}, say(func(s string) string { return s + ` ¯\\_(ツ)_/¯` })},
		{"status", "[sentence]", "Says how you are", []string{"setUserStatus"}, status},
		{"tableflip", "[message]", "Shows (╯°□°）╯︵ ┻━┻ after the message", []string{"sendMessage"}, say(func(s string) string { return s + " (╯°□°）╯︵ ┻━┻" })},
		{"topic", "topic", "Says what this room talks about", []string{"saveRoomSettings"}, topic},
		{"unarchive", "#channel", "Takes a room back into use", []string{"unarchiveRoom"}, archive(false)},
		{"unflip", "[message]", "Shows ┬─┬ ノ( ゜-゜ノ) after the message", []string{"sendMessage"}, say(func(s string) string { return s + " ┬─┬ ノ( ゜-゜ノ)" })},
		{"unmute", "@username", "Lets somebody write in this room again", []string{"unmuteUserInRoom"}, about("unmuteUserInRoom")},
	}
}

// post sends a text to the room of the command, or to its thread. A message's id of the
// client's makes of a command that is sent twice one message.
func post(ctx context.Context, g *slash, t *typed, text string) error {
	m := ejson.Doc{{Key: "rid", Value: t.room.ID}, {Key: "msg", Value: text}}
	if t.Message.ID != "" {
		m = append(m, ejson.Field{Key: "_id", Value: t.Message.ID})
	}
	if t.Message.ThreadID != "" {
		m = append(m, ejson.Field{Key: "tmid", Value: t.Message.ThreadID})
	}
	_, err := g.carry(ctx, t, "sendMessage", m)
	return err
}

// say is a command that sends a text with something beside it.
func say(with func(string) string) func(context.Context, *slash, *typed) error {
	return func(ctx context.Context, g *slash, t *typed) error { return post(ctx, g, t, with(t.Params)) }
}

func me(ctx context.Context, g *slash, t *typed) error {
	if strings.TrimSpace(t.Params) == "" {
		return nil
	}
	return post(ctx, g, t, "_"+t.Params+"_")
}

// nameIn is the name that a command is about, without the sign before it.
func nameIn(params string) string { return strings.TrimLeft(strings.TrimSpace(params), "#@") }

func nobody(name string) string { return "Nobody has the user name `@" + name + "`." }

func nowhere(name string) string {
	return "There is no room `#" + name + "`, or it is not yours to know of."
}

func topic(ctx context.Context, g *slash, t *typed) error {
	_, err := g.carry(ctx, t, "saveRoomSettings", t.room.ID, "roomTopic", t.Params)
	return err
}

func invite(ctx context.Context, g *slash, t *typed) error {
	names := strings.FieldsFunc(t.Params, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' || c == '\n' || c == '\r' })
	if len(names) == 0 {
		return nil
	}
	found, err := g.rooms.Existing(ctx, names)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return g.tell(t, nobody(strings.TrimLeft(strings.Join(names, " "), "@")))
	}
	users := make([]string, len(found))
	for i, u := range found {
		users[i] = u.Username
	}
	return g.told(t, g.add(ctx, t, t.room.ID, users), refusedInvitation...)
}

// add brings people into a room.
func (g *slash) add(ctx context.Context, t *typed, roomID string, users []string) error {
	_, err := g.carry(ctx, t, "addUsersToRoom", ejson.Doc{{Key: "rid", Value: roomID}, {Key: "users", Value: users}})
	return err
}

// refusedInvitation are the refusals that whoever brings people is told of in the room.
var refusedInvitation = []string{
	rooms.ErrDirectInvite.Code, rooms.ErrUserLimit.Code, rooms.ErrRoomArchived.Code, rooms.ErrNotAuthorized.Code, rooms.ErrDuplicateRoom.Code,
	fault.NotAllowed.Code,
}

func inviteAllFrom(ctx context.Context, g *slash, t *typed) error {
	name := nameIn(t.Params)
	if name == "" {
		return nil
	}
	from, err := g.rooms.Called(ctx, t.User, name, rooms.Channel, rooms.Group)
	if err != nil {
		return err
	}
	if from == nil {
		return g.tell(t, nowhere(name))
	}
	return g.all(ctx, t, from, t.room, "")
}

func inviteAllTo(ctx context.Context, g *slash, t *typed) error {
	name := nameIn(t.Params)
	if name == "" {
		return nil
	}
	to, err := g.rooms.Called(ctx, t.User, name, rooms.Channel, rooms.Group)
	if err != nil {
		return err
	}
	return g.all(ctx, t, t.room, to, name)
}

// all brings the members of one room into another, or into a new one of that name.
func (g *slash) all(ctx context.Context, t *typed, from, to *rooms.Room, name string) error {
	users, err := g.rooms.Newcomers(ctx, t.User, from.ID, to)
	switch {
	case err != nil:
	case to == nil && from.Type == rooms.Direct:
		return g.tell(t, nowhere(name))
	case to == nil:
		_, err = g.carry(ctx, t, maker(from.Type), name, users)
	case len(users) > 0:
		err = g.add(ctx, t, to.ID, users)
	}
	if err != nil {
		return g.told(t, err, refusedInvitation...)
	}
	return g.tell(t, "They are in now.")
}

// maker is the method that makes a room of that type.
func maker(roomType string) string {
	if roomType == rooms.Group {
		return "createPrivateGroup"
	}
	return "createChannel"
}

// about is a command that does something to one member of its room.
func about(method string) func(context.Context, *slash, *typed) error {
	return func(ctx context.Context, g *slash, t *typed) error {
		name := nameIn(t.Params)
		if name == "" {
			return nil
		}
		found, err := g.rooms.Existing(ctx, []string{name})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return g.tell(t, nobody(name))
		}
		_, err = g.carry(ctx, t, method, ejson.Doc{{Key: "rid", Value: t.room.ID}, {Key: "username", Value: found[0].Username}})
		return err
	}
}

func join(ctx context.Context, g *slash, t *typed) error {
	name := nameIn(t.Params)
	if name == "" {
		return nil
	}
	room, err := g.rooms.Called(ctx, t.User, name, rooms.Channel)
	if err != nil {
		return err
	}
	if room == nil {
		return g.tell(t, nowhere(name))
	}
	in, err := g.rooms.IsMember(ctx, t.User.ID, room.ID)
	if err != nil {
		return err
	}
	if in {
		return errInAlready
	}
	_, err = g.carry(ctx, t, "joinRoom", room.ID)
	return err
}

func leave(ctx context.Context, g *slash, t *typed) error {
	_, err := g.carry(ctx, t, "leaveRoom", t.room.ID)
	return g.told(t, err, rooms.ErrLastOwner.Code, rooms.ErrNotMember.Code, fault.NotAllowed.Code)
}

func msg(ctx context.Context, g *slash, t *typed) error {
	name, text, _ := strings.Cut(strings.TrimSpace(t.Params), " ")
	if name = nameIn(name); name == "" || strings.TrimSpace(text) == "" {
		return g.tell(t, "Say to whom, and what: /msg @username message")
	}
	found, err := g.rooms.Existing(ctx, []string{name})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return g.tell(t, nobody(name))
	}
	made, err := g.carry(ctx, t, "createDirectMessage", found[0].Username)
	if err != nil {
		return err
	}
	d, _ := made.(ejson.Doc)
	rid, _ := d.Get("rid")
	_, err = g.carry(ctx, t, "sendMessage", ejson.Doc{{Key: "rid", Value: rid}, {Key: "msg", Value: text}})
	return err
}

// archive takes a room out of use, or back: the one that is named, or that of the command.
func archive(on bool) func(context.Context, *slash, *typed) error {
	method, state := "unarchiveRoom", "in use"
	if on {
		method, state = "archiveRoom", "archived"
	}
	return func(ctx context.Context, g *slash, t *typed) error {
		room, name := t.room, nameIn(t.Params)
		if name != "" {
			var err error
			if room, err = g.rooms.Called(ctx, t.User, name, rooms.Channel, rooms.Group); err != nil {
				return err
			}
			if room == nil {
				return g.tell(t, nowhere(name))
			}
		}
		if room.Type != rooms.Direct && room.Archived == on {
			return g.tell(t, "`#"+room.Name+"` is "+state+" already.")
		}
		if _, err := g.carry(ctx, t, method, room.ID); err != nil {
			return err
		}
		return g.tell(t, "`#"+room.Name+"` is "+state+" now.")
	}
}

func create(ctx context.Context, g *slash, t *typed) error {
	name, kind := "", rooms.Channel
	for _, word := range strings.Fields(t.Params) {
		switch {
		case word == "--private":
			kind = rooms.Group
		case name == "":
			name = nameIn(word)
		}
	}
	if name == "" {
		return nil
	}
	_, err := g.carry(ctx, t, maker(kind), name, []string{})
	return g.told(t, err, rooms.ErrDuplicateRoom.Code)
}

func status(ctx context.Context, g *slash, t *typed) error {
	if _, err := g.carry(ctx, t, "setUserStatus", nil, t.Params); err != nil {
		return g.told(t, err, rooms.ErrStatusChange.Code)
	}
	return g.tell(t, "Your status says so now.")
}

// signed is the room that is named with its sign, #room or @username; nil when there is none.
func (g *slash) signed(ctx context.Context, t *typed, text string) (*rooms.Room, error) {
	if strings.HasPrefix(text, "@") {
		return g.rooms.Called(ctx, t.User, nameIn(text), rooms.Direct)
	}
	return g.rooms.Called(ctx, t.User, nameIn(text), rooms.Channel, rooms.Group)
}

func hide(ctx context.Context, g *slash, t *typed) error {
	room, text := t.room, strings.TrimSpace(t.Params)
	if text != "" {
		var err error
		if room, err = g.signed(ctx, t, text); err != nil {
			return err
		}
		if room == nil {
			return g.tell(t, nowhere(nameIn(text)))
		}
	}
	_, err := g.carry(ctx, t, "hideRoom", room.ID)
	return err
}

// open shows a room in the caller's list; a direct one that is not there is made.
func open(ctx context.Context, g *slash, t *typed) error {
	text := strings.TrimSpace(t.Params)
	if nameIn(text) == "" {
		return nil
	}
	if strings.HasPrefix(text, "@") {
		found, err := g.rooms.Existing(ctx, []string{nameIn(text)})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return g.tell(t, nobody(nameIn(text)))
		}
		_, err = g.carry(ctx, t, "createDirectMessage", found[0].Username)
		return err
	}
	room, err := g.signed(ctx, t, text)
	if err != nil {
		return err
	}
	if room == nil {
		return g.tell(t, nowhere(nameIn(text)))
	}
	_, err = g.carry(ctx, t, "openRoom", room.ID)
	return err
}

func help(_ context.Context, g *slash, t *typed) error {
	var b strings.Builder
	b.WriteString("The commands are:")
	for _, c := range commands {
		b.WriteString("\n`" + strings.TrimSpace("/"+c.name+" "+c.params) + "` " + c.about)
	}
	return g.tell(t, b.String())
}
