package realtime

import (
	"context"
	"errors"
	"slices"
	"sync"
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

// Closer finds and ends the connections of users; *ddp.Server is one.
type Closer interface {
	CloseTokens(userID string, dead func(tokenHash string) bool)
	Sessions(userID string, visit func(*ddp.Session) bool)
}

// own pushes to every session what happens to its own account: the "users"
// document, and the stream event <uid>/userData.
type own struct {
	hub   *Hub
	users Users

	mu     sync.Mutex
	byID   map[string]*watched
	closer Closer
}

// watched is an account that somebody on this node is logged in as.
type watched struct {
	id   string
	refs int // guarded by own.mu

	// mu orders reading the account and pushing it: what was read first is
	// pushed first. It is held during one read of the store.
	mu   sync.Mutex
	docs map[*ddp.Subscription]ejson.Doc
	// followers is the number of userData subscribers, shown what they know, flat;
	// nil when there are none.
	followers int
	shown     ejson.Doc
	// rights decide what the account may listen to; nil when unknown.
	rights *rights
}

// rights are the roles, whether the account is active, and what its second
// factors depend on.
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

// readTime bounds reading an account for a push.
const readTime = 5 * time.Second

func newOwn(h *Hub, users Users) *own {
	o := &own{hub: h, users: users, byID: map[string]*watched{}}
	Listen(h, user.Changed, o.changed)
	h.HandleGap(func(ctx context.Context) { o.refreshAll(ctx) })
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

// read is the account as it is now; nil when it is gone.
func (o *own) read(ctx context.Context, id string) (*user.User, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	u, err := o.users.User(ctx, id)
	if errors.Is(err, dberr.NotFound) {
		return nil, nil
	}
	return u, err
}

// publish is the universal publication of the own account (docs/decisions.md 8.2).
func (o *own) publish(ctx context.Context, s *ddp.Subscription) error {
	id := s.Login().UserID
	if id == "" {
		return nil
	}
	w := o.watch(id)
	err := o.show(ctx, w, s)
	// Last, because a subscription that has stopped meanwhile cleans up at once.
	s.OnStop(func() {
		o.unwatch(w)
		w.mu.Lock()
		delete(w.docs, s)
		w.mu.Unlock()
	})
	return err
}

// show sends the account as it is now, and keeps it up to date from then on.
func (o *own) show(ctx context.Context, w *watched, s *ddp.Subscription) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, err := o.read(ctx, w.id)
	if err != nil || u == nil {
		return err
	}
	doc := document(u)
	w.docs[s] = doc
	if w.rights == nil {
		w.learn(u)
	}
	return s.Added("users", w.id, doc)
}

// follow keeps an account watched as long as its userData event is subscribed to.
func (o *own) follow(ctx context.Context, s *ddp.Subscription) error {
	w := o.watch(s.Login().UserID)
	w.mu.Lock()
	w.followers++
	w.mu.Unlock()
	s.OnStop(func() {
		o.unwatch(w)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.followers--; w.followers == 0 {
			w.shown = nil
		}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shown != nil || w.followers == 0 {
		return nil
	}
	u, err := o.read(ctx, w.id)
	if err == nil && u != nil {
		w.shown = flat(u)
	}
	return err
}

// refresh pushes what changed of an account to those who are logged in as it. It
// is false when the account could not be read.
func (o *own) refresh(id string) bool {
	o.mu.Lock()
	w := o.byID[id]
	o.mu.Unlock()
	if w == nil {
		return true
	}
	roles, dead := o.push(w)
	if dead == nil {
		return false
	}
	o.closeTokens(id, dead)
	if roles {
		o.hub.Recheck(id)
	}
	return true
}

// push reads the account and sends the difference. roles tells that the rights
// changed; dead, when the account could be read, which login tokens are no more.
func (o *own) push(w *watched) (roles bool, dead func(string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, err := o.read(context.Background(), w.id)
	if err != nil {
		o.hub.log.Warn("own_account_not_readable", zap.String("user_id", w.id), zap.Error(err))
		return false, nil
	}
	if u == nil {
		for s := range w.docs {
			_ = s.Removed("users", w.id)
			delete(w.docs, s)
		}
		return true, func(string) bool { return true }
	}
	doc := document(u)
	for s, before := range w.docs {
		changed, cleared := difference(before, doc)
		w.docs[s] = doc
		if len(changed)+len(cleared) > 0 {
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
	return w.learn(u), func(hash string) bool {
		t := u.LoginToken(hash)
		return !u.IsActive() || t == nil || t.Expired(time.Now())
	}
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

// refreshAll reads every watched account anew, after events may have been missed.
func (o *own) refreshAll(ctx context.Context) {
	for _, id := range o.ids() {
		if ctx.Err() != nil {
			return
		}
		o.refresh(id)
	}
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

func (o *own) closeTokens(id string, dead func(string) bool) {
	o.mu.Lock()
	c := o.closer
	o.mu.Unlock()
	if c != nil {
		c.CloseTokens(id, dead)
	}
}

// changed follows the news of an account. Connections whose token is dead end
// first; they get nothing of the change.
func (o *own) changed(e feed.Event, news user.News) {
	if news.Ended != nil {
		o.closeTokens(e.Key, news.Ended.Has)
	}
	o.refresh(e.Key)
}

func set(list []string) map[string]struct{} {
	m := make(map[string]struct{}, len(list))
	for _, s := range list {
		m[s] = struct{}{}
	}
	return m
}

// document is the "users" document that an account's owner gets. Nothing of the
// credentials is in it but whether the factors are on.
func document(u *user.User) ejson.Doc {
	var d ejson.Doc
	if u.Username != "" {
		d = append(d, ejson.Field{Key: "username", Value: u.Username})
	}
	if len(u.ShownEmails()) > 0 {
		d = append(d, ejson.Field{Key: "emails", Value: emails(u)})
	}
	if u.Name != "" {
		d = append(d, ejson.Field{Key: "name", Value: u.Name})
	}
	if u.Profile != nil {
		d = append(d, ejson.Field{Key: "profile", Value: u.Profile})
	}
	if len(u.Roles) > 0 {
		d = append(d, ejson.Field{Key: "roles", Value: u.Roles})
	}
	if u.Status != "" {
		d = append(d, ejson.Field{Key: "status", Value: u.Status})
	}
	var services ejson.Doc
	for _, f := range u.Factors() {
		services = append(services, ejson.Field{Key: f.Key, Value: ejson.Doc{{Key: "enabled", Value: f.On}}})
	}
	return append(d, ejson.Field{Key: "services", Value: services})
}

func emails(u *user.User) []any {
	list := make([]any, len(u.ShownEmails()))
	for i, e := range u.ShownEmails() {
		list[i] = ejson.Doc{{Key: "address", Value: e.Address}, {Key: "verified", Value: e.Verified}}
	}
	return list
}

// flat is the account with dotted keys, as userData tells of changes: the
// document's fields, and the lists of sessions and tokens without their hashes.
func flat(u *user.User) ejson.Doc {
	d := document(u)
	d = d[:len(d)-1]
	for _, f := range u.Factors() {
		switch {
		case !f.Dated:
			d = append(d, ejson.Field{Key: "services." + f.Key + ".enabled", Value: f.On})
		case f.Held:
			d = append(d, ejson.Field{Key: "services." + f.Key, Value: ejson.Doc{{Key: "enabled", Value: f.On}, {Key: "changedAt", Value: f.Changed}}})
		}
	}
	if r := u.Services.Resume; r != nil {
		d = append(d, ejson.Field{Key: "services.resume.loginTokens", Value: tokens(r.LoginTokens)})
	}
	for _, f := range []struct{ key, value string }{
		{"statusText", u.StatusText}, {"statusDefault", u.StatusDefault}, {"language", u.Language}, {"type", u.Type},
	} {
		if f.value != "" {
			d = append(d, ejson.Field{Key: f.key, Value: f.value})
		}
	}
	return append(d, ejson.Field{Key: "active", Value: u.IsActive()})
}

func tokens(list []user.LoginToken) []any {
	out := make([]any, len(list))
	for i, t := range list {
		if t.IsPAT() {
			out[i] = ejson.Doc{
				{Key: "type", Value: t.Type}, {Key: "name", Value: t.Name}, {Key: "createdAt", Value: t.CreatedAt},
				{Key: "lastTokenPart", Value: t.LastTokenPart}, {Key: "bypassTwoFactor", Value: t.BypassTwoFactor},
			}
		} else {
			out[i] = ejson.Doc{{Key: "when", Value: t.When}}
		}
	}
	return out
}

// difference tells which fields are new or different in after, and which are gone.
func difference(before, after ejson.Doc) (changed ejson.Doc, cleared []string) {
	for _, f := range after {
		if old, ok := before.Get(f.Key); !ok || !ejson.Equal(old, f.Value) {
			changed = append(changed, f)
		}
	}
	for _, f := range before {
		if _, ok := after.Get(f.Key); !ok {
			cleared = append(cleared, f.Key)
		}
	}
	return changed, cleared
}
