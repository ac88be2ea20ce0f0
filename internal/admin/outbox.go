package admin

import (
	"context"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// errNoOutbox says why there is nothing to see.
var errNoOutbox = fault.New("error-outbox-unavailable", "Mails are sent by the mail server of MAIL_URL; only a server without one shows them")

// outbox shows the mails of a server without a mail server, where they are files that
// nobody else delivers: a developer reads the code beside the tab that asks for it. Who
// reads the codes of others can be anybody, and so can whoever reads the own ones with a
// stolen session: a fresh factor is asked for, which neither remembered trust nor a token
// that skips checks passes. A code by e-mail is no proof of anything here, since the
// outbox is the mailbox (docs/adr/0011-the-outbox-is-the-mailbox.md). The stream that
// follows tells new mails to the very connection on which the factor was given.
type outbox struct {
	*Slice
	challenger methods.Challenger
}

func (g *outbox) Specs() []methods.Spec {
	return []methods.Spec{{
		Name: "outbox:list", Do: g.list, Effects: methods.Others, Inside: twofactor.Fresh,
		Proofs: rpc.Proofs{Not: []string{twofactor.Email}}, Permission: permission.EditOtherUserTOTP,
		Doc: "Shows the newest mails, with the codes in them, on a server without MAIL_URL, for development: up to 100 that this node wrote since its start. " +
			"Asks for a fresh factor, and never for a code by e-mail, which would be among the mails; on a connection of DDP once in twelve hours, " +
			"and the event outbox of stream-server is open on it for that time.",
		Params: "{count?}?", Result: "{mails: [{_id, to, subject, text, at}], count}",
		Errors: "error-outbox-unavailable; error-no-factor-for-call; 400 Match failed",
	}}
}

func (g *outbox) list(ctx context.Context, c *rpc.Call) (any, error) {
	var q *struct {
		Count int      `ejson:"count,omitempty"`
		_     struct{} `ejson:",ignore"`
	}
	if err := c.Bind(&q); err != nil {
		return nil, err
	}
	if !g.o.Outbox.InClear() {
		return nil, errNoOutbox
	}
	if g.opened(c.Peer, c.Login) <= 0 {
		if err := g.challenger.Challenge(ctx, c, twofactor.Fresh); err != nil {
			return nil, err
		}
		g.open(c.Peer, c.Login)
	}
	mails := g.o.Outbox.Recent()
	if q != nil && q.Count > 0 && q.Count < len(mails) {
		mails = mails[:q.Count]
	}
	list := make([]any, len(mails))
	for i, m := range mails {
		list[i] = m
	}
	return ejson.Doc{{Key: "mails", Value: list}, {Key: "count", Value: len(list)}}, nil
}

const (
	// openFor is how long a connection is asked for no further factor.
	openFor = 12 * time.Hour
	// maxOpen bounds the connections that are remembered.
	maxOpen = 1000
)

// opener is the connection and the login for which a factor was given.
type opener struct{ conn, user, token string }

// open remembers that a factor was given on a connection. A request of REST is a
// connection of its own, and is not remembered.
func (s *Slice) open(p *rpc.Peer, l rpc.Login) {
	if p.Door != rpc.DDP && p.Door != rpc.SockJS {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	for o, at := range s.openers {
		if now.Sub(at) >= openFor || len(s.openers) >= maxOpen {
			delete(s.openers, o)
		}
	}
	s.openers[opener{p.Conn, l.UserID, l.Token}] = now
}

// opened is for how much longer the outbox is open on a connection.
func (s *Slice) opened(p *rpc.Peer, l rpc.Login) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.openers[opener{p.Conn, l.UserID, l.Token}]
	if !ok {
		return 0
	}
	return openFor - s.o.Now().Sub(at)
}

// outboxRoutes is the same over REST.
type outboxRoutes struct{ *Slice }

type (
	outboxAnswer struct {
		Mails []shownMail `json:"mails"`
		Count int         `json:"count"`
	}
	shownMail struct {
		ID      string    `json:"_id"`
		To      string    `json:"to"`
		Subject string    `json:"subject"`
		Text    string    `json:"text"`
		At      time.Time `json:"at"`
	}
)

// Routes lists it.
func (g *outboxRoutes) Routes() []rest.Route {
	return []rest.Route{{
		Verb: "GET", Path: "outbox.list", Tag: "server", Summary: "The newest mails of a server without MAIL_URL, for development", Method: "outbox:list",
		Result: schema.Of[outboxAnswer]().Answered(), Shape: rest.AsDoc,
	}}
}
