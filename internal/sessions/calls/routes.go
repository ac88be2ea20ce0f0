package calls

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/sessions"
)

// routes are the methods under Rocket.Chat's names, and under names like them.
type routes struct{}

// Routes lists them.
func (routes) Routes() []rest.Route {
	const tag = "sessions"
	return []rest.Route{
		{Verb: "GET", Path: "sessions/list", Tag: tag, Summary: "One's own sessions", Method: "sessions:list", Query: schema.Of[sessionQuery](),
			Params: listParams, Result: schema.Answer[sessionPage](), Shape: pageShape},
		{Verb: "GET", Path: "sessions/info", Tag: tag, Summary: "One of one's own sessions", Method: "sessions:info", Query: schema.Of[sessionRef](),
			Params: refParams, Result: schema.Answer[oneSession](), Shape: oneShape},
		{Verb: "POST", Path: "sessions/logout.me", Tag: tag, Summary: "End one of one's own sessions", Method: "sessions:end", Body: schema.Of[sessionRef](),
			Params: refParams, Result: schema.Answer[endedSession](), Shape: doc},
		{Verb: "POST", Path: "sessions/logout.others", Tag: tag, Summary: "End every other session of one's own", Method: "sessions:endOthers"},
		{Verb: "POST", Path: "sessions/forget.trust", Tag: tag, Summary: "Forget that a second factor was given", Method: "sessions:forgetTrust",
			Body: schema.Of[sessionChoice](), Params: choiceParams},
		{Verb: "GET", Path: "sessions/list.all", Tag: tag, Summary: "The sessions of all accounts", Method: "sessions:listAll",
			Query: schema.Of[allSessionsQuery](), Params: listParams, Result: schema.Answer[sessionPage](), Shape: pageShape},
		{Verb: "GET", Path: "sessions/info.admin", Tag: tag, Summary: "A session of any account", Method: "sessions:infoAny", Query: schema.Of[sessionRef](),
			Params: refParams, Result: schema.Answer[oneSession](), Shape: oneShape},
		{Verb: "POST", Path: "sessions/logout", Tag: tag, Summary: "End a session of any account", Method: "sessions:endAny", Body: schema.Of[sessionRef](),
			Params: refParams, Result: schema.Answer[endedSession](), Shape: doc},
	}
}

// refParams are those of a method about one session.
func refParams(_ context.Context, r *rest.Request) ([]any, error) {
	return []any{ejson.Doc{{Key: "sessionId", Value: r.Param("sessionId")}}}, nil
}

func choiceParams(ctx context.Context, r *rest.Request) ([]any, error) {
	if !r.Has("sessionId") {
		return []any{}, nil
	}
	return refParams(ctx, r)
}

// listParams are those of a list; what a route's query does not declare is not there.
func listParams(_ context.Context, r *rest.Request) ([]any, error) {
	offset, count := r.Page()
	d := ejson.Doc{{Key: "offset", Value: offset}, {Key: "count", Value: count}}
	for _, name := range []struct{ query, param string }{{"filter", "search"}, {"userId", "userId"}, {"address", "address"}, {"client", "client"}} {
		if v := r.Query.Get(name.query); v != "" {
			d = append(d, ejson.Field{Key: name.param, Value: v})
		}
	}
	if text := r.Query.Get("sort"); text != "" {
		order, err := readSort(text)
		if err != nil {
			return nil, err
		}
		d = append(d, ejson.Field{Key: "sort", Value: order})
	}
	return []any{d}, nil
}

// sortNames are Rocket.Chat's names of orders, and one more.
var sortNames = map[string]string{
	"loginAt": "createdAt", "lastActivityAt": "lastUsedAt", "device.name": "client", "device.os.name": "os", "device.os.version": "osVersion",
	"_user.name": "name", "_user.username": "username",
}

// readSort reads {"loginAt": -1} as the method's name of an order.
func readSort(text string) (string, error) {
	var d ejson.Doc
	if err := ejson.Unmarshal([]byte(text), &d); err != nil || len(d) != 1 {
		return "", sessions.ErrSort
	}
	name := sortNames[d[0].Key]
	if name == "" {
		return "", sessions.ErrSort
	}
	switch n := d[0].Value.(type) {
	case float64:
		if n < 0 {
			name = "-" + name
		}
	default:
		return "", sessions.ErrSort
	}
	return name, nil
}

func pageShape(result any) (ejson.Doc, error) {
	p, ok := result.(part)
	if !ok {
		return nil, fault.Internal
	}
	return doc(restPage(p))
}

func oneShape(result any) (ejson.Doc, error) {
	e, ok := result.(element)
	if !ok {
		return nil, fault.Internal
	}
	return doc(restSession(e))
}

// doc is a struct as a document.
func doc(v any) (ejson.Doc, error) {
	raw, err := ejson.Append(nil, v)
	if err != nil {
		return nil, err
	}
	decoded, err := ejson.Decode(raw)
	if err != nil {
		return nil, err
	}
	d, ok := decoded.(ejson.Doc)
	if !ok {
		return nil, fault.Internal
	}
	return d, nil
}
