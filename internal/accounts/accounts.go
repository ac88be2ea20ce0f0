package accounts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/audit"
	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/random"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// Factors is what the package tells second factors; *twofactor.Service has it.
type Factors interface {
	// Forget ends the account's pending mail codes and remembered trust, after
	// its password or its address changed.
	Forget(ctx context.Context, userID string) error
}

// Options are the parts a Service works with. Store, Settings, Mailer, Feed, Audit
// and Passwords are required.
type Options struct {
	Store    Store
	Settings Settings
	Mailer   Mailer
	Feed     feed.Publisher
	Audit    audit.Recorder
	// Passwords are shared with second factors.
	Passwords *Passwords
	// Factors may be nil: then nobody has any.
	Factors Factors
	// Follower may be nil: then nothing follows from a change of an account.
	Follower Follower
	// Origin tells what is kept of where a login token is made and used; nil keeps
	// nothing. It must be quick.
	Origin func(p *rpc.Peer) *user.Origin
	// Heard is that of the hub; nil has every login read its account again.
	Heard *user.Heard
	// RootURL stands in front of the links in mails, without a slash at the end.
	RootURL string
	// Logger gets what no caller waits for; nil means none.
	Logger *zap.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Stagger is how long after the answer work begins that nobody waits for and
	// whose cost would tell something: at least a fifth of it, at most all. Zero
	// begins at once, which tests want.
	Stagger time.Duration
}

// Service has the rules of accounts. It is safe for concurrent use.
type Service struct {
	store   Store
	set     Settings
	mailer  Mailer
	feed    feed.Publisher
	audit   audit.Recorder
	factors Factors
	// follower may be nil.
	follower Follower
	originOf func(p *rpc.Peer) *user.Origin
	heard    *user.Heard // may be nil
	root     string
	stagger  time.Duration
	log      *zap.Logger
	now      func() time.Time

	passwords *Passwords
	open      open
	noted     notes
	uses      uses
	// mails counts what may be mailed to whom in an hour.
	mails *ratelimit.Limiter

	// jobs bounds and counts the mails written in the background.
	jobs    chan struct{}
	running sync.WaitGroup
}

// backgroundJobs bounds the mails that are being written without a caller
// waiting for them.
const backgroundJobs = 16

// New makes a Service of finished parts.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Settings == nil || o.Mailer == nil || o.Feed == nil || o.Audit == nil || o.Passwords == nil {
		return nil, errors.New("accounts: store, settings, mailer, feed, audit and passwords are required")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{
		stagger: o.Stagger, store: o.Store, set: o.Settings, mailer: o.Mailer, feed: o.Feed, audit: o.Audit,
		root: strings.TrimSuffix(o.RootURL, "/"), log: o.Logger, now: o.Now,
		passwords: o.Passwords, factors: o.Factors, follower: o.Follower, heard: o.Heard, open: open{ids: make(map[string]bool)}, noted: newNotes(),
		originOf: o.Origin, uses: uses{some: make(chan struct{}, 1)},
		mails: ratelimit.New(ratelimit.Options{Now: o.Now}), jobs: make(chan struct{}, backgroundJobs),
	}, nil
}

// Run sweeps expired tokens every ten minutes, and writes down which sessions were
// used, until ctx ends. When it returns, no goroutine of the Service is left, no mail
// is half written and no use waits.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(SweepEvery)
	defer tick.Stop()
	var behind <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.writeUses(last)
			s.running.Wait()
			return nil
		case <-s.uses.some:
			behind = time.After(writeBehind)
		case <-behind:
			s.writeUses(ctx)
		case <-tick.C:
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("token_sweep_failed", zap.Error(err))
			}
		}
	}
}

// Sweep removes expired sessions and links, and closes what still uses them.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.time()
	owners, err := s.store.SweepTokens(ctx, now.Add(-s.sessionLife()), now.Add(-ResetLife), now.Add(-EnrollLife))
	for _, id := range owners {
		u, readErr := s.store.UserByID(ctx, id)
		switch {
		case readErr == nil:
			s.changed(id, user.News{Fields: []string{user.FieldTokens}, Ended: user.EndedBut(u)})
		case !errors.Is(readErr, dberr.NotFound):
			err = errors.Join(err, readErr)
		}
	}
	return err
}

// Remembering makes a context under which a login reads its account once. What Resume
// found, or the change that made the token returned, is what User and Caller then give,
// until news of the account comes.
func (s *Service) Remembering(ctx context.Context) context.Context {
	return user.WithMemory(ctx, s.heard)
}

// User reads an account, unless the login that runs has read it (Remembering);
// dberr.NotFound when there is none.
func (s *Service) User(ctx context.Context, id string) (*user.User, error) {
	if id == "" {
		return nil, dberr.NotFound
	}
	if u := user.Remembered(ctx, id); u != nil {
		return u, nil
	}
	reading := user.BeginReading(ctx)
	u, err := s.store.UserByID(ctx, id)
	if err == nil {
		reading.Keep(u)
	}
	return u, err
}

// Named reads an account by its user name, never by an address: who names
// somebody must not learn whose address he typed, in whatever spelling.
// dberr.NotFound when there is none.
func (s *Service) Named(ctx context.Context, username string) (*user.User, error) {
	key := lookupKey(username)
	if key == "" {
		return nil, dberr.NotFound
	}
	return s.store.UserByUsername(ctx, key)
}

// Find is Named, and finds accounts by address too: for callers who may see
// other people's addresses. dberr.NotFound when there is none.
func (s *Service) Find(ctx context.Context, emailOrUsername string) (*user.User, error) {
	u, err := s.Named(ctx, emailOrUsername)
	key := lookupKey(emailOrUsername)
	if errors.Is(err, dberr.NotFound) && strings.Contains(key, "@") {
		return s.store.UserByEmail(ctx, key)
	}
	return u, err
}

// List pages through accounts by user name; count is at most 100.
func (s *Service) List(ctx context.Context, offset, count int) ([]*user.User, int, error) {
	if count <= 0 || count > maxPage {
		count = maxPage
	}
	return s.store.ListUsers(ctx, max(offset, 0), count)
}

// maxPage bounds a page of accounts.
const maxPage = 100

// time is the present as the database keeps it.
func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// change applies c, stamped with the present, and tells whoever must know.
func (s *Service) change(ctx context.Context, id string, c user.Change) (*user.User, error) {
	u, err := s.apply(ctx, id, &c)
	if err == nil {
		s.tell(ctx, u, &c)
	}
	return u, err
}

// apply is the half of change that the store does.
func (s *Service) apply(ctx context.Context, id string, c *user.Change) (*user.User, error) {
	c.At = s.time()
	u, err := s.store.UpdateUser(ctx, id, *c)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// tell is the other half, for a change that was applied.
func (s *Service) tell(ctx context.Context, u *user.User, c *user.Change) {
	news := user.News{Fields: c.Fields()}
	if c.RemoveToken != "" || c.RemoveSessions || c.RemoveTokens {
		// Naming the living tokens instead of the dead also catches a token that
		// came and went between a read and the change.
		news.Ended = user.EndedBut(u)
	}
	s.changed(u.ID, news)
	s.followChange(ctx, u, c)
}

// changed tells everybody who must know that an account changed.
func (s *Service) changed(id string, news user.News) { user.Changed.Publish(s.feed, id, news) }

// background writes mail without making the caller wait, so that the time of an
// answer does not tell whether there was anything to write. It refuses when
// too much is being written already.
func (s *Service) background(ctx context.Context, job func(context.Context) error) error {
	select {
	case s.jobs <- struct{}{}:
	default:
		return ratelimit.TooMany(time.Second)
	}
	ctx = context.WithoutCancel(ctx)
	begin := random.Moment(s.stagger)
	s.running.Go(func() {
		defer func() { <-s.jobs }()
		<-begin
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if err := job(ctx); err != nil {
			s.log.Warn("background_mail_failed", zap.Error(err))
		}
	})
	return nil
}

// retry runs an optimistic change again while somebody else changes the same
// account, a bounded number of times.
func retry(f func() error) error {
	var err error
	for range 8 {
		if err = f(); !errors.Is(err, dberr.Conflict) {
			return err
		}
	}
	return err
}

// containsFold tells whether a list holds a text in any case.
func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
}
