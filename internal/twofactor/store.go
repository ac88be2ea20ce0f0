package twofactor

import (
	"context"
	"time"

	"ddpserver/internal/user"
)

// Store is what second factors need of a store. Every method is one atomic
// operation that checks and acts at once; failures are those of package dberr,
// Conflict when the condition named here does not hold.
type Store interface {
	UserByID(ctx context.Context, id string) (*user.User, error)
	// UserByUsername and UserByEmail take a key made by user.Key.
	UserByUsername(ctx context.Context, key string) (*user.User, error)
	UserByEmail(ctx context.Context, key string) (*user.User, error)
	// UpdateUser applies c if all its conditions hold and returns the new
	// document; otherwise Conflict (or NotFound) and no change. It is the same
	// operation as in accounts.Store; here it closes sessions and switches the
	// mail factor in one write.
	UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error)

	// SetPendingTOTP stores a sealed secret that waits for its first code, bound to
	// a login token and to what was proved with it. Conditions: the factor is off,
	// and state is still the account's ProofState of the token, and not empty.
	SetPendingTOTP(ctx context.Context, userID, sealed, token, state string, at time.Time) error
	// CountPendingTOTP counts one answer against that pending secret before it
	// is compared. Condition: it is still pending, set after notBefore, and
	// fewer than max answers were counted.
	CountPendingTOTP(ctx context.Context, userID, sealed string, notBefore time.Time, max int) error
	// DropPendingTOTP forgets that pending secret, if it is still there.
	DropPendingTOTP(ctx context.Context, userID, sealed string) error
	// EnableTOTP turns the pending secret into the factor. Conditions: it is still
	// pending, the factor is off, and the state that the secret is bound to is still
	// the account's ProofState of keep, the token in use. In the same write it ends
	// every session but keep, leaves personal access tokens
	// and clears remembered trust. It returns the new document.
	EnableTOTP(ctx context.Context, userID, pending string, t user.TOTP, keep string, at time.Time) (*user.User, error)
	// DisableTOTP removes the factor, and does with tokens what EnableTOTP does.
	// Condition: secret (as stored) is the one in force.
	DisableTOTP(ctx context.Context, userID, secret, keep string, at time.Time) (*user.User, error)
	// UseTOTPStep spends a time step. Condition: the factor is on with that
	// stored secret and no step >= step was spent. In the same write it forgets a
	// pending reset.
	UseTOTPStep(ctx context.Context, userID, secret string, step int64) error
	// ResealTOTP replaces the stored text of the secret by an equal one.
	ResealTOTP(ctx context.Context, userID, old, sealed string) error
	// UseBackupCode removes one stored backup code, and forgets a pending reset in
	// the same write. Condition: it is there and the factor is on.
	UseBackupCode(ctx context.Context, userID, stored string) error
	// ReplaceBackupCodes replaces the whole set. Condition: secret is the one in force.
	ReplaceBackupCodes(ctx context.Context, userID, secret, salt string, stored []string) error
	// ScheduleReset notes that a factor of user.Resets is to be removed at due, asked for
	// by the account by. Condition: mark is the account's (User.ResetMark), and no reset of
	// the factor is pending.
	ScheduleReset(ctx context.Context, userID, factor, mark, by string, due time.Time) error
	// CancelReset forgets a pending reset. Condition: one is, and due after now.
	CancelReset(ctx context.Context, userID, factor string, now time.Time) error
	// ApplyReset removes the factor and every token, and clears trust.
	// Condition: a reset is pending and due at now. It returns the new document.
	ApplyReset(ctx context.Context, userID, factor string, now time.Time) (*user.User, error)
	// DueResets lists at most max accounts with a reset that is due at now.
	DueResets(ctx context.Context, now time.Time, max int) (ids []string, err error)
	// UserByPasskeys finds the account whose passkeys have that user handle.
	UserByPasskeys(ctx context.Context, handle string) (*user.User, error)
	// UsePasskey notes that a key answered a challenge, which is spent by it. Conditions:
	// the key is there with that public key, the challenge was not spent, the password is the
	// one that was proved, or none was and the key does not need one (Conflict);
	// its counter goes forward, where it counts (Duplicate, as if there were two of it).
	UsePasskey(ctx context.Context, userID string, use user.PasskeyUse) error
	// SetTrust remembers trust on a login token, and the factor that earned it. Condition:
	// the token exists.
	SetTrust(ctx context.Context, userID, token, fingerprint, factor string, until time.Time) error
	// ClearTrust forgets remembered trust on every token of the account.
	ClearTrust(ctx context.Context, userID string) error

	// Guard reads the account's counters and live codes; an empty Guard when there are none.
	Guard(ctx context.Context, userID string) (Guard, error)
	// CountAttempt counts one answer before it is compared, in its own write,
	// and returns the id of the count. Exhausted, and only Received grows, when
	// MaxRecent counts of l.Source are younger than Window (Guard.Within), or MaxInRow
	// answers in a row were wrong with this factor (Row). With l.Apart there is no row, and
	// the oldest of MaxApart such counts is forgotten for a new one. With l.CodeTries > 0 the count is also made
	// against the live set of mail codes: Conflict when no code is alive,
	// Exhausted when CodeTries answers were counted against it. Received grows
	// in either case.
	CountAttempt(ctx context.Context, userID, factor string, now time.Time, l Limits) (id string, err error)
	// Succeeded takes back the count of a right answer and sets every factor's
	// row of wrong answers to zero. It remembers what was spent, unless its Digest is
	// empty, beside at most MaxSpent-1 others that are no older than since.
	Succeeded(ctx context.Context, userID, countID string, spent Spent, since time.Time) error
	// ResetGuard forgets counters and codes (administrator's reset).
	ResetGuard(ctx context.Context, userID string) error

	// AddMailCode adds a code to the live set and counts one mail, of strangers or
	// of the owner as c.Stranger says. A dead or expired set is replaced. Conflict
	// when r.OnlyIfNone and one is alive that is good for c.Purpose, or without
	// OnlyIfNone when r.MaxAlive codes are alive; with it, the oldest gives way.
	// Exhausted when r.MaxMails of the same kind were mailed within the window
	// before now. live is the set after the call, oldest first, also beside Conflict
	// and Exhausted.
	AddMailCode(ctx context.Context, userID string, c MailCode, now time.Time, r MailRules) (live []MailCode, err error)
	// UseMailCode spends the set. Condition: a code with that digest is alive and
	// good for that purpose (MailCode.GoodFor).
	UseMailCode(ctx context.Context, userID, digest, purpose string, now time.Time) error
	// UndoMailCode takes back a code whose mail was not accepted, if it is there;
	// refund takes back its count as well.
	UndoMailCode(ctx context.Context, userID, digest string, refund bool) error
	// KillMailCodes ends the set. Condition: there is one, and at least tries
	// answers were counted against it.
	KillMailCodes(ctx context.Context, userID string, tries int) error
}

// Limits are the budgets of one answer.
type Limits struct {
	MaxRecent int
	Window    time.Duration
	MaxInRow  int
	// Source is where the answer comes from: each has a budget of its own.
	Source string
	// Apart answers are counted for themselves: those of factors that nobody guesses.
	Apart bool
	// CodeTries is the number of answers a set of mail codes survives; 0 for other factors.
	CodeTries int
}

// MailRules are the budgets of one mailed code.
type MailRules struct {
	MaxAlive   int
	OnlyIfNone bool
	MaxMails   int
	Window     time.Duration
}

// MailCode is one code that was mailed; only its keyed digest is kept.
type MailCode struct {
	Digest string `bson:"digest"`
	// Purpose is what the code is good for; empty means everything.
	Purpose string `bson:"purpose,omitempty"`
	// Stranger says that the mail was counted among those that strangers asked for.
	Stranger  bool      `bson:"stranger,omitempty"`
	CreatedAt time.Time `bson:"createdAt"`
	Expire    time.Time `bson:"expire"`
}

// GoodFor tells whether the code answers a challenge of that purpose.
func (c MailCode) GoodFor(purpose string) bool { return c.Purpose == "" || c.Purpose == purpose }

// Guard holds an account's counters and live mail codes, apart from the user
// document (collection "ddpserver_guards").
type Guard struct {
	UserID string `bson:"_id"`
	// Recent are counted answers, oldest first, at most MaxRecent of each source, and
	// MaxApart that were counted apart.
	Recent []Count `bson:"recent,omitempty"`
	// InRow counts wrong answers in a row by Row.
	InRow map[string]int `bson:"inRow,omitempty"`
	// Received counts every answer that ever came, compared or not.
	Received int64 `bson:"received"`
	// Codes is the live set; CodeTries the answers counted against it.
	Codes     []MailCode `bson:"codes,omitempty"`
	CodeTries int        `bson:"codeTries"`
	// Mails are the times of recent mails, oldest first; Asked those of mails that
	// strangers asked for.
	Mails []time.Time `bson:"mails,omitempty"`
	Asked []time.Time `bson:"asked,omitempty"`
	// Spent are answers that were accepted lately, oldest first.
	Spent []Spent `bson:"spent,omitempty"`
	// Expire lets the store forget an idle guard; never while InRow is above zero.
	Expire time.Time `bson:"expire,omitempty"`
}

// Count is one counted answer.
type Count struct {
	ID     string    `bson:"id"`
	Factor string    `bson:"factor"`
	At     time.Time `bson:"at"`
	Source string    `bson:"source,omitempty"`
	Apart  bool      `bson:"apart,omitempty"`
}

// MaxApart bounds the counts of a guard that are Apart.
const MaxApart = 64

// Within counts the answers of that kind that came from there after since.
func (g *Guard) Within(source string, apart bool, since time.Time) (n int) {
	for _, c := range g.Recent {
		if c.Source == source && c.Apart == apart && c.At.After(since) {
			n++
		}
	}
	return n
}

// MaxSpent bounds Guard.Spent.
const MaxSpent = 8

// Spent is one answer that was accepted: a keyed digest of the whole message it came
// with and of who sent it, and the factor it proved.
type Spent struct {
	Digest string    `bson:"digest"`
	Factor string    `bson:"factor"`
	At     time.Time `bson:"at"`
}

// The sources of answers that are no known address: whoever comes from another
// one, and the account's sessions there.
const (
	strangers = ""
	sessions  = "session"
)

// Row names the row of wrong answers of a factor and a kind of source.
func Row(factor, source string) string {
	switch source {
	case strangers:
		return factor
	case sessions:
		return factor + " in sessions"
	}
	return factor + " from known addresses"
}
