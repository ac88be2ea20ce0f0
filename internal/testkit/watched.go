package testkit

import (
	"context"
	"sync"

	"ddpserver/internal/user"
)

// Watched is a real store that notes how a login goes: the reads of accounts and the
// changes that add a login token ("AddToken"). A test may take a step of its own
// between two of them.
type Watched struct {
	Store
	mu   sync.Mutex
	ops  []string
	op   string
	then func()
}

// Then has f run once, when the next operation of that name has its result and before
// whoever asked for it gets it.
func (s *Watched) Then(op string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.op, s.then = op, f
}

// Take hands out what was noted since the last time, and forgets a step that was not
// taken.
func (s *Watched) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ops := s.ops
	s.ops, s.then = nil, nil
	return ops
}

func (s *Watched) done(op string) {
	s.mu.Lock()
	s.ops = append(s.ops, op)
	var step func()
	if s.op == op {
		step, s.then = s.then, nil
	}
	s.mu.Unlock()
	if step != nil {
		step()
	}
}

// UserByID notes itself.
func (s *Watched) UserByID(ctx context.Context, id string) (*user.User, error) {
	defer s.done("UserByID")
	return s.Store.UserByID(ctx, id)
}

// UserByUsername notes itself.
func (s *Watched) UserByUsername(ctx context.Context, key string) (*user.User, error) {
	defer s.done("UserByUsername")
	return s.Store.UserByUsername(ctx, key)
}

// UserByEmail notes itself.
func (s *Watched) UserByEmail(ctx context.Context, key string) (*user.User, error) {
	defer s.done("UserByEmail")
	return s.Store.UserByEmail(ctx, key)
}

// UserByToken notes itself.
func (s *Watched) UserByToken(ctx context.Context, hash, clear string) (*user.User, error) {
	defer s.done("UserByToken")
	return s.Store.UserByToken(ctx, hash, clear)
}

// UpdateUser notes itself when it adds a login token.
func (s *Watched) UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error) {
	if c.AddToken != nil {
		defer s.done("AddToken")
	}
	return s.Store.UpdateUser(ctx, id, c)
}
