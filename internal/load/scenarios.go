package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Run holds what every scenario needs.
type Run struct {
	// URL of the server's /websocket; only loopback addresses.
	URL string
	// Server is measured through /proc; its PID may be 0, and costs are then left out.
	Server Process
	// Conns is the number of connections; InFlight the calls each keeps under way.
	Conns, InFlight int
	// Rate is calls a second over all connections; 0 sends as fast as answers come.
	Rate int
	// Warm is not measured, For is.
	Warm, For time.Duration
	// Method and Params of the call scenario; getServerTime with none by default.
	Method, Params string
	// Token is a resume token with %d for the number of the connection; empty
	// stays logged out.
	Token string
	// Join, when set, is the parameter of a joinRoom call made after the login.
	Join string
	// Sub and SubParams are made on each idle connection Subs times; %d in the
	// parameters is the number of the subscription.
	Sub, SubParams string
	Subs           int
	// Burst is how many events the publisher of fan-out sends at once.
	Burst int
	// Publish and PublishParams are the call that causes one event.
	Publish, PublishParams string
	// Deflate offers compression.
	Deflate bool
}

// each runs f once for each connection, at most width at a time, and returns the first error.
func each(n, width int, f func(i int) error) error {
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	slots := make(chan struct{}, width)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if failed.Load() == nil {
				if err := f(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if e := failed.Load(); e != nil {
		return *e
	}
	return nil
}

// open dials all connections of a run, logged in if it has tokens.
func (r Run) open(ctx context.Context) ([]*Client, error) {
	clients := make([]*Client, r.Conns)
	err := each(r.Conns, 50, func(i int) error {
		c, err := Dial(ctx, r.URL, DialOptions{Deflate: r.Deflate})
		if err != nil {
			return err
		}
		clients[i] = c
		if r.Token == "" {
			return nil
		}
		if err := c.Login(numbered(r.Token, i)); err != nil || r.Join == "" {
			return err
		}
		// Being a member already is fine; not being allowed shows at the subscription.
		if _, err := c.Call("joinRoom", r.Join); err != nil && !errors.As(err, &ErrRefused{}) {
			return err
		}
		return nil
	})
	if err != nil {
		closeAll(clients)
		return nil, err
	}
	return clients, nil
}

func numbered(s string, i int) string { return strings.ReplaceAll(s, "%d", strconv.Itoa(i)) }

func closeAll(clients []*Client) {
	for _, c := range clients {
		if c != nil {
			_ = c.Close()
		}
	}
}

// cost measures the server around f and fills in count, rate and CPU.
func (r Run) cost(rep *Report, f func() (units int)) error {
	measured := r.Server.PID > 0
	var before float64
	if measured {
		var err error
		if before, err = r.Server.CPU(); err != nil {
			return err
		}
	}
	start := time.Now()
	rep.Count = f()
	rep.Took = time.Since(start)
	rep.Rate = float64(rep.Count) / rep.Took.Seconds()
	if measured && rep.Count > 0 {
		after, err := r.Server.CPU()
		if err != nil {
			return err
		}
		rep.CPU = (after - before) * 1e6 / float64(rep.Count)
	}
	return nil
}

// Calls keeps InFlight calls under way on every connection, or sends Rate a
// second spread over them. A call is over when result and updated came.
func (r Run) Calls(ctx context.Context) (Report, error) {
	rep := Report{Scenario: "calls", Unit: "call"}
	clients, err := r.open(ctx)
	if err != nil {
		return rep, err
	}
	defer closeAll(clients)
	if r.Method == "" {
		r.Method, r.Params = "getServerTime", "[]"
	}
	if _, err := r.callPhase(ctx, clients, r.Warm, &samples{}); err != nil {
		return rep, err
	}
	var s samples
	var phaseErr error
	err = r.cost(&rep, func() int {
		var n int
		n, phaseErr = r.callPhase(ctx, clients, r.For, &s)
		return n
	})
	s.into(&rep)
	return rep, errors.Join(err, phaseErr)
}

func (r Run) callPhase(ctx context.Context, clients []*Client, d time.Duration, s *samples) (int, error) {
	if d <= 0 {
		return 0, nil
	}
	until := time.Now().Add(d)
	var pause time.Duration
	if r.Rate > 0 {
		pause = time.Duration(len(clients)) * time.Second / time.Duration(r.Rate)
	}
	var done atomic.Int64
	err := each(len(clients), len(clients), func(i int) error {
		lat := make([]time.Duration, 0, 1<<14)
		if pause > 0 {
			// Spread the connections over the period.
			wait(ctx, pause*time.Duration(i)/time.Duration(len(clients)))
		}
		err := r.callLoop(ctx, clients[i], until, pause, &lat)
		done.Add(int64(len(lat)))
		s.add(lat)
		return err
	})
	return int(done.Load()), err
}

// callLoop is one connection's part of a phase.
func (r Run) callLoop(ctx context.Context, c *Client, until time.Time, pause time.Duration, lat *[]time.Duration) error {
	sent := map[int]time.Time{}
	halves := map[int]int{}
	send := func() error {
		id, err := c.Send(r.Method, r.Params)
		sent[id] = time.Now()
		return err
	}
	next := time.Now()
	for range max(r.InFlight, 1) {
		if err := send(); err != nil {
			return err
		}
	}
	for len(sent) > 0 {
		f, err := c.Read()
		if err != nil {
			return err
		}
		k := kind(f)
		if k != "result" && k != "updated" {
			continue
		}
		id := numericID(f)
		if k == "result" && bytes.Contains(f, []byte(`"error":{`)) {
			return ErrRefused{string(f)}
		}
		if halves[id]++; halves[id] < 2 {
			continue
		}
		now := time.Now()
		*lat = append(*lat, now.Sub(sent[id]))
		delete(sent, id)
		delete(halves, id)
		if now.After(until) || ctx.Err() != nil {
			continue
		}
		if pause > 0 {
			next = next.Add(pause)
			wait(ctx, time.Until(next))
		}
		if err := send(); err != nil {
			return err
		}
	}
	return nil
}

// wait pauses for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Connects opens, logs in (with Token) and closes connections, Conns at a time.
func (r Run) Connects(ctx context.Context) (Report, error) {
	rep := Report{Scenario: "connects", Unit: "connect"}
	var s samples
	var n atomic.Int64
	phase := func(d time.Duration, s *samples) error {
		until := time.Now().Add(d)
		return each(r.Conns, r.Conns, func(int) error {
			var lat []time.Duration
			defer func() { s.add(lat) }()
			for time.Now().Before(until) && ctx.Err() == nil {
				start := time.Now()
				c, err := Dial(ctx, r.URL, DialOptions{Deflate: r.Deflate})
				if err != nil {
					return err
				}
				if r.Token != "" {
					err = c.Login(numbered(r.Token, int(n.Add(1)-1)))
				}
				lat = append(lat, time.Since(start))
				if err := errors.Join(err, c.Close()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := phase(r.Warm, &samples{}); err != nil {
		return rep, err
	}
	var phaseErr error
	err := r.cost(&rep, func() int {
		phaseErr = phase(r.For, &s)
		return len(s.all)
	})
	s.into(&rep)
	return rep, errors.Join(err, phaseErr)
}

// Storm opens Conns connections at once, all logging in, as after a restart of
// the server; the latency is that of connect and login together.
func (r Run) Storm(ctx context.Context) (Report, error) {
	rep := Report{Scenario: "storm", Unit: "connect"}
	clients := make([]*Client, r.Conns)
	defer func() { closeAll(clients) }()
	var s samples
	var failed atomic.Int64
	err := r.cost(&rep, func() int {
		_ = each(r.Conns, r.Conns, func(i int) error {
			start := time.Now()
			c, err := Dial(ctx, r.URL, DialOptions{Deflate: r.Deflate})
			if err == nil {
				clients[i] = c
				if r.Token != "" {
					err = c.Login(numbered(r.Token, i))
				}
			}
			if err != nil {
				failed.Add(1)
				return nil
			}
			s.add([]time.Duration{time.Since(start)})
			return nil
		})
		return len(s.all)
	})
	rep.Failed = int(failed.Load())
	s.into(&rep)
	return rep, err
}

// Subs makes and ends one subscription after the other on every connection.
func (r Run) SubUnsub(ctx context.Context) (Report, error) {
	rep := Report{Scenario: "subs", Unit: "sub"}
	clients, err := r.open(ctx)
	if err != nil {
		return rep, err
	}
	defer closeAll(clients)
	var s samples
	phase := func(d time.Duration, s *samples) error {
		until := time.Now().Add(d)
		return each(len(clients), len(clients), func(i int) error {
			var lat []time.Duration
			defer func() { s.add(lat) }()
			for time.Now().Before(until) && ctx.Err() == nil {
				start := time.Now()
				id, err := clients[i].Subscribe(r.Sub, r.SubParams)
				if err != nil {
					return err
				}
				lat = append(lat, time.Since(start))
				if err := clients[i].Unsubscribe(id); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := phase(r.Warm, &samples{}); err != nil {
		return rep, err
	}
	var phaseErr error
	err = r.cost(&rep, func() int {
		phaseErr = phase(r.For, &s)
		return len(s.all)
	})
	s.into(&rep)
	return rep, errors.Join(err, phaseErr)
}

// FanOut lets one publisher cause events that Conns subscribers receive; a
// delivery's latency is from the publisher's call to the subscriber's read.
func (r Run) FanOut(ctx context.Context) (Report, error) {
	rep := Report{Scenario: "fanout", Unit: "delivery"}
	clients, err := r.open(ctx)
	if err != nil {
		return rep, err
	}
	defer closeAll(clients)
	if err := each(len(clients), 50, func(i int) error {
		_, err := clients[i].Subscribe(r.Sub, r.SubParams)
		return err
	}); err != nil {
		return rep, err
	}
	pub := r
	pub.Conns = 1
	pubs, err := pub.open(ctx)
	if err != nil {
		return rep, err
	}
	defer closeAll(pubs)

	// All subscribers wait for the same number of events before the next burst.
	round := func(n int, s *samples) error {
		start := time.Now()
		ready := make(chan error, 1)
		go func() {
			ready <- each(len(clients), len(clients), func(i int) error {
				lat := make([]time.Duration, 0, n)
				for len(lat) < n {
					f, err := clients[i].Read()
					if err != nil {
						return err
					}
					if kind(f) == "changed" {
						lat = append(lat, time.Since(start))
					}
				}
				s.add(lat)
				return nil
			})
		}()
		for range n {
			if _, err := pubs[0].Send(r.Publish, r.PublishParams); err != nil {
				return err
			}
		}
		for seen := 0; seen < 2*n; {
			f, err := pubs[0].Read()
			if err != nil {
				return err
			}
			switch kind(f) {
			case "result":
				if bytes.Contains(f, []byte(`"error":{`)) {
					return ErrRefused{string(f)}
				}
				seen++
			case "updated":
				seen++
			}
		}
		return <-ready
	}
	burst := max(r.Burst, 1)
	for until := time.Now().Add(r.Warm); time.Now().Before(until); {
		if err := round(burst, &samples{}); err != nil {
			return rep, err
		}
	}
	var s samples
	var phaseErr error
	err = r.cost(&rep, func() int {
		for until := time.Now().Add(r.For); time.Now().Before(until) && ctx.Err() == nil && phaseErr == nil; {
			phaseErr = round(burst, &s)
		}
		return len(s.all)
	})
	s.into(&rep)
	return rep, errors.Join(err, phaseErr)
}

// IdleConns holds Conns connections open, logged in with Token, with Subs
// subscriptions each, and measures memory and the cost of doing nothing.
func (r Run) IdleConns(ctx context.Context) (Report, error) {
	rep := Report{Scenario: "idle", Unit: "connection", Count: r.Conns}
	if r.Server.PID == 0 {
		return rep, errors.New("idle connections are measured through /proc: give the server's PID")
	}
	empty, err := r.Server.RSS()
	if err != nil {
		return rep, err
	}
	start := time.Now()
	clients, err := r.open(ctx)
	if err != nil {
		return rep, err
	}
	defer closeAll(clients)
	err = each(len(clients), 50, func(i int) error {
		for n := range r.Subs {
			if _, err := clients[i].Subscribe(r.Sub, numbered(r.SubParams, n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return rep, err
	}
	rep.Took = time.Since(start)
	// Heartbeats are answered, so that the connections live like real ones.
	for _, c := range clients {
		go func() {
			for {
				if _, err := c.Read(); err != nil {
					return
				}
			}
		}()
	}
	wait(ctx, r.Warm)
	full, err := r.Server.RSS()
	if err != nil {
		return rep, err
	}
	rep.KiB = float64(full-empty) / float64(r.Conns)
	before, err := r.Server.CPU()
	if err != nil {
		return rep, err
	}
	wait(ctx, r.For)
	after, err := r.Server.CPU()
	rep.Idle = (after - before) * 1e6 / float64(r.Conns) / r.For.Seconds()
	return rep, err
}

// Flood sends Rate password logins a second with a wrong password from many
// connections while bystanders make cheap calls; Others is what they notice.
func (r Run) Flood(ctx context.Context) (Report, error) {
	rep := Report{Scenario: "flood", Unit: "login"}
	calm := r
	calm.Conns, calm.InFlight, calm.Rate, calm.Warm, calm.Method = 50, 1, 500, 0, ""
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var refused, sent atomic.Int64
	flood := make(chan error, 1)
	workers := max(r.Conns, 1)
	go func() {
		flood <- each(workers, workers, func(i int) error {
			pause := time.Duration(workers) * time.Second / time.Duration(max(r.Rate, 1))
			wait(ctx, pause*time.Duration(i)/time.Duration(workers))
			for until := time.Now().Add(r.For); time.Now().Before(until) && ctx.Err() == nil; {
				start := time.Now()
				c, err := Dial(ctx, r.URL, DialOptions{})
				if err != nil {
					return err
				}
				_, err = c.Call("login", fmt.Sprintf(`[{"user":{"username":"user%d"},"password":{"digest":"%064d","algorithm":"sha-256"}}]`, sent.Add(1)%1000, 7))
				_ = c.Close()
				if errors.As(err, &ErrRefused{}) {
					refused.Add(1)
				} else if ctx.Err() == nil && err != nil {
					return err
				}
				wait(ctx, pause-time.Since(start))
			}
			return nil
		})
	}()
	others, err := calm.Calls(ctx)
	if err != nil {
		return rep, err
	}
	cancel()
	floodErr := <-flood
	if errors.Is(floodErr, context.Canceled) {
		floodErr = nil
	}
	rep.Count, rep.Took, rep.Others = int(refused.Load()), others.Took, others.P99
	rep.Rate = float64(rep.Count) / rep.Took.Seconds()
	return rep, floodErr
}

// SlowReader subscribes and then reads nothing while events are published; it
// reports after how long the server closed it, and what the others noticed.
func (r Run) SlowReader(ctx context.Context) (Report, error) {
	rep := Report{Scenario: "slow", Unit: "reader", Count: 1}
	one := r
	one.Conns = 1
	slow, err := one.open(ctx)
	if err != nil {
		return rep, err
	}
	defer closeAll(slow)
	if _, err := slow[0].Subscribe(r.Sub, r.SubParams); err != nil {
		return rep, err
	}
	start := time.Now()
	fan := r
	fan.Warm = 0
	others, err := fan.FanOut(ctx)
	if err != nil {
		return rep, err
	}
	rep.Took, rep.Others = time.Since(start), others.P99
	_ = slow[0].ws.SetReadDeadline(time.Now().Add(15 * time.Second))
	for {
		if _, err := slow[0].Read(); err != nil {
			if strings.Contains(err.Error(), "i/o timeout") {
				rep.Failed = 1
			}
			return rep, nil
		}
	}
}
