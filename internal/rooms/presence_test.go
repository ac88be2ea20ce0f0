package rooms_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/feed"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/storetest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// shaky is the real store behind a cable that can be cut.
type shaky struct {
	rooms.Store
	down atomic.Bool
}

var errCut = errors.New("cut")

func (s *shaky) SavePresence(ctx context.Context, node string, states []rooms.Presence, now, alive time.Time) ([]rooms.Presence, error) {
	if s.down.Load() {
		return nil, errCut
	}
	return s.Store.SavePresence(ctx, node, states, now, alive)
}

// news keeps the statuses that were told.
type news struct {
	mu   sync.Mutex
	told []string
}

func (n *news) Publish(e feed.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if news, err := feed.Stream.Payload(e); err == nil && strings.HasSuffix(e.Key, "/user-status") {
		n.told = append(n.told, string(news.Args))
	}
}

func (n *news) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := strings.Join(n.told, " ")
	n.told = nil
	return out
}

// What one writes beside a status stands in everybody's list of people.
func TestStatusText(t *testing.T) {
	tracked(t, func(t *testing.T, s *shaky, track *rooms.Tracker, told *news) {
		for sentence, want := range map[string]string{
			" in a meeting ":         "in a meeting",
			"\u202egnitem\x00 a\nni": "gnitem ani",
			strings.Repeat("ä", 200): strings.Repeat("ä", 120),
			"\xff👩\u200d🚀":           "👩\u200d🚀",
			"two\u2028lines":         "twolines",
		} {
			ann, err := s.UserByID(t.Context(), "ann")
			if err != nil {
				t.Fatal(err)
			}
			if err := track.SetStatus(t.Context(), ann, "", &sentence); err != nil {
				t.Errorf("%q: %v", sentence, err)
			}
			if ann, err = s.UserByID(t.Context(), "ann"); err != nil || ann.StatusText != want {
				t.Errorf("%q is kept as %q, want %q; %v", sentence, ann.StatusText, want, err)
			}
		}
	})
}

// tracked runs f with a tracker over the real store, in fake time.
func tracked(t *testing.T, f func(t *testing.T, s *shaky, track *rooms.Tracker, told *news)) {
	synctest.Test(t, func(t *testing.T) {
		real := storetest.OpenSQLite(t)
		s, told := &shaky{Store: real}, &news{}
		for _, id := range []string{"ann", "bob"} {
			if err := real.CreateUser(t.Context(), &user.User{ID: id, Username: id, CreatedAt: time.Now(), Status: rooms.Offline}); err != nil {
				t.Fatal(err)
			}
		}
		track := testkit.NewGround(t, testkit.Options{Store: real, Feed: told}).NewTracker(func(o *rooms.PresenceOptions) { o.Store = s })
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			if err := track.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Second)
		f(t, s, track, told)
		stop()
		running.Wait()
	})
}

func line(id string, status int) string { return fmt.Sprintf(`[[%q,%q,%d,"","",[]]]`, id, id, status) }

// What could not be written is written once the store is back; nothing is told
// that is not written.
func TestPresenceWithoutStore(t *testing.T) {
	tracked(t, func(t *testing.T, s *shaky, track *rooms.Tracker, told *news) {
		s.down.Store(true)
		track.Connected("ann", "c1")
		time.Sleep(10 * time.Second)
		if got := told.take(); got != "" {
			t.Errorf("told %s", got)
		}
		s.down.Store(false)
		time.Sleep(10 * time.Second)
		if got := told.take(); got != line("ann", 1) {
			t.Errorf("told %s", got)
		}
		// Gone and back while the store is away: nothing has changed at the end.
		s.down.Store(true)
		track.Disconnected("ann", "c1")
		time.Sleep(rooms.Grace + time.Second)
		track.Connected("ann", "c2")
		s.down.Store(false)
		time.Sleep(10 * time.Second)
		if got := told.take(); got != "" {
			t.Errorf("told %s", got)
		}
	})
}

// A connection counts once; one that is not known is no news.
func TestPresenceConnections(t *testing.T) {
	tracked(t, func(t *testing.T, _ *shaky, track *rooms.Tracker, told *news) {
		pause := func() { time.Sleep(time.Second) }
		track.Disconnected("ann", "never")
		track.Connected("ann", "c1")
		track.Connected("ann", "c1")
		track.Connected("bob", "c9")
		pause()
		if got := told.take(); got != line("ann", 1)+" "+line("bob", 1) && got != line("bob", 1)+" "+line("ann", 1) {
			t.Errorf("told %s", got)
		}
		track.Disconnected("ann", "c1")
		track.Disconnected("ann", "c1")
		pause()
		track.Set("ann", "c2", rooms.Away)
		pause()
		if got := told.take(); got != line("ann", 2) {
			t.Errorf("told %s", got)
		}
		track.Disconnected("ann", "c2")
		track.Disconnected("bob", "c9")
		time.Sleep(rooms.Grace + time.Second)
		if got := told.take(); got != line("ann", 0)+" "+line("bob", 0) && got != line("bob", 0)+" "+line("ann", 0) {
			t.Errorf("told %s", got)
		}
	})
}
