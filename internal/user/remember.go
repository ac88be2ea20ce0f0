package user

import (
	"context"
	"sync"
)

// memory keeps one account for whoever works under the same context.
type memory struct {
	heard *Heard

	mu   sync.Mutex
	user *User
	mark uint64 // of the read
}

type memoryKey struct{}

// WithMemory makes a context under which an account that was read is kept, until news
// of it comes. It is for a login: what is read, or written, to find out that a token is
// alive is also what the connection is bound to and shown. A context that has a memory
// keeps it. Without heard nothing is kept.
func WithMemory(ctx context.Context, heard *Heard) context.Context {
	if memoryOf(ctx) != nil || heard == nil {
		return ctx
	}
	return context.WithValue(ctx, memoryKey{}, &memory{heard: heard})
}

func memoryOf(ctx context.Context) *memory {
	m, _ := ctx.Value(memoryKey{}).(*memory)
	return m
}

// Reading is a read of an account, or a change of it, that begins.
type Reading struct {
	memory *memory
	mark   uint64
}

// BeginReading comes before the store is asked.
func BeginReading(ctx context.Context) Reading {
	m := memoryOf(ctx)
	if m == nil {
		return Reading{}
	}
	return Reading{m, m.heard.Mark()}
}

// Keep has a copy of what the store answered remembered, if the context has a memory.
func (r Reading) Keep(u *User) {
	if r.memory == nil {
		return
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	r.memory.user, r.memory.mark = u.Clone(), r.mark
}

// Remembered is a copy of the account that was kept last, if it has this id and no news
// of it came since its read began; else nil. Who calls it after he is set up to be found
// by news, misses no change: one that was committed after the read either was heard of
// before, and nil is the answer, or finds him.
func Remembered(ctx context.Context, id string) *User {
	m := memoryOf(ctx)
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.user == nil || m.user.ID != id || m.heard.Since(m.mark, id) {
		return nil
	}
	return m.user.Clone()
}
