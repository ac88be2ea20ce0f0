package ddptest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// Fixture is the Handler that docs/wire/ddp.md F2 asks of a server under test. The
// functions are optional and set before there is a session.
type Fixture struct {
	// Universal is published to every session.
	Universal func(context.Context, *ddp.Subscription) error
	// OnConnect and OnSubscribe run before anything else of theirs.
	OnConnect   func(*ddp.Session)
	OnSubscribe func(*ddp.Subscription)
	// Sessions that were connected and disconnected so far.
	Joined, Left atomic.Int64

	mu      sync.Mutex
	streams map[*ddp.Subscription]struct{}
	limited int // calls of the publication "limited"
}

// Streams is how many subscriptions the publication "stream" has.
func (f *Fixture) Streams() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams)
}

var empty = ejson.Raw("null")

// Quick implements ddp.QuickHandler.
func (f *Fixture) Quick(method string) bool {
	switch method {
	case "echo", "echoOne", "nothing", "noop", "quick":
		return true
	}
	return false
}

// Connected implements ddp.Handler.
func (f *Fixture) Connected(ctx context.Context, s *ddp.Session) {
	f.Joined.Add(1)
	if f.Universal != nil {
		s.Publish(f.Universal)
	}
	if f.OnConnect != nil {
		f.OnConnect(s)
	}
}

// Disconnected implements ddp.Handler.
func (f *Fixture) Disconnected(*ddp.Session) { f.Left.Add(1) }

// Method implements ddp.Handler.
func (f *Fixture) Method(ctx context.Context, c *rpc.Call) (any, error) {
	switch c.Method {
	case "nothing", "noop", "quick":
		return nil, nil
	case "nul":
		return empty, nil
	case "echo":
		if c.Params == nil {
			return ejson.Raw("[]"), nil
		}
		return ejson.Raw(c.Params), nil
	case "echoOne":
		if len(c.Params) < 3 {
			return nil, nil
		}
		return ejson.Raw(c.Params[1 : len(c.Params)-1]), nil
	case "decoded": // echo through decoding and encoding
		v, err := ejson.Decode(c.Params)
		return v, err
	case "boom":
		return nil, errors.New("kaboom: secret text")
	case "panic":
		panic("handler bug")
	case "merr":
		return nil, fault.Num(999, "vis")
	case "merr2":
		return nil, fault.New("code", "why").With(ejson.Doc{{Key: "a", Value: 1}})
	case "when": // a date in details is an ISO string
		return nil, fault.New("code", "why").With(ejson.Doc{{Key: "at", Value: time.UnixMilli(5).UTC()}})
	case "chk":
		var s string
		return nil, c.Bind(&s)
	case "slow", "slowU":
		var ms int
		if err := c.Bind(&ms); err != nil {
			return nil, err
		}
		if c.Method == "slowU" {
			c.Session.Unblock()
		}
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
		case <-ctx.Done():
		}
		return nil, nil
	case "setU":
		var id *string
		if err := c.Bind(&id); err != nil {
			return nil, errors.New("setUserId must be called on string or null")
		}
		l := rpc.Login{}
		if id != nil {
			l = rpc.Login{UserID: *id, Token: "hash of " + *id}
		}
		return nil, c.Session.SetLogin(ctx, l)
	case "whoami":
		if c.Login.UserID == "" {
			return empty, nil
		}
		return c.Login.UserID, nil
	case "unblSet":
		c.Session.Unblock()
		return nil, c.Session.SetLogin(ctx, rpc.Login{UserID: "x"})
	case "bad":
		return ejson.Doc{{Key: "d", Value: time.UnixMilli(7).UTC()}, {Key: "b", Value: []byte{0, 255}},
			{Key: "i", Value: math.Inf(-1)}, {Key: "o", Value: ejson.ObjectID("5f4e30f824d92b57b86e6691")}}, nil
	case "unencodable":
		return make(chan int), nil
	case "push", "post":
		f.Publish(c.Params, c.Method == "post")
		return nil, nil
	case "callWithTwoFactorRequired":
		return ejson.Raw(c.Params), nil
	}
	return nil, fault.Num(404, fmt.Sprintf("Method '%s' not found", c.Method))
}

// Publish sends params to the subscribers of the publication "stream".
func (f *Fixture) Publish(params []byte, post bool) {
	frame := ddp.NewFrame(append(append([]byte(`{"msg":"changed","collection":"stream","id":"id","fields":{"eventName":"e","args":`), params...), `}}`...))
	f.mu.Lock()
	subs := make([]*ddp.Subscription, 0, len(f.streams))
	for s := range f.streams {
		subs = append(subs, s)
	}
	f.mu.Unlock()
	for _, s := range subs {
		if post {
			s.Post(frame)
		} else {
			s.Send(frame)
		}
	}
}

// Subscribe implements ddp.Handler.
func (f *Fixture) Subscribe(ctx context.Context, s *ddp.Subscription) error {
	if f.OnSubscribe != nil {
		f.OnSubscribe(s)
	}
	switch s.Name() {
	case "rdy", "empty":
		s.Ready()
	case "none":
	case "one":
		v := 1.0
		if len(s.Params()) > 0 {
			if err := s.Bind(&v); err != nil {
				return err
			}
		}
		_ = s.Added("c", "x", ejson.Doc{{Key: "a", Value: v}, {Key: "when", Value: time.UnixMilli(7)}})
		_ = s.Added("c", "y", nil)
		s.Ready()
	case "throws":
		_ = s.Added("c", "t", ejson.Doc{{Key: "a", Value: 1}})
		return fault.Num(412, "Explicit error")
	case "throwsInt", "truthy":
		return errors.New("a publication can only return a cursor")
	case "panics":
		panic("publication bug")
	case "stopper":
		_ = s.Added("c", "s", nil)
		s.Ready()
		s.Stop()
	case "chkp":
		var n float64
		if err := s.Bind(&n); err != nil {
			return err
		}
		s.Ready()
	case "ids":
		for _, id := range []any{ejson.ObjectID("5f4e30f824d92b57b86e6691"), "5f4e30f824d92b57b86e6691", "-a", "~b", "{c", "d", "",
			5, true, nil, ejson.Undefined{}} {
			if err := s.Added("c", id, nil); err != nil {
				return err
			}
		}
		if s.Added("c", []any{}, nil) == nil {
			return errors.New("an array is no document id")
		}
		s.Ready()
	case "chg":
		_ = s.Added("c", "x", ejson.Doc{{Key: "a", Value: 1}, {Key: "b", Value: 2}})
		_ = s.Changed("c", "x", ejson.Doc{{Key: "a", Value: ejson.Undefined{}}, {Key: "b", Value: 3}, {Key: "n", Value: 4}}, nil)
		_ = s.Changed("c", "x", nil, []string{"b"})
		_ = s.Changed("c", "x", nil, []string{"b"})
		_ = s.Changed("c", "x", ejson.Doc{{Key: "n", Value: 4}}, nil)
		s.Ready()
	case "unknownDoc":
		return s.Changed("c", "nope", ejson.Doc{{Key: "a", Value: 1}}, nil)
	case "unknownRemove":
		return s.Removed("c", "nope")
	case "slowsub", "slowsubU":
		var ms int
		if err := s.Bind(&ms); err != nil {
			return err
		}
		if s.Name() == "slowsubU" {
			s.Unblock()
		}
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
		case <-ctx.Done():
		}
		s.Ready()
	case "byUser":
		me, id := any(nil), "null"
		if u := s.Login().UserID; u != "" {
			me, id = u, u
		}
		_ = s.Added("u", id, ejson.Doc{{Key: "me", Value: me}})
		_ = s.Added("u", "const", ejson.Doc{{Key: "v", Value: 1}})
		s.Ready()
	case "onlyOut": // refuses who is logged in
		if s.Login().UserID != "" {
			return fault.NotAllowed
		}
		_ = s.Added("u", "out", nil)
		s.Ready()
	case "limited":
		f.mu.Lock()
		f.limited++
		n := f.limited
		f.mu.Unlock()
		if n > 1 {
			return fault.New("too-many-requests", "Error, too many requests. Please slow down. You must wait 2 seconds before trying again.").
				With(ejson.Doc{{Key: "timeToReset", Value: 2000}})
		}
		s.Ready()
	case "tenDocs":
		for i := range 10 {
			_ = s.Added("docs", fmt.Sprintf("doc%d", i), ejson.Doc{{Key: "n", Value: i}, {Key: "title", Value: "document"},
				{Key: "tags", Value: []any{"a", "b"}}, {Key: "ts", Value: time.UnixMilli(1700000000000)}})
		}
		s.Ready()
	case "stream":
		f.mu.Lock()
		if f.streams == nil {
			f.streams = make(map[*ddp.Subscription]struct{})
		}
		f.streams[s] = struct{}{}
		f.mu.Unlock()
		s.OnStop(func() {
			f.mu.Lock()
			delete(f.streams, s)
			f.mu.Unlock()
		})
		s.Ready()
	default:
		return fault.Num(404, fmt.Sprintf("Subscription '%s' not found", s.Name()))
	}
	return nil
}
