package ddp

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
)

var (
	// errTooManyConnections refuses a login beyond Limits.PerUser,
	// errTooManySubscriptions a subscription beyond Limits.Subscriptions (docs/decisions.md 6.1).
	errTooManyConnections   = fault.New("too-many-connections", "Too many connections of this user")
	errTooManySubscriptions = fault.New("too-many-subscriptions", "Too many subscriptions")
)

// subscribe runs a sub message (docs/wire/ddp.md A11).
func (s *Session) subscribe(it *item) {
	e, text := &it.env, it.text
	id, name, params := e.id.Of(text), e.name.Of(text), e.params.Of(text)
	if !isString(id) || !isString(name) || params != nil && params[0] != '[' {
		s.malformed("Malformed subscription", compact(text, e))
		return
	}
	p := &Subscription{s: s, id: string(unquoted(id)), name: s.srv.names.of(unquoted(name)), named: true}
	s.mu.Lock()
	if s.ended || s.leaving || s.find(p.id) >= 0 {
		s.mu.Unlock()
		return
	}
	if len(s.subs) >= s.srv.limits.Subscriptions || s.kept()+len(p.id)+len(params) > s.srv.limits.SubscriptionBytes {
		s.mu.Unlock()
		if !s.mistake(errTooManySubscriptions.Code) {
			return
		}
		f := s.frames()
		f.nosub(&p.id, errTooManySubscriptions)
		s.put(f.buffer)
		return
	}
	if len(params) > 2 {
		p.params = append([]byte(nil), params...)
	}
	p.item = it
	s.subs = append(s.subs, p)
	s.mu.Unlock()
	s.srv.stats.subs.Add(1)
	it.hold()
	err := s.runPublication(s.srv.ctx, p)
	it.unhold()
	s.mu.Lock()
	p.item = nil
	s.mu.Unlock()
	s.srv.names.learn(p.name, err)
}

// kept is how many bytes of ids and parameters the subscriptions keep for as long
// as they live. The caller holds the lock.
func (s *Session) kept() (n int) {
	for _, p := range s.subs {
		n += len(p.id) + len(p.params)
	}
	return n
}

// unsubscribe runs an unsub message: always answered, whatever the id.
func (s *Session) unsubscribe(it *item) {
	raw := it.env.id.Of(it.text)
	if isString(raw) {
		s.mu.Lock()
		i := s.find(string(unquoted(raw)))
		var p *Subscription
		if i >= 0 {
			p = s.subs[i]
		}
		s.mu.Unlock()
		if p != nil {
			p.Stop()
			return
		}
	}
	f := s.frames()
	at := f.begin(`{"msg":"nosub"`)
	if raw != nil {
		f.b = append(f.b, `,"id":`...)
		f.b = append(f.b, compact(raw, &envelope{})...)
	}
	f.end(at)
	s.put(f.buffer)
}

// find is the place of the subscription with that id. The caller holds the lock.
func (s *Session) find(id string) int {
	for i, p := range s.subs {
		if p.id == id {
			return i
		}
	}
	return -1
}

// runPublication runs the publication's function and ends the subscription with
// its error.
func (s *Session) runPublication(ctx context.Context, p *Subscription) error {
	s.mu.Lock()
	p.login = s.login
	s.mu.Unlock()
	err := s.publish(ctx, p)
	if err != nil {
		if _, safe := fault.From(err); !safe {
			s.srv.log.Error("publication_failed", zap.String("publication", p.name), zap.String("conn", s.ID()), zap.Error(err))
		}
		p.Error(err)
	}
	return err
}

// publish contains a panic to the publication.
func (s *Session) publish(ctx context.Context, p *Subscription) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.srv.log.Error("publication_panicked", zap.String("publication", p.name), zap.String("conn", s.ID()),
				zap.Any("panic", v), zap.Stack("stack"))
			err = fault.Internal
		}
	}()
	if p.publication != nil {
		return p.publication(ctx, p)
	}
	return s.srv.handler.Subscribe(ctx, p)
}

type op uint8

const (
	opAdd op = iota
	opChange
	opRemove
)

// change is Added, Changed and Removed.
func (p *Subscription) change(o op, collection string, id any, doc ejson.Doc, cleared []string) error {
	wire, err := wireID(id)
	if err != nil {
		return err
	}
	fields, undefined, err := encodeFields(p, doc)
	if err != nil {
		return err
	}
	if len(undefined) > 0 {
		cleared = append(slices.Clip(cleared), undefined...)
	}
	s := p.s
	f := s.frames()
	s.mu.Lock()
	if p.stopped || s.ended {
		s.mu.Unlock()
		putBuffer(f.buffer)
		return nil
	}
	f.silent = s.switching != nil
	held := true
	switch o {
	case opAdd:
		s.view.added(p, collection, wire, fields, &f)
	case opChange:
		held = s.view.changed(p, collection, wire, fields, cleared, &f)
	case opRemove:
		held = s.view.removed(p, collection, wire, &f)
	}
	s.put(f.buffer)
	s.mu.Unlock()
	s.out.flush(false)
	if !held {
		return ErrUnknownDocument
	}
	return nil
}

// encodeFields encodes the values of a document, all into one piece of memory.
func encodeFields(p *Subscription, doc ejson.Doc) (fields []field, undefined []string, err error) {
	if len(doc) == 0 {
		return nil, nil, nil
	}
	b := getBuffer()
	defer putBuffer(b)
	fields = make([]field, 0, len(doc))
	ends := make([]int, 0, 16)
	for _, m := range doc {
		if m.Key == "_id" {
			continue
		}
		if _, is := m.Value.(ejson.Undefined); is {
			undefined = append(undefined, m.Key)
			continue
		}
		if b.b, err = ejson.Append(b.b, m.Value); err != nil {
			return nil, nil, err
		}
		fields = append(fields, field{key: m.Key, by: p})
		ends = append(ends, len(b.b))
	}
	values, from := append([]byte(nil), b.b...), 0
	for i, end := range ends {
		fields[i].value = values[from:end:end]
		from = end
	}
	return fields, undefined, nil
}

// Ready tells the client that the first documents are all there. Only the first
// call counts; a universal publication has no ready.
func (p *Subscription) Ready() {
	s := p.s
	s.mu.Lock()
	if p.stopped || p.ready || !p.named || s.ended {
		s.mu.Unlock()
		return
	}
	p.ready = true
	if s.switching != nil {
		s.switching.ready = append(s.switching.ready, p)
		s.mu.Unlock()
		return
	}
	f := s.frames()
	f.ready(p.id)
	s.put(f.buffer)
	s.mu.Unlock()
	s.out.flush(false)
}

// Stop ends the subscription: its documents are removed, then a nosub without
// error is sent.
func (p *Subscription) Stop() { p.finish(nil) }

// Error ends the subscription with an error for the client: one that is not a
// *fault.Error becomes 500 "Internal server error".
func (p *Subscription) Error(err error) { p.finish(err) }

// finish ends a subscription. A universal publication is not ended, only
// reported (docs/wire/ddp.md A11).
func (p *Subscription) finish(err error) {
	s := p.s
	f := s.frames()
	s.mu.Lock()
	if p.stopped || s.ended {
		s.mu.Unlock()
		putBuffer(f.buffer)
		return
	}
	if !p.named {
		f.nosub(nil, err)
		s.put(f.buffer)
		s.mu.Unlock()
		s.out.flush(false)
		return
	}
	if i := slices.Index(s.subs, p); i >= 0 {
		s.subs = slices.Delete(s.subs, i, i+1)
	}
	stop := p.halt()
	f.silent = s.switching != nil
	s.view.dropAll(p, &f)
	f.silent = false
	f.nosub(&p.id, err)
	s.put(f.buffer)
	s.mu.Unlock()
	s.out.flush(false)
	s.srv.stats.subs.Add(-1)
	if stop != nil {
		stop()
	}
}

// halt marks the subscription as stopped and hands out what is to be run then.
// The caller holds the session's lock.
func (p *Subscription) halt() (onStop func()) {
	p.stopped = true
	onStop, p.onStop = p.onStop, nil
	return onStop
}

// OnStop registers a function to run once the subscription has stopped, after
// its documents were removed; at once if it has stopped already. Functions run
// in the order of registration, on the goroutine that stops the subscription.
func (p *Subscription) OnStop(f func()) {
	p.s.mu.Lock()
	if p.stopped || p.s.ended {
		p.s.mu.Unlock()
		f()
		return
	}
	if first := p.onStop; first != nil {
		p.onStop = func() { first(); f() }
	} else {
		p.onStop = f
	}
	p.s.mu.Unlock()
}

// Send sends a frame that many sessions share. It bypasses the merge box, never
// waits, and is not sent once the subscription has stopped: it gets its place among
// the messages under the session's lock, as the nosub does.
func (p *Subscription) Send(f *Frame) {
	s := p.s
	framed := f.framed(s.out.compressAbove)
	s.mu.Lock()
	if p.stopped || s.ended {
		s.mu.Unlock()
		return
	}
	first, reason, ok := s.out.begin(framed)
	s.mu.Unlock()
	switch {
	case !ok:
		s.end(reason)
	case first:
		s.out.pump(framed, nil)
	default:
		s.out.flush(true)
	}
}

// Post is Send for frames that go to many: it only queues, in order, and the
// write follows at once from another goroutine. So events that come in bursts
// share a write, and who publishes does not pay for the sockets of all.
func (p *Subscription) Post(f *Frame) {
	s := p.s
	framed := f.framed(s.out.compressAbove)
	s.mu.Lock()
	if p.stopped || s.ended {
		s.mu.Unlock()
		return
	}
	reason, ok, later := s.out.post(framed)
	s.mu.Unlock()
	if !ok {
		s.end(reason)
	} else if later {
		s.srv.post(s)
	}
}
