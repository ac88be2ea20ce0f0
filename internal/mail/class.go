package mail

import (
	"fmt"

	"go.uber.org/zap"

	"ddpserver/internal/fault"
)

// Class says how much a mail matters. Each class has a share of the outbox that
// no other can take, so that strangers who make the server write mails cannot
// keep codes and notices from those who wait for them; and a mail of a higher
// class is sent before those of a lower one.
type Class string

// The classes, highest first.
const (
	// ClassCode is a code that answers a challenge, after a password or inside a session.
	ClassCode Class = "code"
	// ClassRequested is a code that somebody asked for who is not logged in.
	ClassRequested Class = "requested"
	// ClassNotice tells an owner what was changed in the account.
	ClassNotice Class = "notice"
	// ClassLink is a link that somebody asked for who is logged in.
	ClassLink Class = "link"
	// ClassStranger is a link that a stranger caused: a registration, a forgotten password.
	ClassStranger Class = "stranger"
)

// Classes lists them, highest first.
func Classes() []Class {
	return []Class{ClassCode, ClassRequested, ClassNotice, ClassLink, ClassStranger}
}

// shares are the parts of the outbox in percent; together a hundred, so that
// what one class may fill is never room of another.
var shares = map[Class]int{ClassCode: 40, ClassRequested: 10, ClassNotice: 20, ClassLink: 15, ClassStranger: 15}

// rank is the place of a class in the order of sending, 0 first.
func (c Class) rank() int {
	for i, each := range Classes() {
		if each == c {
			return i
		}
	}
	return len(shares)
}

// class is the class of a message: the one it names, or that of its template. A link
// of which nobody says who asked for it is a stranger's.
func (m *Message) class() (Class, error) {
	switch {
	case m.Class == "" && m.Template == Code:
		return ClassCode, nil
	case m.Class == "" && m.Template == Notice:
		return ClassNotice, nil
	case m.Class == "":
		return ClassStranger, nil
	case shares[m.Class] == 0:
		return "", fmt.Errorf("no class of mails %q", m.Class)
	}
	return m.Class, nil
}

// room is how many items of a class may wait.
func (o *Outbox) room(c Class) int { return max(1, o.max*shares[c]/100) }

// ErrQueueFull refuses a mail for whose class there is no room: the mail server
// has been away for long, or somebody makes this one write mails.
var ErrQueueFull = fault.New("error-mail-queue-full",
	"The mail could not be accepted: too many mails are waiting for the mail server. Try again in a few minutes; if it stays like this, tell the "+
		"administrator of this server.")

// full makes the refusal of a mail, and tells the log about it once a minute.
func (o *Outbox) full(c Class, cause error) error {
	o.observe("queue_full")
	now := o.now()
	o.mu.Lock()
	said := now.Sub(o.saidFull[c]) < sayAgain && !now.Before(o.saidFull[c])
	if !said {
		o.saidFull[c] = now
	}
	o.mu.Unlock()
	if !said {
		o.log.Error("mail_queue_full", zap.String("class", string(c)), zap.Int("waiting", o.room(c)),
			zap.String("hint", "mails of this class are refused until some are sent or expire; is the mail server of MAIL_URL up?"))
	}
	return ErrQueueFull.Because(cause)
}
