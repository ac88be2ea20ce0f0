package mail

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
	"ddpserver/internal/secret"
)

// Defaults of Options.
const (
	// DefaultMax bounds the outbox: at the hourly budgets of codes it is hours of
	// work, and more only helps somebody who floods it.
	DefaultMax = 10000
	// DefaultWorkers bounds parallel deliveries; mail servers dislike more.
	DefaultWorkers = 4
)

// lease is how long one node owns an item: longer than one attempt.
const lease = attemptTimeout + 10*time.Second

// poll is how often the outbox looks for items of other nodes or of a crashed one.
const poll = 15 * time.Second

// grace is how long a running attempt may go on when the server stops.
const grace = 2 * time.Second

var (
	errPermanent = errors.New("refused for good")
	errLater     = errors.New("refused for now")
)

// Options configure an Outbox. Store, Key and Transport are required.
type Options struct {
	Store     Store
	Key       *secret.Key
	Transport *Transport
	// From and Site are asked at every mail, since settings may change them.
	From, Site func() string
	// PlainText, asked likewise, leaves the HTML part out. It may be nil.
	PlainText func() bool
	Logger    *zap.Logger
	// Max items wait at most, of all classes together; Workers deliver at once.
	Max, Workers int
	// Node names this server among those that share the store.
	Node string
	// Observe is told the outcome of every attempt: "sent", "retry", "refused",
	// "expired" or "unreadable", and of "queue_full" for a mail that was refused. It may be nil.
	Observe func(outcome string)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Outbox accepts mails and delivers them in the background.
type Outbox struct {
	store        Store
	key          *secret.Key
	transport    *Transport
	from, site   func() string
	plainText    func() bool
	log          *zap.Logger
	max, workers int
	node         string
	observe      func(string)
	now          func() time.Time
	bell         chan struct{}

	mu sync.Mutex
	// saidFull is when the log was last told that a class is full.
	saidFull map[Class]time.Time
	// unreadable are waiting mails that could not be opened, and when that was tried.
	unreadable map[string]time.Time
	shown      []Shown // oldest first; empty where mails are sent
}

// New makes an outbox; it delivers nothing until Run.
func New(opts Options) (*Outbox, error) {
	if opts.Store == nil || opts.Key == nil || opts.Transport == nil || opts.From == nil || opts.Site == nil {
		return nil, errors.New("mail: Store, Key, Transport, From and Site are required")
	}
	o := &Outbox{
		store: opts.Store, key: opts.Key, transport: opts.Transport, from: opts.From, site: opts.Site,
		plainText: opts.PlainText, log: opts.Logger, max: opts.Max, workers: opts.Workers, node: opts.Node, observe: opts.Observe, now: opts.Now,
		bell: make(chan struct{}, 1), saidFull: map[Class]time.Time{}, unreadable: map[string]time.Time{},
	}
	if o.log == nil {
		o.log = zap.NewNop()
	}
	if o.plainText == nil {
		o.plainText = func() bool { return false }
	}
	if o.max <= 0 {
		o.max = DefaultMax
	}
	if o.workers <= 0 {
		o.workers = DefaultWorkers
	}
	if o.observe == nil {
		o.observe = func(string) {}
	}
	if o.now == nil {
		o.now = time.Now
	}
	// Two runs of one server are two owners, so a crashed run's lease is never
	// mistaken for the new run's own.
	o.node += "/" + random.ID()
	return o, nil
}

// Check refuses senders that no mail could be sent from.
func Check(from string) error {
	a, err := netmail.ParseAddress(from)
	if err != nil || CheckAddress(a.Address) != nil {
		return fmt.Errorf("%w: write it as name@host or Name <name@host>", ErrAddress)
	}
	return nil
}

func (o *Outbox) wake() {
	select {
	case o.bell <- struct{}{}:
	default:
	}
}

// Run delivers mails until ctx ends. When it returns, no delivery is running;
// what was not delivered waits in the store for the next start.
func (o *Outbox) Run(ctx context.Context) error {
	slots := make(chan struct{}, o.workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.bell:
		case <-timer.C:
		}
		o.drain(ctx, slots, &wg)
		timer.Reset(o.pause(ctx))
	}
}

// drain starts a delivery for every item that is due, as far as workers are free.
// A worker that ends rings the bell, so nothing waits for the next poll.
func (o *Outbox) drain(ctx context.Context, slots chan struct{}, wg *sync.WaitGroup) {
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		default:
			return
		}
		it, err := o.store.ClaimMail(ctx, o.node, o.now().UTC().Truncate(time.Millisecond), lease)
		if err != nil {
			<-slots
			if !errors.Is(err, dberr.NotFound) && ctx.Err() == nil {
				o.log.Warn("mail_outbox_unreadable", zap.Error(err))
			}
			return
		}
		wg.Go(func() {
			o.attempt(ctx, it)
			<-slots
			o.wake()
		})
	}
}

func (o *Outbox) pause(ctx context.Context) time.Duration {
	next, err := o.store.NextMail(ctx)
	if err != nil || next.IsZero() {
		return poll
	}
	return min(max(next.Sub(o.now()), 50*time.Millisecond), poll)
}

// attempt makes one try and books its outcome.
func (o *Outbox) attempt(ctx context.Context, it Item) {
	log := o.log.With(zap.String("mail", it.ID), zap.Int("try", it.Tries))
	if !o.now().Before(it.Expire) {
		log.Warn("mail_expired")
		o.drop(ctx, it, "expired", log)
		return
	}
	l, err := o.open(it)
	if err != nil {
		o.keep(ctx, it, log)
		return
	}
	o.forget(it.ID)
	log = log.With(zap.String("to", mask(l.To)))
	where, err := o.deliver(ctx, it, l)
	switch {
	case err == nil:
		o.show(it, l)
		if where != "" {
			log.Info("mail_written", zap.String("file", where))
		} else {
			log.Info("mail_sent")
		}
		o.drop(ctx, it, "sent", log)
	case ctx.Err() != nil:
		// Shutting down: hand the item back so that the next start sends it at once.
		o.retry(ctx, it, o.now(), log)
	case errors.Is(err, errPermanent):
		log.Warn("mail_refused", zap.Error(err))
		o.drop(ctx, it, "refused", log)
	default:
		o.later(ctx, it, err, log)
	}
}

// deliver makes the attempt. A stop of the server leaves it a moment to hear the
// mail server's answer: cutting in between would send the mail a second time
// after the restart.
func (o *Outbox) deliver(ctx context.Context, it Item, l letter) (string, error) {
	attempt, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cut)
		context.AfterFunc(attempt, func() { timer.Stop() })
	})()
	return o.transport.deliver(attempt, it, l)
}

func (o *Outbox) later(ctx context.Context, it Item, cause error, log *zap.Logger) {
	next := o.now().Add(backoff(it.Tries, errors.Is(cause, errLater)))
	if !next.Before(it.Expire) {
		log.Warn("mail_expired", zap.String("hint", "it would before the next try"), zap.Error(cause))
		o.drop(ctx, it, "expired", log)
		return
	}
	log.Warn("mail_delayed", zap.Error(cause), zap.Time("next", next.UTC()))
	o.observe("retry")
	o.retry(ctx, it, next, log)
}

// backoff is the pause after the n-th try. A server that answers "later"
// (greylisting) gets growing pauses; one that cannot be reached is asked every
// 20 seconds at the latest, because a code lives only minutes.
func backoff(n int, answered bool) time.Duration {
	pauses := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second}
	if answered {
		pauses = []time.Duration{5 * time.Second, 20 * time.Second, time.Minute, 3 * time.Minute, 10 * time.Minute, 30 * time.Minute}
	}
	return pauses[min(max(n-1, 0), len(pauses)-1)]
}

// Bookkeeping outlives a cancelled run, or a delivered mail would be sent twice.
func bookkeeping(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

func (o *Outbox) drop(ctx context.Context, it Item, outcome string, log *zap.Logger) {
	o.observe(outcome)
	o.forget(it.ID)
	ctx, cancel := bookkeeping(ctx)
	defer cancel()
	if err := o.store.DeleteMail(ctx, it.ID); err != nil && !errors.Is(err, dberr.NotFound) {
		log.Error("mail_not_removed", zap.String("hint", "it may be sent again"), zap.Error(err))
	}
}

func (o *Outbox) retry(ctx context.Context, it Item, next time.Time, log *zap.Logger) {
	ctx, cancel := bookkeeping(ctx)
	defer cancel()
	if err := o.store.RetryMail(ctx, it.ID, o.node, next.UTC().Truncate(time.Millisecond)); err != nil && !errors.Is(err, dberr.Conflict) {
		log.Error("mail_not_put_back", zap.String("hint", "it waits for its lease to end"), zap.Error(err))
	}
}
