package mongotest

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"ddpserver/internal/store/mongotest/engine"
	"github.com/256dpi/lungo/bsonkit"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

const (
	// maxHistory is how many changes of a collection are kept for change streams.
	maxHistory = 1 << 14
	// expireEvery is the time between two looks for documents whose time is over.
	expireEvery = time.Second
)

// history is what was changed, in the order of the cluster's clock.
type history struct {
	mu sync.Mutex
	// clock is the time of the newest change.
	clock primitive.Timestamp
	// forgotten is the time up to which changes of any collection may be gone.
	forgotten primitive.Timestamp
	of        map[engine.Handle]*changes
}

// changes are those of one collection. Who waits for the next waits for it alone.
type changes struct {
	list []change
	// forgotten is the time of the last one that is gone.
	forgotten primitive.Timestamp
	more      chan struct{} // closed by the next change; nil while nobody waits
}

type change struct {
	at  primitive.Timestamp
	op  string
	doc bson.D // the event as a change stream shows it
}

func newHistory() *history {
	now := bsonkit.Now()
	return &history{clock: now, forgotten: now, of: make(map[engine.Handle]*changes)}
}

// commit runs one change in a transaction of its own; nothing is kept when it fails.
// What it changed is in the history before the next one begins. What a transaction of a
// client has locked it waits for, as long as the command may take and
// its client is there; do runs again then.
func (s *Server) commit(most time.Duration, from *peer, do func(*engine.Transaction) error) error {
	var late <-chan time.Time
	if most > 0 {
		timer := time.NewTimer(most)
		defer timer.Stop()
		late = timer.C
	}
	var gone <-chan struct{}
	for {
		s.writing.Lock()
		locked, err := s.commitNow(s.transactions.locks, do)
		ended := s.transactions.ended
		s.writing.Unlock()
		if !locked {
			return err
		}
		if from != nil && gone == nil {
			var stop func()
			gone, stop = s.wait(from)
			defer stop()
		}
		select {
		case <-ended:
		case <-gone: // nobody waits for it any more
			return errHangUp
		case <-late:
			return &failed{code: 50, name: "MaxTimeMSExpired", msg: "operation exceeded time limit"}
		case <-s.ended:
			return errHangUp
		}
	}
}

// commitNow is commit without waiting: locked tells that something it would change is. s.writing is held.
func (s *Server) commitNow(locks map[docKey]*transaction, do func(*engine.Transaction) error) (locked bool, err error) {
	tx, err := s.engine.Begin(context.Background(), true)
	if err != nil {
		return false, err
	}
	defer s.engine.Abort(tx)
	if err := do(tx); err != nil {
		return false, err
	}
	entries := tx.Taken()
	if len(locks) > 0 {
		for _, e := range entries {
			if key, _ := keyOf(*e); locks[key] != nil {
				return true, nil
			}
		}
	}
	if err := s.engine.Commit(tx); err != nil {
		return false, err
	}
	s.history.add(entries)
	s.changes.Add(int64(len(entries)))
	return false, nil
}

// add takes entries of the engine's log over, which forgets them, and wakes who waits for them.
func (h *history) add(entries bsonkit.List) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range entries {
		ns := *doc(*e, "ns")
		db, _ := get(ns, "db").(string)
		coll, _ := get(ns, "coll").(string)
		h.clock = stamp(get(*e, "clusterTime"))
		if coll == "" { // the database, whose collections were dropped one by one before
			continue
		}
		op, _ := get(*e, "operationType").(string)
		c := h.changes(engine.Handle{db, coll})
		c.list = append(c.list, change{h.clock, op, event(*e, h.clock)})
		if len(c.list) > maxHistory {
			h.forget(c, maxHistory/2)
		}
		if c.more != nil {
			close(c.more)
			c.more = nil
		}
	}
}

// forget drops the oldest changes of a collection. What stood before the last of them
// cannot be resumed from then on, by nobody: as if the log of a real server had ended there.
func (h *history) forget(c *changes, n int) {
	if n == 0 {
		return
	}
	c.forgotten = c.list[n-1].at
	if c.forgotten.After(h.forgotten) {
		h.forgotten = c.forgotten
	}
	c.list = slices.Clone(c.list[n:])
}

func (h *history) changes(of engine.Handle) *changes {
	c := h.of[of]
	if c == nil {
		c = &changes{}
		h.of[of] = c
	}
	return c
}

// since is what was changed after a time, what the clock showed when there was no more of
// it, and a channel that the next change closes. It is false when some of it is gone.
func (h *history) since(of engine.Handle, at primitive.Timestamp) (list []change, now primitive.Timestamp, more <-chan struct{}, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.changes(of)
	if at.Before(c.forgotten) {
		return nil, now, nil, false
	}
	i, found := slices.BinarySearchFunc(c.list, at, func(e change, at primitive.Timestamp) int { return e.at.Compare(at) })
	if found {
		i++
	}
	if c.more == nil {
		c.more = make(chan struct{})
	}
	return c.list[i:len(c.list):len(c.list)], h.clock, c.more, true
}

// now is the time of the newest change, and the time up to which changes may be gone.
func (h *history) now() (clock, forgotten primitive.Timestamp) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock, h.forgotten
}

// Forget drops the history, as a real server does with its oldest part: a change stream
// that goes on where it was is refused with ChangeStreamHistoryLost.
func (s *Server) Forget() {
	h := s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.of {
		h.forget(c, len(c.list))
	}
	h.clock = bsonkit.Now()
	h.forgotten = h.clock
}

// expire deletes documents whose time is over until the server ends. The engine could do
// it by itself, but past the history.
func (s *Server) expire() {
	defer s.wg.Done()
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-tick.C:
			_ = s.commit(0, nil, func(tx *engine.Transaction) error { return tx.Expire() })
			s.endTransactions(lifetime)
		}
	}
}

// event makes of an entry of the engine's log what change streams show, its members in
// MongoDB's order.
func event(entry bson.D, at primitive.Timestamp) bson.D {
	e := bson.D{{Key: "_id", Value: token(at)}, {Key: "operationType", Value: get(entry, "operationType")}, {Key: "clusterTime", Value: at},
		{Key: "wallTime", Value: primitive.NewDateTimeFromTime(time.Now())}}
	shown := []string{"fullDocument", "ns", "documentKey", "updateDescription"}
	if get(entry, "operationType") == "update" {
		shown = shown[1:] // it is looked up if it is asked for
	}
	for _, key := range shown {
		if v := get(entry, key); v != nil {
			e = append(e, bson.E{Key: key, Value: v})
		}
	}
	return e
}

// token is where a change stream stands that was shown everything up to a time.
func token(at primitive.Timestamp) bson.D {
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte{0x82}, at.T), at.I)
	return bson.D{{Key: "_data", Value: hex.EncodeToString(b)}}
}

// readToken is the opposite of token.
func readToken(d bson.D) (at primitive.Timestamp, ok bool) {
	text, _ := get(d, "_data").(string)
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 9 || b[0] != 0x82 {
		return at, false
	}
	return primitive.Timestamp{T: binary.BigEndian.Uint32(b[1:]), I: binary.BigEndian.Uint32(b[5:])}, true
}

func stamp(v any) primitive.Timestamp {
	t, _ := v.(primitive.Timestamp)
	return t
}
