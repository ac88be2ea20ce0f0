// Package mongotest is a MongoDB server for tests: the wire protocol in front
// of what the in-memory engine github.com/256dpi/lungo makes of queries and
// updates, with books of its own (package engine), enough of both for the
// official driver (v2) and for what package mongo uses. It starts in a
// millisecond, keeps nothing, and can be made to fail on purpose (see Fault).
//
// What the engine would get silently wrong is refused with an error instead:
// regular expressions, $type, $expr, projections that hide dotted paths, positional
// operators, updates with conflicting paths, pipelines as updates, collations,
// index definitions that clash (see refuse.go).
// A retryable write that arrives twice is applied once, as on a replica set.
//
// It has change streams over one collection (see stream.go) and transactions (see
// transaction.go), unless it is started as a Standalone or as an engine Without them.
//
// It is test code: nothing of it may be linked into the program, and passing
// on it is no proof for a real server; the suite runs against one when
// MONGODB_TEST_URI is set.
package mongotest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/store/mongotest/engine"
	"go.mongodb.org/mongo-driver/bson"

	"ddpserver/internal/testwait"
)

// Server is a running server.
type Server struct {
	engine    *engine.Engine
	listener  net.Listener
	wg        sync.WaitGroup
	ids       atomic.Int64
	databases atomic.Int64
	elections atomic.Uint32
	changes   atomic.Int64
	waiting   atomic.Int64
	kind      Kind
	history   *history
	writing   sync.Mutex // one write at a time, and into the history in their order
	// transactions are guarded by writing.
	transactions transactions
	ended        chan struct{}

	mu      sync.Mutex // guards what follows
	conns   map[net.Conn]struct{}
	closed  bool
	down    bool
	faults  []*Fault
	watch   func(command string, doc []byte)
	indexes map[engine.Handle]map[string]bson.D // definitions as they were given
	cursors map[int64]*cursor
	replies map[string]reply // the last retryable write of each session
}

type cursor struct {
	ns     string
	rest   []bson.D
	stream *stream // of a change stream
}

// Kind is what a server is. The zero value is a replica set of one member.
type Kind struct {
	standalone   bool
	refusal      *failed // of change streams
	transactions *failed // refusal of transactions
	forgetful    bool
	unit         time.Duration // see Coarse
}

// Standalone is a server that belongs to no replica set: no change streams, no retryable
// writes, no transactions.
func Standalone() Kind {
	return Kind{standalone: true, transactions: noNumbers,
		refusal: &failed{code: 40573, name: "Location40573", msg: "The $changeStream stage is only supported on replica sets"}}
}

// Without is a server that says it is a replica set, but refuses change streams and
// transactions in its own way, as engines do that only speak MongoDB's protocol.
func Without(code int32, name string) Kind {
	f := &failed{code: code, name: name, msg: "no such thing here: " + name}
	return Kind{refusal: f, transactions: f}
}

// Forgetful is an engine that takes the commands of a transaction for ordinary ones: each
// write counts at once, and to abort takes nothing back.
func Forgetful() Kind { return Kind{forgetful: true} }

type reply struct {
	number int64
	doc    bson.D
}

// Start starts a server that ends with the test and returns the URL of an
// empty database on it.
func Start(t testing.TB) string {
	t.Helper()
	return StartServer(t).URI()
}

// StartServer starts a server that ends with the test.
func StartServer(t testing.TB, kind ...Kind) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", kind...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Listen starts a server on a TCP address, a replica set unless a kind is given.
func Listen(addr string, kind ...Kind) (*Server, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{
		engine: engine.New(), listener: l, history: newHistory(), ended: make(chan struct{}),
		conns:   make(map[net.Conn]struct{}),
		indexes: make(map[engine.Handle]map[string]bson.D),
		cursors: make(map[int64]*cursor),
		replies: make(map[string]reply), transactions: newTransactions(),
	}
	if len(kind) > 0 {
		s.kind = kind[0]
	}
	s.wg.Add(2)
	go s.accept()
	go s.expire()
	return s, nil
}

// Addr is the address the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URI is the URL of a database nobody has used yet. It gives every operation
// minutes, for machines that are busy.
func (s *Server) URI() string {
	return fmt.Sprintf("mongodb://%s/test%d?timeoutMS=%d", s.Addr(), s.databases.Add(1), testwait.Limit.Milliseconds())
}

// Close ends the server and every connection.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.listener.Close()
	close(s.ended)
	s.hangUp()
	s.wg.Wait()
	return err
}

// Watch has every command but the driver's own bookkeeping reported, as BSON.
func (s *Server) Watch(f func(command string, doc []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = f
}

// Changes is how many changes of a document were made so far.
func (s *Server) Changes() int64 { return s.changes.Load() }

// Down cuts every connection and drops new ones at once, until Up.
func (s *Server) Down() {
	s.mu.Lock()
	s.down = true
	s.mu.Unlock()
	s.hangUp()
}

// Up ends Down.
func (s *Server) Up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = false
}

func (s *Server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed || s.down {
			_ = conn.Close()
		} else {
			s.conns[conn] = struct{}{}
			s.wg.Add(1)
			go s.serve(conn)
		}
		s.mu.Unlock()
	}
}

func (s *Server) serve(conn net.Conn) {
	defer s.wg.Done()
	defer func() {
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		_ = conn.Close()
	}()
	from := &peer{conn, bufio.NewReader(conn)}
	for {
		req, err := readMessage(from.reader)
		if err != nil {
			return
		}
		req.peer = from
		answer, err := s.handle(req)
		if err != nil || req.noReply {
			if errors.Is(err, errHangUp) || err != nil {
				return
			}
			continue
		}
		if err := writeMessage(conn, req, answer); err != nil {
			return
		}
	}
}
