package testkit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/feed"
	"ddpserver/internal/twofactor"
)

// Mailbox is where the mails of a server arrive. It is the Mailer of accounts and
// of second factors.
type Mailbox struct {
	mu       sync.Mutex
	codes    []twofactor.CodeMail
	notices  []twofactor.Notice
	messages []accounts.Message
	fail     error
}

// Fail makes the mailer refuse every mail with err; nil ends that.
func (m *Mailbox) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// SendCode takes a mailed code.
func (m *Mailbox) SendCode(_ context.Context, c twofactor.CodeMail) error {
	return put(m, &m.codes, c)
}

// SendNotice takes a notice about a second factor.
func (m *Mailbox) SendNotice(_ context.Context, n twofactor.Notice) error {
	return put(m, &m.notices, n)
}

// Send takes a mail of accounts.
func (m *Mailbox) Send(_ context.Context, msg accounts.Message) error {
	return put(m, &m.messages, msg)
}

func put[T any](m *Mailbox, list *[]T, v T) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		*list = append(*list, v)
	}
	return m.fail
}

// Codes are the mails with codes, the oldest first.
func (m *Mailbox) Codes() []twofactor.CodeMail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.codes)
}

// Last is the code that was mailed last, "" when there is none.
func (m *Mailbox) Last() string {
	if all := m.Codes(); len(all) > 0 {
		return all[len(all)-1].Code.Reveal()
	}
	return ""
}

// Code is the n-th mailed code, counted from the end with negative numbers.
func (m *Mailbox) Code(n int) string {
	all := m.Codes()
	if n < 0 {
		n += len(all)
	}
	return all[n].Code.Reveal()
}

// Count is how many codes were mailed.
func (m *Mailbox) Count() int { return len(m.Codes()) }

// Notices are the notices about second factors, the oldest first.
func (m *Mailbox) Notices() []twofactor.Notice {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.notices)
}

// TakeNotices hands out the notices since the last time.
func (m *Mailbox) TakeNotices() []twofactor.Notice {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.notices
	m.notices = nil
	return all
}

// Messages are the mails of accounts, the oldest first.
func (m *Mailbox) Messages() []accounts.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.messages)
}

// Take hands out the mails of accounts since the last time.
func (m *Mailbox) Take() []accounts.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.messages
	m.messages = nil
	return all
}

// Drop takes the i-th mail of accounts out of the box.
func (m *Mailbox) Drop(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages = slices.Delete(m.messages, i, i+1)
}

// Link is the link in the newest mail of accounts of that template, "" when there is none.
func (m *Mailbox) Link(template string) string {
	for _, msg := range slices.Backward(m.Messages()) {
		if msg.Template == template {
			return msg.Data["url"]
		}
	}
	return ""
}

// Trail keeps audit events. It is an audit.Recorder.
type Trail struct {
	mu     sync.Mutex
	events []audit.Event
}

// Record keeps an event.
func (r *Trail) Record(e audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// All are the events, the oldest first.
func (r *Trail) All() []audit.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Take hands out the events since the last time.
func (r *Trail) Take() []audit.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.events
	r.events = nil
	return all
}

// Of are the events of one act.
func (r *Trail) Of(act string) []audit.Event {
	return slices.DeleteFunc(r.All(), func(e audit.Event) bool { return e.Act != act })
}

// Count is how many events there are of an act with that outcome.
func (r *Trail) Count(act, outcome string) (n int) {
	for _, e := range r.Of(act) {
		if e.Outcome == outcome {
			n++
		}
	}
	return n
}

// Last is the newest event of an act, the zero Event when there is none.
func (r *Trail) Last(act string) audit.Event {
	if all := r.Of(act); len(all) > 0 {
		return all[len(all)-1]
	}
	return audit.Event{}
}

// News keeps the events of the feed, where no hub carries them. It is a feed.Publisher.
type News struct {
	mu     sync.Mutex
	events []feed.Event
}

// Publish keeps an event.
func (n *News) Publish(e feed.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

// All are the events, the oldest first.
func (n *News) All() []feed.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.events)
}

// Take hands out the events since the last time.
func (n *News) Take() []feed.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.events
	n.events = nil
	return all
}

// Counts keeps what the router counts. It is the Metrics of package methods.
type Counts struct {
	mu     sync.Mutex
	calls  map[string]int // "method result"
	panics int
}

// Call counts one call.
func (c *Counts) Call(_, method, result string, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[method+" "+result]++
}

// Panicked counts a handler that panicked.
func (c *Counts) Panicked(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panics++
}

// Of is how many calls of a method ended so.
func (c *Counts) Of(method, result string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[fmt.Sprint(method, " ", result)]
}

// Panics is how many handlers panicked.
func (c *Counts) Panics() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.panics
}
