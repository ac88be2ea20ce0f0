package testkit

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/ddp"
	"ddpserver/internal/feed"
	"ddpserver/internal/mail"
	"ddpserver/internal/methods"
	"ddpserver/internal/passkey"
	"ddpserver/internal/passkey/passkeytest"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/twofactor"
)

// RootURL is the public address of a server under test.
const RootURL = "http://localhost:3000"

// Options say what is particular about a server under test. The zero value is a
// server of its own on an empty store.
type Options struct {
	// Store is the database; nil opens an empty embedded one (OpenStore).
	Store store.Store
	// RawKey is the server key of several nodes; nil makes one.
	RawKey []byte
	// Node names the server; empty means "n1".
	Node string
	// Events carries news between nodes; nil for a server on its own.
	Events feed.Store
	// Feed is where the services of a Ground publish; nil keeps it in News. A World
	// has a hub.
	Feed feed.Publisher
	// Overrides are forced values of settings.
	Overrides map[string]string
	// Now is the clock of those who want to turn it back; nil means time.Now, and
	// a bubble of fake time is better.
	Now func() time.Time
	// Cost is that of hashing passwords; 0 means the least.
	Cost int
	// Factors are second factors beside those of the server.
	Factors []twofactor.Factor
	// Groups are methods beside those of the server.
	Groups []methods.Group
	// Routes are names of routes beside those of the server.
	Routes []methods.RouteName
	// MailTransport is the way of the panel's outbox; nil writes files.
	MailTransport *mail.Transport
	// Limits are those of the engine.
	Limits ddp.Limits
}

// Ground is what all services of one server stand on.
type Ground struct {
	// T is the test that the server belongs to.
	T testing.TB
	// Store is the database.
	Store store.Store
	// Key is the server key.
	Key *secret.Key
	// Settings are the runtime settings as they are stored.
	Settings *settings.Service
	// Limiter counts what may be called and mailed.
	Limiter *ratelimit.Limiter
	// Feed is where services publish: News, or the hub of a World.
	Feed feed.Publisher
	// Mails, Trail and News keep what leaves the services.
	Mails Mailbox
	// Trail keeps audit events.
	Trail Trail
	// News keeps what was published, unless a hub carries it.
	News News
	// Logs keeps what was logged, from the level debug.
	Logs *observer.ObservedLogs

	log   *zap.Logger
	opts  Options
	audit audit.Recorder // Trail, and in a World the copy in front of it

	deviceOnce sync.Once
	device     *passkeytest.Authenticator
}

// NewGround makes a ground whose services publish to News.
func NewGround(t testing.TB, o Options) *Ground {
	t.Helper()
	g := bare(t, o)
	if g.Feed = o.Feed; g.Feed == nil {
		g.Feed = &g.News
	}
	g.openSettings(nil)
	return g
}

// bare is a ground that has no settings yet, because they want a feed.
func bare(t testing.TB, o Options) *Ground {
	t.Helper()
	if o.Store == nil {
		o.Store = OpenStore(t)
	}
	if o.RawKey == nil {
		o.RawKey = secret.Generate()
	}
	if o.Node == "" {
		o.Node = "n1"
	}
	if o.Cost == 0 {
		o.Cost = bcrypt.MinCost
	}
	g := &Ground{T: t, Store: o.Store, Limiter: ratelimit.New(ratelimit.Options{Now: o.Now}), opts: o}
	g.audit = &g.Trail
	core, logs := observer.New(zapcore.DebugLevel)
	g.Logs, g.log = logs, zap.New(core)
	var err error
	g.Key, err = secret.NewKey(o.RawKey)
	g.ok(err)
	return g
}

// openSettings reads the settings. publisher may be nil.
func (g *Ground) openSettings(publisher feed.Publisher) {
	g.T.Helper()
	o := settings.Options{Store: g.Store, Publisher: publisher, Overrides: g.opts.Overrides, Now: g.opts.Now,
		Definitions: append(settings.Table(), settings.Facts(RootURL)...)}
	if g.opts.Events != nil {
		o.Poll = 5 * time.Minute
	}
	var err error
	g.Settings, err = settings.Open(g.T.Context(), o)
	g.ok(err)
}

// ok ends the test on an error.
func (g *Ground) ok(err error) {
	g.T.Helper()
	if err != nil {
		g.T.Fatal(err)
	}
}

// Set saves a setting as an administrator would have.
func (g *Ground) Set(id string, v any) {
	g.T.Helper()
	if _, err := g.Settings.Save(context.Background(), []settings.Change{{ID: id, Value: v}}); err != nil {
		g.T.Fatalf("saving %s: %v", id, err)
	}
}

// Unlimited switches every rate limit off that the options do not fix.
func (g *Ground) Unlimited() {
	g.T.Helper()
	for _, id := range []string{
		settings.LimitIPEnabled, settings.LimitUserEnabled, settings.LimitConnectionEnabled,
		settings.LimitUserByMethodEnabled, settings.LimitConnectionMethodEnabled, settings.LimitRESTEnabled,
	} {
		if g.opts.Overrides[id] == "" {
			g.Set(id, false)
		}
	}
}

// NewPasswords makes what hashes passwords and knows where accounts were used.
func (g *Ground) NewPasswords(change ...func(*accounts.PasswordOptions)) *accounts.Passwords {
	g.T.Helper()
	o := accounts.PasswordOptions{Store: g.Store, Key: g.Key, Now: g.opts.Now, BcryptCost: g.opts.Cost}
	for _, f := range change {
		f(&o)
	}
	p, err := accounts.NewPasswords(o)
	g.ok(err)
	return p
}

// NewFactors makes the service of second factors; change may alter what it is made
// of, and must say who verifies passwords. Whoever makes one closes it.
func (g *Ground) NewFactors(change ...func(*twofactor.Options)) *twofactor.Service {
	g.T.Helper()
	o := twofactor.Options{
		Store: g.Store, Settings: g.Settings, Key: g.Key, Mailer: &g.Mails, MailLimit: g.Limiter,
		Feed: g.Feed, Audit: g.audit, Party: g.party(), Issuer: "Test", Node: g.opts.Node, Factors: g.opts.Factors, Now: g.opts.Now,
	}
	for _, f := range change {
		f(&o)
	}
	s, err := twofactor.New(o)
	g.ok(err)
	return s
}

// party is the relying party of passkeys at RootURL.
func (g *Ground) party() *passkey.Party {
	p, _, err := passkey.NewParty(RootURL, nil)
	g.ok(err)
	return p
}

// NewAccounts makes the service of accounts, which nothing follows and which has no
// second factors unless change adds them.
func (g *Ground) NewAccounts(p *accounts.Passwords, change ...func(*accounts.Options)) *accounts.Service {
	g.T.Helper()
	o := accounts.Options{
		Store: g.Store, Settings: g.Settings, Mailer: &g.Mails, Feed: g.Feed, Audit: g.audit, Passwords: p,
		RootURL: RootURL, Logger: g.log, Now: g.opts.Now,
	}
	for _, f := range change {
		f(&o)
	}
	s, err := accounts.New(o)
	g.ok(err)
	return s
}
