package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"go.uber.org/zap"

	"ddpserver/internal/app"
	"ddpserver/internal/config"
	"ddpserver/internal/telemetry"
)

func (p *program) serve(args []string) int {
	// The configuration may be what is wrong, and the environment alone says then how to
	// tell it.
	p.records = slices.Contains(p.environ, "LOG_FORMAT="+telemetry.JSON)
	c, warnings, code, ok := p.parse("serve", args, nil)
	if !ok {
		return code
	}
	p.records = c.LogFormat == telemetry.JSON
	log, stats, err := p.logger(c)
	if err != nil {
		return p.fail(err)
	}
	defer log.Sync()
	tuneRuntime(c)

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	hard, stopHard := context.WithCancel(context.Background())
	defer stopHard()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	a, err := app.New(ctx, app.Options{Config: c, Warnings: warnings, Logger: log, LogStats: stats, Out: p.stdout, Version: version()})
	if err != nil {
		log.Sync()
		return p.fail(err)
	}
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-over:
				return
			case s := <-signals:
				switch {
				case s == syscall.SIGHUP:
					a.ReopenFiles()
				case ctx.Err() == nil:
					stop()
				default:
					log.Warn("second_signal", zap.String("hint", "everything ends at once"))
					stopHard()
				}
			}
		}
	}()
	go tend(ctx, c)
	if err := a.Run(ctx, hard); err != nil {
		log.Sync()
		return p.fail(err)
	}
	return exitOK
}

// logger makes the log on standard error, so that standard output has the fixed
// lines of a start and nothing else.
func (p *program) logger(c *config.Config) (*zap.Logger, *telemetry.LogStats, error) {
	log, stats, err := telemetry.NewLogger(telemetry.LogOptions{
		Level: c.LogLevel, Format: c.LogFormat, Out: p.stderr, Terminal: telemetry.IsTerminal(p.stderr),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("LOG_LEVEL: %w", err)
	}
	return log, stats, nil
}
