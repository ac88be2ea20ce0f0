package mongotest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/256dpi/lungo/bsonkit"
	"go.mongodb.org/mongo-driver/bson"

	"ddpserver/internal/store/mongotest/engine"
)

// A transaction works on a copy of the engine's books as they were at its first command,
// and is told of a write conflict as soon as it wants to change a document that somebody
// else changed since then or is about to. What it changed itself is locked until its end:
// another transaction is refused there, an ordinary write waits, as on MongoDB. Nobody
// ends it for a client that is gone, before it is as old as transactions may get.

// lifetime is how old a transaction may get: MongoDB's transactionLifetimeLimitSeconds.
const lifetime = time.Minute

// labelTransient says that the whole transaction may be tried again.
const labelTransient = "TransientTransactionError"

// docKey names a document.
type docKey struct {
	handle engine.Handle
	id     string
}

// transaction is the last one of a session.
type transaction struct {
	number    int64
	begun     time.Time
	tx        *engine.Transaction // nil when it has ended
	snapshot  *engine.Transaction
	touched   []docKey // in the order in which they were first changed
	ids       map[docKey]any
	committed bool
}

// transactions are those of a server; its field writing guards them.
type transactions struct {
	of    map[string]*transaction // by session
	locks map[docKey]*transaction
	ended chan struct{} // closed by the next end of one
}

func newTransactions() transactions {
	return transactions{of: make(map[string]*transaction), locks: make(map[docKey]*transaction), ended: make(chan struct{})}
}

func conflict(what string) error {
	return &failed{code: 112, name: "WriteConflict", msg: "write conflict: " + what, labels: []string{labelTransient}}
}

func noSuchTransaction() *failed {
	return &failed{code: 251, name: "NoSuchTransaction", msg: "the transaction is not there, or it was aborted", labels: []string{labelTransient}}
}

// inTransaction tells whether a command belongs to a transaction.
func inTransaction(q *request) bool { return get(q.doc, "autocommit") == false }

// transact runs a command of a transaction. Any refusal ends it.
func (s *Server) transact(q *request, name string) bson.D {
	if f := s.kind.transactions; f != nil {
		return f.doc()
	}
	number, _ := get(q.doc, "txnNumber").(int64)
	session := fmt.Sprint(get(q.doc, "lsid"))
	s.writing.Lock()
	t := s.transactions.of[session]
	if yes(get(q.doc, "startTransaction")) {
		if t != nil {
			s.endTransaction(t)
		}
		t = &transaction{number: number, begun: time.Now(), ids: make(map[docKey]any)}
		t.tx, _ = s.engine.Begin(context.Background(), false)
		t.snapshot, _ = s.engine.Begin(context.Background(), false)
		s.transactions.of[session] = t
	}
	switch {
	case t == nil || t.number != number || t.tx == nil && !(name == "committransaction" && t.committed):
		s.writing.Unlock()
		return noSuchTransaction().doc()
	case name == "aborttransaction":
		s.endTransaction(t)
		s.writing.Unlock()
		return bson.D{good}
	case name == "committransaction":
		defer s.writing.Unlock()
		if err := s.commitTransaction(t); err != nil {
			return noSuch(err).doc()
		}
		return bson.D{good}
	}
	s.writing.Unlock()
	answer := s.run(q, name, t)
	if get(answer, "ok") != 1.0 || get(answer, "writeErrors") != nil {
		s.writing.Lock()
		s.endTransaction(t)
		s.writing.Unlock()
	}
	return answer
}

// noSuch is what a commit answers that came too late.
func noSuch(err error) *failed {
	var f *failed
	if errors.As(err, &f) {
		return f
	}
	return conflict(err.Error()).(*failed)
}

// endTransaction drops a transaction, and wakes those who wait for what it locked.
// s.writing is held.
func (s *Server) endTransaction(t *transaction) {
	t.tx, t.snapshot = nil, nil
	for _, k := range t.touched {
		if s.transactions.locks[k] == t {
			delete(s.transactions.locks, k)
		}
	}
	close(s.transactions.ended)
	s.transactions.ended = make(chan struct{})
}

// EndTransactions aborts the open transactions of clients that are gone, as MongoDB does
// when they are a minute old.
func (s *Server) EndTransactions() { s.endTransactions(0) }

func (s *Server) endTransactions(age time.Duration) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for _, t := range s.transactions.of {
		if t.tx != nil && time.Since(t.begun) >= age {
			s.endTransaction(t)
		}
	}
}

// write runs one change in a transaction, and locks what it changed.
func (t *transaction) write(s *Server, do func(*engine.Transaction) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if t.tx == nil {
		return noSuchTransaction()
	}
	if err := do(t.tx); err != nil {
		return err
	}
	now, err := s.engine.Begin(context.Background(), false)
	if err != nil {
		return err
	}
	for _, e := range t.tx.Taken() {
		key, id := keyOf(*e)
		switch owner := s.transactions.locks[key]; {
		case owner == t:
			continue
		case owner != nil:
			return conflict("another transaction changes the document")
		}
		was, err1 := stored(t.snapshot, key.handle, id)
		is, err2 := stored(now, key.handle, id)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if was != is {
			return conflict("the document was changed since the transaction began")
		}
		s.transactions.locks[key] = t
		t.touched, t.ids[key] = append(t.touched, key), id
	}
	return nil
}

// keyOf names the document that an entry of the engine's log is about.
func keyOf(entry bson.D) (docKey, any) {
	ns := *doc(entry, "ns")
	db, _ := get(ns, "db").(string)
	coll, _ := get(ns, "coll").(string)
	id := get(*doc(entry, "documentKey"), "_id")
	raw, err := bson.Marshal(bson.D{{Key: "_id", Value: id}})
	if err != nil {
		panic(err) // it was unmarshalled
	}
	return docKey{engine.Handle{db, coll}, string(raw)}, id
}

// stored is a document by its id, nil when it is not there. It is another one after every change.
func stored(tx *engine.Transaction, h engine.Handle, id any) (bsonkit.Doc, error) {
	res, err := tx.Find(h, &bson.D{{Key: "_id", Value: id}}, nil, 0, 1)
	if err != nil || len(res.Matched) == 0 {
		return nil, err
	}
	return res.Matched[0], nil
}

// commitTransaction makes what a transaction changed seen by everybody, at once. s.writing is held.
func (s *Server) commitTransaction(t *transaction) error {
	if t.committed {
		return nil // the client did not hear it
	}
	defer s.endTransaction(t)
	_, err := s.commitNow(nil, func(tx *engine.Transaction) error {
		for _, step := range []func(h engine.Handle, id any, was, is bsonkit.Doc) error{
			func(h engine.Handle, id any, was, is bsonkit.Doc) error {
				if was == nil || is != nil {
					return nil
				}
				_, err := tx.Delete(h, &bson.D{{Key: "_id", Value: id}}, nil, 0, 1)
				return err
			},
			func(h engine.Handle, id any, was, is bsonkit.Doc) error {
				if was == nil || is == nil || was == is {
					return nil
				}
				_, err := tx.Replace(h, &bson.D{{Key: "_id", Value: id}}, nil, is, false)
				return err
			},
			func(h engine.Handle, _ any, was, is bsonkit.Doc) error {
				if was != nil || is == nil {
					return nil
				}
				res, err := tx.Insert(h, bsonkit.List{is}, true)
				if err == nil {
					err = res.Error
				}
				return err
			},
		} {
			for _, k := range t.touched {
				was, err1 := stored(t.snapshot, k.handle, t.ids[k])
				is, err2 := stored(t.tx, k.handle, t.ids[k])
				if err := errors.Join(err1, err2); err != nil {
					return err
				}
				if err := step(k.handle, t.ids[k], was, is); err != nil {
					return err
				}
			}
		}
		return nil
	})
	t.committed = err == nil
	return err
}
