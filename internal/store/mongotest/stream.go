package mongotest

import (
	"net"
	"time"

	"ddpserver/internal/store/mongotest/engine"
	"github.com/256dpi/lungo/mongokit"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// awaitTime is how long a getMore waits that says nothing else, as MongoDB has it.
const awaitTime = time.Second

// maxBatchBytes bounds one answer of a change stream.
const maxBatchBytes = 16 << 20

// stream is a cursor over what happens to one collection.
type stream struct {
	of       engine.Handle
	match    []bson.D
	fields   bson.D
	look     bool                // show documents that were updated as they are now
	at       primitive.Timestamp // every change up to here was looked at
	dropped  bool                // the collection, which ends the stream
	busy     bool                // a getMore is under way
	killed   chan struct{}       // closed when somebody ends it
	killedBy *failed             // set before that
}

// Labels of errors of change streams.
const (
	resumable    = "ResumableChangeStreamError"
	notResumable = "NonResumableChangeStreamError"
)

// openStream opens a change stream.
func (c *call) openStream(stages []*bson.D) (bson.D, error) {
	if no := c.s.kind.refusal; no != nil {
		return nil, no
	}
	coll, ok := c.doc[0].Value.(string)
	if !ok {
		return nil, refused("a change stream over more than one collection")
	}
	if level := get(*doc(c.doc, "readConcern"), "level"); level != nil && level != "majority" {
		return nil, &failed{code: 72, name: "InvalidOptions", msg: "$changeStream needs the read concern majority"}
	}
	st := &stream{of: engine.Handle{c.db, coll}, killed: make(chan struct{})}
	for i, stage := range stages {
		if len(*stage) != 1 {
			return nil, refused("this pipeline")
		}
		var err error
		switch e := (*stage)[0]; {
		case i == 0:
			err = c.startStream(st, *doc(*stage, e.Key))
		case e.Key == "$match":
			match := *doc(*stage, e.Key)
			err = refuseQuery(match)
			st.match = append(st.match, match)
		case e.Key == "$project" && i == len(stages)-1:
			st.fields = *doc(*stage, e.Key)
			err = refuseProjection(st.fields)
		case e.Key == "$changeStream":
			err = &failed{code: 40602, name: "Location40602", msg: "$changeStream is only valid as the first stage in a pipeline"}
		default:
			err = refused("stage %s in a change stream", e.Key)
		}
		if err != nil {
			return nil, err
		}
	}
	batch, _, err := c.s.events(st, number(get(*doc(c.doc, "cursor"), "batchSize")), false)
	if err != nil {
		return nil, err
	}
	id := c.s.ids.Add(1)
	c.s.mu.Lock()
	c.s.cursors[id] = &cursor{ns: c.ns(), stream: st}
	c.s.mu.Unlock()
	return c.s.shown(id, c.ns(), "firstBatch", batch, st), nil
}

// startStream reads where a stream is to begin.
func (c *call) startStream(st *stream, options bson.D) error {
	clock, forgotten := c.s.history.now()
	st.at = clock
	starts := 0
	for _, e := range options {
		switch e.Key {
		case "fullDocument":
			st.look = e.Value == "updateLookup"
			if !st.look && e.Value != "default" {
				return refused("fullDocument %v", e.Value)
			}
			continue
		case "resumeAfter", "startAfter":
			at, ok := readToken(*doc(options, e.Key))
			if !ok {
				return &failed{code: 260, name: "InvalidResumeToken", msg: "the resume token cannot be read"}
			}
			st.at = at
		case "startAtOperationTime":
			at, ok := e.Value.(primitive.Timestamp)
			if !ok || at.IsZero() {
				return &failed{code: 14, name: "TypeMismatch", msg: "startAtOperationTime is no time"}
			}
			st.at = before(at)
		default:
			return refused("%s of a change stream", e.Key)
		}
		if starts++; starts > 1 {
			return &failed{code: 40674, name: "Location40674", msg: "a change stream begins at one place only"}
		}
	}
	if st.at.Before(forgotten) {
		return &failed{code: 286, name: "ChangeStreamHistoryLost", labels: []string{notResumable},
			msg: "Resume of change stream was not possible, as the resume point may no longer be in the oplog."}
	}
	return nil
}

// before is the last time before another.
func before(t primitive.Timestamp) primitive.Timestamp {
	if t.I == 0 {
		return primitive.Timestamp{T: t.T - 1, I: ^uint32(0)}
	}
	return primitive.Timestamp{T: t.T, I: t.I - 1}
}

// events takes what a stream is to be shown next, at most size events if that is not 0,
// and a channel that is closed when there is more. After the end of the collection nothing follows.
func (s *Server) events(st *stream, size int, endless bool) (batch bson.A, more <-chan struct{}, err error) {
	batch = bson.A{}
	if size <= 0 && !endless {
		size = firstBatch
	}
	list, now, more, all := s.history.since(st.of, st.at)
	if !all {
		return nil, nil, &failed{code: 136, name: "CappedPositionLost", labels: []string{notResumable}, msg: "the stream fell behind what is kept"}
	}
	bytes := 0
	for _, e := range list {
		if st.dropped || size > 0 && len(batch) >= size || bytes > maxBatchBytes {
			return batch, more, nil
		}
		st.at = e.at
		docs := []bson.D{e.doc}
		if e.op == "drop" {
			st.dropped = true
			docs = append(docs, bson.D{{Key: "_id", Value: token(e.at)}, {Key: "operationType", Value: "invalidate"}, {Key: "clusterTime", Value: e.at}})
		}
		for _, d := range docs {
			raw, err := s.show(st, e.op, d)
			if err != nil {
				return nil, nil, err
			}
			if raw != nil {
				batch = append(batch, raw)
				bytes += len(raw)
			}
		}
	}
	if !st.dropped && now.After(st.at) {
		st.at = now // what else happened was elsewhere
	}
	return batch, more, nil
}

// show is an event as the pipeline lets it through, or nil.
func (s *Server) show(st *stream, op string, d bson.D) (bson.Raw, error) {
	if op == "update" && st.look {
		d = append(d[:len(d):len(d)], bson.E{Key: "fullDocument", Value: s.current(st.of, *doc(d, "documentKey"))})
	}
	for _, match := range st.match {
		if yes, err := mongokit.Match(&d, &match); err != nil || !yes {
			return nil, err
		}
	}
	if len(st.fields) > 0 {
		shown, err := project([]*bson.D{&d}, st.fields)
		if err != nil {
			return nil, err
		}
		d = *shown[0]
	}
	if get(d, "_id") == nil {
		return nil, &failed{code: 280, name: "ChangeStreamFatalError", labels: []string{notResumable},
			msg: "Encountered an event whose _id field, which contains the resume token, was modified by the pipeline."}
	}
	return bson.Marshal(d)
}

// current is a document as it is now, or nil.
func (s *Server) current(of engine.Handle, key bson.D) any {
	found, err := (&call{s: s}).look(of, &key, nil, 0, 1)
	if err != nil || len(found) == 0 {
		return nil
	}
	return *found[0]
}

// shown is the answer with a batch of a stream. One that is at its end has no cursor any more.
func (s *Server) shown(id int64, ns, key string, batch bson.A, st *stream) bson.D {
	if st.dropped {
		s.mu.Lock()
		delete(s.cursors, id)
		s.mu.Unlock()
		id = 0
	}
	return bson.D{{Key: "cursor", Value: bson.D{{Key: key, Value: batch}, {Key: "postBatchResumeToken", Value: token(st.at)},
		{Key: "id", Value: id}, {Key: "ns", Value: ns}}}, good}
}

// await answers a getMore of a stream as soon as there is something, at the latest when
// its time is over.
func (c *call) await(id int64, cur *cursor) (bson.D, error) {
	st := cur.stream
	c.s.mu.Lock()
	busy, killedBy := st.busy, st.killedBy
	st.busy = true
	if killedBy != nil {
		delete(c.s.cursors, id)
	}
	c.s.mu.Unlock()
	if killedBy != nil {
		return nil, killedBy
	}
	if busy {
		return nil, &failed{code: 12051, name: "CursorInUse", msg: "the cursor is in use"}
	}
	defer func() {
		c.s.mu.Lock()
		st.busy = false
		c.s.mu.Unlock()
	}()
	wait := awaitTime
	if ms := number(get(c.doc, "maxTimeMS")); ms > 0 {
		wait = time.Duration(ms) * time.Millisecond
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	var gone <-chan struct{}
	for timeUp := false; ; {
		batch, more, err := c.s.events(st, number(get(c.doc, "batchSize")), true)
		if err != nil {
			c.s.end(id, nil)
			return nil, err
		}
		if len(batch) > 0 || st.dropped || timeUp {
			return c.s.shown(id, cur.ns, "nextBatch", batch, st), nil
		}
		if gone == nil {
			var stop func()
			gone, stop = c.s.wait(c.peer)
			defer stop()
		}
		select {
		case <-more:
		case <-over.C:
			timeUp = true
		case <-st.killed:
			return nil, st.killedBy
		case <-gone: // and with the peer its cursor
			c.s.end(id, nil)
			return nil, errHangUp
		}
	}
}

// end ends a cursor. The getMore that waits on it is answered with an error, or else the
// next one, if there is more to say than that the cursor is gone.
func (s *Server) end(id int64, by *failed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cur := s.cursors[id]
	if cur == nil {
		return
	}
	st := cur.stream
	if st == nil || st.busy || by == nil || st.killedBy != nil {
		delete(s.cursors, id)
	}
	if st != nil && st.killedBy == nil {
		if st.killedBy = by; by == nil {
			st.killedBy = &failed{code: 237, name: "CursorKilled", msg: "the cursor was killed", labels: []string{notResumable}}
		}
		close(st.killed)
	}
}

// EndStreams ends every change stream; who waits on one is told so with this error.
func (s *Server) EndStreams(code int32, name string, labels ...string) {
	for _, id := range s.streams() {
		s.end(id, &failed{code: code, name: name, msg: "injected: " + name, labels: labels})
	}
}

// FailOver makes another primary of this server, as far as a driver can tell: change
// streams end with an error that the driver resumes from, and connections are cut.
func (s *Server) FailOver() {
	s.elections.Add(1)
	s.EndStreams(11602, "InterruptedDueToReplStateChange", resumable)
	s.hangUp()
}

// Streams is how many change streams are open.
func (s *Server) Streams() int { return len(s.streams()) }

func (s *Server) streams() (ids []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, cur := range s.cursors {
		if cur.stream != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// Waiting is how many commands have begun to wait for something to happen: for a lock or
// for an event. What happens from then on they do not miss.
func (s *Server) Waiting() int { return int(s.waiting.Load()) }

// wait counts a command that waits until stop, and watches its peer.
func (s *Server) wait(from *peer) (gone <-chan struct{}, stop func()) {
	s.waiting.Add(1)
	gone, end := from.watch()
	return gone, func() { end(); s.waiting.Add(-1) }
}

// watch tells when the peer is gone, who waits for an answer and sends nothing. stop ends
// that, before the next message is read.
func (p *peer) watch() (gone <-chan struct{}, stop func()) {
	lost, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_, err := p.reader.Peek(1)
		if timeout, is := err.(net.Error); err != nil && !(is && timeout.Timeout()) {
			close(lost)
		}
	}()
	return lost, func() {
		_ = p.conn.SetReadDeadline(time.Unix(1, 0))
		<-done
		_ = p.conn.SetReadDeadline(time.Time{})
	}
}
