package testkit

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/admin"
	"ddpserver/internal/ddp"
	"ddpserver/internal/mail"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/secret"
	"ddpserver/internal/sessions"
	"ddpserver/internal/sessions/calls"
	"ddpserver/internal/telemetry"
	"ddpserver/internal/testwait"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// World is a whole server without sockets and mail: real services over the real
// embedded store.
type World struct {
	*Ground
	// Passwords hashes, and knows where accounts were used.
	Passwords *accounts.Passwords
	// Factors are second factors.
	Factors *twofactor.Service
	// Accounts is who people are.
	Accounts *accounts.Service
	// Hub carries news, within the node and to others.
	Hub *realtime.Hub
	// Base is the publications of the core; it is idle until a test runs it.
	Base *realtime.Base
	// Publications is what clients may subscribe to.
	Publications *realtime.Publications
	// Router is the methods.
	Router *methods.Router
	// Engine serves the sessions.
	Engine *ddp.Server
	// Metrics is what the router counted.
	Metrics Counts
	// Telemetry is what the panel of administration reads.
	Telemetry *telemetry.Metrics
	// Outbox is what the panel shows of mails; no service of the world mails to it.
	Outbox *mail.Outbox
	// Vars are the values of placeholders in conversations: the ids of accounts by
	// their names, and what "do" lines set.
	Vars map[string]string
	Slice
	// Copy is the copy of the audit stream.
	Copy

	routes []rest.Group // of slices
	served []rest.Route // by the REST door, once there is one
	conns  int
}

// handler joins methods and publications, as package app does.
type handler struct {
	*methods.Router
	*realtime.Publications
}

// Bubble runs f in fake time with a world of its own.
func Bubble(t *testing.T, o Options, f func(t *testing.T, w *World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, NewWorld(t, o)) })
}

// NewWorld makes a server. It runs until the end of the test, and one that shares
// its store follows the others.
func NewWorld(t testing.TB, o Options) *World {
	t.Helper()
	w := &World{Ground: bare(t, o), Telemetry: telemetry.NewMetrics(), Vars: map[string]string{}}
	w.Hub = realtime.New(realtime.Options{Node: w.opts.Node, Transport: realtime.Poll(o.Events), Logger: w.log})
	w.Feed = w.Hub
	w.openSettings(w.Hub)
	w.keepTrail()
	w.Passwords = w.NewPasswords()
	w.Factors = w.NewFactors(func(o *twofactor.Options) { o.Passwords, o.Sources = w.Passwords, w.Passwords })
	follower := w.furnish()
	w.Accounts = w.NewAccounts(w.Passwords, func(o *accounts.Options) {
		o.Factors, o.Follower, o.Heard, o.Origin = w.Factors, follower, w.Hub.Heard(), sessions.Keeper(w.Settings)
	})
	registry := ddp.NewRegistry()
	var slices []methods.Slice
	slices, w.routes = w.calls()
	w.openOutbox()
	panel := admin.New(admin.Options{Accounts: w.Accounts, Settings: w.Settings, Hub: w.Hub, Nodes: w.nodes(), Sessions: registry, Metrics: w.Telemetry,
		Outbox: w.Outbox, Queue: w.Store.MailQueue, Server: admin.Server{Version: Version, Node: w.opts.Node, Started: time.Now()}, Logger: w.log, Now: w.opts.Now,
		Router: func() *methods.Router { return w.Router }, Publications: func() *realtime.Publications { return w.Publications },
		Routes: func() []rest.Route { return w.served },
	})
	slices, w.routes = append(slices, panel.Methods), append(w.routes, panel.Routes()...)
	more, moreRoutes := w.trailCalls()
	slices, w.routes = append(slices, more...), append(w.routes, moreRoutes...)
	slices, w.routes = append(slices, w.sessionCalls(registry)), append(w.routes, calls.Routes()...)
	w.Router = w.NewRouter(func(d *methods.Deps) { d.Slices = slices })
	base := realtime.BaseOptions{Users: w.Accounts, Settings: w.Settings, Version: Version, Gate: w.Router, Sessions: registry}
	if o.Events != nil {
		base.Marked = w.Store
	}
	w.Base = realtime.NewBase(w.Hub, base)
	groups := append([]realtime.Group{w.Base, panel.Streams()}, w.streams()...)
	groups = append(groups, w.trailStreams()...)
	w.Publications = realtime.NewPublications(w.Hub, w.Router, w.Limiter, groups...)
	if o.Limits.HeartbeatInterval == 0 { // a client that waits for another one reads nothing, and answers no ping
		o.Limits.HeartbeatInterval = -1
	}
	w.Engine = ddp.New(ddp.Options{Handler: handler{w.Router, w.Publications}, Registry: registry, Limits: o.Limits, Logger: w.log})
	w.run(panel)
	return w
}

// nodes is what the world tells other worlds of itself; it runs in app only.
func (w *World) nodes() *realtime.Nodes {
	started := time.Now().UnixMilli()
	return realtime.NewNodes(w.Hub, func() realtime.Hello { return realtime.Hello{Name: w.opts.Node, Version: Version, Since: started} })
}

// openOutbox makes an outbox that writes files, as a server without MAIL_URL has it.
// The services mail to Mails; a test that wants mails in the outbox sends and runs it.
func (w *World) openOutbox() {
	w.T.Helper()
	transport := w.opts.MailTransport
	if transport == nil {
		transport = mail.Files(filepath.Join(w.T.TempDir(), "outbox"))
	}
	var err error
	w.Outbox, err = mail.New(mail.Options{
		Store: w.Store, Key: w.Key, Transport: transport, Node: w.opts.Node, Logger: w.log, Now: w.opts.Now,
		From: func() string { return "server@example.com" }, Site: func() string { return "Test" },
	})
	w.ok(err)
}

// sessionCalls are the methods about sessions.
func (w *World) sessionCalls(registry *ddp.Registry) methods.Slice {
	w.T.Helper()
	s, err := sessions.New(sessions.Options{
		Store: w.Store, Settings: w.Settings, Connections: registry, Feed: w.Feed, Audit: &w.Trail, Now: w.opts.Now,
	})
	w.ok(err)
	return calls.Methods(calls.Options{Sessions: s, Accounts: w.Accounts})
}

// Version is what a server under test says of itself.
const Version = "1.0.0"

// APILevel is the version of Rocket.Chat that it offers.
const APILevel = "8.5.0"

func (w *World) info() methods.Info {
	return methods.Info{Version: Version, APILevel: APILevel, RootURL: RootURL}
}

// NewRouter makes a router of the world's services, without slices unless change
// adds them. groups are served beside those of the server and of the options.
func (w *World) NewRouter(change func(*methods.Deps), groups ...methods.Group) *methods.Router {
	w.T.Helper()
	d := methods.Deps{
		Accounts: w.Accounts, TwoFactor: w.Factors, Settings: w.Settings, Limiter: w.Limiter, Audit: w.audit,
		Logger: w.log, Metrics: &w.Metrics, Info: w.info(),
		Routes: func(lookup methods.Lookup) []methods.RouteName {
			return append(rest.Names(rest.Options{Factors: w.Factors}, w.routes...)(lookup), w.opts.Routes...)
		},
	}
	if change != nil {
		change(&d)
	}
	return methods.New(d, append(w.opts.Groups, groups...)...)
}

// run runs what follows others, until the test ends.
func (w *World) run(panel *admin.Slice) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Accounts.Run(ctx) })
	running.Go(func() { _ = panel.Run(ctx) })
	if w.opts.Events != nil {
		running.Go(func() { _ = w.Hub.Run(ctx) })
		running.Go(func() { _ = w.Settings.Run(ctx) })
	}
	w.T.Cleanup(func() {
		stop()
		end, cancel := context.WithTimeout(context.Background(), testwait.Limit)
		defer cancel()
		_ = w.Engine.Shutdown(end)
		running.Wait()
		w.Factors.Close()
	})
}

// User makes an account; its password is PasswordOf its name and its address
// name@example.com. Options: "verified", "email2fa", "role=R".
func (w *World) User(name string, options ...string) *user.User {
	w.T.Helper()
	a := accounts.OperatorAccount{Username: name, Email: name + "@example.com", Name: strings.ToUpper(name[:1]) + name[1:],
		Password: secret.String(PasswordOf(name))}
	for _, o := range options {
		switch role, isRole := strings.CutPrefix(o, "role="); {
		case isRole:
			a.Roles = append(a.Roles, role)
		case o == "verified":
			a.Verified = true
		case o == "email2fa":
			a.Verified, a.Email2FA = true, true
		default:
			w.T.Fatalf("no option %s", o)
		}
	}
	u, err := w.Accounts.CreateByOperator(context.Background(), a)
	w.ok(err)
	w.Vars[name] = u.ID
	return u
}

// PasswordOf is the password of an account that World.User made.
func PasswordOf(name string) string { return "password of " + name }

// DigestOf is the same as clients send it.
func DigestOf(name string) string { return digest(PasswordOf(name)) }
