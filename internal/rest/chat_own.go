package rest

import (
	"context"
	"errors"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/rooms"
	"ddpserver/internal/user"
)

// chatOwn serves presence and what a chat client asks for beside rooms.
type chatOwn struct{ s *Server }

// maxPresences bounds a list of statuses.
const maxPresences = 1000

// Routes lists them.
func (g *chatOwn) Routes() []Route {
	const tag = "presence"
	who := object(may("userId", text()), may("username", text()), may("user", text()))
	return []Route{
		{Verb: "GET", Path: "users.presence", Effects: methods.Reads, Tag: tag, Summary: "How these users are shown, or everybody who is not offline", Limit: chatLimit, Query: object(may("ids", text()), may("from", text())),
			Result: success(must("users", list(memberSchema)), must("full", boolean())), Do: g.presence},
		{Verb: "GET", Path: "users.getPresence", Effects: methods.Reads, Tag: tag, Summary: "How one user is shown", Limit: chatLimit, Query: who, Result: success(must("presence", text()), may("connectionStatus", text())), Do: g.getPresence, Errors: []string{"error-invalid-user"}},
		{Verb: "GET", Path: "users.getStatus", Effects: methods.Reads, Tag: tag, Summary: "How one user is shown, with the sentence beside it", Limit: chatLimit, Query: who,
			Result: success(must("_id", text()), must("status", text()), may("message", text()), may("connectionStatus", text())), Do: g.getStatus, Errors: []string{"error-invalid-user"}},
		{Verb: "POST", Path: "users.setStatus", Tag: tag, Summary: "Choose what the caller is shown as", Body: object(may("status", text()), may("message", text())), Twin: "setUserStatus", Do: g.setStatus,
			Errors: []string{"error-invalid-status", "error-status-not-allowed", "error-not-allowed"}},
		{Verb: "GET", Path: "commands.list", Effects: methods.Reads, Tag: "chat", Summary: "Slash commands (none)", Query: paged(), Result: listed("commands", anything()), Do: g.commands},
	}
}

func (g *chatOwn) presence(ctx context.Context, r *Request) (any, error) {
	ids := strings.FieldsFunc(r.Query.Get("ids"), func(c rune) bool { return c == ',' })
	list, err := g.s.o.Chat.Statuses(ctx, ids, maxPresences)
	return ejson.Doc{{Key: "users", Value: docs(list, func(p rooms.Status) ejson.Doc { return p.Doc() })}, {Key: "full", Value: len(ids) == 0}}, err
}

// account is whom a query names; the caller when it names nobody.
func (g *chatOwn) account(ctx context.Context, r *Request) (*user.User, error) {
	id, err := g.s.target(ctx, r)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return r.User, nil
	}
	u, err := g.s.o.Accounts.User(ctx, id)
	if errors.Is(err, dberr.NotFound) {
		err = errUserNotFound
	}
	return u, err
}

func (g *chatOwn) getPresence(ctx context.Context, r *Request) (any, error) {
	u, err := g.account(ctx, r)
	if err != nil {
		return nil, err
	}
	p := rooms.StatusOf(u)
	return ejson.Doc{{Key: "presence", Value: p.Status}, {Key: "connectionStatus", Value: p.Status}}, nil
}

func (g *chatOwn) getStatus(ctx context.Context, r *Request) (any, error) {
	u, err := g.account(ctx, r)
	if err != nil {
		return nil, err
	}
	p := rooms.StatusOf(u)
	return ejson.Doc{{Key: "_id", Value: u.ID}, {Key: "status", Value: p.Status}, {Key: "message", Value: p.Text}, {Key: "connectionStatus", Value: p.Status}}, nil
}

func (g *chatOwn) setStatus(ctx context.Context, r *Request) (any, error) {
	var sentence *string
	if r.Has("message") {
		line := r.Text("message")
		sentence = &line
	}
	return nil, g.s.o.Presence.SetStatus(ctx, r.User, r.Text("status"), sentence)
}

func (g *chatOwn) commands(_ context.Context, r *Request) (any, error) {
	offset, _ := r.Page()
	return pageOf("commands", []any{}, offset, 0), nil
}
