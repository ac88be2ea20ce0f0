package load

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ddpserver/internal/proctest"
)

// Run holds what every scenario needs.
type Run struct {
	// URL of the server's /websocket; only loopback addresses.
	URL string
	// Server is measured through /proc; its PID may be 0, and costs are then left out.
	Server proctest.Process
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
	// Users is how many accounts there are: connections beyond share them. 0: enough.
	Users int
	// Join, when set, is the parameter of a joinRoom call made after the login.
	Join string
	// Sub and SubParams are a subscription.
	Sub, SubParams string
	// Streams are what each idle connection subscribes to, as collection/event;
	// %d is the number of the connection.
	Streams []string
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
		if err := c.Login(r.token(i)); err != nil || r.Join == "" {
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

// token is the resume token of connection i.
func (r Run) token(i int) string {
	if r.Users > 0 {
		i %= r.Users
	}
	return numbered(r.Token, i)
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
					err = c.Login(r.token(int(n.Add(1) - 1)))
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
					err = c.Login(r.token(i))
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
