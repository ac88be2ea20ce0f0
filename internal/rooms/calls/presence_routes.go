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
	who := schema.Of[rest.Account]()
	return []rest.Route{
		{Verb: "GET", Path: "users.presence", Effects: methods.Reads, Tag: tag, Summary: "How these users are shown, or everybody who is not offline",
			Limit: chatLimit, Query: schema.Of[presenceQuery](), Result: schema.Answer[presenceList](), Do: g.statuses},
		{Verb: "GET", Path: "users.getPresence", Effects: methods.Reads, Tag: tag, Summary: "How one user is shown", Limit: chatLimit, Query: who,
			Result: schema.Answer[presenceAnswer](), Do: g.getPresence, Errors: []string{"error-invalid-user"}},
		{Verb: "GET", Path: "users.getStatus", Effects: methods.Reads, Tag: tag, Summary: "How one user is shown, with the sentence beside it", Limit: chatLimit,
			Query: who, Result: schema.Answer[statusAnswer](), Do: g.getStatus, Errors: []string{"error-invalid-user"}},
		{Verb: "POST", Path: "users.setStatus", Tag: tag, Summary: "Choose what the caller is shown as",
			Body: schema.Of[statusBody](), Method: "setUserStatus", Params: statusParams},
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
