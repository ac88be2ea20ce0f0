package rooms

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Times of presence.
const (
	// Grace is how long a user whose last connection is gone stays what it was:
	// a page that is reloaded is back by then.
	Grace = 5 * time.Second
	// nodeBeat is how often a node says that it lives; nodeLife after the last
	// time the connections it spoke of count as gone.
	nodeBeat = 30 * time.Second
	nodeLife = 2 * time.Minute
	// settle is how long changes gather before they are written and told: one
	// round for the hundreds that log in at once after a restart.
	settle = 20 * time.Millisecond
	// retry is the pause after the store failed.
	retry = 2 * time.Second
	// presenceBatch is how many users are written at once.
	presenceBatch = 500
	// maxShown is how many users are looked at when the server starts.
	maxShown = 100_000
	// maxStatusText bounds the sentence beside a status, in characters, as in a profile.
	maxStatusText = 120
	// goneLife is how long clients can learn what was deleted while they were away.
	goneLife = 30 * 24 * time.Hour
)

// PresenceOptions are the parts of a Tracker. All but Logger and Now are required.
type PresenceOptions struct {
	Store    Store
	Settings Settings
	Feed     feed.Publisher
	// Node names this node among those that share the store.
	Node string
	// Alone says that no other node shares the store: what an earlier run left
	// is swept at once.
	Alone bool
	// Logger gets troubles with the store; nil discards them.
	Logger *zap.Logger
	Now    func() time.Time
}

// Tracker follows who is connected to this node and writes what changes into
// the store in batches, off the path of every call.
type Tracker struct {
	opts PresenceOptions
	svc  *Service

	wake chan struct{}

	mu    sync.Mutex
	conns map[string]map[string]string // by user, by connection: Online or Away
	dirty map[string]struct{}          // users whose state must be written
	// leaving are the users whose last connection is gone and who are in their
	// grace; departures names them in the order in which it ends.
	leaving    map[string]grace
	departures []departure
}

// departure is the end of a grace; it counts if the user is still in that one.
type departure struct {
	userID string
	until  time.Time
}

// grace is what a user is taken for until when.
type grace struct {
	status string
	until  time.Time
}

// NewTracker makes a Tracker; Run does its work.
func NewTracker(o PresenceOptions) (*Tracker, error) {
	if o.Node == "" {
		return nil, errors.New("rooms: a tracker of presence needs the name of its node")
	}
	svc, err := New(Options{Store: o.Store, Settings: o.Settings, Feed: o.Feed, Codes: noCodes{}, Now: o.Now})
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Tracker{
		opts: o, svc: svc, wake: make(chan struct{}, 1),
		conns: map[string]map[string]string{}, dirty: map[string]struct{}{}, leaving: map[string]grace{},
	}, nil
}

// Connected says that a connection is logged in as a user.
func (t *Tracker) Connected(userID, conn string) { t.Set(userID, conn, Online) }

// Set says whether the user at that connection is there (Online) or not (Away).
func (t *Tracker) Set(userID, conn, status string) {
	t.mu.Lock()
	set := t.conns[userID]
	if set == nil {
		set = map[string]string{}
		t.conns[userID] = set
	}
	if set[conn] == status {
		t.mu.Unlock()
		return
	}
	before := best(set)
	if g, back := t.leaving[userID]; back {
		before = g.status
		delete(t.leaving, userID)
	}
	set[conn] = status
	changed := best(set) != before
	t.mu.Unlock()
	if changed {
		t.Refresh(userID)
	}
}

// Disconnected says that a connection is gone or belongs to somebody else now.
func (t *Tracker) Disconnected(userID, conn string) {
	t.mu.Lock()
	set := t.conns[userID]
	if _, known := set[conn]; !known {
		t.mu.Unlock()
		return
	}
	before := best(set)
	delete(set, conn)
	if len(set) == 0 {
		delete(t.conns, userID)
		until := t.svc.time().Add(Grace)
		t.leaving[userID] = grace{before, until}
		t.departures = append(t.departures, departure{userID, until})
		first := len(t.departures) == 1
		t.mu.Unlock()
		if first {
			t.poke() // else Run has a timer for an earlier one
		}
		return
	}
	changed := best(set) != before
	t.mu.Unlock()
	if changed {
		t.Refresh(userID)
	}
}

func best(conns map[string]string) string {
	status := ""
	for _, s := range conns {
		status = BetterStatus(status, s)
	}
	return status
}

// Refresh has the user's status worked out again soon.
func (t *Tracker) Refresh(userID string) {
	t.mu.Lock()
	t.dirty[userID] = struct{}{}
	t.mu.Unlock()
	t.poke()
}

func (t *Tracker) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Run writes changes until ctx ends, then says that this node's users are gone.
// It returns nil.
func (t *Tracker) Run(ctx context.Context) error {
	t.start(ctx)
	beat := time.NewTicker(nodeBeat)
	defer beat.Stop()
	var settled, pause <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			t.stop()
			return nil
		case <-beat.C:
			t.beat(ctx)
		case <-t.wake:
			if settled == nil {
				settled = time.After(settle)
			}
			continue
		case <-settled:
		case <-pause:
		}
		settled, pause = nil, nil
		if next := t.flush(ctx); next > 0 {
			pause = time.After(next)
		}
	}
}

// start takes over from an earlier run: whoever is shown as here is looked at.
func (t *Tracker) start(ctx context.Context) {
	alive := t.svc.time().Add(-nodeLife)
	if t.opts.Alone {
		alive = t.svc.time().Add(time.Millisecond)
	}
	err := t.sweep(ctx, alive)
	users, err2 := t.svc.store.UsersNotOffline(ctx, maxShown)
	for _, u := range users {
		t.Refresh(u.ID)
	}
	t.warn("presence_not_read", errors.Join(err, err2))
}

func (t *Tracker) sweep(ctx context.Context, alive time.Time) error {
	lost, err := t.svc.store.SweepPresence(ctx, alive)
	for _, p := range lost {
		t.Refresh(p.UserID)
	}
	return err
}

func (t *Tracker) beat(ctx context.Context) {
	now := t.svc.time()
	t.warn("presence_not_kept", errors.Join(
		t.svc.store.TouchNode(ctx, t.opts.Node, now),
		t.sweep(ctx, now.Add(-nodeLife)),
		t.svc.store.SweepGone(ctx, now.Add(-goneLife)),
		t.svc.store.Mend(ctx, now)))
}

func (t *Tracker) warn(text string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		t.opts.Logger.Warn(text, zap.Error(err))
	}
}

// stop forgets this node's connections in the store.
func (t *Tracker) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	t.mu.Lock()
	for id := range t.conns {
		t.dirty[id] = struct{}{}
	}
	for id := range t.leaving {
		t.dirty[id] = struct{}{}
	}
	clear(t.conns)
	clear(t.leaving)
	t.departures = nil
	t.mu.Unlock()
	t.flush(ctx)
}

// flush writes what is due and tells after what time there is more to do; 0
// means when something happens.
func (t *Tracker) flush(ctx context.Context) time.Duration {
	for {
		batch, next := t.take()
		if len(batch) == 0 {
			return next
		}
		if err := t.write(ctx, batch); err != nil {
			t.warn("presence_not_written", err)
			t.mu.Lock()
			for _, p := range batch {
				t.dirty[p.UserID] = struct{}{}
			}
			t.mu.Unlock()
			return retry
		}
	}
}

// take hands out the states to be written now.
func (t *Tracker) take() (batch []Presence, next time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.svc.time()
	for len(t.departures) > 0 {
		d := t.departures[0]
		if next = d.until.Sub(now); next > 0 {
			break
		}
		next = 0
		t.departures = t.departures[1:]
		if g, still := t.leaving[d.userID]; still && g.until.Equal(d.until) {
			delete(t.leaving, d.userID)
			t.dirty[d.userID] = struct{}{}
		}
	}
	for id := range t.dirty {
		if len(batch) == presenceBatch {
			break
		}
		delete(t.dirty, id)
		status := best(t.conns[id])
		if g, leaving := t.leaving[id]; leaving {
			status = g.status
		}
		batch = append(batch, Presence{UserID: id, Status: status})
	}
	return batch, next
}

// write saves the states, works out what others see, and tells them.
func (t *Tracker) write(ctx context.Context, batch []Presence) error {
	at := t.svc.time()
	over, err := t.svc.store.SavePresence(ctx, t.opts.Node, batch, at, at.Add(-nodeLife))
	if err != nil {
		return err
	}
	ids := make([]string, len(over))
	for i, p := range over {
		ids[i] = p.UserID
	}
	users, err := t.svc.store.UsersByIDs(ctx, ids)
	if err != nil {
		return err
	}
	chosen := make(map[string]string, len(users))
	for _, u := range users {
		chosen[u.ID] = u.StatusDefault
	}
	statuses := make(map[string]string, len(over))
	for _, p := range over {
		statuses[p.UserID] = shown(p.Status, chosen[p.UserID])
	}
	changed, err := t.svc.store.SaveStatuses(ctx, statuses, at)
	if err != nil {
		return err
	}
	for _, u := range changed {
		user.Changed.Publish(t.svc.feed, u.ID, user.News{Fields: []string{user.FieldStatus}})
		if err := t.svc.tellStatus(u); err != nil {
			return err
		}
	}
	return nil
}

// shown is the status that others see: what the user chose, as long as there is
// a connection, and what the connections say for somebody who chose nothing.
func shown(connections, chosen string) string {
	switch {
	case connections == "":
		return Offline
	case chosen == "" || chosen == Online:
		return connections
	}
	return chosen
}

// statusNumbers are the places of the statuses in Rocket.Chat's list.
var statusNumbers = map[string]int{Offline: 0, Online: 1, Away: 2, Busy: 3}

// tellStatus publishes the status of a user to everybody who asked for it.
func (s *Service) tellStatus(u *user.User) error {
	if s.set.Bool(settings.PresenceSilent) {
		return nil
	}
	roles := u.Roles
	if roles == nil {
		roles = []string{}
	}
	return s.stream(NotifyLogged, "user-status", []any{u.ID, u.Username, statusNumbers[u.Status], u.StatusText, u.Name, roles})
}

// SetStatus records what a user chose to be shown as (Online, Away, Busy, or
// Offline for invisible; empty leaves it) and the sentence beside it (nil
// leaves it).
func (t *Tracker) SetStatus(ctx context.Context, by *user.User, status string, sentence *string) error {
	s := t.svc
	if _, known := statusNumbers[status]; status != "" && !known {
		return ErrStatus
	}
	if status == Offline && !s.set.Bool(settings.AllowInvisible) {
		return ErrInvisible
	}
	c := user.Change{At: s.time()}
	if status != "" {
		c.StatusDefault = &status
	}
	if sentence != nil && *sentence != by.StatusText {
		if !s.set.Bool(settings.AllowStatusChange) {
			return ErrStatusChange
		}
		line := statusLine(*sentence)
		c.StatusText = &line
	}
	if c.StatusDefault == nil && c.StatusText == nil {
		return nil
	}
	u, err := s.store.UpdateUser(ctx, by.ID, c)
	if err != nil {
		return err
	}
	user.Changed.Publish(s.feed, u.ID, user.News{Fields: []string{user.FieldStatus}})
	t.Refresh(by.ID)
	if c.StatusText != nil {
		return s.tellStatus(u)
	}
	return nil
}

// statusLine is a sentence as others see it: without characters that hide or
// turn round others, and cut where it is too long.
func statusLine(sentence string) string {
	line := []rune(strings.TrimSpace(strings.Map(func(r rune) rune {
		if user.Hidden(r) {
			return -1
		}
		return r
	}, sentence)))
	return string(line[:min(len(line), maxStatusText)])
}

// Status is how an account is shown.
type Status struct {
	UserID, Username, Name, Status, Text, AvatarETag string
}

// Doc is the status as REST lists it.
func (p *Status) Doc() ejson.Doc {
	d := ejson.Doc{{Key: "_id", Value: p.UserID}, {Key: "username", Value: p.Username}}
	d = text(d, "name", p.Name)
	d = append(d, ejson.Field{Key: "status", Value: p.Status})
	return text(text(d, "statusText", p.Text), "avatarETag", p.AvatarETag)
}

// StatusOf tells how an account is shown.
func StatusOf(u *user.User) Status {
	status := u.Status
	if status == "" {
		status = Offline
	}
	return Status{UserID: u.ID, Username: u.Username, Name: u.Name, Status: status, Text: u.StatusText, AvatarETag: u.AvatarETag}
}

// Statuses tells how these users are shown, or, without ids, everybody who is
// not offline, at most limit of them.
func (s *Service) Statuses(ctx context.Context, ids []string, limit int) ([]Status, error) {
	var users []*user.User
	var err error
	if len(ids) > 0 {
		users, err = s.store.UsersByIDs(ctx, ids[:min(len(ids), limit)])
	} else {
		users, err = s.store.UsersNotOffline(ctx, limit)
	}
	out := make([]Status, len(users))
	for i, u := range users {
		out[i] = StatusOf(u)
	}
	return out, err
}
