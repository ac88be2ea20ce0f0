package mail

import (
	"slices"
	"time"
)

// Where mails are files in clear, because no mail server is configured, the newest are
// also kept in memory to be shown to whoever administers the server: its developer.

// maxShown bounds the mails that are kept.
const maxShown = 100

// Shown is a mail that was written as a file.
type Shown struct {
	ID      string    `json:"_id"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

// InClear tells whether mails are kept as readable files, and so may be shown.
func (o *Outbox) InClear() bool { return o.transport.InClear() }

// Transport describes the way of the mails, without credentials.
func (o *Outbox) Transport() string {
	if o.InClear() {
		return "files"
	}
	return o.transport.String()
}

// Recent are the mails that this node wrote as files since its start, newest first and
// at most 100; none where they are sent.
func (o *Outbox) Recent() []Shown {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := slices.Clone(o.shown)
	slices.Reverse(list)
	return list
}

// show keeps a mail that was written.
func (o *Outbox) show(it Item, l letter) {
	if !o.InClear() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.shown) == maxShown {
		o.shown = slices.Delete(o.shown, 0, 1)
	}
	o.shown = append(o.shown, Shown{ID: it.ID, To: l.To, Subject: l.Subject, Text: l.Text, At: it.CreatedAt})
}
