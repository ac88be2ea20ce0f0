package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/budget"
	"ddpserver/internal/config"
	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/mail"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/sockjs"
	"ddpserver/internal/store"
	"ddpserver/internal/telemetry"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/web"
)

// Options are what a program gives an App. Config, Logger and Out are required.
type Options struct {
	Config *config.Config
	// Warnings of config.Load are logged once the log is set up.
	Warnings []string
	Logger   *zap.Logger
	// LogStats may be nil.
	LogStats *telemetry.LogStats
	// Out takes the fixed lines of a start ("Listening on …" and, once,
	// "Administrator: …"), and the audit stream when the configuration says so.
	Out io.Writer
	// Version is told by /api/info and the logs.
	Version string
}

// App is a server, built and not yet serving. Make it with New, then call Run.
type App struct {
	opts Options
	cfg  *config.Config
	log  *zap.Logger
	node string
	// started is when this process began to build it.
	started time.Time

	public, private net.Listener

	metrics  *telemetry.Metrics
	audit    audit.Recorder
	auditLog *audit.Log // nil when the stream is off
	key      *secret.Key
	store    store.Store
	limiter  *ratelimit.Limiter
	budget   *budget.Account // bytes in flight, of all doors
	hub      *realtime.Hub
	nodes    *realtime.Nodes
	pulse    pulse
	base     *realtime.Base
	// sessions finds who is connected, publications is what they may subscribe to.
	sessions     *ddp.Registry
	publications *realtime.Publications
	settings     *settings.Service
	mail         *mail.Outbox
	passwords    *accounts.Passwords
	accounts     *accounts.Service
	twofactor    *twofactor.Service
	rooms        roomSlice
	admin        adminSlice
	trail        trailSlice
	router       *methods.Router
	proxies      web.Proxies
	ddp          *ddp.Server
	ws           *ws.Handler
	sockjs       *sockjs.Handler
	rest         *rest.Server
	routes       []rest.Group // of slices
	web          *web.Server

	// proxied counts requests through a proxy that nobody declared.
	proxied atomic.Uint64
	// origins are those that were refused, so far as the log tells them.
	origins originsTold
	// storeFailed is when an operation of the store last had an unknown outcome.
	storeFailed atomic.Int64

	// closers undo what New opened, last one first.
	closers []func() error
}

// New builds every part and opens what must be open before anything is served. It
// goes in stages, and each makes its parts of finished ones: the ports first, so
// that a port in use leaves nothing half-created, then the key and the store, the
// settings, the services, the calls, and the doors on top. It makes the first
// administrator.
// When it fails it has closed everything again; the error is one line that says
// which setting to change.
func New(ctx context.Context, o Options) (_ *App, err error) {
	a := &App{opts: o, cfg: o.Config, log: o.Logger, node: o.Config.NodeName, started: time.Now(), metrics: telemetry.NewMetrics()}
	if a.node == "" {
		if a.node, err = os.Hostname(); err != nil {
			a.node = "ddpserver"
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	for _, build := range []func(context.Context) error{
		a.check, a.listen, a.openAudit, a.openKey, a.openStore, a.checkKey, a.tellAdoption, a.openAudit,
		a.openSettings, a.openTrail, a.buildServices, a.buildCalls, a.buildDoors, a.ensureAdmin, a.registerMetrics,
	} {
		if err := build(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// close undoes what New opened.
func (a *App) close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}

func (a *App) onClose(f func() error) { a.closers = append(a.closers, f) }

// check finds what is wrong without opening or making anything.
func (a *App) check(context.Context) error {
	problems, warnings := Check(a.cfg)
	for _, w := range append(a.opts.Warnings, warnings...) {
		a.log.Warn("configuration", zap.String("hint", w))
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	return nil
}

func (a *App) listen(context.Context) (err error) {
	if a.public, err = listen("PORT and BIND_IP", a.cfg.BindIP, a.cfg.Port); err != nil {
		return err
	}
	a.onClose(func() error { return ignoreClosed(a.public.Close()) })
	a.cfg.UsePort(a.public.Addr().(*net.TCPAddr).Port)
	if a.cfg.MetricsAddr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(a.cfg.MetricsAddr)
	if err != nil {
		return fmt.Errorf("METRICS_ADDR: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("METRICS_ADDR: %w", err)
	}
	if a.private, err = listen("METRICS_ADDR", host, n); err != nil {
		return err
	}
	a.onClose(func() error { return ignoreClosed(a.private.Close()) })
	return nil
}

func listen(names, host string, port int) (net.Listener, error) {
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	// No keep-alive probes of TCP: HTTP connections time out, and the heartbeats of
	// DDP find those that are gone. It spares four system calls a connection.
	lc := net.ListenConfig{KeepAlive: -1}
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, explainListen(names, addr, err)
	}
	return l, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (a *App) openKey(context.Context) (err error) {
	a.key, err = serverKey(a.cfg)
	return err
}

// openAudit comes twice: a file elsewhere is opened before anything is made in
// the data directory, one inside once the directory is there.
func (a *App) openAudit(context.Context) (err error) {
	if a.audit != nil || a.store == nil && auditInside(a.cfg) {
		return nil
	}
	o := audit.Options{Node: a.node, Trouble: a.auditTrouble}
	switch a.cfg.AuditFile {
	case config.AuditOff:
		a.audit = audit.Discard{}
		return nil
	case config.AuditStdout:
		o.Out = a.opts.Out
	default:
		o.Path = a.cfg.AuditFile
		if err := auditDir(a.cfg); err != nil {
			return err
		}
	}
	if a.auditLog, err = audit.Open(o); err != nil {
		return explainAudit(a.cfg, err)
	}
	a.audit = a.auditLog
	a.onClose(a.auditLog.Close)
	return nil
}

// openTrail has the database keep a copy of what is recorded from now on.
func (a *App) openTrail(context.Context) error {
	a.trail = openTrail(a.store, a.settings, a.audit, a.hub, a.node, a.log)
	a.audit = a.trail.recorder()
	return nil
}

// auditInside tells whether the audit file stands in the data directory.
func auditInside(c *config.Config) bool {
	return filepath.Dir(c.AuditFile) == filepath.Clean(c.DataDir)
}

// auditDir makes the data directory for the audit file: with MongoDB nobody
// else makes it.
func auditDir(c *config.Config) error {
	if !auditInside(c) {
		return nil
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return explainDir(c.DataDir, err)
	}
	return nil
}

func (a *App) auditTrouble(err error, lost int64) {
	if err != nil {
		a.log.Error("audit_stream_failing", zap.Error(err))
	} else {
		a.log.Warn("audit_stream_recovered", zap.Int64("lost_events", lost))
	}
}

// ReopenFiles opens the audit file again, after a rotation moved it.
func (a *App) ReopenFiles() {
	if a.auditLog != nil {
		a.auditLog.Reopen()
	}
}

// Addr is the address of the public listener.
func (a *App) Addr() net.Addr { return a.public.Addr() }

// PrivateAddr is the address of the private listener, or nil without one.
func (a *App) PrivateAddr() net.Addr {
	if a.private == nil {
		return nil
	}
	return a.private.Addr()
}

// prefix is the path of ROOT_URL.
func prefix(rootURL string) string {
	u, err := url.Parse(rootURL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.Path, "/")
}
