package calls

import (
	"context"
	"slices"
	"strings"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// slash serves slash commands. A command does nothing itself: it carries the methods that do
// the same without it, each under its own limit, permission and second factor.
type slash struct {
	rooms   *rooms.Service
	carrier methods.Carrier
}

var (
	errCommand   = fault.New("error-invalid-command", "Invalid Command Provided")
	errNoPreview = fault.New("error-invalid-command", "Command Does Not Provide Previews")
	errInAlready = fault.New("error-user-already-in-room", "You are already in the channel")
)

func (g *slash) Specs() []methods.Spec {
	var carries []string
	for _, c := range commands {
		for _, m := range c.actions() {
			if !slices.Contains(carries, m) {
				carries = append(carries, m)
			}
		}
	}
	return []methods.Spec{{
		Name: "slashCommand", Do: g.run, Effects: methods.Messages | methods.Rooms | methods.Others | methods.Profile, Inside: twofactor.Ordinary,
		Limit: ratelimit.Wide, Carries: carries, Carried: carried, Carrying: carrying,
		Doc: "Runs a slash command in a room. It calls the methods that do the same (" + strings.Join(carries, ", ") + ") and asks what they ask; " +
			"what it says comes as `message` of stream-notify-user.",
		Params: "{cmd, params?, msg: {rid, _id?, tmid?}}", Result: "none",
		Errors: "error-invalid-command, error-not-allowed, error-invalid-message, error-user-already-in-room, error-invalid-room, error-room-archived, " +
			"error-message-size-exceeded, error-action-not-allowed, error-invalid-settings, error-invalid-user, error-user-not-in-room, " +
			"error-you-are-last-owner, error-not-authorized, error-invalid-room-type, error-code-required, error-invalid-room-name, " +
			"error-direct-message-room, error-status-not-allowed, error-user-limit-exceeded, error-invalid-arguments, not-authorized, too-many-requests",
	}, {
		Name: "getSlashCommandPreviews", Do: g.previews, Effects: methods.Reads, Limit: ratelimit.Wide,
		Doc:    "Asks for what a command would show; no command of this server has previews.",
		Params: "{cmd, params?, msg: {rid, tmid?}}", Result: "none", Errors: "error-invalid-command, error-not-allowed, error-invalid-message",
	}, {
		Name: "executeSlashCommandPreview", Do: g.preview, Effects: methods.Reads, Limit: ratelimit.Wide,
		Doc:    "Chooses one of them; no command of this server has previews.",
		Params: "{cmd, params?, msg: {rid, tmid?}}, {id, type, value}", Result: "none",
		Errors: "error-invalid-command, error-not-allowed, error-invalid-message",
	}}
}

// typed is a command as somebody gave it.
type typed struct {
	Command string `ejson:"cmd"`
	Params  string `ejson:"params,optional"`
	Message struct {
		ID       string    `ejson:"_id,optional"`
		RoomID   string    `ejson:"rid"`
		ThreadID string    `ejson:"tmid,optional"`
		Rest     ejson.Doc `ejson:",rest"`
	} `ejson:"msg"`
	Rest ejson.Doc `ejson:",rest"`

	*rpc.Call `ejson:"-"`
	command   *command
	room      *rooms.Room
}

// find is the command of that name, in any case; nil when there is none.
func find(name string) *command {
	name = strings.ToLower(name)
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return &commands[i]
}

// carried are the methods that the command of a call carries.
func carried(c *rpc.Call) []string {
	var t typed
	if c.Bind(&t) != nil {
		return nil
	}
	if found := find(t.Command); found != nil {
		return found.actions()
	}
	return nil
}

// actions are those of the methods that a command carries, by which the list of protected
// calls knows them.
func (c *command) actions() []string {
	list := slices.Clone(c.carries)
	for i, m := range list {
		if m == "unarchiveRoom" {
			list[i] = "archiveRoom" // the action of both
		}
	}
	return list
}

// carrying is the one that a code is asked for.
func carrying(c *rpc.Call) string {
	var t typed
	if c.Bind(&t) != nil {
		return ""
	}
	if found := find(t.Command); found != nil && len(found.carries) > 0 {
		return found.carries[0]
	}
	return ""
}

// read finds the command of a call, and the room in which it was given.
func (g *slash) read(ctx context.Context, c *rpc.Call, more ...any) (*typed, error) {
	t := &typed{Call: c}
	if err := c.Bind(append([]any{t}, more...)...); err != nil {
		return nil, err
	}
	if t.command = find(t.Command); t.command == nil {
		return nil, errCommand
	}
	var err error
	t.room, err = g.rooms.Place(ctx, c.User, t.Message.RoomID, t.Message.ThreadID)
	return t, err
}

func (g *slash) run(ctx context.Context, c *rpc.Call) (any, error) {
	t, err := g.read(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, t.command.run(ctx, g, t)
}

func (g *slash) previews(ctx context.Context, c *rpc.Call) (any, error) {
	if _, err := g.read(ctx, c); err != nil {
		return nil, err
	}
	return nil, errNoPreview
}

func (g *slash) preview(ctx context.Context, c *rpc.Call) (any, error) {
	var item ejson.Doc
	if _, err := g.read(ctx, c, &item); err != nil {
		return nil, err
	}
	return nil, errNoPreview
}

// carry runs a method that the command is for.
func (g *slash) carry(ctx context.Context, t *typed, method string, params ...any) (any, error) {
	return g.carrier.Carry(ctx, t.Call, t.command.carries[0], method, params...)
}

// tell shows the caller something, in the room of the command.
func (g *slash) tell(t *typed, text string) error { return g.rooms.Whisper(t.User, t.room.ID, text) }

// told tells the caller of a refusal instead of failing. What a second factor or a limit says
// is none of these: clients must be able to answer it.
func (g *slash) told(t *typed, err error, refusals ...string) error {
	if f, ok := fault.From(err); err != nil && ok && slices.Contains(refusals, f.Code) {
		return g.tell(t, f.Reason)
	}
	return err
}

// Routes lists the routes of commands.
func (g *slash) Routes() []rest.Route {
	const tag = "chat"
	return []rest.Route{
		{Verb: "GET", Path: "commands.list", Effects: methods.Reads, Tag: tag, Summary: "Slash commands", Query: schema.Of[rest.Page](),
			Result: schema.Answer[pageOfCommands](), Do: g.list},
		{Verb: "GET", Path: "commands.get", Effects: methods.Reads, Tag: tag, Summary: "One slash command", Query: schema.Of[commandQuery](),
			Result: schema.Answer[commandAnswer](), Do: g.one, Errors: []string{"error-invalid-command"}},
		{Verb: "POST", Path: "commands.run", Tag: tag, Summary: "Run a slash command", Limit: chatLimit, Method: "slashCommand", Body: schema.Of[commandBody](),
			Params: commandParams, Carried: func(r *rest.Request) []string {
				if c := find(r.Text("command")); c != nil {
					return c.actions()
				}
				return nil
			}},
		{Verb: "GET", Path: "commands.preview", Tag: tag, Summary: "What a slash command would show; none has previews", Limit: chatLimit,
			Method: "getSlashCommandPreviews", Query: schema.Of[previewQuery](), Params: commandParams},
		{Verb: "POST", Path: "commands.preview", Tag: tag, Summary: "Choose one of them; none has previews", Limit: chatLimit,
			Method: "executeSlashCommandPreview", Body: schema.Of[previewBody](), Params: func(ctx context.Context, r *rest.Request) ([]any, error) {
				params, err := commandParams(ctx, r)
				return append(params, r.Value("previewItem")), err
			}},
	}
}

type (
	commandShown struct {
		Command     string `json:"command"`
		Params      string `json:"params"`
		Description string `json:"description"`
		ClientOnly  bool   `json:"clientOnly"`
		Previews    bool   `json:"providesPreview"`
	}
	commandQuery struct {
		Command string `json:"command" minLength:"1"`
	}
	commandAnswer struct {
		Command commandShown `json:"command"`
	}
	pageOfCommands struct {
		Commands []commandShown `json:"commands"`
		rest.Extent
	}
	previewQuery struct {
		Command string `json:"command" minLength:"1"`
		Params  string `json:"params,omitempty"`
		RoomID  string `json:"roomId" minLength:"1"`
	}
	commandBody struct {
		previewQuery
		ThreadID  string `json:"tmid,omitempty"`
		TriggerID string `json:"triggerId,omitempty"`
	}
	previewBody struct {
		commandBody
		Item struct {
			ID    string `json:"id" minLength:"1"`
			Type  string `json:"type" minLength:"1"`
			Value string `json:"value" minLength:"1"`
		} `json:"previewItem"`
	}
)

// commandParams are those of slashCommand and of what asks for previews.
func commandParams(_ context.Context, r *rest.Request) ([]any, error) {
	msg := ejson.Doc{{Key: "rid", Value: r.Param("roomId")}}
	if tmid := r.Text("tmid"); tmid != "" {
		msg = append(msg, ejson.Field{Key: "tmid", Value: tmid})
	}
	return []any{ejson.Doc{{Key: "cmd", Value: r.Param("command")}, {Key: "params", Value: r.Param("params")}, {Key: "msg", Value: msg}}}, nil
}

// shown is what clients are told of a command: commandShown.
func (c *command) shown() ejson.Doc {
	return ejson.Doc{{Key: "command", Value: c.name}, {Key: "params", Value: c.params}, {Key: "description", Value: c.about},
		{Key: "clientOnly", Value: false}, {Key: "providesPreview", Value: false}}
}

func (g *slash) list(_ context.Context, r *rest.Request) (any, error) {
	offset, count := r.Page()
	page := commands[min(offset, len(commands)):]
	page = page[:min(count, len(page))]
	list := make([]any, len(page))
	for i := range page {
		list[i] = page[i].shown()
	}
	return pageOf("commands", list, offset, len(commands)), nil
}

func (g *slash) one(_ context.Context, r *rest.Request) (any, error) {
	c := find(r.Query.Get("command"))
	if c == nil {
		return nil, errCommand
	}
	return field("command", c.shown()), nil
}
