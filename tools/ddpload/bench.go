package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"ddpserver/internal/secret"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/user"
	"ddpserver/tools/load"
)

// bench starts servers and floors for a comparison, all on one seeded store.
type bench struct {
	ctx    context.Context
	binary string
	self   string
	dir    string
	key    string
}

func newBench(ctx context.Context, binary string, users int) (*bench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("the server's program cannot be found, build it first: %w", err)
	}
	dir, err := os.MkdirTemp("", "ddpload-")
	if err != nil {
		return nil, err
	}
	b := &bench{ctx: ctx, binary: binary, self: self, dir: dir, key: hex.EncodeToString(secret.Generate())}
	if err := seed(ctx, dir, users); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

// server starts the full server: audit and metrics on, the limits lifted as far
// as they would stop one machine from being many users.
func (b *bench) server() (*load.Child, error) {
	port, err := load.FreePort()
	if err != nil {
		return nil, err
	}
	p := strconv.Itoa(port)
	env := []string{"PORT=" + p, "BIND_IP=127.0.0.1", "DATA_DIR=" + b.dir, "LOG_LEVEL=warn", "ENCRYPTION_KEY=" + b.key, "ADMIN_PASS=load-test-only",
		"MAX_CONNECTIONS_PER_ADDRESS=0", "OVERWRITE_SETTING_API_Enable_Rate_Limiter=false"}
	for _, scope := range []string{"IP", "User", "Connection", "User_By_Method", "Connection_By_Method"} {
		env = append(env, "OVERWRITE_SETTING_DDP_Rate_Limit_"+scope+"_Enabled=false")
	}
	return load.Start(b.ctx, env, port, b.binary)
}

func (b *bench) floor() (*load.Child, error) {
	port, err := load.FreePort()
	if err != nil {
		return nil, err
	}
	return load.Start(b.ctx, nil, port, b.self, "floor", "-addr", "127.0.0.1:"+strconv.Itoa(port))
}

// figures are the scenarios with the goals of docs/performance.md. big is the
// number of idle connections; short ones measure for a moment only, to see that
// everything works.
func figures(big int, short bool) []load.Scenario {
	last := func(r *load.Run, warm, measure time.Duration) {
		if !short {
			r.Warm, r.For = warm, measure
		}
	}
	calls := func(ctx context.Context, r load.Run) (load.Report, error) { return r.Calls(ctx) }
	fan := func(ctx context.Context, r load.Run) (load.Report, error) { return r.FanOut(ctx) }
	idle := func(ctx context.Context, r load.Run) (load.Report, error) { return r.IdleConns(ctx) }
	room := func(r *load.Run) {
		r.Conns, r.Token, r.Join = min(500, big), "token-%d", `["GENERAL"]`
		r.Sub, r.SubParams = "stream-notify-room", `["GENERAL/user-activity",{"useCollection":false,"args":[]}]`
		r.Publish, r.PublishParams = "stream-notify-room", `["GENERAL/user-activity","user0",["user-typing"],{}]`
	}
	return []load.Scenario{
		{Name: "calls-100x1", Goal: 1.6, Do: calls, Adjust: func(r *load.Run) { r.Conns = 100 }},
		{Name: "calls-10x16", Goal: 1.6, Do: calls, Adjust: func(r *load.Run) { r.Conns, r.InFlight = 10, 16 }},
		{Name: "calls-2000s", Goal: 1.5, Do: calls, Adjust: func(r *load.Run) { r.Conns, r.Rate = 100, 2000 }},
		{Name: "login", Goal: 2.2, Do: func(ctx context.Context, r load.Run) (load.Report, error) { return r.Connects(ctx) },
			Adjust: func(r *load.Run) { r.Conns, r.Token = 20, "token-%d" }},
		{Name: "sub", Goal: 3, Do: func(ctx context.Context, r load.Run) (load.Report, error) { return r.SubUnsub(ctx) },
			Adjust: func(r *load.Run) { r.Conns, r.Sub, r.SubParams = 20, "meteor_autoupdate_clientVersions", "[null]" }},
		{Name: "fanout-500", Goal: 1.4, Do: fan, Adjust: room},
		{Name: "fanout-500-bursts", Limit: 5, Do: fan, NoFloor: true, Adjust: func(r *load.Run) { room(r); r.Burst = 10 }},
		{Name: "idle", Limit: 10, Do: idle, NoFloor: true, Adjust: func(r *load.Run) { r.Conns = big; last(r, 5*time.Second, 35*time.Second) }},
		{Name: "idle-30-subs", Limit: 20, Do: idle, NoFloor: true, Adjust: func(r *load.Run) {
			r.Conns, r.Token, r.Streams = min(2000, big), "token-%d", load.SharedStreams()
			last(r, 5*time.Second, 5*time.Second)
		}},
		{Name: "idle-client", Do: idle, NoFloor: true, Adjust: func(r *load.Run) {
			room(r)
			r.Conns, r.Streams = min(2000, big), load.ClientStreams()
			last(r, 5*time.Second, 5*time.Second)
		}},
		{Name: "idle-deflate", Limit: 11, Do: idle, NoFloor: true, Adjust: func(r *load.Run) {
			r.Conns, r.Deflate = min(2000, big), true
			last(r, 5*time.Second, 5*time.Second)
		}},
		{Name: "storm", Do: func(ctx context.Context, r load.Run) (load.Report, error) { return r.Storm(ctx) }, NoFloor: true, Limit: 15,
			Adjust: func(r *load.Run) { r.Conns, r.Token = big, "token-%d" }},
		{Name: "flood", NoFloor: true, Limit: 50, Do: func(ctx context.Context, r load.Run) (load.Report, error) { return r.Flood(ctx) },
			Adjust: func(r *load.Run) { r.Conns, r.Rate = 200, 500; last(r, time.Second, 30*time.Second) }},
	}
}

// start measures from the program's start to the first 200 of /readyz, and the
// memory then.
func (b *bench) start(ctx context.Context, rounds int) ([]load.Row, error) {
	var times, memory []float64
	for range rounds {
		began := time.Now()
		child, err := b.server()
		if err != nil {
			return nil, err
		}
		url := "http" + child.URL[2:len(child.URL)-len("websocket")] + "readyz"
		for {
			resp, err := http.Get(url)
			if err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			if ctx.Err() != nil || time.Since(began) > 10*time.Second {
				_ = child.Stop()
				return nil, fmt.Errorf("the server did not become ready: %w", err)
			}
		}
		times = append(times, float64(time.Since(began).Milliseconds()))
		kib, err := child.PID().RSS()
		_ = child.Stop()
		if err != nil {
			return nil, err
		}
		memory = append(memory, float64(kib)/1024)
	}
	slices.Sort(times)
	slices.Sort(memory)
	return []load.Row{
		{Name: "start", Unit: "ms to /readyz", Server: times[len(times)/2], Limit: 150},
		{Name: "start", Unit: "resident MiB", Server: memory[len(memory)/2], Limit: 40},
	}, nil
}

// seed makes users with resume tokens in an embedded store. They have no
// password, so nobody can log in with one.
func seed(ctx context.Context, dir string, n int) error {
	s, err := sqlite.Open(dir, sqlite.Options{Server: true})
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	active := true
	for i := range n {
		name := "user" + strconv.Itoa(i)
		sum := sha256.Sum256([]byte("token-" + strconv.Itoa(i)))
		u := &user.User{
			ID: name, CreatedAt: now, Username: name, Name: "User " + strconv.Itoa(i), Roles: []string{"user"}, Type: "user", Active: &active,
			Emails: []user.Email{{Address: name + "@example.org", Verified: true}},
			Services: user.Services{Resume: &user.Resume{LoginTokens: []user.LoginToken{
				{HashedToken: base64.StdEncoding.EncodeToString(sum[:]), When: now},
			}}},
		}
		u.FillKeys()
		if err := s.CreateUser(ctx, u); err != nil {
			_ = s.Close()
			return err
		}
	}
	return s.Close()
}
