package mongo

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"ddpserver/internal/feed"
	"ddpserver/internal/random"
	"ddpserver/internal/store/document"
)

// Events carry a time stamp that the primary draws from the cluster's clock
// when it inserts them; it only grows, on a new primary too. Two inserts may
// become visible in another order than their stamps, so a reader looks back
// over a window and leaves out what it was given already: over all of it once a second,
// over a part of it else, and no more when nothing came for as long as it is. What it was
// given is remembered here, under the cursor; a cursor that is not known (of
// another process, or old) only means that events may come twice.

const (
	// eventLife is how long events are kept for nodes that poll.
	eventLife = 10 * time.Minute
	// lookBack is far more than the time between an insert's stamp and its visibility;
	// glance is what that mostly is.
	lookBack, glance = 5 * time.Second, time.Second
	// lookEvery is how often a reader whom events reach all the time looks back over lookBack.
	lookEvery = time.Second
	// maxPage bounds one answer.
	maxPage = 5000
	// maxCursors is the number of cursors remembered; a reader needs two.
	maxCursors = 64
)

// cursor is how far a reader came.
type cursor struct {
	at   bson.Timestamp
	seen map[string]uint32 // ids inside the window, with the second of their stamp
	// came is when the reader came there, looked when it last read all that it had to.
	came, looked time.Time
}

// window is how far before the newest event the reader has to look.
func (c *cursor) window(now time.Time) time.Duration {
	switch {
	case !c.came.IsZero() && c.looked.Sub(c.came) > lookBack:
		return 0 // what has an older stamp was there by then
	case now.Sub(c.looked) < lookEvery:
		return glance
	}
	return lookBack
}

// cursors remembers cursors by their text, the oldest forgotten first.
type cursors struct {
	mu    sync.Mutex
	byKey map[string]cursor
	order []string
}

func (c *cursors) get(key string) (cursor, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cur, ok := c.byKey[key]
	return cur, ok
}

// set replaces a cursor, if it is still known.
func (c *cursors) set(key string, cur cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.byKey[key]; known {
		c.byKey[key] = cur
	}
}

func (c *cursors) put(cur cursor) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil {
		c.byKey = make(map[string]cursor)
	}
	key := stampText(cur.at) + "." + random.ID()
	c.byKey[key] = cur
	c.order = append(c.order, key)
	if len(c.order) > maxCursors {
		delete(c.byKey, c.order[0])
		c.order = c.order[1:]
	}
	return key
}

// AppendEvents implements feed.Store, with one command for all of them. They are
// upserts, because only an update can ask the server for its clock. The primary's word
// is enough: readers see what a majority has, and what a fail-over takes back is made
// good as everything that news misses is.
func (s *Store) AppendEvents(ctx context.Context, events []feed.Event) error {
	ctx, cancel := s.op(ctx)
	defer cancel()
	forgetAt := s.now().Add(eventLife)
	writes := make([]driver.WriteModel, len(events))
	for i, e := range events {
		fields, err := document.Fields(e)
		if err != nil {
			return err
		}
		set := append(fields[1:], bson.E{Key: "forgetAt", Value: forgetAt}) // without _id, which comes first
		writes[i] = driver.NewUpdateOneModel().SetUpsert(true).SetFilter(bson.D{{Key: "_id", Value: e.ID}}).SetUpdate(bson.D{
			{Key: "$setOnInsert", Value: set},
			{Key: "$currentDate", Value: bson.D{{Key: "ts", Value: bson.D{{Key: "$type", Value: "timestamp"}}}}},
		})
	}
	_, err := s.events.BulkWrite(ctx, writes)
	return failure(err)
}

// EventsSince implements feed.Store.
func (s *Store) EventsSince(ctx context.Context, after string) ([]feed.Event, string, error) {
	ctx, cancel := s.op(ctx)
	defer cancel()
	if after == "" {
		cur, err := s.startCursor(ctx)
		if err != nil {
			return nil, after, err
		}
		return nil, s.cursors.put(cur), nil
	}
	cur, known := s.cursors.get(after)
	if !known {
		at, err := parseStamp(after)
		if err != nil {
			return nil, after, err
		}
		cur = cursor{at: at}
	}
	fresh, next, err := s.unseen(ctx, cur)
	switch {
	case err != nil:
		return nil, after, err
	case len(fresh) == 0 && known: // the same cursor goes on
		s.cursors.set(after, next)
		return nil, after, nil
	case len(fresh) == 0:
		return nil, s.cursors.put(next), nil
	}
	events, err := s.fetch(ctx, fresh)
	if err != nil {
		return nil, after, err
	}
	return events, s.cursors.put(next), nil
}

// startCursor stands behind every event that is visible now.
func (s *Store) startCursor(ctx context.Context) (cursor, error) {
	var cur cursor
	err := findAll(ctx, s.events, bson.D{}, func(raw bson.Raw) error {
		t, i, _ := raw.Lookup("ts").TimestampOK()
		cur.at = bson.Timestamp{T: t, I: i}
		return nil
	}, options.Find().SetSort(bson.D{{Key: "ts", Value: -1}}).SetLimit(1).SetProjection(bson.D{{Key: "ts", Value: 1}}))
	if err != nil {
		return cursor{}, err
	}
	_, next, err := s.unseen(ctx, cur)
	return next, err
}

// unseen lists the ids of events that the reader at cur was not given yet, in
// the order of their stamps, and where the reader stands then. It reads the
// index only.
func (s *Store) unseen(ctx context.Context, cur cursor) (ids []string, next cursor, err error) {
	now := time.Now()
	back := cur.window(now)
	from := cur.at
	if back > 0 {
		from = bson.Timestamp{T: cur.at.T - min(cur.at.T, uint32(back/time.Second))}
	}
	next = cursor{at: cur.at, seen: make(map[string]uint32, len(cur.seen)), came: cur.came, looked: now}
	if back == glance {
		next.looked = cur.looked
	}
	if back < lookBack { // what is not read now may be read later
		for id, t := range cur.seen {
			if t+uint32(lookBack/time.Second) >= cur.at.T {
				next.seen[id] = t
			}
		}
	}
	defer func() {
		if next.at != cur.at || next.came.IsZero() {
			next.came = now
		}
	}()
	err = findAll(ctx, s.events, bson.D{{Key: "ts", Value: bson.D{{Key: "$gte", Value: from}}}}, func(raw bson.Raw) error {
		id, ok := raw.Lookup("_id").StringValueOK()
		t, i, ok2 := raw.Lookup("ts").TimestampOK()
		if !ok || !ok2 || len(ids) >= maxPage {
			return nil
		}
		if _, given := cur.seen[id]; !given {
			ids = append(ids, id)
		}
		next.seen[id] = t
		if at := (bson.Timestamp{T: t, I: i}); at.After(next.at) {
			next.at = at
		}
		return nil
	}, options.Find().SetSort(bson.D{{Key: "ts", Value: 1}, {Key: "_id", Value: 1}}).SetProjection(bson.D{{Key: "_id", Value: 1}, {Key: "ts", Value: 1}}).
		SetBatchSize(maxPage)) // all of it in one answer
	return ids, next, err
}

// fetch reads events by id, in that order. One that was forgotten meanwhile is left out.
func (s *Store) fetch(ctx context.Context, ids []string) ([]feed.Event, error) {
	byID := make(map[string]feed.Event, len(ids))
	err := findAll(ctx, s.events, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, func(raw bson.Raw) error {
		id, _ := raw.Lookup("_id").StringValueOK()
		var e feed.Event
		if err := document.Decode(raw, &e); err != nil {
			e = feed.Event{ID: id} // of no kind: the reader reads anew
		}
		byID[id] = e
		return nil
	})
	if err != nil {
		return nil, err
	}
	events := make([]feed.Event, 0, len(ids))
	for _, id := range ids {
		if e, ok := byID[id]; ok {
			events = append(events, e)
		}
	}
	return events, nil
}

func stampText(t bson.Timestamp) string {
	return strconv.FormatUint(uint64(t.T), 10) + "." + strconv.FormatUint(uint64(t.I), 10)
}

// parseStamp reads the stamp in front of a cursor's text.
func parseStamp(key string) (t bson.Timestamp, err error) {
	parts := strings.Split(key, ".")
	if len(parts) != 3 {
		return t, fmt.Errorf("events: bad cursor %q", key)
	}
	sec, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil {
		return t, fmt.Errorf("events: bad cursor %q", key)
	}
	inc, err := strconv.ParseUint(parts[1], 10, 32)
	if err != nil {
		return t, fmt.Errorf("events: bad cursor %q", key)
	}
	return bson.Timestamp{T: uint32(sec), I: uint32(inc)}, nil
}
