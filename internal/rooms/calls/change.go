package calls

import (
	"context"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// changeSpecs are the methods that change a room.
func (g *roomCalls) changeSpecs() []methods.Spec {
	return []methods.Spec{{
		Name: "saveRoomSettings", Do: g.save, Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary, Limit: ratelimit.Wide,
		Doc: "Changes what a room says of itself, and who may write and come in: roomName, roomTopic, roomAnnouncement, roomDescription, roomCustomFields, " +
			"roomType (c or p), readOnly, reactWhenReadOnly, default, joinCode, roomAvatar (a data: URL). Opening a private group to the public asks for a factor.",
		Params: "rid, setting, value; or rid, {setting: value, …}", Result: "{result: true, rid}",
		Errors: "error-invalid-room, error-invalid-settings, error-action-not-allowed, error-invalid-room-name, error-duplicate-channel-name, " +
			"error-invalid-room-type, error-not-allowed, " + strings.Join(pictureErrors, ", ") + ", 400 Match failed",
	}, {
		Name: "archiveRoom", Do: g.archive(true), Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
		Doc:    "Takes a channel or group out of use: it is read, takes no messages, and nobody comes in. With false it is as unarchiveRoom.",
		Params: "rid, archived?", Result: "none", Errors: "error-invalid-room, error-direct-message-room, error-not-authorized",
	}, {
		Name: "unarchiveRoom", Action: "archiveRoom", Do: g.archive(false), Effects: methods.Rooms | methods.Others, Inside: twofactor.Ordinary,
		Doc:    "Takes it back into use.",
		Params: "rid", Result: "none", Errors: "error-invalid-room, error-direct-message-room, error-not-authorized",
	}, {
		Name: "eraseRoom", Do: g.erase, Effects: methods.Rooms | methods.Others, Factor: twofactor.Ordinary,
		Doc:    "Deletes a channel or group with all that was said there, for good.",
		Params: "rid", Result: "true", Errors: "error-invalid-room, error-not-allowed",
	}}
}

func (g *roomCalls) archive(on bool) methods.Handler {
	return func(ctx context.Context, c *rpc.Call) (any, error) {
		var rid string
		var archived *bool
		if err := c.Bind(&rid, &archived); err != nil {
			return nil, err
		}
		if err := g.byOffice(ctx, c, rid, permission.ArchiveRoom); err != nil {
			return nil, err
		}
		return nil, g.rooms.Archive(ctx, c.User, rid, on && (archived == nil || *archived))
	}
}

func (g *roomCalls) erase(ctx context.Context, c *rpc.Call) (any, error) {
	var rid string
	if err := c.Bind(&rid); err != nil {
		return nil, err
	}
	return done(g.rooms.Erase(ctx, c.User, rid))
}

// roomSettings are settings of a room as clients name them.
type roomSettings struct {
	Name         *string    `ejson:"roomName"`
	Topic        *string    `ejson:"roomTopic"`
	Announcement *string    `ejson:"roomAnnouncement"`
	Description  *string    `ejson:"roomDescription"`
	CustomFields *ejson.Doc `ejson:"roomCustomFields"`
	Type         *string    `ejson:"roomType"`
	ReadOnly     *bool      `ejson:"readOnly"`
	React        *bool      `ejson:"reactWhenReadOnly"`
	Default      *bool      `ejson:"default"`
	JoinCode     *string    `ejson:"joinCode"`
	Avatar       *string    `ejson:"roomAvatar"`
	Rest         ejson.Doc  `ejson:",rest"`
}

// unserved are settings of Rocket.Chat's rooms that no room here has. Saying that they are off is no
// mistake: that they are.
var unserved = []string{
	"featured", "systemMessages", "streamingOptions", "retentionEnabled", "retentionMaxAge", "retentionExcludePinned",
	"retentionFilesOnly", "retentionIgnoreThreads", "retentionOverrideGlobal", "encrypted", "favorite",
}

// errUnserved answers those.
var errUnserved = fault.New("error-action-not-allowed", "Rooms of this server do not have that setting")

// settings are those that the two parameters behind the room name, one by name or several as
// an object.
func settingsOf(first ejson.Raw, value *ejson.Raw) (out rooms.RoomSettings, err error) {
	if len(first) > 0 && first[0] == '"' {
		var name string
		if err := ejson.Unmarshal(first, &name); err != nil {
			return out, fault.MatchFailed.Because(err)
		}
		if value == nil {
			return out, fault.MatchFailed
		}
		if first, err = ejson.Append(nil, ejson.Doc{{Key: name, Value: *value}}); err != nil {
			return out, err
		}
	}
	var s roomSettings
	if err := ejson.Unmarshal(first, &s); err != nil {
		return out, fault.MatchFailed.Because(err)
	}
	for _, f := range s.Rest {
		switch {
		case !slices.Contains(unserved, f.Key):
			return out, rooms.ErrRoomSettings
		case f.Value != nil && f.Value != false && f.Value != "":
			return out, errUnserved.With(map[string]any{"action": f.Key})
		}
	}
	if s.CustomFields != nil {
		fields, _ := ejson.Plain(*s.CustomFields).(map[string]any)
		out.CustomFields = &fields
	}
	out.Name, out.Topic, out.Announcement, out.Description, out.Type = s.Name, s.Topic, s.Announcement, s.Description, s.Type
	out.ReadOnly, out.ReactWhenReadOnly, out.Default, out.JoinCode, out.Avatar = s.ReadOnly, s.React, s.Default, s.JoinCode, s.Avatar
	return out, nil
}

func (g *roomCalls) save(ctx context.Context, c *rpc.Call) (any, error) {
	var rid string
	var first ejson.Raw
	var value *ejson.Raw
	if err := c.Bind(&rid, &first, &value); err != nil {
		return nil, err
	}
	settings, err := settingsOf(first, value)
	if err != nil {
		return nil, err
	}
	asks, err := g.rooms.ChangeAsks(ctx, c.User, rid, settings)
	if err := askOffice(ctx, c, g.challenger, asks, err); err != nil {
		return nil, err
	}
	if _, err := g.rooms.Change(ctx, c.User, rid, settings); err != nil {
		return nil, err
	}
	return ejson.Doc{{Key: "result", Value: true}, {Key: "rid", Value: rid}}, nil
}

// A join code is guessed at most so often by one user for one room. It is counted before it is
// compared, whatever the switches of the limits say; who got in has another count next time.
const (
	guessCount  = 10
	guessWindow = time.Hour
)

// guess counts an answer to the question for the code of a room.
func (g *roomCalls) guess(c *rpc.Call, roomID string) error {
	if wait, ok := g.limiter.Take(guessKey(c, roomID), guessCount, guessWindow); !ok {
		return ratelimit.TooMany(wait)
	}
	return nil
}

func guessKey(c *rpc.Call, roomID string) string { return "join/" + c.User.ID + "/" + roomID }

// The bodies of the routes that change one setting of a room, and their answers.
type (
	topicBody struct {
		roomNames
		Topic string `json:"topic"`
	}
	directTopicBody struct {
		knownRoom
		Topic string `json:"topic"`
	}
	topicAnswer struct {
		Topic string `json:"topic"`
	}
	descriptionBody struct {
		roomNames
		Description string `json:"description"`
	}
	descriptionAnswer struct {
		Description string `json:"description"`
	}
	purposeBody struct {
		roomNames
		Purpose string `json:"purpose"`
	}
	purposeAnswer struct {
		Purpose string `json:"purpose"`
	}
	announcementBody struct {
		roomNames
		Announcement string `json:"announcement"`
	}
	announcementAnswer struct {
		Announcement string `json:"announcement"`
	}
	roomNameBody struct {
		roomNames
		Name string `json:"name" minLength:"1"`
	}
	readOnlyBody struct {
		roomNames
		ReadOnly bool `json:"readOnly"`
	}
	typeBody struct {
		roomNames
		Type string `json:"type"`
	}
	customFieldsBody struct {
		roomNames
		CustomFields map[string]any `json:"customFields"`
	}
	joinCodeBody struct {
		roomNames
		JoinCode string `json:"joinCode"`
	}
	defaultBody struct {
		roomNames
		Default bool `json:"default"`
	}
	settingsBody struct {
		RID               string         `json:"rid" minLength:"1"`
		RoomName          string         `json:"roomName,omitempty"`
		RoomTopic         string         `json:"roomTopic,omitempty"`
		RoomAnnouncement  string         `json:"roomAnnouncement,omitempty"`
		RoomDescription   string         `json:"roomDescription,omitempty"`
		RoomCustomFields  map[string]any `json:"roomCustomFields,omitempty"`
		RoomType          string         `json:"roomType,omitempty"`
		ReadOnly          bool           `json:"readOnly,omitempty"`
		ReactWhenReadOnly bool           `json:"reactWhenReadOnly,omitempty"`
		Default           bool           `json:"default,omitempty"`
		JoinCode          string         `json:"joinCode,omitempty"`
		RoomAvatar        string         `json:"roomAvatar,omitempty" about:"a PNG, JPEG or GIF as a data: URL; empty takes it away"`
		Featured          bool           `json:"featured,omitempty" about:"as the others from here: Rocket.Chat's clients send it; what switches it on is refused"`
		Encrypted         bool           `json:"encrypted,omitempty"`
		SystemMessages    []string       `json:"systemMessages,omitempty"`
		Favorite          map[string]any `json:"favorite,omitempty"`
	}
	archivationBody struct {
		RID    string `json:"rid" minLength:"1"`
		Action string `json:"action,omitempty" enum:"archive,unarchive"`
	}
	settingsAnswer struct {
		RID string `json:"rid"`
	}
)

// changing is a route that changes one setting.
type changing struct {
	name, summary string
	// setting is what saveRoomSettings calls it, member what the body does.
	setting, member string
	body            func() schema.Schema
	// answer is that of the member alone; nil answers the room.
	answer func() schema.Schema
}

var changings = []changing{
	{"setTopic", "Say what a room talks about", "roomTopic", "topic", schema.Of[topicBody], schema.Answer[topicAnswer]},
	{"setDescription", "Describe a room", "roomDescription", "description", schema.Of[descriptionBody], schema.Answer[descriptionAnswer]},
	{"setPurpose", "Describe a room, by the word of old clients", "roomDescription", "purpose", schema.Of[purposeBody], schema.Answer[purposeAnswer]},
	{"setAnnouncement", "Announce something in a room", "roomAnnouncement", "announcement", schema.Of[announcementBody], schema.Answer[announcementAnswer]},
	{"rename", "Rename a room", "roomName", "name", schema.Of[roomNameBody], nil},
	{"setReadOnly", "Let only some members write, or all", "readOnly", "readOnly", schema.Of[readOnlyBody], nil},
	{"setType", "Make a channel private, or a group public", "roomType", "type", schema.Of[typeBody], nil},
	{"setCustomFields", "Keep data with a room", "roomCustomFields", "customFields", schema.Of[customFieldsBody], nil},
}

var changingsOfChannels = []changing{
	{"setJoinCode", "Ask a code of those who join; an empty one takes it away", "joinCode", "joinCode", schema.Of[joinCodeBody], nil},
	{"setDefault", "Have every new account join a channel", "default", "default", schema.Of[defaultBody], nil},
}

// changesOf are the routes that change rooms of a kind.
func (g *roomRoutes) changesOf(k kindOfRoom) (routes []rest.Route) {
	if k.roomType == rooms.Direct {
		return []rest.Route{{Verb: "POST", Path: k.prefix + ".setTopic", Tag: k.prefix, Summary: "Say what a direct room talks about",
			Body: schema.Of[directTopicBody](), Result: schema.Answer[topicAnswer](), Method: "saveRoomSettings",
			Do: g.changes(k, changing{setting: "roomTopic", member: "topic", answer: schema.Answer[topicAnswer]}), Errors: notFound, Never: pictureErrors}}
	}
	list := changings
	if k.roomType == rooms.Channel {
		list = slices.Concat(changings, changingsOfChannels)
	}
	for _, c := range list {
		result := k.answer()
		if c.answer != nil {
			result = c.answer()
		}
		routes = append(routes, rest.Route{Verb: "POST", Path: k.prefix + "." + c.name, Tag: k.prefix, Summary: c.summary, Body: c.body(), Result: result,
			Method: "saveRoomSettings", Do: g.changes(k, c), Errors: notFound, Never: pictureErrors})
	}
	for _, end := range []struct{ name, method, summary string }{
		{"archive", "archiveRoom", "Take a room out of use"}, {"unarchive", "unarchiveRoom", "Take a room back into use"},
		{"delete", "eraseRoom", "Delete a room with all that was said there"},
	} {
		routes = append(routes, rest.Route{Verb: "POST", Path: k.prefix + "." + end.name, Tag: k.prefix, Summary: end.summary, Body: schema.Of[roomNames](),
			Method: end.method, Params: g.roomID(k.roomType), Errors: notFound})
	}
	return routes
}

// changesOfAny are the routes that change a room of any kind, by its id.
func changesOfAny() []rest.Route {
	const tag = "rooms"
	return []rest.Route{
		{Verb: "POST", Path: "rooms.saveRoomSettings", Tag: tag, Summary: "Change a room", Body: schema.Of[settingsBody](),
			Result: schema.Answer[settingsAnswer](), Method: "saveRoomSettings", Params: saveParams, Shape: savedShape},
		{Verb: "POST", Path: "rooms.changeArchivationState", Tag: tag, Summary: "Take a room out of use, or back", Body: schema.Of[archivationBody](),
			Method: "archiveRoom", Params: func(_ context.Context, r *rest.Request) ([]any, error) {
				return []any{r.Text("rid"), r.Text("action") == "archive"}, nil
			}},
		{Verb: "POST", Path: "rooms.delete", Tag: tag, Summary: "Delete a room with all that was said there", Body: schema.Of[knownRoom](), Method: "eraseRoom",
			Params: func(_ context.Context, r *rest.Request) ([]any, error) { return []any{r.Text("roomId")}, nil }},
	}
}

func (g *roomRoutes) changes(k kindOfRoom, c changing) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, k.roomType)
		if err != nil {
			return nil, err
		}
		value := r.Value(c.member)
		_, err = r.Run(ctx, room.ID, c.setting, value)
		if err == nil && c.answer != nil {
			return field(c.member, value), nil
		}
		return g.again(ctx, r, k, room, err)
	}
}

// saveParams are those of saveRoomSettings: every member of the body but the room.
func saveParams(_ context.Context, r *rest.Request) ([]any, error) {
	var settings ejson.Doc
	err := r.Bind(&settings)
	return []any{r.Text("rid"), settings.Without("rid")}, err
}

func savedShape(result any) (ejson.Doc, error) {
	d, _ := result.(ejson.Doc)
	return d.Without("result"), nil
}
