package ddp

import (
	"context"
	"errors"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// ErrUnknownDocument answers a change or removal of a document that the
// subscription does not hold; returned from a publication it becomes a 500, as
// in Meteor (docs/wire/ddp.md A11).
var ErrUnknownDocument = errors.New("ddp: the subscription does not hold this document")

// Subscription is one running publication of a session. Its methods may be
// called from any goroutine and do nothing once it has stopped; a publication
// that is run again because the user changed gets a new Subscription.
type Subscription struct {
	s           *Session
	id          string
	name        string
	params      []byte
	publication func(context.Context, *Subscription) error // universal ones
	onStop      func()
	held        *holding // nil until it publishes a document
	login       *rpc.Login
	item        *item // while the handler runs: the message that holds the queue
	named       bool  // a client's subscription, not a universal publication
	ready       bool
	stopped     bool
	again       bool // re-run by a change of user
}

// holding is what a subscription publishes.
type holding struct {
	docs  []*document // oldest first; may contain some it let go
	stale int         // how many it let go
}

// ID is the client's id of the subscription, "" for a universal publication.
func (p *Subscription) ID() string { return p.id }

// Name is the publication's name, "" for a universal one.
func (p *Subscription) Name() string { return p.name }

// Params is the raw EJSON array of parameters, nil when there are none. It must
// not be changed.
func (p *Subscription) Params() []byte { return p.params }

// Bind decodes the parameters as rpc.Call.Bind does.
func (p *Subscription) Bind(dst ...any) error {
	if err := ejson.BindArray(p.params, dst...); err != nil {
		return fault.MatchFailed.Because(err)
	}
	return nil
}

// Session is the session it belongs to.
func (p *Subscription) Session() *Session { return p.s }

// Login is the user the publication runs for: it stays the old one in OnStop
// functions while the user changes.
func (p *Subscription) Login() rpc.Login { return *p.login }

// Rerun tells whether the publication runs again because the user changed,
// without a new message of the client.
func (p *Subscription) Rerun() bool { return p.again }

// Unblock lets the session's next message start while the publication runs on.
func (p *Subscription) Unblock() { p.s.unblock(p.item) }

// Added publishes a document. id is a string, ejson.ObjectID, number, bool or
// nil. Fields other subscriptions show already stay as they are (merge box).
func (p *Subscription) Added(collection string, id any, fields ejson.Doc) error {
	return p.change(opAdd, collection, id, fields, nil)
}

// Changed changes fields of a document that was added and clears others.
func (p *Subscription) Changed(collection string, id any, fields ejson.Doc, cleared []string) error {
	return p.change(opChange, collection, id, fields, cleared)
}

// Removed takes a document back.
func (p *Subscription) Removed(collection string, id any) error {
	return p.change(opRemove, collection, id, nil, nil)
}
