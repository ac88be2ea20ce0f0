package natsfeed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"ddpserver/internal/feed"
	"ddpserver/internal/secret"
)

const (
	// pingEvery and maxPings say when a server that says nothing counts as gone.
	pingEvery = time.Second
	maxPings  = 4
	// patience bounds a write, and a wait without a limit of its own; connectTime what a
	// connection takes to begin.
	patience    = 5 * time.Second
	connectTime = 2 * time.Second
	// reconnectWait and reconnectJitter are the pause between two tries to connect.
	reconnectWait   = 250 * time.Millisecond
	reconnectJitter = 500 * time.Millisecond
	// quiet is how long nothing more is logged of events that are too large.
	quiet = time.Minute
)

// Options configure a Transport.
type Options struct {
	// Address names the NATS servers, as TRANSPORTER does: nats:// or tls://, several
	// with commas. It may hold passwords and is never logged.
	Address string
	// Node names this node to the NATS server.
	Node string
	// Database names the database that the nodes share.
	Database string
	// Key is the server key, with the one of before during a rotation.
	Key *secret.Key
	// Logger gets what an operator should know; nil discards it.
	Logger *zap.Logger

	// waiting bounds the bytes that wait for the receiver, topics those that are asked for one
	// by one, for tests; 0 is maxWaitingBytes and maxTopics.
	waiting, topics int
}

// Transport is a connection to NATS. It is safe for concurrent use.
type Transport struct {
	log   *zap.Logger
	rings []ring
	nc    *nats.Conn
	in    inbox
	// followed is what this node asks for beside what every node hears.
	followed followed
	// stop ends tries to connect.
	stop context.CancelFunc
	done <-chan struct{}

	sending  sync.Mutex // guards what follows
	event    []byte     // these three are used again and again
	batch    []byte
	message  []byte
	quietFor time.Time // events that are too large are not logged until then

	logged logged
}

var _ feed.Follower = (*Transport)(nil)

// errDown is the error while there is no connection, beside its cause.
var errDown = errors.New("there is no connection to NATS")

// Open connects to NATS. A server that cannot be reached is no error: the connection is
// tried for ever. An error tells what is wrong with the address, without its passwords.
func Open(o Options) (*Transport, error) {
	a, err := parseAddress(o.Address)
	if err != nil {
		return nil, err
	}
	opts, err := a.options()
	if err != nil {
		return nil, err
	}
	t := &Transport{log: o.Logger, rings: []ring{newRing(o.Key, o.Database)}}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	if old := o.Key.Old(); old != nil {
		// Nodes that have only one of the keys hear this node all the same. Whoever has
		// both gets everything twice, and leaves out what came before.
		t.rings = append(t.rings, newRing(old, o.Database))
	}
	if t.followed.max = maxTopics; o.topics > 0 {
		t.followed.max = o.topics
	}
	t.followed.topics = map[string][]*nats.Subscription{}
	t.in.wake, t.in.max = make(chan struct{}, 1), maxWaitingBytes
	if o.waiting > 0 {
		t.in.max = o.waiting
	}
	ctx, stop := context.WithCancel(context.Background())
	t.stop, t.done = stop, ctx.Done()
	t.nc, err = nats.Connect("", append(opts, t.options(ctx, o.Node)...)...)
	if err != nil {
		stop()
		return nil, errors.New(secret.Scrub(err.Error()))
	}
	t.log.Info("nats_subjects", zap.String("prefix", t.rings[0].prefix))
	return t, nil
}

// options are the same for every address.
func (t *Transport) options(ctx context.Context, node string) []nats.Option {
	return []nats.Option{
		nats.Name("ddpserver " + node), nats.NoEcho(),
		// A node that cannot say something keeps it and says it again (feed.Transport.Send):
		// nothing is kept here.
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.Timeout(connectTime), nats.FlusherTimeout(patience), nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(maxPings),
		nats.SkipHostLookup(), nats.SetCustomDialer(dialer{ctx}),
		nats.ConnectHandler(t.connected), nats.ReconnectHandler(t.connected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { t.disconnected(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { t.disconnected(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { t.troubled(err) }),
	}
}

// dialer connects until its context ends.
type dialer struct{ ctx context.Context }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: connectTime}).DialContext(d.ctx, network, address)
}

// connected runs on a goroutine of the library's, as the other handlers do. The URL of
// the server may be a token, which the library does not mask.
func (t *Transport) connected(nc *nats.Conn) {
	t.log.Info("nats_connected", zap.String("server", nc.ConnectedAddr()), zap.Int64("max_payload", nc.MaxPayload()))
	t.in.change(func() { t.in.link.up, t.in.link.times = true, t.in.link.times+1 })
}

func (t *Transport) disconnected(err error) {
	cause := errDown
	if err != nil {
		cause = fmt.Errorf("%w: %w", errDown, err)
	}
	t.in.change(func() { t.in.link.up, t.in.link.err = false, cause })
}

func (t *Transport) troubled(err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		t.in.miss()
	}
	if what := err.Error(); t.logged.first(what) {
		t.log.Warn("nats_trouble", zap.String("error", secret.Scrub(what)))
	}
}

// Close ends the connection. Send and Receive fail from then on.
func (t *Transport) Close() error {
	t.stop()
	t.nc.Close()
	return nil
}

// Name implements feed.Transport.
func (t *Transport) Name() string { return "nats" }

// Send implements feed.Transport. It returns when the server has taken everything. After
// an error some of the events may have gone out, and go out twice when they are sent again.
func (t *Transport) Send(ctx context.Context, events []feed.Event) error {
	if err := t.down(); err != nil {
		return err
	}
	t.sending.Lock()
	defer t.sending.Unlock()
	before := t.mark()
	for _, r := range t.rings {
		if err := t.publish(r, events); err != nil {
			return err
		}
	}
	return t.taken(ctx, before)
}

// down is an error while there is no connection.
func (t *Transport) down() error {
	switch now := t.in.state(); {
	case now.up:
		return nil
	case now.err == nil:
		return errDown
	default:
		return now.err
	}
}

// mark is what a connection was like before something was sent.
type mark struct {
	reconnects uint64
	trouble    error
}

func (t *Transport) mark() mark { return mark{t.nc.Stats().Reconnects, t.nc.LastError()} }

// taken waits until the server has taken what was sent after the mark. What was written
// into a connection that broke is gone, although the next one answers; and what is not
// allowed is refused before the answer.
func (t *Transport) taken(ctx context.Context, before mark) error {
	return t.confirmed(ctx, before, "publish")
}

// confirmed is taken for something else that may not be allowed.
func (t *Transport) confirmed(ctx context.Context, before mark, what string) error {
	if err := t.flush(ctx); err != nil {
		return err
	}
	now := t.mark()
	if now.reconnects != before.reconnects {
		return errDown
	}
	if now.trouble != before.trouble && refused(now.trouble, what) {
		return now.trouble
	}
	return nil
}

// refused tells whether the NATS server does not allow this node to do something.
func refused(err error, what string) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(strings.ToLower(err.Error()), "for "+what)
}

// flush waits until the server has taken what was sent.
func (t *Transport) flush(ctx context.Context) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	return t.nc.FlushWithContext(ctx)
}

// publish sends the events, as many of one subject in a message as fit.
func (t *Transport) publish(r ring, events []feed.Event) error {
	most := int(t.nc.MaxPayload()) - overhead
	subject, n := "", 0
	send := func() error {
		t.message = r.wrap(t.message[:0], t.batch, subject)
		t.batch, n = t.batch[:0], 0
		return t.nc.Publish(subject, t.message)
	}
	t.batch = t.batch[:0]
	for _, e := range events {
		s := r.subject(e)
		t.event = appendEvent(t.event[:0], e)
		if n > 0 && (s != subject || n == maxEvents || len(t.batch)+len(t.event) > min(most, maxBatch)) {
			if err := send(); err != nil {
				return err
			}
		}
		if len(t.event) > most {
			t.tooLarge(e, len(t.event), most)
			subject = r.missing()
			if err := send(); err != nil {
				return err
			}
			continue
		}
		subject, t.batch, n = s, append(t.batch, t.event...), n+1
	}
	if n > 0 {
		return send()
	}
	return nil
}

// tooLarge says that an event could not be sent.
func (t *Transport) tooLarge(e feed.Event, size, most int) {
	if now := time.Now(); now.After(t.quietFor) {
		t.quietFor = now.Add(quiet)
		t.log.Warn("event_too_large", zap.String("kind", e.Kind), zap.Int("bytes", size), zap.Int("max_bytes", most),
			zap.String("hint", "raise max_payload of the NATS servers; until then the other nodes read anew what they missed"))
	}
}
