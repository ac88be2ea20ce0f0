package natsfeed

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ddpserver/internal/feed"
	"ddpserver/internal/secret"
)

// A message is a byte with the version of its format and a wrapped batch
// (secret.Key.Wrap), bound to that byte and to the subject. A batch is its events, one
// behind the other, with the fields of feed.Event in the order of appendEvent. One
// without events says that events are missing.
const version = 1

const (
	// maxEvents bounds the events of one message, and with them what a message makes
	// of its bytes.
	maxEvents = 1000
	// maxBatch is where a message with several events ends.
	maxBatch = 256 << 10
	// overhead is what a message has beside its events.
	overhead = 1 + secret.TransitOverhead
	// maxToken bounds a part of a subject.
	maxToken = 32
)

var (
	errVersion = errors.New("it has another version")
	errSubject = errors.New("it belongs to another subject")
	errDamaged = errors.New("it is damaged")
)

// ring is what the nodes with one server key share: the beginning of the subjects, and
// what opens the messages.
type ring struct {
	key    *secret.Key
	prefix string
}

// newRing names subjects after the database, for people, and after the key, so that
// installations that share a NATS server do not meet.
func newRing(key *secret.Key, database string) ring {
	return ring{key, "ddpserver." + token(database) + "." + key.Digest("news", database)[:16]}
}

// prefixTokens is how many parts the prefix of a ring has.
const prefixTokens = 3

// lanes are the parts of subjects that tell what goes first. Every node hears them.
var lanes = [2]string{"urgent", "other"}

// topical is in the place of a lane where only those hear an event who follow its topic.
const topical = "topic"

// subject is where an event goes. Its key may be any text and may be nobody's business:
// subjects have a digest of it, which is the same on all nodes.
func (r ring) subject(e feed.Event) string {
	lane := lanes[1]
	if topic := e.Topic(); topic != "" {
		return r.prefix + "." + topical + "." + token(e.Kind) + "." + digest(topic)
	} else if e.Urgent() {
		lane = lanes[0]
	}
	return r.prefix + "." + lane + subjectTail(e)
}

// follow is what to subscribe to for a topic: the events of all kinds about it.
func (r ring) follow(topic string) string { return r.prefix + "." + topical + ".*." + digest(topic) }

// missing is where the batch without events goes.
func (r ring) missing() string { return r.prefix + "." + lanes[1] + ".missing" }

func subjectTail(e feed.Event) string { return "." + token(e.Kind) + "." + digest(e.Key) }

// token makes a part of a subject of a name: the name itself where NATS takes it.
func token(name string) string {
	if name == "" || len(name) > maxToken {
		return digest(name)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return digest(name)
		}
	}
	return name
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// wrap makes a message of a batch.
func (r ring) wrap(dst, batch []byte, subject string) []byte {
	return r.key.Wrap(append(dst, version), batch, bound(subject))
}

// unwrap reads the events of a message; none says that events are missing. Whatever is
// wrong with a message is an error.
func (r ring) unwrap(message []byte, subject string) ([]feed.Event, error) {
	if len(message) == 0 {
		return nil, errDamaged
	}
	if message[0] != version {
		return nil, fmt.Errorf("%w, %d instead of %d", errVersion, message[0], version)
	}
	batch, err := r.key.Unwrap(message[1:], bound(subject))
	if err != nil {
		return nil, err
	}
	events, err := decodeBatch(batch)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if !r.belongs(e, subject) {
			return nil, errSubject
		}
	}
	return events, nil
}

// belongs tells whether a subject is one of those that an event of another node has.
func (r ring) belongs(e feed.Event, subject string) bool {
	tail := subjectTail(e)
	return subject == r.prefix+"."+lanes[0]+tail || subject == r.prefix+"."+lanes[1]+tail ||
		subject == r.prefix+"."+topical+"."+token(e.Kind)+"."+digest(feed.TopicOf(e.Key))
}

func bound(subject string) []byte { return append([]byte{version}, subject...) }

// appendEvent appends an event to a batch.
func appendEvent(dst []byte, e feed.Event) []byte {
	for _, text := range []string{e.ID, e.Node, e.Kind, e.Key} {
		dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
	}
	dst = binary.AppendVarint(dst, int64(e.Version))
	dst = binary.AppendVarint(dst, e.At.UnixMilli())
	return append(binary.AppendUvarint(dst, uint64(len(e.Body))), e.Body...)
}

// decodeBatch reads a batch. It allocates in proportion to the batch, and the bodies of
// its events are parts of it.
func decodeBatch(batch []byte) (events []feed.Event, err error) {
	d := decoder{rest: batch}
	for len(d.rest) > 0 {
		if len(events) == maxEvents {
			return nil, errDamaged
		}
		e := feed.Event{ID: string(d.bytes()), Node: string(d.bytes()), Kind: string(d.bytes()), Key: string(d.bytes()),
			Version: int(d.number()), At: time.UnixMilli(d.number()).UTC(), Body: d.bytes()}
		if d.bad {
			return nil, errDamaged
		}
		events = append(events, e)
	}
	return events, nil
}

// decoder takes fields from the front of a batch.
type decoder struct {
	rest []byte
	bad  bool
}

// bytes is the next field with a length in front; nil when it is empty.
func (d *decoder) bytes() []byte {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > uint64(len(d.rest)-size) {
		d.bad, d.rest = true, nil
		return nil
	}
	field := d.rest[size : size+int(n) : size+int(n)]
	d.rest = d.rest[size+int(n):]
	if n == 0 {
		return nil
	}
	return field
}

func (d *decoder) number() int64 {
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}
