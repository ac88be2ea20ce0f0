package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"ddpserver/internal/app"
	"ddpserver/internal/config"
)

func (p *program) checkConfig(args []string) int {
	to := ""
	c, warnings, code, ok := p.parse("check-config", args, func(fs *pflag.FlagSet) {
		fs.StringVar(&to, "send-test", "", "send a test mail to this address and print the conversation with the mail server")
	})
	if !ok {
		return code
	}
	problems, more := app.Check(c)
	for _, w := range append(warnings, more...) {
		fmt.Fprintf(p.stderr, "ddpserver: warning: %s\n", w)
	}
	if len(problems) > 0 {
		return p.fail(config.Problems(problems))
	}
	if err := app.CheckKey(context.Background(), c); err != nil {
		return p.fail(err)
	}
	from := "defaults, environment and flags"
	if c.File != "" {
		from = c.File + ", environment and flags"
	}
	fmt.Fprintf(p.stdout, "The configuration is good (%s).\n", from)
	if to == "" {
		return exitOK
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := app.SendTest(ctx, c, to, p.stdout); err != nil {
		return p.fail(err)
	}
	return exitOK
}

func (p *program) adopt(args []string) int {
	check := false
	c, _, code, ok := p.parse("adopt", args, func(fs *pflag.FlagSet) {
		fs.BoolVar(&check, "check", false, "look and tell; required, for a server adopts by itself at its start")
	})
	if !ok {
		return code
	}
	if !check {
		fmt.Fprintln(p.stderr, "ddpserver adopt: write --check; a server adopts its database by itself at the first start")
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := app.CheckAdoption(ctx, c)
	if err != nil {
		return p.fail(err)
	}
	fmt.Fprint(p.stdout, r)
	if r.Stops() {
		return exitError
	}
	return exitOK
}

func (p *program) rotateKey(args []string) int {
	c, _, code, ok := p.parse("rotate-key", args, nil)
	if !ok {
		return code
	}
	log, _, err := p.logger(c)
	if err != nil {
		return p.fail(err)
	}
	defer log.Sync()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := app.RotateKey(ctx, c, log)
	if err != nil {
		if r.Resealed > 0 {
			fmt.Fprintf(p.stderr, "ddpserver rotate-key: broke off after %d texts; nothing is lost, run it again with both keys\n", r.Resealed)
		}
		return p.fail(err)
	}
	if r.Unreadable > 0 {
		fmt.Fprintf(p.stderr, "ddpserver: warning: neither key opens %d sealed texts; they stay as they are\n", r.Unreadable)
	}
	if r.Done {
		fmt.Fprintln(p.stdout, "Everything is sealed with ENCRYPTION_KEY already. Take ENCRYPTION_KEY_OLD out.")
		return exitOK
	}
	fmt.Fprintf(p.stdout, "Sealed %d texts anew. Take ENCRYPTION_KEY_OLD out of the configuration of every server now.\n", r.Resealed)
	return exitOK
}

// healthTimeout bounds the whole question.
const healthTimeout = 5 * time.Second

func (p *program) healthcheck(args []string) int {
	c, _, code, ok := p.parse("healthcheck", args, nil)
	if !ok {
		return code
	}
	host := c.BindIP
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, strconv.Itoa(c.Port)) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return p.fail(err)
	}
	client := http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return p.fail(fmt.Errorf("unhealthy: no answer from %s: is the server running there?", url))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err != nil || resp.StatusCode != http.StatusOK {
		return p.fail(fmt.Errorf("unhealthy: %s answers %d %s", url, resp.StatusCode, strings.TrimSpace(string(body))))
	}
	fmt.Fprintln(p.stdout, "healthy")
	return exitOK
}

// release is set by the linker (see the Makefile).
var release = "0.1.0"

func version() string { return release }

func (p *program) version(args []string) int {
	if len(args) > 0 {
		return p.unknown(append([]string{"version"}, args...))
	}
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	fmt.Fprintf(p.stdout, "ddpserver %s%s %s %s/%s\n", version(), revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}
