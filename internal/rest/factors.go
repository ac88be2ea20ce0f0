package rest

import (
	"cmp"
	"context"
	"strings"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/twofactor"
)

// factors serves the routes that the second factors bring along.
type factors struct{ *Server }

// Routes lists them.
func (g *factors) Routes() []Route {
	var list []Route
	for _, c := range g.factors.FactorCalls() {
		if c.Route != "" {
			list = append(list, g.route(c))
		}
	}
	return list
}

// route makes a line of the table of what a factor says.
func (g *factors) route(c twofactor.Call) Route {
	verb, path, _ := strings.Cut(c.Route, " ")
	rt := Route{Verb: verb, Path: path, Tag: "two-factor", Summary: c.Summary, Errors: c.RouteErrors,
		Enrolment: !c.Late, Passage: c.Passage, Body: schema.OfValue(c.Body)}
	if c.Exact {
		rt.Body["additionalProperties"] = false
	}
	if c.Account {
		rt.Body = fits[Account]()
	}
	if c.Answer != nil {
		rt.Result = schema.OfValue(c.Answer).Answered()
	}
	rt.Shape = func(result any) (ejson.Doc, error) { return answerOf(c, result) }
	rt.Method, rt.Params = c.Method, func(ctx context.Context, r *Request) ([]any, error) { return g.params(ctx, c, r) }
	if c.DoRoute == nil {
		return rt
	}
	if c.Method == "" {
		rt.Effects, rt.Instead, rt.Factor, rt.Inside = c.Effects, c.Instead, c.Asks, c.Inside
		if c.Anonymous {
			rt.Auth = LoginOptional
		}
	}
	rt.Do = func(ctx context.Context, r *Request) (any, error) {
		params, err := g.params(ctx, c, r)
		if err != nil {
			return nil, err
		}
		if r.Call.Params, err = ejson.Append(nil, params); err != nil {
			return nil, err
		}
		result, err := c.DoRoute(ctx, r.Call)
		if err != nil {
			return nil, err
		}
		return answerOf(c, result)
	}
	return rt
}

// params makes the parameters of a call: the account that the request names, or the
// members of its body.
func (g *factors) params(ctx context.Context, c twofactor.Call, r *Request) ([]any, error) {
	if !c.Account {
		return paramsOf(c, r), nil
	}
	id, err := g.target(ctx, r)
	if err != nil {
		return nil, err
	}
	return []any{cmp.Or(id, r.User.ID)}, nil
}

// paramsOf makes the parameters of a call of the body's members that it names.
func paramsOf(c twofactor.Call, r *Request) []any {
	if c.Body == nil {
		return nil
	}
	var given ejson.Doc
	var all []any
	for _, name := range schema.Members(c.Body) {
		v, ok := r.body.value[name]
		if ok {
			given = append(given, ejson.Field{Key: name, Value: v})
		}
		all = append(all, v)
	}
	switch {
	case c.Spread:
		return all
	case len(given) == 0:
		return nil
	}
	return []any{given}
}

// answerOf makes the answer of a route out of a call's result.
func answerOf(c twofactor.Call, result any) (ejson.Doc, error) {
	if c.Shape != nil {
		var err error
		if result, err = c.Shape(result); err != nil {
			return nil, err
		}
	}
	if c.Answer == nil || result == nil {
		return nil, nil
	}
	return AsDoc(result)
}

// AsDoc turns any result that is an object into an answer.
func AsDoc(result any) (ejson.Doc, error) {
	if d, ok := result.(ejson.Doc); ok {
		return d, nil
	}
	raw, err := ejson.Append(nil, result)
	if err != nil {
		return nil, err
	}
	v, err := ejson.Decode(raw)
	if err != nil {
		return nil, err
	}
	d, ok := v.(ejson.Doc)
	if !ok {
		return nil, fault.Internal
	}
	return d, nil
}

// members are parameters that every request has: those of its body, in this order.
func members(names ...string) func(context.Context, *Request) ([]any, error) {
	return func(_ context.Context, r *Request) ([]any, error) {
		params := make([]any, len(names))
		for i, name := range names {
			params[i] = r.Value(name)
		}
		return params, nil
	}
}

// under puts a result under one name.
func under(name string) func(any) (ejson.Doc, error) {
	return func(result any) (ejson.Doc, error) { return ejson.Doc{{Key: name, Value: result}}, nil }
}
