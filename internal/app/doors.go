package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"ddpserver/internal/console"
	"ddpserver/internal/dberr"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/methods"
	"ddpserver/internal/random"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/sessions"
	"ddpserver/internal/sessions/calls"
	"ddpserver/internal/sockjs"
	"ddpserver/internal/telemetry"
	"ddpserver/internal/web"
)

// buildCalls makes what a client may ask for: methods, publications and streams.
func (a *App) buildCalls(context.Context) error {
	var slices []methods.Slice
	slices, a.routes = a.rooms.calls(a)
	a.sessions = ddp.NewRegistry()
	list, err := sessions.New(sessions.Options{Store: a.store, Settings: a.settings, Connections: a.sessions, Feed: a.hub, Audit: a.audit})
	if err != nil {
		return err
	}
	slices = append(slices, calls.Methods(calls.Options{Sessions: list, Accounts: a.accounts}))
	a.routes = append(a.routes, calls.Routes()...)
	a.admin = a.openAdmin()
	more, routes := a.admin.calls()
	slices, a.routes = append(slices, more...), append(a.routes, routes...)
	more, routes = a.trail.calls(a)
	slices, a.routes = append(slices, more...), append(a.routes, routes...)
	a.router = methods.New(methods.Deps{
		Accounts: a.accounts, TwoFactor: a.twofactor, Settings: a.settings, Limiter: a.limiter,
		Slices: slices, Routes: rest.Names(rest.Options{Factors: a.twofactor}, a.routes...),
		Audit: a.audit, Logger: a.log, Metrics: callMetrics{a.metrics},
		Info: a.product(),
	})
	base := realtime.BaseOptions{Users: a.accounts, Settings: a.settings, Version: a.opts.Version, Gate: a.router, Sessions: a.sessions}
	if a.shared() {
		base.Marked = a.store
	}
	a.base = realtime.NewBase(a.hub, base)
	groups := append([]realtime.Group{a.base}, a.rooms.streams(a)...)
	groups = append(groups, a.admin.streams()...)
	groups = append(groups, a.trail.streams(a)...)
	a.publications = realtime.NewPublications(a.hub, a.router, a.limiter, groups...)
	return nil
}

// handler is what the engine serves: calls go to the router, subscriptions to the
// table of publications.
type handler struct {
	*methods.Router
	*realtime.Publications
}

// buildDoors makes every way in: WebSocket, SockJS, REST, health.
func (a *App) buildDoors(context.Context) (err error) {
	if a.proxies, err = web.ParseProxies(a.cfg.ForwardedCount, a.cfg.TrustedProxies); err != nil {
		return err
	}
	origins, err := web.NewOrigins(a.cfg.RootURL, a.cfg.AllowedOrigins)
	if err != nil {
		return err
	}
	allowed := a.judge(origins)
	a.ddp = ddp.New(ddp.Options{
		Handler: handler{a.router, a.publications}, Registry: a.sessions, Limits: a.limits(), Logger: a.log,
		Refused: a.refusedMessage, Budget: a.budget,
	})
	a.ws = ws.New(ws.Options{
		Engine: a.ddp, Peer: a.peer, CheckOrigin: allowed,
		CompressAbove: int(a.cfg.CompressAbove), WriteTimeout: a.cfg.Limits.WriteTimeout,
	})
	a.sockjs = sockjs.New(sockjs.Options{
		Engine: a.ddp, Peer: a.peer, CheckOrigin: allowed, WebSocket: a.ws, Budget: a.budget, Prefix: "/sockjs", WriteTimeout: a.cfg.WriteTimeout,
		DisableCORS: a.cfg.DisableSockJSCORS, DisableWebSocket: a.cfg.DisableWebSockets, JSessionID: a.cfg.UseJSessionID,
	})
	a.rest, err = rest.New(rest.Options{
		Router: a.router, Accounts: a.accounts, Factors: a.twofactor, Settings: a.settings, Audit: a.audit,
		Peer: a.restPeer, Origin: func(r *http.Request, _ string) bool { return allowed(r) },
		Info: a.product(), Logger: a.log, Budget: a.budget,
	}, a.routes...)
	if err != nil {
		return err
	}
	page, err := console.New(a.cfg.RootURL)
	if err != nil {
		return err
	}
	a.web = web.New(web.Options{
		Prefix: prefix(a.cfg.RootURL), Mounts: a.mounts(a.rest, page), Checks: a.checks(), Notes: a.notes, Transport: a.transport,
		Logger: a.log, Refused: a.refusedRequest, Shown: a.rest.Shown,
		ReadHeaderTimeout: a.cfg.ReadHeaderTimeout, ReadTimeout: a.cfg.ReadTimeout, IdleTimeout: a.cfg.IdleTimeout,
		MaxHeaderBytes: int(a.cfg.MaxHeaderBytes),
		// One that waits, for the database perhaps, is not waited for.
		Turn: func() func() { return a.budget.Turn(2 * time.Millisecond) },
	})
	return nil
}

// restPeer describes the sender of a REST request; each is a connection of its own.
func (a *App) restPeer(r *http.Request) *rpc.Peer {
	p := a.peer(r)
	p.Door, p.Conn = rpc.REST, random.ID()
	return p
}

func (a *App) mounts(api, page http.Handler) []web.Mount {
	m := []web.Mount{
		{Path: "/sockjs", Subtree: true, Handler: a.sockjs},
		{Path: "/api", Subtree: true, Counted: true, Handler: api},
		{Path: "/api/info", Handler: info(a.product())},
		{Path: console.Root, Handler: page},
		{Path: console.Assets, Subtree: true, Handler: page},
	}
	for _, root := range a.rest.Roots() {
		m = append(m, web.Mount{Path: root, Subtree: true, Counted: true, Handler: a.rest})
	}
	if !a.cfg.DisableWebSockets {
		m = append(m, web.Mount{Path: "/websocket", Handler: a.ws})
	}
	return m
}

func (a *App) limits() ddp.Limits {
	c := a.cfg.Limits
	return ddp.Limits{
		FrameBefore: int(c.MaxMessageBytesLoggedOut), FrameAfter: int(c.MaxMessageBytes),
		DepthBefore: c.MaxDepthLoggedOut, DepthAfter: c.MaxDepth,
		QueuedFrames: c.MaxQueuedMessages, QueuedBytes: int(c.MaxQueuedBytes),
		Subscriptions: c.MaxSubscriptions, Unblocked: c.MaxUnblocked, ProtocolErrors: c.MaxProtocolErrors,
		Handshake: c.ConnectTimeout, HeartbeatInterval: c.HeartbeatInterval, HeartbeatTimeout: c.HeartbeatTimeout,
		Connections: c.MaxConnections, PerAddress: c.MaxConnectionsPerAddress,
		PerUser: c.MaxConnectionsPerUser,
	}
}

// product is what this server tells of itself.
func (a *App) product() methods.Info {
	return methods.Info{Version: a.opts.Version, APILevel: a.cfg.APILevel, RootURL: a.cfg.RootURL}
}

// info answers what Rocket.Chat clients ask before anything else.
func info(of methods.Info) http.Handler {
	body, err := json.Marshal(struct {
		methods.ServerInfo
		Success bool `json:"success"`
	}{of.Shown(), true})
	if err != nil {
		panic(err) // texts and a Boolean
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "no-store")
		w.Write(body)
	})
}

// checks are what /readyz asks.
func (a *App) checks() map[string]func(context.Context) error {
	c := map[string]func(context.Context) error{"store": func(ctx context.Context) error {
		// A full disk refuses writes while reads go on, so Ping is not enough.
		if time.Since(time.Unix(0, a.storeFailed.Load())) < storeDoubt {
			return dberr.Unavailable
		}
		return a.store.Ping(ctx)
	}}
	if a.auditLog != nil {
		c["audit"] = func(context.Context) error {
			if _, _, failing := a.auditLog.Stats(); failing {
				return errAudit
			}
			return nil
		}
	}
	return c
}

// notes are what /readyz mentions without being unready for it.
func (a *App) notes() []string {
	notes := a.trail.notes()
	if a.mail.Unreadable() > 0 {
		notes = append(notes, "mails_unreadable")
	}
	if _, hears := a.hub.Transport(); !hears {
		notes = append(notes, "news_not_heard")
	}
	return notes
}

// transport names what carries news at the moment: it may fall back to another.
func (a *App) transport() string {
	name, _ := a.hub.Transport()
	return name
}

// storeDoubt is how long an operation of the store with an unknown outcome
// makes the server unready.
const storeDoubt = 10 * time.Second

var errAudit = errors.New("the audit stream cannot be written")

// callMetrics gives the metrics the shape that the router asks for.
type callMetrics struct{ m *telemetry.Metrics }

func (c callMetrics) Call(door, method, result string, took time.Duration) {
	c.m.Calls.Observe(method, door, result, took)
}

func (c callMetrics) Panicked(method string) { c.m.Panics.Add(method, 1) }
