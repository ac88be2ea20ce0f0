// Package engine keeps the documents of package mongotest. It has the operations, names
// and errors of the engine of github.com/256dpi/lungo, whose place it takes, and leaves
// every judgement to that one: what matches, how lists are sorted, what an update makes of
// a document. Only where documents are kept is another: that engine copies the books of a
// whole collection for each write and looks at every document for each query, so that it
// gets slower with every document. Here a copy shares what does not change, and an index
// narrows what a query has to look at.
//
// It does not decide by an index: whatever one finds is asked whether it matches. It
// knows no options of commands, no wire and no time; nothing of it may be linked into the
// program.
package engine

import (
	"context"
	"errors"
	"sync"

	"github.com/256dpi/lungo"
)

type (
	// Handle names a collection.
	Handle = lungo.Handle
	// Result is what an operation did.
	Result = lungo.Result
)

// Engine has the collections as they were committed last. It is safe for concurrent use;
// whoever begins a transaction that writes sees to it that no other one is committed
// meanwhile.
type Engine struct {
	mu          sync.Mutex
	collections map[Handle]*Collection // is replaced, never changed
}

// New makes an engine without collections.
func New() *Engine { return &Engine{collections: map[Handle]*Collection{}} }

// Begin begins a transaction, which sees what was committed before and nothing else. One
// that is not committed needs no end.
func (e *Engine) Begin(context.Context, bool) (*Transaction, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return &Transaction{base: e.collections, collections: e.collections}, nil
}

// errOvertaken is a mistake of whoever uses the engine.
var errOvertaken = errors.New("another transaction was committed meanwhile")

// Commit has others see what a transaction changed.
func (e *Engine) Commit(t *Transaction) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !t.dirty {
		return nil
	}
	if !same(e.collections, t.base) {
		return errOvertaken
	}
	e.collections = t.collections
	t.base, t.dirty = t.collections, false
	return nil
}

// Abort drops what a transaction changed and did not commit.
func (e *Engine) Abort(t *Transaction) {
	t.collections, t.dirty, t.log = t.base, false, nil
}
