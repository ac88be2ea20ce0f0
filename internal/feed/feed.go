// Package feed carries the news of committed changes from those who make them
// to those who push them to clients, on this node and on the others that share
// the database.
//
// An event says that something changed and what may be pushed; it is never the
// authority for a decision. The package says what a Transport does and
// holds none; it stores nothing.
//
// Each kind of news is declared once, in the package that makes it, as a Kind:
// a name, a payload type and a version. Nodes of different versions of this
// program may share a database. A payload may get new fields without a new
// version as long as a node that does not know them still does the right thing;
// any other change of a payload's meaning needs the next version. A node that
// meets a version or a kind it does not know delivers nothing of it and reads
// anew what it keeps in memory.
package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Event is one piece of news. On the node that made it, it carries its payload;
// other nodes get the encoded form (Encoded).
type Event struct {
	// ID is unique; Node names the node that made it. The hub sets both.
	ID   string `bson:"_id"`
	Node string `bson:"node"`
	// Kind is the name of the kind, Key what the news is about, mostly an id.
	Kind string `bson:"kind"`
	Key  string `bson:"key"`
	// Version tells how to read Body. An event of a version of this program that
	// knew no versions has 0, which no kind can read.
	Version int       `bson:"version"`
	Body    []byte    `bson:"body"`
	At      time.Time `bson:"at"`

	payload any // nil in an event of another node
	urgent  bool
	topical bool
}

// Urgent tells whether the event goes to other nodes before those that wait: its payload
// has a method Urgent() bool, and says so.
func (e Event) Urgent() bool { return e.urgent }

// Topic is what a node must follow to get the event (Follower); empty when every node
// gets it, and in an event of another node.
func (e Event) Topic() string {
	if !e.topical || e.urgent {
		return ""
	}
	return TopicOf(e.Key)
}

// TopicOf is the topic of events with that key: the id of a room, or "stream/event", and of
// events that are one owner's ("stream/id/event") "stream/id", so that whoever follows many of
// one owner follows one topic.
func TopicOf(key string) string {
	stream, rest, _ := strings.Cut(key, "/")
	owner, _, more := strings.Cut(rest, "/")
	if !more {
		return key
	}
	return stream + "/" + owner
}

// Publisher takes events. Publish delivers to local subscribers before it
// returns and hands the event to other nodes; it never blocks on a slow client.
type Publisher interface {
	Publish(e Event)
}

// Payload is what the events of one kind carry: a struct with JSON tags.
type Payload interface {
	// Check refuses a content that must not be delivered.
	Check() error
}

// Kind is one kind of news, with payloads of type P. It is the only encoder and
// the only decoder of them.
type Kind[P Payload] struct {
	name    string
	version int
	topical bool
}

// NewKind declares a kind. Versions begin with 1.
func NewKind[P Payload](name string, version int) Kind[P] { return Kind[P]{name, version, false} }

// ByTopic makes it a kind whose events only go to nodes that follow their topic
// (TopicOf), where the transport can tell nodes apart. It is for what is told often to
// those who asked for it. A kind that a node must hear although nobody on it has asked, or
// before it can know who will, has no topics: every node gets it.
func (k Kind[P]) ByTopic() Kind[P] {
	k.topical = true
	return k
}

// Name is what Event.Kind says.
func (k Kind[P]) Name() string { return k.name }

// Version is what Event.Version says.
func (k Kind[P]) Version() int { return k.version }

// Event makes an event about key. The payload must not be changed afterwards.
func (k Kind[P]) Event(key string, payload P) Event {
	u, may := any(payload).(interface{ Urgent() bool })
	return Event{Kind: k.name, Key: key, Version: k.version, payload: payload, urgent: may && u.Urgent(), topical: k.topical}
}

// Encoded is the event as a store takes it, with its payload as Body. A payload
// that cannot be encoded, which is a programming error, makes an event that nobody
// can read: each other node logs it and reads anew.
func (e Event) Encoded() Event {
	if e.payload == nil {
		return e
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // texts that go to clients stay as they are
	if err := enc.Encode(e.payload); err != nil {
		e.Version = 0
	} else {
		e.Body = bytes.TrimSuffix(body.Bytes(), []byte{'\n'})
	}
	e.payload = nil
	return e
}

// Publish makes an event about key and publishes it.
func (k Kind[P]) Publish(to Publisher, key string, payload P) { to.Publish(k.Event(key, payload)) }

// ErrUnreadable is the error for an event that this program must not deliver: it
// has another version, or its payload is damaged or incomplete.
var ErrUnreadable = errors.New("the event cannot be read")

// Payload is what an event of this kind carries, decoded if another node made it.
// Fields that are not known are left out.
func (k Kind[P]) Payload(e Event) (payload P, err error) {
	if e.Kind != k.name || e.Version != k.version {
		return payload, fmt.Errorf("%w: it is version %d of %q, not version %d of %q", ErrUnreadable, e.Version, e.Kind, k.version, k.name)
	}
	payload, here := e.payload.(P)
	if !here {
		err = json.Unmarshal(e.Body, &payload)
	}
	if err == nil {
		err = payload.Check()
	}
	if err != nil {
		var none P
		return none, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return payload, nil
}
