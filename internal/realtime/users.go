package realtime

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/user"
)

// Users reads accounts; accounts.Service and every store's UserByID have it.
type Users interface {
	User(ctx context.Context, id string) (*user.User, error)
}

// Sessions finds and ends the connections of users; *ddp.Registry is one.
type Sessions interface {
	CloseTokens(userID string, dead func(tokenHash string) bool)
	Sessions(userID string, visit func(*ddp.Session) bool)
}

// own pushes to every session what happens to its own account: the "users"
// document, and the stream event <uid>/userData.
type own struct {
	hub      *Hub
	users    Users
	sessions Sessions
	many     Marked // nil where accounts are read one by one
	// rightsChanged is called when an account may listen to other things than before.
	rightsChanged func(userID string)

	mu   sync.Mutex
	byID map[string]*watched
}

// watched is an account that somebody on this node is logged in as.
type watched struct {
	id   string
	refs int // guarded by own.mu
	// expires is when the next login token of the account ends by itself, in milliseconds
	// since 1970; 0 if none does. It is written under mu.
	expires atomic.Int64

	mu sync.Mutex
	// docs is what each session was sent; nil when it waits for the account.
	docs map[*ddp.Subscription]ejson.Doc
	// followers is the number of userData subscribers, shown what they know, flat;
	// nil when there are none.
	followers int
	shown     ejson.Doc
	// rights decide what the account may listen to; nil when unknown.
	rights *rights
	// running is the read that runs now, next the one that begins after it; nil
	// when nobody waits for one. Reads follow each other, so that what was read
	// first is sent first, and no lock is held meanwhile.
	running, next *reading
}

// reading is one read of an account, made for everybody who asked for it before
// it began.
type reading struct {
	// refresh tells that somebody asked because the account may have changed.
	refresh bool
	done    chan struct{}
	// The rest is valid when done is closed. user is nil when the account is gone.
	over          bool // guarded by watched.mu
	user          *user.User
	err           error
	rightsChanged bool
}

// rights are the roles, whether the account is active, and what its second factors
// depend on: their state, and whether an address is proved.
type rights struct {
	roles   []string
	active  bool
	factors string // user.FactorState
	proved  bool   // an address
}

// learn notes the rights and tells whether they are others than before.
func (w *watched) learn(u *user.User) (changed bool) {
	before := w.rights
	now := rights{u.Roles, u.IsActive(), u.FactorState(), len(u.VerifiedEmails()) > 0}
	if before != nil && slices.Equal(before.roles, now.roles) {
		now.roles = before.roles
		if before.active == now.active && before.factors == now.factors && before.proved == now.proved {
			return false
		}
	}
	w.rights = &now
	return before != nil
}

// endedBefore is how long ago a token may have ended whose sessions are perhaps still open.
const endedBefore = time.Minute

// expect notes when a login token ends by itself. Only after a refresh are the sessions closed
// of those that have: else one of a moment ago counts as the next.
func (w *watched) expect(u *user.User, refresh bool) {
	since := time.Now()
	if !refresh {
		since = since.Add(-endedBefore)
	}
	w.expires.Store(u.NextExpiry(since))
}

func newOwn(h *Hub, users Users, sessions Sessions, rightsChanged func(userID string)) *own {
	o := &own{hub: h, users: users, sessions: sessions, rightsChanged: rightsChanged, byID: map[string]*watched{}}
	Listen(h, user.Changed, o.changed)
	h.HandleGap(o.refreshAll)
	h.attendants = append(h.attendants, o.attend)
	return o
}

func (o *own) watch(id string) *watched {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.byID[id]
	if w == nil {
		w = &watched{id: id, docs: map[*ddp.Subscription]ejson.Doc{}}
		o.byID[id] = w
	}
	w.refs++
	return w
}

func (o *own) unwatch(w *watched) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.refs--; w.refs == 0 {
		delete(o.byID, w.id)
	}
}

// publish is the universal publication of the own account (docs/decisions.md 8).
func (o *own) publish(ctx context.Context, s *ddp.Subscription) error {
	id := s.Login().UserID
	if id == "" {
		return nil
	}
	w := o.watch(id)
	o.tellSecurity(id, "sessions") // one more of them is connected
	read, err := o.show(ctx, w, s)
	if read && len(s.Session().Subscriptions()) > 0 {
		// They were judged before the account was watched, by what may be over now, and
		// news that came between found nobody.
		o.hub.Later(func() { o.rightsChanged(id) })
	}
	stop := func() {
		w.mu.Lock()
		delete(w.docs, s)
		w.mu.Unlock()
	}
	if err != nil {
		stop()
	}
	// Last, because a subscription that has stopped meanwhile cleans up at once.
	s.OnStop(func() {
		o.unwatch(w)
		stop()
		o.tellSecurity(id, "sessions")
	})
	return err
}

// show sends a session the account for the first time: as its login knows it, if no
// news of it came since, else as it is now, which is read.
func (o *own) show(ctx context.Context, w *watched, s *ddp.Subscription) (read bool, err error) {
	if o.showRemembered(ctx, w, s) {
		return false, nil
	}
	reading := user.BeginReading(ctx)
	r := o.read(w, false)
	if r.user != nil {
		reading.Keep(r.user)
	}
	return true, r.err
}

// showRemembered is false when the account must be read. From here on the session is
// sent what changes of the account. A read that runs may have begun before the login's:
// then the session waits for it, so that nothing older follows what it was sent.
func (o *own) showRemembered(ctx context.Context, w *watched, s *ddp.Subscription) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.docs[s] = nil
	if w.running != nil {
		return false
	}
	u := user.Remembered(ctx, w.id)
	if u == nil {
		return false
	}
	doc := document(u)
	w.docs[s] = doc
	_ = s.Added("users", w.id, doc)
	w.expect(u, false)
	if w.rights == nil {
		w.learn(u)
	}
	return true
}

// tellSecurity sends the stream event <uid>/security, which says what of the account's
// security is to be looked at anew, and nothing of what it is.
func (o *own) tellSecurity(id string, kinds ...string) {
	for _, kind := range kinds {
		if err := o.hub.EmitHere("stream-notify-user", id+"/security", ejson.Doc{{Key: "kind", Value: kind}}); err != nil {
			o.hub.log.Error("security_news_not_encoded", zap.String("user_id", id), zap.Error(err))
		}
	}
}

// follow keeps an account watched as long as its userData event is subscribed to.
func (o *own) follow(s *ddp.Subscription) error {
	w := o.watch(s.Login().UserID)
	w.mu.Lock()
	w.followers++
	known := w.shown != nil
	w.mu.Unlock()
	s.OnStop(func() {
		o.unwatch(w)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.followers--; w.followers == 0 {
			w.shown = nil
		}
	})
	if known {
		return nil
	}
	return o.read(w, false).err
}

// refresh pushes what changed of an account to those who are logged in as it, and
// ends the connections whose login token is no more. Nothing is read if nobody here
// is known to be logged in as it.
func (o *own) refresh(id string) (known bool, err error) {
	o.mu.Lock()
	w := o.byID[id]
	o.mu.Unlock()
	if w == nil {
		return false, nil
	}
	r := o.read(w, true)
	if r.err != nil {
		o.refuse(id, r.err)
		return true, r.err
	}
	o.closeDead(id, r.user)
	if r.rightsChanged {
		o.rightsChanged(id)
	}
	return true, nil
}

// refuse ends the connections of an account that nobody can read any more: what it may do
// is not known, and no call of it would be answered. While the store does not answer they stay.
func (o *own) refuse(id string, err error) {
	if errors.Is(err, dberr.Broken) {
		o.closeDead(id, nil)
	}
}

// closeDead ends the connections whose login token is no more.
func (o *own) closeDead(id string, u *user.User) {
	o.sessions.CloseTokens(id, func(hash string) bool { return dead(u, hash) })
}

// dead tells whether a login token of an account, nil for one that is gone, is no
// more, or opens nothing any more (accounts.Service.Caller).
func dead(u *user.User, hash string) bool {
	if u == nil || !u.IsActive() || u.RequirePasswordChange {
		return true
	}
	t := u.LoginToken(hash)
	return t == nil || t.Expired(time.Now())
}

// read reads the account and sends who is logged in as it what is different. It
// returns when a read has ended that began after the call; who calls meanwhile
// shares it.
func (o *own) read(w *watched, refresh bool) *reading {
	r, mine := w.begin(refresh)
	if mine {
		defer o.end(w, r)
		r.user, r.err = o.load(w.id)
	}
	return r
}

// begin waits until a read has ended that began after the call, or until it is the
// caller's turn to make it (mine), and to call end.
func (w *watched) begin(refresh bool) (r *reading, mine bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next == nil {
		w.next = &reading{done: make(chan struct{}), err: errNotRead}
	}
	r = w.next
	r.refresh = r.refresh || refresh
	for w.running != nil {
		running := w.running
		w.mu.Unlock()
		<-running.done
		w.mu.Lock()
		if r.over {
			return r, false
		}
	}
	w.running, w.next = r, nil
	return r, true
}

var errNotRead = errors.New("the account was not read")

// end is called when the read was made, or has failed.
func (o *own) end(w *watched, r *reading) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.err == nil {
		r.rightsChanged = o.push(w, r.user, r.refresh)
	}
	r.over, w.running = true, nil
	close(r.done)
}

// load is the account as it is now; nil when it is gone.
func (o *own) load(id string) (*user.User, error) {
	ctx, cancel := context.WithTimeout(context.Background(), StoreTime)
	defer cancel()
	u, err := o.users.User(ctx, id)
	if errors.Is(err, dberr.NotFound) {
		return nil, nil
	}
	if err != nil {
		o.hub.log.Warn("own_account_not_readable", zap.String("user_id", id), zap.Error(err))
	}
	return u, err
}

// loadMany makes reads of several accounts: with one command where the store has it, and
// another for each that is not among them: it is gone, or cannot be read.
func (o *own) loadMany(ctx context.Context, list []*watched, readings map[string]*reading) {
	users, err := map[string]*user.User{}, error(nil)
	if o.many != nil && len(list) > 1 {
		ids := make([]string, len(list))
		for i, w := range list {
			ids[i] = w.id
		}
		ctx, cancel := context.WithTimeout(ctx, StoreTime)
		defer cancel()
		var found []*user.User
		found, err = o.many.UsersByIDs(ctx, ids)
		for _, u := range found {
			users[u.ID] = u
		}
	}
	for _, w := range list {
		r := readings[w.id]
		if r.user, r.err = users[w.id], err; r.user == nil && err == nil {
			if r.user, r.err = o.load(w.id); errors.Is(r.err, dberr.Unavailable) {
				err = r.err // nor would it answer for the others that are missing
			}
		}
	}
}

// push sends the difference between the account and what everybody was sent
// before. It tells whether the rights changed, if refresh says that they may have.
// The caller holds the lock.
func (o *own) push(w *watched, u *user.User, refresh bool) (rightsChanged bool) {
	if u == nil {
		for s, doc := range w.docs {
			if doc != nil {
				_ = s.Removed("users", w.id)
			}
			delete(w.docs, s)
		}
		return refresh
	}
	w.expect(u, refresh)
	doc := document(u)
	for s, before := range w.docs {
		if before != nil && refresh && dead(u, s.Login().Token) {
			continue // its connection is about to be closed
		}
		w.docs[s] = doc
		if before == nil {
			_ = s.Added("users", w.id, doc)
		} else if changed, cleared := difference(before, doc); len(changed)+len(cleared) > 0 {
			_ = s.Changed("users", w.id, changed, cleared)
		}
	}
	if w.followers > 0 {
		now := flat(u)
		if w.shown != nil {
			changed, cleared := difference(w.shown, now)
			o.pushData(w.id, changed, cleared)
		}
		w.shown = now
	}
	return (refresh || w.rights == nil) && w.learn(u)
}

// pushData sends the stream event with the dotted difference (docs/wire/rocketchat.md 4.1).
func (o *own) pushData(id string, changed ejson.Doc, cleared []string) {
	if len(changed)+len(cleared) == 0 {
		return
	}
	if changed == nil {
		changed = ejson.Doc{}
	}
	unset := make(ejson.Doc, 0, len(cleared))
	for _, key := range cleared {
		unset = append(unset, ejson.Field{Key: key, Value: 1})
	}
	if err := o.hub.EmitHere("stream-notify-user", id+"/userData", ejson.Doc{
		{Key: "id", Value: id}, {Key: "type", Value: "updated"}, {Key: "diff", Value: changed}, {Key: "unset", Value: unset},
	}); err != nil {
		o.hub.log.Error("user_data_not_encoded", zap.String("user_id", id), zap.Error(err))
	}
}

// expired are the watched accounts of which a login token has come to its end since they
// were read.
func (o *own) expired(now time.Time) (ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, w := range o.byID {
		if at := w.expires.Load(); at != 0 && at <= now.UnixMilli() {
			ids = append(ids, id)
		}
	}
	return ids
}

// refreshAll reads every watched account anew, after events may have been missed. What
// fails is in the log, and the rounds of Base.Run ask again.
func (o *own) refreshAll(ctx context.Context) { _ = o.refreshMany(ctx, o.ids()) }

// maxRead is how many accounts are read with one command.
const maxRead = 200

// refreshMany is refresh for many accounts, which are read together. Sessions end first;
// whoever has other rights than before is checked behind that, and not waited for. It
// fails when the store does not answer; an account that cannot be read keeps nobody else
// from being checked.
func (o *own) refreshMany(ctx context.Context, ids []string) error {
	slices.Sort(ids)          // who waits for the turn of several accounts waits in one order
	ids = slices.Compact(ids) // and not for himself
	for chunk := range slices.Chunk(ids, maxRead) {
		if err := ctx.Err(); err != nil {
			return err
		}
		changed, err := o.refreshChunk(ctx, chunk)
		if len(changed) > 0 {
			o.hub.Later(func() {
				for _, id := range changed {
					o.rightsChanged(id)
				}
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refreshChunk reads some accounts and lists those whose rights are others than before.
func (o *own) refreshChunk(ctx context.Context, ids []string) (changed []string, err error) {
	var mine []*watched
	readings := make(map[string]*reading, len(ids))
	defer func() {
		for _, w := range mine { // of a read that panicked
			o.end(w, readings[w.id])
		}
	}()
	for _, id := range ids {
		o.mu.Lock()
		w := o.byID[id]
		o.mu.Unlock()
		if w == nil {
			continue
		}
		r, own := w.begin(true)
		if readings[id] = r; own {
			mine = append(mine, w)
		}
	}
	o.loadMany(ctx, mine, readings)
	for len(mine) > 0 {
		w := mine[0]
		mine = mine[1:]
		o.end(w, readings[w.id])
	}
	for id, r := range readings {
		switch {
		case errors.Is(r.err, dberr.Unavailable), r.err == errNotRead:
			err = r.err
		case r.err == nil:
			o.closeDead(id, r.user)
			if r.rightsChanged {
				changed = append(changed, id)
			}
		default:
			o.refuse(id, r.err)
		}
	}
	return changed, err
}

// inUse tells whether somebody on this node is logged in as an account.
func (o *own) inUse(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byID[id] != nil
}

// nobody tells that nobody on this node is logged in.
func (o *own) nobody() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.byID) == 0
}

// attend tells whether any session is connected, logged in or about to be.
func (o *own) attend() (some bool) {
	if !o.nobody() {
		return true
	}
	o.sessions.Sessions("", func(*ddp.Session) bool { some = true; return false })
	return some
}

// ids are the accounts that somebody on this node is logged in as.
func (o *own) ids() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	ids := make([]string, 0, len(o.byID))
	for id := range o.byID {
		ids = append(ids, id)
	}
	return ids
}

// changed follows the news of an account. Connections whose token is dead end
// first; they get nothing of the change.
//
// News of another node that names the tokens that are left may be older than a
// login here. Then the account itself tells, and the news only if it cannot be read.
func (o *own) changed(e feed.Event, news user.News) {
	late := news.Ended != nil && news.Ended.Kept && e.Node != o.hub.Node()
	if news.Ended != nil && !late {
		o.sessions.CloseTokens(e.Key, news.Ended.Has)
	}
	if news.Only(user.FieldProofs, user.FieldCustom) && !late {
		return // nobody is shown these, and no right depends on them
	}
	if known, err := o.refresh(e.Key); late && (!known || err != nil) {
		o.sessions.CloseTokens(e.Key, news.Ended.Has)
	}
}
