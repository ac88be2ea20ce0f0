package calls

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
)

// presenceRoutes serves presence and what a chat client asks for beside rooms.
type presenceRoutes struct{ *service }

// maxPresences bounds a list of statuses.
const maxPresences = 1000

// Routes lists them.
func (g *presenceRoutes) Routes() []rest.Route {
	const tag = "presence"
	who := schema.Object(schema.May("userId", schema.Text()), schema.May("username", schema.Text()), schema.May("user", schema.Text()))
	return []rest.Route{
		{Verb: "GET", Path: "users.presence", Effects: methods.Reads, Tag: tag, Summary: "How these users are shown, or everybody who is not offline",
			Limit: chatLimit, Query: schema.Object(schema.May("ids", schema.List(schema.Text())),
				schema.May("from", schema.Text().About("Rocket.Chat's clients send when they asked last; everybody is answered, and full says so"))),
			Result: schema.Success(schema.Must("users", schema.List(memberSchema)), schema.Must("full", schema.Boolean())), Do: g.statuses},
		{Verb: "GET", Path: "users.getPresence", Effects: methods.Reads, Tag: tag, Summary: "How one user is shown", Limit: chatLimit, Query: who,
			Result: schema.Success(schema.Must("presence", schema.Text()), schema.May("connectionStatus", schema.Text())), Do: g.getPresence,
			Errors: []string{"error-invalid-user"}},
		{Verb: "GET", Path: "users.getStatus", Effects: methods.Reads, Tag: tag, Summary: "How one user is shown, with the sentence beside it", Limit: chatLimit,
			Query: who,
			Result: schema.Success(schema.Must("_id", schema.Text()), schema.Must("status", schema.Text()), schema.May("message", schema.Text()),
				schema.May("connectionStatus", schema.Text())), Do: g.getStatus, Errors: []string{"error-invalid-user"}},
		{Verb: "POST", Path: "users.setStatus", Tag: tag, Summary: "Choose what the caller is shown as",
			Body: schema.Object(schema.May("status", schema.Text()), schema.May("message", schema.Text())), Method: "setUserStatus", Params: statusParams},
		{Verb: "GET", Path: "commands.list", Effects: methods.Reads, Tag: "chat", Summary: "Slash commands (none)", Query: schema.Paged(),
			Result: listed("commands", schema.Anything()), Do: g.commands},
	}
}

func (g *presenceRoutes) statuses(ctx context.Context, r *rest.Request) (any, error) {
	ids := r.Query.List("ids")
	list, err := g.rooms.Statuses(ctx, ids, maxPresences)
	return ejson.Doc{{Key: "users", Value: anyDocs(list, func(p rooms.Status) ejson.Doc { return p.Doc() })}, {Key: "full", Value: len(ids) == 0}}, err
}

func (g *presenceRoutes) getPresence(ctx context.Context, r *rest.Request) (any, error) {
	u, err := r.Account(ctx)
	if err != nil {
		return nil, err
	}
	p := rooms.StatusOf(u)
	return ejson.Doc{{Key: "presence", Value: p.Status}, {Key: "connectionStatus", Value: p.Status}}, nil
}

func (g *presenceRoutes) getStatus(ctx context.Context, r *rest.Request) (any, error) {
	u, err := r.Account(ctx)
	if err != nil {
		return nil, err
	}
	p := rooms.StatusOf(u)
	return ejson.Doc{{Key: "_id", Value: u.ID}, {Key: "status", Value: p.Status}, {Key: "message", Value: p.Text}, {Key: "connectionStatus", Value: p.Status}}, nil
}

// statusParams are those of setUserStatus: what is not there changes nothing.
func statusParams(_ context.Context, r *rest.Request) ([]any, error) {
	return []any{r.Value("status"), r.Value("message")}, nil
}

func (g *presenceRoutes) commands(_ context.Context, r *rest.Request) (any, error) {
	offset, _ := r.Page()
	return pageOf("commands", []any{}, offset, 0), nil
}
