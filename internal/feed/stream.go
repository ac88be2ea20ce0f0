package feed

import (
	"encoding/json"
	"errors"
)

// Stream is an event of a stream for whoever subscribed to it, on any node. Its
// key is "stream/event". Presence is told by it to everybody, so it has topics.
var Stream = NewKind[StreamEvent]("stream", 1).ByTopic()

// StreamEvent is the payload of Stream.
type StreamEvent struct {
	// Args are the arguments of the event, an EJSON array as clients get it.
	Args json.RawMessage `json:"args"`
}

// Check implements Payload.
func (s StreamEvent) Check() error {
	if len(s.Args) == 0 || s.Args[0] != '[' {
		return errors.New("the arguments are no list")
	}
	return nil
}
