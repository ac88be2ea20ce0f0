package mongotest

import (
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
)

// Fault is something that goes wrong on purpose.
type Fault struct {
	// Hit, when not nil, is called each time a command is hit. It must be fast.
	Hit func()

	// Command is the command it waits for ("update", "findAndModify"); empty
	// means any but the driver's bookkeeping.
	Command string
	// Skip lets that many of them pass first; Times is how many are hit after
	// that, 0 meaning 1, a negative number all.
	Skip, Times int

	// Delay passes before the command is looked at. Gate, when not nil, holds the
	// command until it is closed.
	Delay time.Duration
	Gate  <-chan struct{}
	// DropBefore ends the connection instead of running the command;
	// DropAfter runs it and ends the connection instead of answering.
	DropBefore, DropAfter bool
	// Code, when not 0, is answered instead of running the command, with
	// Name and the error labels.
	Code   int32
	Name   string
	Labels []string
	// WriteConcernCode, when not 0, is added to the answer of a command that
	// was run: the write is there but no majority has it.
	WriteConcernCode int32
}

// NotPrimary is the answer of a server that was primary until now; the driver
// may try the command again, and goes on with a change stream.
func NotPrimary(command string, times int) Fault {
	label := "RetryableWriteError"
	if strings.EqualFold(command, "getMore") {
		label = resumable
	}
	return Fault{Command: command, Times: times, Code: 10107, Name: "NotWritablePrimary", Labels: []string{label}}
}

// Inject adds a fault. Faults are looked at in the order they were added.
func (s *Server) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal forgets every fault.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault takes the fault that waits for this command, or nil.
func (s *Server) fault(name string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Command == "" && bookkeeping[name] || f.Command != "" && !strings.EqualFold(f.Command, name) || f.Times == 0 {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		f.Times--
		if f.Hit != nil {
			f.Hit()
		}
		hit := *f
		return &hit
	}
	return nil
}

func (f *Fault) before() (answer bson.D, err error) {
	if f == nil {
		return nil, nil
	}
	if f.Delay > 0 {
		<-time.After(f.Delay)
	}
	if f.Gate != nil {
		<-f.Gate
	}
	if f.DropBefore {
		return nil, errHangUp
	}
	if f.Code != 0 {
		return (&failed{code: f.Code, name: f.Name, msg: "injected: " + f.Name, labels: f.Labels}).doc(), nil
	}
	return nil, nil
}

func (f *Fault) after(answer bson.D) (bson.D, error) {
	if f == nil {
		return answer, nil
	}
	if f.DropAfter {
		return nil, errHangUp
	}
	if f.WriteConcernCode != 0 {
		answer = append(answer[:len(answer):len(answer)], bson.E{Key: "writeConcernError", Value: bson.D{
			{Key: "code", Value: f.WriteConcernCode}, {Key: "codeName", Value: "WriteConcernFailed"}, {Key: "errmsg", Value: "injected"}}})
	}
	return answer, nil
}
