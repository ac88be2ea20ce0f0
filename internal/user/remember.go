package user

import (
	"context"
	"sync"
)

// memory keeps one account for whoever works under the same context.
type memory struct {
	mu   sync.Mutex
	user *User
}

type memoryKey struct{}

// WithMemory makes a context under which Remember keeps an account. It is for a
// step whose parts all need the account as it is after a moment that they share,
// like that from which a connection belongs to it.
func WithMemory(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoryKey{}, &memory{})
}

// Remember keeps a copy of an account that was just read, if the context was made
// by WithMemory.
func Remember(ctx context.Context, u *User) {
	if m, ok := ctx.Value(memoryKey{}).(*memory); ok {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.user = u.Clone()
	}
}

// Remembered is a copy of the account that was remembered last, if it has this id,
// else nil.
func Remembered(ctx context.Context, id string) *User {
	m, ok := ctx.Value(memoryKey{}).(*memory)
	if !ok {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.user == nil || m.user.ID != id {
		return nil
	}
	return m.user.Clone()
}
