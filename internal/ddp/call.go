package ddp

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// callWithFactor is the method that takes a second factor along, and the msg of
// the literal frame the documentation shows for it (docs/decisions.md 2.1).
const callWithFactor = "callWithTwoFactorRequired"

var errUnblocked = errors.New("ddp: the user cannot be changed after Unblock")

// SetLogin implements rpc.Session for the call.
func (it *item) SetLogin(ctx context.Context, l rpc.Login) error {
	it.s.mu.Lock()
	released := it.released
	it.s.mu.Unlock()
	if released {
		return errUnblocked
	}
	it.hold() // what the change shows leaves together with the answer
	return it.s.setLogin(ctx, l)
}

// Unblock implements rpc.Session for the call.
func (it *item) Unblock() { it.s.unblock(it) }

// method runs a method message.
func (s *Session) method(it *item) {
	e, text := &it.env, it.text
	id, params, seed := e.id.Of(text), e.params.Of(text), e.randomSeed.Of(text)
	if !isString(id) || !isString(e.method.Of(text)) || params != nil && params[0] != '[' || seed != nil && seed[0] != '"' {
		s.malformed("Malformed method invocation", compact(text, e))
		return
	}
	it.call.Method = s.srv.names.of(unquoted(e.method.Of(text)))
	it.call.Params = params
	s.call(it, id)
}

// factorFrame runs the literal frame: its members become the one parameter of
// the method call.
func (s *Session) factorFrame(it *item) {
	e, text := &it.env, it.text
	id, seed := e.id.Of(text), e.randomSeed.Of(text)
	if !isString(id) || seed != nil && seed[0] != '"' {
		s.malformed("Malformed method invocation", compact(text, e))
		return
	}
	params := append(make([]byte, 0, len(text)), `[{`...)
	for _, m := range [...]struct {
		key  string
		span ejson.Span
	}{{"code", e.code}, {"ddpMethod", e.ddpMethod}, {"method", e.method}, {"params", e.params}} {
		if !m.span.Present() {
			continue
		}
		if len(params) > 2 {
			params = append(params, ',')
		}
		params = append(params, '"')
		params = append(params, m.key...)
		params = append(params, `":`...)
		params = append(params, m.span.Of(text)...)
	}
	it.call.Method = callWithFactor
	it.call.Params = append(params, `}]`...)
	s.call(it, id)
}

// call runs the handler and answers. Data messages the call caused are queued
// before, result and updated leave in one write (docs/wire/ddp.md A10).
func (s *Session) call(it *item, id []byte) {
	it.call.Peer = s.peer
	it.call.Frame = id
	it.call.Login = s.Login()
	it.call.Session = it
	s.srv.stats.calls.Add(1)
	result, err := s.invoke(&it.call)
	s.srv.stats.calls.Add(-1)
	f := s.frames()
	if err == nil {
		err = s.answer(&f, it, id, result)
	}
	if err != nil {
		f.refusal(id, err)
	}
	f.updated(id)
	s.put(f.buffer)
	it.unhold()
	s.srv.names.learn(it.call.Method, err)
}

// MaxResult is the longest result of a call in bytes, through whatever door.
const MaxResult = 8 << 20

// Errors that take a result's place.
var (
	// ErrResultTooLarge stands for a result that is longer than MaxResult.
	ErrResultTooLarge = fault.New("error-result-too-large", "The result is too large. Ask for less at once: fewer entries, or a shorter time.")
	// ErrBusy stands for a result for which the budget of all clients has no room.
	ErrBusy = fault.New("error-server-busy", "The server holds too much for slow readers. Try again in a moment.")
)

// answer encodes a result, or says why the client cannot have it.
func (s *Session) answer(f *frames, it *item, id []byte, result any) error {
	if raw, ok := result.(ejson.Raw); ok && len(raw) > s.srv.limits.ResultBytes {
		return ErrResultTooLarge
	}
	n, ok := f.result(id, result)
	switch {
	case !ok:
		s.srv.log.Error("result_not_encoded", zap.String("method", it.call.Method),
			zap.String("conn", s.ID()), zap.String("type", fmt.Sprintf("%T", result)))
		return fault.Internal
	case n > s.srv.limits.ResultBytes:
		f.b = nil // an ordinary buffer comes back when the next one is wanted
		return ErrResultTooLarge
	case n > keepBuffer: // many large ones at once, for peers who may not read
		if !s.held.Grow(n) {
			s.held.Refuse()
			f.b = nil
			return ErrBusy
		}
		s.held.Shrink(n)
	}
	return nil
}

// invoke contains a panic to the call.
func (s *Session) invoke(c *rpc.Call) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.srv.log.Error("method_panicked", zap.String("method", c.Method), zap.String("conn", s.ID()),
				zap.Any("panic", p), zap.Stack("stack"))
			result, err = nil, fault.Internal
		}
	}()
	return s.srv.handler.Method(s.srv.ctx, c)
}

// hello lets the handler start the universal publications. A session that ended
// before gets neither Connected nor Disconnected.
func (s *Session) hello(it *item) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.greeting = greetingNow
	s.mu.Unlock()
	it.hold()
	s.guard("connected hook", func() { s.srv.handler.Connected(s.srv.ctx, s) })
	it.unhold()
	s.mu.Lock()
	left := s.greeting == greetingLeft
	s.greeting = greetingDone
	s.mu.Unlock()
	if left { // it ended meanwhile and left this to us
		s.farewell()
	}
}

// greeted is how far Handler.Connected is, so that Disconnected comes after it.
type greeted uint8

const (
	greetingNone greeted = iota
	greetingNow
	greetingLeft // the session ended while Connected runs
	greetingDone
)

// farewell tells the handler that the session is over.
func (s *Session) farewell() {
	s.guard("disconnected hook", func() { s.srv.handler.Disconnected(s) })
}
