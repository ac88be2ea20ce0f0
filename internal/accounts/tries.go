package accounts

import "time"

// The classes of sources of a password. The first two are sources themselves;
// every other text is the digest of a network address the account was used from.
const (
	// Strangers is any address the account was never used from: they share one
	// budget, whatever number of addresses they have.
	Strangers = ""
	// Sessions is any session of the account from such an address.
	Sessions = "session"
)

// The names of rows of wrong passwords, one for each class of sources.
const (
	rowStrangers = "strangers"
	rowSessions  = "sessions"
	rowKnown     = "known"
)

// Tries holds what is remembered of passwords given for one account, for one
// name that nobody has, or from one network address. It is a document of its
// own (collection "ddpserver_tries"), shared by all nodes and kept over restarts.
type Tries struct {
	Key string `bson:"_id"`
	// Recent are passwords that were counted and not found right, oldest first.
	// One that is being compared is among them: it is counted before.
	Recent []Try `bson:"recent,omitempty"`
	// InRow counts wrong passwords in a row for each class of sources.
	InRow map[string]int `bson:"inRow,omitempty"`
	// Epoch names the password that the rows are about: another one has none yet.
	Epoch string `bson:"epoch,omitempty"`
	// Sources are the addresses that the account was used from, newest last.
	Sources []Source `bson:"sources,omitempty"`
	// Passing marks a document that is forgotten whatever its rows say.
	Passing bool `bson:"passing,omitempty"`
	// Expire is when the document says nothing any more, but for rows and sources.
	Expire time.Time `bson:"expire,omitempty"`
}

// TriesKey is the key under which an account's passwords are counted.
func TriesKey(userID string) string { return "user/" + userID }

// Try is one counted password.
type Try struct {
	ID     string    `bson:"id"`
	At     time.Time `bson:"at"`
	Source string    `bson:"source,omitempty"`
}

// Source is one network address that an account was used from, as a digest.
type Source struct {
	Digest string    `bson:"digest"`
	Seen   time.Time `bson:"seen"`
}

// Budget is one count that a password must fit in before it is compared.
type Budget struct {
	// Key names the document.
	Key string
	// Source is where the password comes from; only those of the same source count.
	Source string
	// Epoch names the password that is in force, as far as rows are concerned.
	Epoch string
	// Most passwords within Window are compared.
	Most   int
	Window time.Duration
	// InRow wrong ones in a row, of the whole class of sources, stop the account;
	// 0 for budgets without rows.
	InRow int
	// Keep lets the document go that long after the last password, its rows too;
	// 0 keeps rows until a right password or another one ends them.
	Keep time.Duration
}

// Row names the row of wrong passwords that a source belongs to.
func Row(source string) string {
	switch source {
	case Strangers:
		return rowStrangers
	case Sessions:
		return rowSessions
	}
	return rowKnown
}

// Full tells whether no further password fits in the budget now. A count that
// lies ahead, after a clock jumped back, is still a count.
func (t *Tries) Full(b Budget, now time.Time) bool {
	n := 0
	for _, c := range t.Recent {
		if c.Source == b.Source && c.At.After(now.Add(-b.Window)) {
			n++
		}
	}
	return n >= b.Most || t.Stopped(b)
}

// Stopped tells whether the row of the budget's class of sources is as long as
// it may get.
func (t *Tries) Stopped(b Budget) bool {
	return b.InRow > 0 && t.Epoch == b.Epoch && t.InRow[Row(b.Source)] >= b.InRow
}

// Knows tells whether the account was used from that source since then.
func (t *Tries) Knows(digest string, since time.Time) bool {
	for _, s := range t.Sources {
		if s.Digest == digest && s.Seen.After(since) {
			return true
		}
	}
	return false
}
