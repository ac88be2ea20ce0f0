package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/config"
	"ddpserver/internal/web"
)

// part is something that runs until it is stopped.
type part struct {
	name string
	stop context.CancelFunc
	done chan struct{}
	err  error // valid once done is closed
}

// start runs f on a goroutine of its own. A part that ends before it was asked
// to stops the whole App: failed gets its error.
func (a *App) start(name string, failed chan<- error, f func(context.Context) error) *part {
	ctx, cancel := context.WithCancel(context.Background())
	p := &part{name: name, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = f(ctx)
		if ctx.Err() == nil {
			failed <- fmt.Errorf("%s ended by itself: %w", name, cmp.Or(p.err, errUnasked))
		}
	}()
	return p
}

var errUnasked = errors.New("it was not asked to")

// end stops the part and waits until it has ended.
func (p *part) end() error {
	p.stop()
	<-p.done
	return p.err
}

// Run serves until ctx ends, and then stops in order; hard, which must outlive
// ctx, ends everything at once. It returns nil after an orderly stop. When it
// returns, no goroutine of the App is left and the store is closed. An App runs once.
//
// Order of the start: mail outbox, events of other nodes, the copy of the audit stream, settings, sweeping of
// tokens, presence, rechecks, HTTP, and readiness last. Order of the stop: readiness, accepting,
// sessions (those that other nodes can take in a spread; running calls may finish within
// the grace period, then 1001), good-bye to other nodes, rechecks, presence, sweeping,
// the copy, hub, mail, store, audit stream.
func (a *App) Run(ctx, hard context.Context) (err error) {
	defer func() { err = errors.Join(err, a.close()) }()
	failed := make(chan error, 10)
	parts := []*part{
		a.start("mail outbox", failed, a.mail.Run),
		a.start("event feed", failed, a.hub.Run),
		a.start("audit copy", failed, a.trail.run),
		a.start("settings", failed, a.settings.Run),
		a.start("accounts", failed, a.accounts.Run),
		a.start("resets", failed, a.twofactor.Run),
		a.start("rooms", failed, a.rooms.run),
		a.start("rechecks", failed, a.base.Run),
		a.start("administration", failed, a.admin.run),
		a.start("nodes", failed, a.nodes.Run),
	}
	defer func() {
		for i := len(parts) - 1; i >= 0; i-- {
			err = errors.Join(err, parts[i].end())
		}
	}()
	defer a.twofactor.Close()

	var listeners sync.WaitGroup
	defer listeners.Wait()
	serve := func(s *web.Server, l net.Listener) {
		listeners.Go(func() {
			if err := s.Serve(l); err != nil {
				failed <- fmt.Errorf("HTTP server ended: %w", err)
			}
		})
	}
	serve(a.web, a.public)
	if a.private != nil {
		host, _, _ := net.SplitHostPort(a.cfg.MetricsAddr) // listen has split it before
		private := web.NewPrivate(a.metrics.Handler(), host, a.log)
		serve(private, a.private)
		defer private.Close()
		a.log.Info("private_listener", zap.Stringer("address", a.private.Addr()))
	}
	a.web.SetReady(true)
	if _, err := fmt.Fprintf(a.opts.Out, "Listening on %s\n", a.cfg.RootURL); err != nil {
		a.log.Warn("stdout_failed", zap.Error(err))
	}
	if list := a.cfg.AllowedOrigins; len(list) > 0 && !slices.Contains(list, config.Loopback) && !slices.Contains(list, "*") {
		a.log.Info("loopback_origins_refused", zap.String("hint", "ALLOWED_ORIGINS replaces its default, so pages of this machine may not connect: add "+
			"loopback to it if they should"))
	}
	a.log.Info("ready", zap.String("root_url", a.cfg.RootURL), zap.Stringer("address", a.Addr()), zap.String("version", a.opts.Version))

	select {
	case <-ctx.Done():
		a.log.Info("stopping", zap.Duration("grace", a.cfg.ShutdownGrace))
	case err = <-failed:
		a.log.Error("part_failed", zap.Error(err))
	}
	a.stopDoors(hard)
	return err
}

// stopDoors takes the clients' side down. What had to be cut is logged.
func (a *App) stopDoors(hard context.Context) {
	a.web.SetReady(false)
	a.nodes.Leave()
	if len(a.nodes.List()) > 1 {
		// Accepting goes on: whoever sends clients here has yet to learn that it should not.
		a.log.Info("sessions_sent_away", zap.Int64("sessions", a.ddp.Stats().Sessions), zap.Duration("over", a.cfg.ShutdownSpread))
		spread, cancel := context.WithTimeout(hard, a.cfg.ShutdownSpread)
		a.ddp.Spread(spread)
		cancel()
	}
	grace, cancel := context.WithTimeout(hard, a.cfg.ShutdownGrace)
	defer cancel()
	begin := time.Now()
	var http sync.WaitGroup
	http.Go(func() { // stops accepting at once; polls end with their sessions
		if err := a.web.Shutdown(grace); err != nil {
			a.log.Warn("http_requests_cut", zap.Error(err))
		}
	})
	if err := a.ddp.Shutdown(grace); err != nil {
		a.log.Warn("calls_cut", zap.Error(err))
	}
	late, cancelLate := context.WithTimeout(context.WithoutCancel(hard), time.Second)
	defer cancelLate()
	if err := a.sockjs.Shutdown(late); err != nil {
		a.log.Warn("sockjs_sessions_cut", zap.Error(err))
	}
	http.Wait()
	a.router.Flush()
	a.log.Info("stopped", zap.Duration("took", time.Since(begin)))
}
