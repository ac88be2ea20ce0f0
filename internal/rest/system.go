package rest

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
)

// system serves what describes the server and its roles.
type system struct{ *Server }

// Routes lists them.
func (g *system) Routes() []Route {
	const tag = "server"
	return []Route{
		{Verb: "GET", Path: "info", Tag: tag, Summary: "The level of Rocket.Chat's calls that clients may count on, and what the server is",
			Method: "getServerInfo", Auth: NoLogin, Unlimited: true, Do: g.info,
			Result: answers[serverInfo]()},
		{Verb: "GET", Path: "roles.list", Effects: methods.Reads, Tag: tag, Summary: "The roles there are", Do: g.roles,
			Result: answers[roleList]()},
		{Verb: "GET", Path: "roles.sync", Effects: methods.Reads, Tag: tag, Summary: "The roles, if they are others since then", Do: g.rolesSince,
			Query: fits[sinceQuery](), Result: answers[roleUpdate]()},
		{Verb: "GET", Path: "permissions.listAll", Tag: tag, Summary: "The permissions and the roles that have them", Method: "permissions/get",
			Do:     g.permissions,
			Query:  fits[sinceQuery](),
			Result: answers[permissionUpdate]()},
	}
}

func (g *system) info(context.Context, *Request) (any, error) {
	shown := g.about.Shown()
	return ejson.Doc{{Key: "info", Value: ejson.Doc{{Key: "version", Value: shown.Version}}}, {Key: "version", Value: shown.Version},
		{Key: "product", Value: shown.Product}}, nil
}

func (g *system) roles(context.Context, *Request) (any, error) {
	return ejson.Doc{{Key: "roles", Value: roles()}}, nil
}

// rolesSince answers the roles as permissions does the table of what they may.
func (g *system) rolesSince(_ context.Context, r *Request) (any, error) {
	since, err := r.Date("updatedSince")
	if err != nil {
		return nil, err
	}
	update := []any{}
	if since.IsZero() || methods.PermissionsChanged.After(since) {
		update = roles()
	}
	return ejson.Doc{{Key: "roles", Value: ejson.Doc{{Key: "update", Value: update}, {Key: "remove", Value: []any{}}}}}, nil
}

func roles() (out []any) {
	for _, r := range permission.Roles() {
		out = append(out, ejson.Doc{{Key: "_id", Value: r.ID}, {Key: "name", Value: r.ID}, {Key: "description", Value: r.Description},
			{Key: "scope", Value: r.Scope}, {Key: "protected", Value: true}})
	}
	return out
}

func (g *system) permissions(_ context.Context, r *Request) (any, error) {
	since, err := r.Date("updatedSince")
	if err != nil {
		return nil, err
	}
	out := []any{}
	if !since.IsZero() && !methods.PermissionsChanged.After(since) {
		return ejson.Doc{{Key: "update", Value: out}, {Key: "remove", Value: []any{}}}, nil
	}
	for _, p := range permission.All() {
		out = append(out, ejson.Doc{{Key: "_id", Value: p.ID}, {Key: "roles", Value: p.Roles}})
	}
	return ejson.Doc{{Key: "update", Value: out}, {Key: "remove", Value: []any{}}}, nil
}
