package mongotest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"ddpserver/internal/store/mongotest/engine"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// failed is an error reply.
type failed struct {
	code   int32
	name   string
	msg    string
	labels []string
	keys   bson.D // those of the unique index that refused a write
}

func (f *failed) Error() string { return f.msg }

func (f *failed) doc() bson.D {
	d := bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: f.msg}, {Key: "code", Value: f.code}, {Key: "codeName", Value: f.name}}
	if len(f.labels) > 0 {
		d = append(d, bson.E{Key: "errorLabels", Value: list(f.labels)})
	}
	if f.keys != nil {
		d = append(d, bson.E{Key: "keyPattern", Value: f.keys})
	}
	return d
}

func refused(format string, args ...any) error {
	return &failed{code: 115, name: "CommandNotSupported", msg: "mongotest refuses " + fmt.Sprintf(format, args...)}
}

func bad(err error) error {
	var f *failed
	if errors.As(err, &f) {
		return err
	}
	return &failed{code: 2, name: "BadValue", msg: err.Error()}
}

var good = bson.E{Key: "ok", Value: 1.0}

// call is one command on its way.
type call struct {
	s    *Server
	name string
	db   string
	doc  bson.D
	peer *peer
	txn  *transaction // nil outside of one
}

// commands is every command there is.
var commands = map[string]func(*call) (bson.D, error){
	"hello":    (*call).hello,
	"ismaster": (*call).hello,
	"ping":     (*call).nothing, "endsessions": (*call).nothing,
	"buildinfo": (*call).buildInfo,

	"insert": (*call).insert, "update": (*call).update, "delete": (*call).delete, "findandmodify": (*call).findAndModify,
	"find": (*call).find, "getmore": (*call).getMore, "killcursors": (*call).killCursors,
	"count": (*call).count, "distinct": (*call).distinct, "aggregate": (*call).aggregate,
	"createindexes": (*call).createIndexes, "listindexes": (*call).listIndexes, "dropindexes": (*call).dropIndexes,
	"committransaction": (*call).nothing, "aborttransaction": (*call).nothing, // of a kind that takes no notice of transactions

	"listcollections": (*call).listCollections, "drop": (*call).drop, "dropdatabase": (*call).dropDatabase,
}

// bookkeeping commands are neither reported nor hit by faults that name no command.
var bookkeeping = map[string]bool{"hello": true, "ismaster": true, "endsessions": true, "buildinfo": true, "killcursors": true}

// handle runs a command, with the faults that wait for it. An error means that
// the connection ends without an answer.
func (s *Server) handle(q *request) (answer bson.D, err error) {
	name := strings.ToLower(q.doc[0].Key)
	if !bookkeeping[name] {
		s.mu.Lock()
		watch := s.watch
		s.mu.Unlock()
		if watch != nil {
			watch(q.doc[0].Key, q.raw)
		}
	}
	f := s.fault(name)
	if answer, err := f.before(); err != nil {
		return nil, err
	} else if answer != nil {
		return s.timed(answer), nil
	}
	if answer = s.once(q, name); answer == nil {
		return nil, errHangUp
	}
	return f.after(s.timed(answer))
}

// timed adds to an answer what time it is in the cluster, if there is one.
func (s *Server) timed(answer bson.D) bson.D {
	if s.kind.standalone {
		return answer
	}
	now, _ := s.history.now()
	return append(answer[:len(answer):len(answer)], bson.E{Key: "operationTime", Value: now}, bson.E{Key: "$clusterTime", Value: bson.D{
		{Key: "clusterTime", Value: now},
		{Key: "signature", Value: bson.D{{Key: "hash", Value: primitive.Binary{Data: make([]byte, 20)}}, {Key: "keyId", Value: int64(0)}}}}})
}

// once runs a command, but a retryable write that was run already is only
// answered again.
func (s *Server) once(q *request, name string) bson.D {
	if inTransaction(q) && !s.kind.forgetful {
		return s.transact(q, name)
	}
	number, retryable := get(q.doc, "txnNumber").(int64)
	if !retryable || s.kind.forgetful {
		return s.run(q, name, nil)
	}
	session := fmt.Sprint(get(q.doc, "lsid"))
	s.mu.Lock()
	last, ok := s.replies[session]
	s.mu.Unlock()
	if ok && last.number == number {
		return last.doc
	}
	answer := s.run(q, name, nil)
	s.mu.Lock()
	s.replies[session] = reply{number, answer}
	s.mu.Unlock()
	return answer
}

// run runs a command. Nil is the answer to somebody who is gone.
func (s *Server) run(q *request, name string, t *transaction) (answer bson.D) {
	defer func() {
		if p := recover(); p != nil { // the engine does not know every value
			answer = (&failed{code: 8, name: "UnknownError", msg: fmt.Sprint("engine: ", p)}).doc()
		}
	}()
	do, ok := commands[name]
	if !ok {
		return (&failed{code: 59, name: "CommandNotFound", msg: "no such command: '" + q.doc[0].Key + "'"}).doc()
	}
	c := &call{s: s, name: name, doc: q.doc, peer: q.peer, txn: t}
	c.db, _ = get(q.doc, "$db").(string)
	err := c.refuse()
	if err == nil {
		answer, err = do(c)
	}
	if errors.Is(err, errHangUp) {
		return nil
	}
	var f *failed
	if errors.As(bad2(err), &f) {
		return f.doc()
	}
	return answer
}

func bad2(err error) error {
	if err == nil {
		return nil
	}
	return bad(err)
}

func (c *call) handle() engine.Handle {
	coll, _ := c.doc[0].Value.(string)
	return engine.Handle{c.db, coll}
}

func (c *call) ns() string { return c.handle().String() }

func (c *call) nothing() (bson.D, error) { return bson.D{good}, nil }

func (c *call) hello() (bson.D, error) {
	answer := bson.D{{Key: "helloOk", Value: true}, {Key: "ismaster", Value: true}, {Key: "isWritablePrimary", Value: true}}
	if !c.s.kind.standalone {
		addr := c.s.Addr()
		var election primitive.ObjectID
		binary.BigEndian.PutUint32(election[8:], c.s.elections.Load()+1)
		answer = append(answer, bson.D{
			{Key: "setName", Value: "mongotest"}, {Key: "setVersion", Value: int32(1)}, {Key: "hosts", Value: bson.A{addr}},
			{Key: "primary", Value: addr}, {Key: "me", Value: addr}, {Key: "secondary", Value: false}, {Key: "electionId", Value: election}}...)
	}
	return append(answer, bson.D{
		{Key: "maxBsonObjectSize", Value: int32(16 << 20)}, {Key: "maxMessageSizeBytes", Value: int32(maxMessage)},
		{Key: "maxWriteBatchSize", Value: int32(100_000)}, {Key: "localTime", Value: primitive.NewDateTimeFromTime(time.Now())},
		{Key: "logicalSessionTimeoutMinutes", Value: int32(30)}, {Key: "connectionId", Value: int32(c.s.ids.Add(1) & 0x7fffffff)},
		{Key: "minWireVersion", Value: int32(0)}, {Key: "maxWireVersion", Value: int32(21)}, {Key: "readOnly", Value: false}, good,
	}...), nil
}

func (c *call) buildInfo() (bson.D, error) {
	return bson.D{{Key: "version", Value: "7.0.0-mongotest"}, {Key: "versionArray", Value: bson.A{int32(7), int32(0), int32(0), int32(0)}}, good}, nil
}

// get reads a member of a document; nil when there is none.
func get(d bson.D, key string) any {
	for _, e := range d {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

// doc reads a member that is a document; an empty one when there is none.
func doc(d bson.D, key string) *bson.D {
	v, _ := get(d, key).(bson.D)
	if v == nil {
		v = bson.D{}
	}
	return &v
}

func number(v any) int {
	switch v := v.(type) {
	case int32:
		return int(v)
	case int64:
		return int(v)
	case float64:
		return int(v)
	}
	return 0
}

func yes(v any) bool {
	b, ok := v.(bool)
	return ok && b
}

// docs reads a member that is an array of documents.
func docs(d bson.D, key string) ([]*bson.D, error) {
	list, _ := get(d, key).(bson.A)
	out := make([]*bson.D, 0, len(list))
	for _, v := range list {
		e, ok := v.(bson.D)
		if !ok {
			return nil, fmt.Errorf("%s: not a document", key)
		}
		out = append(out, &e)
	}
	return out, nil
}

func list(values []string) bson.A {
	out := make(bson.A, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
