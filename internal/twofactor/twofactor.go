package twofactor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"ddpserver/internal/audit"
	"ddpserver/internal/feed"
	"ddpserver/internal/passkey"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/user"
)

// Settings is what the service reads of the runtime settings, at every use: a
// change works at once. It must not block.
type Settings interface {
	Bool(id string) bool
	Int(id string) int
	String(id string) string
}

// PasswordVerifier compares passwords behind the server's hashing gate.
type PasswordVerifier interface {
	// VerifyPassword tells whether digest, the lower-case hex SHA-256 of a
	// password, is u's password. A false answer and an error both refuse.
	VerifyPassword(ctx context.Context, u *user.User, digest string) (bool, error)
}

// Sources knows from where accounts were used.
type Sources interface {
	// Source names the network address when the account was used from it, with
	// every factor that was asked, and is "" otherwise.
	Source(ctx context.Context, userID, address string) (string, error)
}

// MailLimiter counts code mails by the address of whoever causes them.
type MailLimiter interface {
	// Take counts one mail for key and reports whether it is within max per
	// window; if not, wait is the time until the next one is.
	Take(key string, max int, window time.Duration) (wait time.Duration, ok bool)
}

// Options configure a Service. All members from Store to MailLimit, Feed and
// Audit are required.
type Options struct {
	Store     Store
	Settings  Settings
	Key       *secret.Key
	Mailer    Mailer
	Passwords PasswordVerifier
	MailLimit MailLimiter
	// Sources may be nil: then no address is known.
	Sources Sources
	Feed    feed.Publisher
	Audit   audit.Recorder
	// MailsKept says that mails are not sent but kept where administrators read them:
	// challenges by mail tell so (docs/adr/0011-the-outbox-is-the-mailbox.md).
	MailsKept bool
	// Party makes and verifies passkeys; nil offers none.
	Party *passkey.Party
	// Issuer names the server in authenticator apps and for passkeys; empty means the
	// setting Site_Name.
	Issuer string
	// Node names this server in events.
	Node string
	// Stagger is how long after an answer that tells nothing the work behind it
	// begins: at least a fifth of it, at most all. Zero begins at once.
	Stagger time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Factors are further factors beside those of the server, for embedders and tests.
	Factors []Factor
}

// Service checks second factors and changes them. It is safe for concurrent use.
type Service struct {
	store     Store
	config    Settings
	key       *secret.Key
	mailer    Mailer
	passwords PasswordVerifier
	sources   Sources
	mailLimit MailLimiter
	feed      feed.Publisher
	audit     audit.Recorder
	kept      bool
	party     *passkey.Party
	issuer    string
	node      string
	stagger   time.Duration
	clock     func() time.Time

	// factors are all there are, strongest first. The password is the fallback of an
	// account without another one.
	factors  []Factor
	fallback Factor

	// background runs code requests whose outcome the asker must not see.
	background sync.WaitGroup
	slots      chan struct{}
}

// maxBackground bounds the code requests in the background; more are dropped,
// as a mail over the budget is.
const maxBackground = 32

// New makes a service.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Settings == nil || o.Key == nil || o.Mailer == nil || o.Passwords == nil ||
		o.MailLimit == nil || o.Feed == nil || o.Audit == nil {
		return nil, errors.New("twofactor: an option is missing")
	}
	s := &Service{
		store: o.Store, config: o.Settings, key: o.Key, mailer: o.Mailer, passwords: o.Passwords, sources: o.Sources,
		mailLimit: o.MailLimit, feed: o.Feed, audit: o.Audit, kept: o.MailsKept, party: o.Party, issuer: o.Issuer, node: o.Node, stagger: o.Stagger,
		clock: o.Now,
		slots: make(chan struct{}, maxBackground),
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	s.factors = byStrength(append(builtin(s), o.Factors...))
	s.fallback = s.factor(Password)
	for i, f := range s.factors {
		if f.Name() == "" || slices.ContainsFunc(s.factors[:i], func(other Factor) bool { return other.Name() == f.Name() }) {
			return nil, fmt.Errorf("twofactor: two factors are called %q", f.Name())
		}
	}
	return s, nil
}

// Close waits for code requests that still run in the background.
func (s *Service) Close() { s.background.Wait() }

// now is the time as stores keep it.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

// Request is one call that may need a second factor, and the answer it brought.
type Request struct {
	// User is the account as of the start of the call; nil is refused.
	User *user.User
	// Token is the hash of the login token in use; empty at login.
	Token string
	// Peer is the other end; nil is taken for an unknown one.
	Peer   *rpc.Peer
	Policy Policy
	// Action names the method or route, for the audit stream.
	Action string
	// Purpose names what the call does, the same through every door. A code that is
	// mailed to answer a challenge is good for the same purpose only, and its mail
	// says which; empty stands for a caller that does not tell.
	Purpose string
	// Proofs say which factors count. Where not all do, trust counts that was earned with
	// one of them, a bypass proves nothing, and an answer is remembered only if it would
	// have been accepted where all count.
	Proofs rpc.Proofs

	// Proof is the answer. A factor in it without a value chooses the factor that is
	// asked for, among those that the check accepts.
	Proof rpc.Proof
	// Passed is what was accepted for this very call already, and where Verify notes
	// what it accepts, so that no answer is asked for, and spent, twice. A fresh check
	// does not take a weaker factor that an ordinary one took before. nil keeps none.
	Passed *rpc.Passed
	// Unseen makes SendCode answer as with private answers on, for calls that
	// strangers make and that are not documented to tell anything.
	Unseen bool
	// Frame and Params tell a message that is sent again from another one; a nil Frame
	// is never the same (see resent).
	Frame, Params []byte
	// Asked is what a request asks for that has no Params yet (rpc.Call.Asked).
	Asked [][]byte
	// Insist compares the answer even where trust, a bypass or the policy None
	// would let the call pass (callWithTwoFactorRequired).
	Insist bool
}

// RequestOf is what a check must know of a call. Its policy is None: the caller says
// what to ask for.
func RequestOf(c *rpc.Call) Request {
	return Request{User: c.User, Token: c.Login.Token, Peer: c.Peer, Action: c.Method, Purpose: c.Purpose, Proofs: c.Proofs,
		Proof: c.Proof, Passed: &c.Passed, Frame: c.Frame, Params: c.Params, Asked: c.Asked}
}

// Outcome says why a check passed.
type Outcome struct {
	// Factor is the factor whose code was accepted ("totp", "backup", "email",
	// "password"), or empty when none was needed.
	Factor string
	// Reason is "off", "checked", "bypass", "trust" or "nothing" when no code was needed.
	Reason string
}

// Accepted tells whether a code was compared and found right.
func (o Outcome) Accepted() bool { return o.Factor != "" }

// Check decides whether a call may go on: nil, or ErrRequired, ErrInvalid or
// ErrMaxAttempts with details, ErrNoProof, ErrNoneCounts, ErrNoUser, too-many-requests when a code would
// have to be mailed and the budget is used up, or the store's error. Everything
// that is not nil is a refusal.
func (s *Service) Check(ctx context.Context, r Request) error {
	_, err := s.Verify(ctx, r)
	return err
}
