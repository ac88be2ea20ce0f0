package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

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

// IdleConns holds Conns connections open, logged in with Token, with the
// subscriptions of Streams each, and measures memory and the cost of doing nothing.
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
		for _, stream := range r.Streams {
			name, event, _ := strings.Cut(numbered(stream, i), "/")
			if _, err := clients[i].Subscribe(name, `["`+event+`",false]`); err != nil {
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

// SharedStreams are thirty streams, nearly all of which everybody listens to, as
// the peers were measured.
func SharedStreams() []string {
	return streams(map[string]string{
		"stream-notify-all/": "public-settings-changed public-info roles-change updateAvatar updateCustomSound deleteCustomSound updateEmojiCustom " +
			"deleteEmojiCustom license",
		"stream-notify-logged/": "user-status Users:NameChanged Users:Deleted updateAvatar roles-change permissions-changed updateCustomSound deleteCustomSound " +
			"updateEmojiCustom deleteEmojiCustom updateCustomUserStatus deleteCustomUserStatus banner-changed new-banner voip.statuschanged " +
			"omnichannel.priority-changed license",
		"stream-notify-user/user%d/": "userData message notification subscriptions-changed",
	})
}

// ClientStreams are thirty streams that a Rocket.Chat client listens to after
// the login, for accounts user0, user1, … in room GENERAL: half of them are its own.
func ClientStreams() []string {
	return streams(map[string]string{
		"stream-notify-all/": "public-settings-changed public-info roles-change updateAvatar updateCustomSound deleteCustomSound updateEmojiCustom " +
			"deleteEmojiCustom",
		"stream-notify-logged/": "user-status Users:NameChanged Users:Deleted updateAvatar roles-change permissions-changed updateEmojiCustom " +
			"deleteEmojiCustom",
		"stream-notify-user/user%d/":  "userData message otr webrtc notification rooms-changed subscriptions-changed uiInteraction force_logout",
		"stream-notify-room/GENERAL/": "typing user-activity deleteMessage deleteMessageBulk",
		"stream-room-messages/":       "GENERAL",
	})
}

func streams(list map[string]string) (out []string) {
	for prefix, events := range list {
		for _, e := range strings.Fields(events) {
			out = append(out, prefix+e)
		}
	}
	return out
}
