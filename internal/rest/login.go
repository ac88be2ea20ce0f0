package rest

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// login serves the way in and out. The login itself is the method of that name:
// this file only writes its parameter the way REST clients expect.
type login struct{ *Server }

// Routes lists them.
func (g *login) Routes() []Route {
	const tag = "login"
	return []Route{
		{Verb: "POST", Path: "login", Tag: tag, Summary: "Log in with a password, a token, or either and a second factor", Method: "login", Auth: NoLogin,
			LoginShape: true, Form: true,
			Body:   fits[credentials](),
			Result: answers[loggedIn](), Errors: []string{"Unauthorized"}, Never: []string{"403"}, Do: g.login},
		{Verb: "POST", Path: "logout", Tag: tag, Summary: "End the login token in use", Method: "logout", Auth: LoginRequired,
			Result: answers[loggedOut](), Do: g.logout},
		{Verb: "GET", Path: "logout", Tag: tag, Summary: "End the login token in use", Method: "logout", Auth: LoginRequired,
			Result: answers[loggedOut](), Do: g.logout},
	}
}

// plainMembers are the members of a body that is not a login object already.
var plainMembers = []string{"user", "username", "email", "password"}

func (g *login) login(ctx context.Context, r *Request) (any, error) {
	ctx = g.accounts.Remembering(ctx)
	options, proof := loginObject(r)
	r.Call.Proof = proof
	result, err := r.Run(ctx, options)
	if err != nil {
		return nil, err
	}
	d, err := AsDoc(result)
	if err != nil {
		return nil, err
	}
	id, token := docText(d, "id"), docText(d, "token")
	if id == "" || token == "" {
		return nil, fault.Internal
	}
	u, err := g.accounts.User(ctx, id)
	if err != nil {
		return nil, err
	}
	return ejson.Doc{
		{Key: "status", Value: "success"},
		{Key: "data", Value: ejson.Doc{{Key: "userId", Value: id}, {Key: "authToken", Value: token}, {Key: "me", Value: g.ownAccount(u)}}},
	}, nil
}

// loginObject makes the method's parameter out of a body, and the answer to a challenge
// out of body and headers (docs/wire/rocketchat.md 5.6). However the first factor is
// written, the second may stand as code in the body, or within totp, as twoFactorCode,
// or in the header, and the factor that it is for as twoFactorMethod or in the header; or it
// is an authenticator's, as webauthn.
func loginObject(r *Request) (any, rpc.Proof) {
	proof := r.Peer.Proof
	if factor := r.Text("twoFactorMethod"); factor != "" {
		proof.Factor = factor
	}
	for _, name := range []string{"twoFactorCode", "code"} {
		if code := r.Text(name); code != "" {
			proof = rpc.TextProof(proof.Factor, code)
		}
	}
	rest := maps.Clone(r.body.value)
	for _, name := range []string{"code", "twoFactorCode", "twoFactorMethod"} {
		delete(rest, name)
	}
	if answer, ok := rest["webauthn"]; ok && r.Has("password") {
		raw, err := ejson.Append(nil, answer)
		if err != nil {
			raw = rpc.WrongProof("").Value
		}
		proof = rpc.Proof{Factor: twofactor.WebAuthn, Value: raw}
		delete(rest, "webauthn")
	}
	for name := range rest {
		if !slices.Contains(plainMembers, name) {
			return rest, proof
		}
	}
	if !r.Has("password") {
		return rest, proof
	}
	return ejson.Doc{{Key: "user", Value: selector(r)}, {Key: "password", Value: passwordOf(r)}}, proof
}

// selector names the account; values of other types pass through to be refused
// by the method as any client's would be.
func selector(r *Request) any {
	for _, name := range []string{"user", "username", "email"} {
		v, ok := r.body.value[name]
		if !ok {
			continue
		}
		if name == "user" {
			s, isText := v.(string)
			switch {
			case !isText:
				return v // {user: {username: …}}, as DDP has it
			case strings.Contains(s, "@"):
				name = "email"
			default:
				name = "username"
			}
		}
		return ejson.Doc{{Key: name, Value: v}}
	}
	return ejson.Doc{}
}

func passwordOf(r *Request) any {
	if m, ok := r.body.value["password"].(map[string]any); ok && len(m) == 1 {
		if hashed, ok := m["hashed"]; ok {
			return ejson.Doc{{Key: "digest", Value: hashed}, {Key: "algorithm", Value: "sha-256"}}
		}
	}
	return r.body.value["password"]
}

func (g *login) logout(ctx context.Context, r *Request) (any, error) {
	if err := g.accounts.Logout(ctx, r.Peer, r.Login); err != nil {
		return nil, err
	}
	r.Login = rpc.Login{}
	return ejson.Doc{
		{Key: "status", Value: "success"},
		{Key: "data", Value: ejson.Doc{{Key: "message", Value: "You've been logged out!"}}},
	}, nil
}

func docText(d ejson.Doc, key string) string {
	v, _ := d.Get(key)
	s, _ := v.(string)
	return s
}

// ownAccount is one's own account as clients expect it (ownAccount of the schemas).
func (s *Server) ownAccount(u *user.User) ejson.Doc {
	own := accounts.Own(u)
	if slices.Contains(s.roots, "/avatar") {
		own = append(own, ejson.Field{Key: "avatarUrl", Value: s.about.RootURL + "/avatar/" + url.PathEscape(u.Username)})
	}
	return append(own,
		ejson.Field{Key: "isOAuthUser", Value: u.Foreign()},
		ejson.Field{Key: "requirePasswordChange", Value: false})
}
