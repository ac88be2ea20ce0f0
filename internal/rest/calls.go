package rest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// calls serves method.call: any DDP method by HTTP. The call passes the router
// as a DDP frame would; this file only unwraps and wraps the frame.
type calls struct{ *Server }

// Routes lists them.
func (g *calls) Routes() []Route {
	const tag = "methods"
	refused := fits[methodRefusal]()
	return []Route{
		{Verb: "POST", Path: "method.call/:method", Effects: methods.Reads, Tag: tag, Summary: "Call a DDP method as the user", Unlimited: true, Enrolment: true,
			Passage: true, Body: fits[methodCall](), Result: answers[methodResult](), BadRequest: refused, Do: g.call},
		{Verb: "POST", Path: "method.callAnon/:method", Effects: methods.Reads, Tag: tag, Summary: "Call a DDP method without a login", Auth: NoLogin,
			Unlimited: true, Passage: true, Body: fits[methodCall](), Result: answers[methodResult](), BadRequest: refused, Do: g.call},
	}
}

// methodFrame is what the message member holds.
type methodFrame struct {
	Msg    string    `ejson:"msg"`
	ID     string    `ejson:"id"`
	Method string    `ejson:"method"`
	Params ejson.Raw `ejson:"params,optional"`
	Rest   ejson.Doc `ejson:",rest"`
}

// frameOf takes the frame of a request apart.
func (g *calls) frameOf(r *Request, f *methodFrame) error {
	text := []byte(r.Text("message"))
	defer g.budget.Work(len(text))()
	if ejson.Scan(text, depthLoggedIn) != nil || ejson.Unmarshal(text, f) != nil || f.Msg != "method" || f.Method == "" {
		return fault.New("invalid-params", "message must be the EJSON text of a method frame with msg, id, method and params")
	}
	if len(f.Params) > 0 && f.Params[0] != '[' {
		return fault.New("invalid-params", "params must be an array")
	}
	if len(f.Params) > 0 && ejson.Check(f.Params) != nil {
		return fault.New("invalid-params", "params hold a value that cannot be decoded")
	}
	return nil
}

func (g *calls) call(ctx context.Context, r *Request) (any, error) {
	var f methodFrame
	if err := g.frameOf(r, &f); err != nil {
		return nil, err
	}
	peer := *r.Peer
	peer.Conn = virtualConn(r)
	call := &rpc.Call{Method: f.Method, Via: r.Method, Params: f.Params, Peer: &peer, Login: r.Login, Session: r.Session}
	if m, ok := g.method(f.Method); ok && m.Factor == twofactor.Login {
		call.Proof = r.Peer.Proof // of this very request; those of a DDP handshake do not count at login
	}
	result, err := g.router.Method(ctx, call)
	r.Told = true
	out, renderErr := resultFrame(f.ID, result, err)
	if renderErr != nil {
		return nil, renderErr
	}
	if err != nil {
		r.status = http.StatusBadRequest
	}
	return ejson.Doc{{Key: "message", Value: string(out)}, {Key: "success", Value: err == nil}}, nil
}

// virtualConn stands for a connection in the limits: one for each login token,
// or for each address and client without one (docs/wire/rocketchat.md 5.7).
func virtualConn(r *Request) string {
	if r.Login.Token != "" {
		return "rest/" + r.Login.Token
	}
	sum := sha256.Sum256([]byte(r.Peer.Address + "\x00" + r.Peer.UserAgent))
	return "rest/" + base64.RawStdEncoding.EncodeToString(sum[:12])
}

// resultFrame writes the frame that DDP would send.
func resultFrame(id string, result any, failure error) ([]byte, error) {
	out := ejson.AppendString([]byte(`{"msg":"result","id":`), id)
	if failure != nil {
		return append(ddp.AppendError(append(out, `,"error":`...), failure), '}'), nil
	}
	if result == nil {
		return append(out, '}'), nil
	}
	head := len(out)
	b, err := ejson.Append(append(out, `,"result":`...), result)
	if err == nil && len(b)-head > ddp.MaxResult {
		return resultFrame(id, nil, ddp.ErrResultTooLarge)
	}
	return append(b, '}'), err
}
