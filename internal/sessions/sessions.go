package sessions

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"ddpserver/internal/audit"
	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// ErrNotFound answers an id that is none, one of a session that is over, and one of
// somebody else's session alike.
var ErrNotFound = fault.New("error-session-not-found", "Session not found")

// Store is what the package needs of a store; accounts.Store and twofactor.Store
// describe the operations.
type Store interface {
	UserByID(ctx context.Context, id string) (*user.User, error)
	UpdateUser(ctx context.Context, id string, c user.Change) (*user.User, error)
	SetTrust(ctx context.Context, userID, token, fingerprint, factor string, until time.Time) error
	TokenOwners(ctx context.Context, visit func(*user.User) error) error
}

// Connections tells which login tokens of an account have an open connection on this
// node, by their stored hashes; *ddp.Registry does.
type Connections interface {
	Tokens(userID string) map[string]bool
}

// Options are the parts a Service works with. All but Now are required.
type Options struct {
	Store       Store
	Settings    Settings
	Connections Connections
	Feed        feed.Publisher
	Audit       audit.Recorder
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Service lists and ends sessions. It is safe for concurrent use.
type Service struct {
	store       Store
	set         Settings
	connections Connections
	feed        feed.Publisher
	audit       audit.Recorder
	now         func() time.Time
}

// New makes a Service of finished parts.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Settings == nil || o.Connections == nil || o.Feed == nil || o.Audit == nil {
		return nil, errors.New("sessions: store, settings, connections, feed and audit are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{store: o.Store, set: o.Settings, connections: o.Connections, feed: o.Feed, audit: o.Audit, now: o.Now}, nil
}

// Session is one session as it is shown.
type Session struct {
	// ID names the session and is good for nothing else (see id).
	ID     string
	UserID string
	// Username and Name are those of the account.
	Username, Name string
	// Current is the session that asks; Connected tells that it has an open connection
	// on this node.
	Current, Connected bool
	// Made and Expires are its beginning and end; Used is the last use that was noted,
	// zero when none was since the beginning.
	Made, Expires, Used time.Time
	// Trusted is until when a second factor is remembered; zero when none is.
	Trusted time.Time
	// MadeFrom and UsedFrom are where it was made and last used, as far as is known and
	// the settings allow now.
	MadeFrom, UsedFrom user.Origin

	token string // the stored hash
	clear string // of an old Meteor database, where no hash is stored yet
}

// id names a session by its account and a digest of the stored token: nobody can make
// the token, or what is stored of it, out of it, and no document must be searched for.
func id(owner, hash string) string {
	sum := sha256.Sum256([]byte("session\x00" + hash))
	return owner + "." + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// owner is the account that an id names.
func owner(id string) string {
	i := strings.LastIndexByte(id, '.')
	return id[:max(i, 0)]
}

// view is who looks, and with which eyes.
type view struct {
	now     time.Time
	life    time.Duration // of a session
	trust   time.Duration // the longest that a second factor is remembered
	address string        // how much of addresses may be shown
	token   string        // the stored hash of the caller's
}

func (s *Service) view(l rpc.Login) view {
	return view{
		now: s.now(), life: time.Duration(s.set.Int(settings.LoginExpiration)) * 24 * time.Hour,
		trust:   time.Duration(s.set.Int(settings.TwoFactorRememberFor)) * time.Second,
		address: s.set.String(settings.SessionAddress), token: l.Token,
	}
}

// of lists the living sessions of an account, in the order of the document.
func (v *view) of(u *user.User) (list []Session) {
	if u.Services.Resume == nil || !u.IsActive() {
		return nil
	}
	for i := range u.Services.Resume.LoginTokens {
		t := &u.Services.Resume.LoginTokens[i]
		end := t.When.Add(v.life)
		if t.IsPAT() || !v.now.Before(end) {
			continue
		}
		hash := t.HashedToken
		if hash == "" {
			if t.Token == "" {
				continue
			}
			hash = digest(t.Token)
		}
		one := Session{
			ID: id(u.ID, hash), UserID: u.ID, Username: u.Username, Name: u.Name, Current: hash == v.token,
			Made: t.When, Expires: end, Used: t.LastUsedAt, MadeFrom: v.origin(t.MadeFrom), token: hash,
		}
		if one.UsedFrom = one.MadeFrom; t.UsedFrom != nil {
			one.UsedFrom = v.origin(t.UsedFrom)
		}
		if t.HashedToken == "" {
			one.clear = t.Token
		}
		if left := t.TrustUntil.Sub(v.now); t.TrustHash != "" && left > 0 && left <= v.trust {
			one.Trusted = t.TrustUntil
		}
		list = append(list, one)
	}
	return list
}

// digest is the stored form of a login token (docs/wire/ddp.md D6).
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// origin is what may be shown of where a token came from.
func (v *view) origin(o *user.Origin) user.Origin {
	if o == nil {
		return user.Origin{Kind: Unknown}
	}
	shown := *o
	shown.Address = settings.KeptAddress(v.address, o.Address)
	if shown.Kind == "" {
		shown.Kind = Unknown
	}
	return shown
}

// connect marks the sessions that have a connection.
func (s *Service) connect(list []Session) {
	open := map[string]map[string]bool{}
	for i := range list {
		id := list[i].UserID
		if open[id] == nil {
			open[id] = s.connections.Tokens(id)
		}
		list[i].Connected = open[id][list[i].token]
	}
}

// Own lists the sessions of the caller's account.
func (s *Service) Own(u *user.User, l rpc.Login, q Query) ([]Session, int, error) {
	p, err := q.picker()
	if err != nil {
		return nil, 0, err
	}
	v := s.view(l)
	for _, one := range v.of(u) {
		p.add(one)
	}
	page, total := p.page()
	s.connect(page)
	return page, total, nil
}

// All lists the sessions of all accounts. It reads every account that has a login
// token; what it holds of them is bounded by the part that is asked for.
func (s *Service) All(ctx context.Context, l rpc.Login, q Query) ([]Session, int, error) {
	p, err := q.picker()
	if err != nil {
		return nil, 0, err
	}
	v := s.view(l)
	visit := func(u *user.User) error {
		for _, one := range v.of(u) {
			p.add(one)
		}
		return nil
	}
	if q.UserID == "" {
		err = s.store.TokenOwners(ctx, visit)
	} else {
		var u *user.User
		if u, err = s.store.UserByID(ctx, q.UserID); err == nil {
			err = visit(u)
		} else if errors.Is(err, dberr.NotFound) {
			err = nil
		}
	}
	if err != nil {
		return nil, 0, err
	}
	page, total := p.page()
	s.connect(page)
	return page, total, nil
}

// Info shows one session of the caller's account. ErrNotFound.
func (s *Service) Info(u *user.User, l rpc.Login, id string) (Session, error) {
	v := s.view(l)
	for _, one := range v.of(u) {
		if one.ID == id {
			list := []Session{one}
			s.connect(list)
			return list[0], nil
		}
	}
	return Session{}, ErrNotFound
}

// InfoAny shows a session of any account. ErrNotFound.
func (s *Service) InfoAny(ctx context.Context, l rpc.Login, id string) (Session, error) {
	u, err := s.named(ctx, id)
	if err != nil {
		return Session{}, err
	}
	return s.Info(u, l, id)
}

// named reads the account of a session.
func (s *Service) named(ctx context.Context, id string) (*user.User, error) {
	u, err := s.store.UserByID(ctx, owner(id))
	if errors.Is(err, dberr.NotFound) || owner(id) == "" {
		return nil, ErrNotFound
	}
	return u, err
}

// End ends a session of the caller's account, perhaps the one that asks, and closes
// its connections. ErrNotFound.
func (s *Service) End(ctx context.Context, p *rpc.Peer, u *user.User, id string) error {
	err := s.end(ctx, u, id)
	s.record(p, "session_ended", u.ID, u.ID, err)
	return err
}

// EndAny ends a session of any account, for an administrator. ErrNotFound.
func (s *Service) EndAny(ctx context.Context, p *rpc.Peer, by *user.User, id string) error {
	u, err := s.named(ctx, id)
	if err == nil {
		err = s.end(ctx, u, id)
	}
	s.record(p, "session_ended", by.ID, owner(id), err)
	return err
}

func (s *Service) end(ctx context.Context, u *user.User, id string) error {
	one, err := s.Info(u, rpc.Login{}, id)
	if err != nil {
		return err
	}
	if one.clear != "" { // a token is removed by its hash
		up := user.Change{UpgradeToken: &user.TokenUpgrade{Clear: one.clear, Hash: one.token}}
		if err := s.change(ctx, u.ID, up); err != nil {
			return err
		}
	}
	return s.change(ctx, u.ID, user.Change{IfToken: one.token, RemoveToken: one.token})
}

// ForgetTrust forgets that a second factor was given: in one session of the caller's
// account, or in all of them when id is "". ErrNotFound.
func (s *Service) ForgetTrust(ctx context.Context, p *rpc.Peer, u *user.User, l rpc.Login, id string) error {
	err := s.forget(ctx, u, l, id)
	s.record(p, "trust_forgotten", u.ID, u.ID, err)
	return err
}

func (s *Service) forget(ctx context.Context, u *user.User, l rpc.Login, id string) error {
	if id == "" {
		return s.change(ctx, u.ID, user.Change{IfToken: l.Token, ClearTrust: true})
	}
	one, err := s.Info(u, l, id)
	if err != nil {
		return err
	}
	if err := s.store.SetTrust(ctx, u.ID, one.token, "", "", time.Time{}); err != nil {
		return gone(err)
	}
	user.Changed.Publish(s.feed, u.ID, user.News{Fields: []string{user.FieldTrust}})
	return nil
}

// change changes an account and tells whoever must know.
func (s *Service) change(ctx context.Context, id string, c user.Change) error {
	c.At = s.now().UTC().Truncate(time.Millisecond)
	u, err := s.store.UpdateUser(ctx, id, c)
	if err != nil {
		return gone(err)
	}
	news := user.News{Fields: c.Fields()}
	if c.RemoveToken != "" {
		news.Ended = user.EndedBut(u)
	}
	user.Changed.Publish(s.feed, id, news)
	return nil
}

// gone is the refusal when a session ended meanwhile.
func gone(err error) error {
	if errors.Is(err, dberr.Conflict) || errors.Is(err, dberr.NotFound) {
		return ErrNotFound.Because(err)
	}
	return err
}

// record writes one audit event. The session is not named: its account is.
func (s *Service) record(p *rpc.Peer, act, by, target string, err error) {
	e := audit.Event{Time: s.now(), Act: act, User: by, Outcome: "ok", Door: string(p.Door), Address: p.Address, Agent: p.UserAgent, Conn: p.Conn}
	if target != by {
		e.Target = target
	}
	if err != nil {
		e.Outcome = "error"
		if f, refusal := fault.From(err); refusal {
			e.Outcome, e.Reason = "refused", f.ID()
		}
	}
	s.audit.Record(e)
}
