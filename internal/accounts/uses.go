package accounts

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

const (
	// useEvery and sessionUseEvery are how often at most the use of one personal
	// access token and of one session is written down.
	useEvery        = time.Minute
	sessionUseEvery = time.Hour
	// writeBehind is how long the uses of sessions are gathered before they are
	// written: no call waits for that.
	writeBehind = 10 * time.Second
	// maxGathered bounds what is gathered; a use beyond it is noted the next time.
	maxGathered = 10_000
)

// origin is what the server keeps of where a client is; nil is nothing.
func (s *Service) origin(p *rpc.Peer) *user.Origin {
	if s.originOf == nil || p == nil {
		return nil
	}
	return s.originOf(p)
}

// Used notes that a connection used its login token, which the account u has. Most
// times it does nothing: see used.
func (s *Service) Used(ctx context.Context, p *rpc.Peer, u *user.User, l rpc.Login) {
	if t := u.LoginToken(l.Token); t != nil {
		s.used(ctx, p, u, t)
	}
}

// used notes the use of a token: of a personal access token at most once a minute
// and before the call goes on, of a session at most once an hour and behind it. A
// failure is none of the call.
func (s *Service) used(ctx context.Context, p *rpc.Peer, u *user.User, t *user.LoginToken) {
	last, every := t.LastUsedAt, useEvery
	if !t.IsPAT() {
		every = sessionUseEvery
		if last.IsZero() && (t.MadeFrom != nil || s.originOf == nil) {
			last = t.When
		}
	}
	now := s.time()
	if since := now.Sub(last); since >= 0 && since < every || !s.noted.due(t.HashedToken, now, every) {
		return
	}
	use := user.Use{At: now, From: s.origin(p)}
	if t.IsPAT() {
		s.noted.done(t.HashedToken, now)
		s.write(context.WithoutCancel(ctx), gathered{u.ID, t.HashedToken, use})
	} else if s.uses.add(gathered{u.ID, t.HashedToken, use}) {
		s.noted.done(t.HashedToken, now)
	}
}

// write writes one use down. A token that is gone needs no note.
func (s *Service) write(ctx context.Context, g gathered) {
	err := s.store.UseToken(ctx, g.owner, g.token, g.use)
	if err != nil && !errors.Is(err, dberr.Conflict) && !errors.Is(err, dberr.NotFound) {
		s.log.Warn("token_use_not_noted", zap.String("user_id", g.owner), zap.Error(err))
	}
}

// gathered is one use that waits to be written.
type gathered struct {
	owner, token string
	use          user.Use
}

// uses gathers those of sessions.
type uses struct {
	mu   sync.Mutex
	list []gathered
	// some is filled when the first is there.
	some chan struct{}
}

func (q *uses) add(g gathered) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) >= maxGathered {
		return false
	}
	if q.list = append(q.list, g); len(q.list) == 1 {
		select {
		case q.some <- struct{}{}:
		default: // the one who waits has not looked yet
		}
	}
	return true
}

func (q *uses) take() []gathered {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

// writeUses writes what was gathered, each in its own time, until ctx ends.
func (s *Service) writeUses(ctx context.Context) {
	for _, g := range s.uses.take() {
		if ctx.Err() != nil {
			return
		}
		s.write(ctx, g)
	}
}
