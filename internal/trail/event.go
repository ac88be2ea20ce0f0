package trail

import (
	"fmt"
	"strings"
	"time"

	"ddpserver/internal/audit"
	"ddpserver/internal/ejson"
)

// Event is one event as it is kept. Texts are those of the audit stream: bounded,
// without secrets and whole mail addresses, otherwise as a client sent them.
type Event struct {
	// ID orders events by time, and those of one millisecond by when they were
	// recorded: it begins with the time (Lowest).
	ID string    `bson:"_id"`
	TS time.Time `bson:"ts"`

	Act     string `bson:"act"`
	Outcome string `bson:"outcome"`
	Reason  string `bson:"reason,omitempty"`
	// User is the account that acted, Subject the one that the event is about. They are
	// the same when somebody acts on the own account, and either may be empty.
	User    string `bson:"user,omitempty"`
	Subject string `bson:"subject,omitempty"`
	Target  string `bson:"target,omitempty"`
	Door    string `bson:"door,omitempty"`
	Factor  string `bson:"factor,omitempty"`
	Method  string `bson:"method,omitempty"`
	Address string `bson:"address,omitempty"`
	Agent   string `bson:"agent,omitempty"`
	Conn    string `bson:"conn,omitempty"`
	Node    string `bson:"node,omitempty"`
	Count   int    `bson:"count,omitempty"`

	// Accounts are User and Subject, for look-ups; Text is what is searched, see Fold.
	Accounts []string `bson:"accounts,omitempty"`
	Text     string   `bson:"text,omitempty"`
}

// The parts of an id: a time in milliseconds, a number, and who made it.
const (
	idTime   = 12
	idNumber = 6
	idNode   = 10
)

// Lowest is the least id that an event of that time or later can have.
func Lowest(t time.Time) string { return fmt.Sprintf("%0*x", idTime, max(t.UnixMilli(), 0)) }

// newEvent is an event of the audit stream as it is kept. It must be clean.
func newEvent(e audit.Event, number uint32, node string) Event {
	k := Event{
		ID: fmt.Sprintf("%s%0*x%s", Lowest(e.Time), idNumber, number%(1<<(4*idNumber)), node), TS: e.Time,
		Act: e.Act, Outcome: e.Outcome, Reason: e.Reason, User: e.User, Subject: subject(e), Target: e.Target, Door: e.Door, Factor: e.Factor,
		Method: e.Method, Address: e.Address, Agent: e.Agent, Conn: e.Conn, Node: e.Node, Count: e.Count,
	}
	for _, id := range []string{k.User, k.Subject} {
		if id != "" && (len(k.Accounts) == 0 || k.Accounts[0] != id) {
			k.Accounts = append(k.Accounts, id)
		}
	}
	k.Text = Fold(strings.Join([]string{k.Reason, k.Target, k.Method, k.Factor, k.Door, k.Agent, k.Conn, k.Node}, "\n"))
	return k
}

// Fold is a text as it is searched: without the difference of letter case.
func Fold(text string) string { return strings.ToLower(text) }

// subject is the account that an event is about.
func subject(e audit.Event) string {
	switch acts[e.Act] {
	case ofServer:
		return ""
	case ofTarget:
		if e.Target != "" {
			return e.Target
		}
	}
	return e.User
}

// Names are the names of accounts by their ids, as they are now.
type Names map[string]string

// field appends a member that is not empty.
func field(d ejson.Doc, key, value string) ejson.Doc {
	if value == "" {
		return d
	}
	return append(d, ejson.Field{Key: key, Value: value})
}

// Doc is the event as those see it who may see everything.
func (e *Event) Doc(names Names) ejson.Doc {
	d := ejson.Doc{{Key: "_id", Value: e.ID}, {Key: "ts", Value: e.TS}, {Key: "act", Value: e.Act}, {Key: "outcome", Value: e.Outcome}}
	for _, f := range []struct{ key, value string }{
		{"reason", e.Reason}, {"user", e.User}, {"username", names[e.User]}, {"subject", e.Subject}, {"subjectUsername", names[e.Subject]},
		{"target", e.Target}, {"door", e.Door}, {"factor", e.Factor}, {"method", e.Method}, {"address", e.Address}, {"agent", e.Agent},
		{"conn", e.Conn}, {"node", e.Node},
	} {
		d = field(d, f.key, f.value)
	}
	if e.Count > 0 {
		d = append(d, ejson.Field{Key: "count", Value: e.Count})
	}
	return d
}

// OwnDoc is the event as the account sees it that it is about. Who else did it, and
// from where, is not shown.
func (e *Event) OwnDoc() ejson.Doc {
	d := ejson.Doc{{Key: "_id", Value: e.ID}, {Key: "ts", Value: e.TS}, {Key: "act", Value: e.Act}, {Key: "outcome", Value: e.Outcome}}
	d = field(field(field(d, "reason", e.Reason), "factor", e.Factor), "method", e.Method)
	if e.User != e.Subject {
		return append(d, ejson.Field{Key: "byOther", Value: true})
	}
	if e.Target != e.Subject {
		d = field(d, "target", e.Target)
	}
	d = field(field(field(d, "door", e.Door), "address", e.Address), "agent", e.Agent)
	if e.Count > 0 {
		d = append(d, ejson.Field{Key: "count", Value: e.Count})
	}
	return d
}
