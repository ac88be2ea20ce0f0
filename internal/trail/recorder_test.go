package trail_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"ddpserver/internal/audit"
	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/trail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// flaky is the real store, which fails or does not answer while a test wants it so.
type flaky struct {
	testkit.Store
	mu     sync.Mutex
	fail   error
	stuck  chan struct{}
	writes int
}

func (f *flaky) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *flaky) AppendTrail(ctx context.Context, events []trail.Event) error {
	f.mu.Lock()
	err, stuck := f.fail, f.stuck
	f.writes++
	f.mu.Unlock()
	if stuck != nil {
		select {
		case <-stuck:
		case <-ctx.Done():
			return dberr.Unavailable
		}
	}
	if err != nil {
		return err
	}
	return f.Store.AppendTrail(ctx, events)
}

// kept is a trail that runs on a store of its own, in fake time.
type kept struct {
	*testkit.Ground
	*trail.Service
	store *flaky
	stop  func()
}

func keep(t *testing.T, f func(t *testing.T, k *kept)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := &kept{store: &flaky{Store: testkit.OpenStore(t)}}
		k.Ground = testkit.NewGround(t, testkit.Options{Store: k.store})
		k.Service = trail.New(trail.Options{Store: k.store, Users: k.store, Settings: k.Settings, Next: &k.Trail, Feed: k.Feed, Node: "n1"})
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = k.Run(ctx) })
		k.stop = func() { stop(); running.Wait() }
		t.Cleanup(k.stop)
		f(t, k)
	})
}

func (k *kept) list(t *testing.T, f trail.Filter) []trail.Event {
	t.Helper()
	f.Count = max(f.Count, 100)
	var all []trail.Event
	for {
		l, err := k.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l.Events...)
		if f.Cursor = l.Cursor; f.Cursor == "" {
			return all
		}
	}
}

func (k *kept) record(n int, act string) {
	for i := range n {
		k.Record(audit.Event{Act: act, Outcome: "ok", User: "u", Target: fmt.Sprint(i)})
	}
}

// Events are in the copy half a second later, in the order in which they were
// recorded, and those who listen are told after that; the stream of lines has them at
// once.
func TestWrittenBehind(t *testing.T) {
	keep(t, func(t *testing.T, k *kept) {
		k.record(450, "login")
		if n := len(k.Trail.All()); n != 450 {
			t.Errorf("%d in the audit stream", n)
		}
		time.Sleep(trail.Interval + time.Millisecond)
		list := k.list(t, trail.Filter{})
		if len(list) != 450 || list[0].Target != "449" || list[449].Target != "0" || list[0].Node != "n1" || list[0].Subject != "u" {
			t.Errorf("%d events", len(list))
		}
		told := 0
		for _, e := range k.News.Take() {
			payload, err := feed.Stream.Payload(e)
			if err != nil || e.Key != "stream-audit/new" {
				t.Fatal(e, err)
			}
			told += strings.Count(string(payload.Args), `"act":"login"`)
		}
		if told != 450 {
			t.Errorf("%d events were told", told)
		}
	})
}

// The end of a server writes what waits; later events are in the audit stream alone.
func TestTheEndWritesWhatWaits(t *testing.T) {
	keep(t, func(t *testing.T, k *kept) {
		k.record(3, "login")
		k.stop()
		k.record(1, "logout")
		if list := k.list(t, trail.Filter{}); len(list) != 3 {
			t.Errorf("%d events", len(list))
		}
	})
}

// A store that fails, for however long, holds up nobody; what finds no room is counted,
// and told once, in both, when writing works again.
func TestWhatFindsNoRoomIsTold(t *testing.T) {
	keep(t, func(t *testing.T, k *kept) {
		k.store.set(dberr.Unavailable)
		begin := time.Now()
		k.record(trail.MaxWaiting+70, "login")
		if time.Since(begin) != 0 {
			t.Error("Record waited")
		}
		time.Sleep(10 * time.Minute)
		k.store.mu.Lock()
		writes := k.store.writes
		k.store.mu.Unlock()
		if !k.Failing() {
			t.Error("it is not failing")
		}
		if _, lost, waiting := k.Stats(); lost != 70 || waiting != trail.MaxWaiting || writes > 40 {
			t.Errorf("lost %d, %d wait, %d writes", lost, waiting, writes)
		}
		k.store.set(nil)
		time.Sleep(time.Minute)
		if written, lost, waiting := k.Stats(); written != trail.MaxWaiting+1 || lost != 70 || waiting != 0 {
			t.Errorf("written %d, lost %d, %d wait", written, lost, waiting)
		}
		if k.Failing() {
			t.Error("it is failing still")
		}
		gaps := k.list(t, trail.Filter{Act: trail.GapAct})
		if len(gaps) != 1 || gaps[0].Reason != "70 events are missing" || k.Trail.Count(trail.GapAct, "error") != 1 {
			t.Errorf("%+v", gaps)
		}
		if n := len(k.list(t, trail.Filter{})); n != trail.MaxWaiting+1 {
			t.Errorf("%d events", n)
		}
	})
}

// A store that does not answer does not keep a server from ending.
func TestAStuckStoreHoldsUpNoEnd(t *testing.T) {
	keep(t, func(t *testing.T, k *kept) {
		k.store.mu.Lock()
		k.store.stuck = make(chan struct{})
		k.store.mu.Unlock()
		k.record(trail.MaxWaiting*2, "login") // a Record that waits would end the bubble
		begin := time.Now()
		k.stop()
		if took := time.Since(begin); took > 6*time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}

// The settings say what is kept, as soon as they are saved.
func TestRetention(t *testing.T) {
	keep(t, func(t *testing.T, k *kept) {
		k.record(1500, "login")
		time.Sleep(24 * time.Hour)
		k.record(100, "logout")
		time.Sleep(2 * time.Minute)
		count := func(want int) {
			t.Helper()
			time.Sleep(2 * time.Minute)
			if n := len(k.list(t, trail.Filter{})); n != want {
				t.Errorf("%d events, want %d", n, want)
			}
		}
		count(1600)
		k.Set(settings.AuditRetentionEvents, 1000)
		count(1000)
		k.Set(settings.AuditRetentionDays, 1)
		count(100)
		k.Set(settings.AuditRetentionDays, 0)
		k.record(5, "login")
		count(0)
		k.Set(settings.AuditRetentionDays, 1)
		k.record(5, "login")
		count(5)
		if n := len(k.Trail.All()); n != 1610 {
			t.Errorf("%d in the audit stream", n)
		}
	})
}

// The acts of this package are those of the documentation, and who an event is about
// follows from them.
func TestActsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "### The audit stream")
	table, _, _ = strings.Cut(table, "\n## ")
	var documented []string
	for line := range strings.Lines(table) {
		if first, ok := strings.CutPrefix(line, "| `"); ok {
			cell, _, _ := strings.Cut("`"+first, " | ")
			cell = regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(cell, "")
			for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cell, -1) {
				documented = append(documented, m[1])
			}
		}
	}
	slices.Sort(documented)
	if !slices.Equal(documented, trail.Acts()) {
		t.Errorf("documented:\n%v\nknown:\n%v", documented, trail.Acts())
	}
}

// Hostile texts are kept bounded, and as plain data.
func TestTextsAreBoundedPlainData(t *testing.T) {
	keep(t, func(t *testing.T, k *kept) {
		agent := "<script>\x00\x1b]0;" + strings.Repeat("ü", 10_000)
		k.Record(audit.Event{Act: "login", Outcome: "refused", Agent: agent, Target: "bob@example.com", User: "\xff\n"})
		time.Sleep(time.Second)
		e := k.list(t, trail.Filter{Text: "<SCRIPT>\x00"})
		if len(e) != 1 || len(e[0].Agent) > 300 || !strings.HasPrefix(e[0].Agent, agent[:100]) || e[0].Target != "b***@example.com" || e[0].User != "\uFFFD\n" {
			t.Errorf("%+v", e)
		}
	})
}

// A filter that means nothing is refused before the store is asked.
func TestWrongFilters(t *testing.T) {
	keep(t, func(t *testing.T, k *kept) {
		long := strings.Repeat("x", 257)
		for _, f := range []trail.Filter{
			{Count: 0}, {Count: 1, Offset: -1}, {Count: 1, Offset: trail.MaxOffset + 1}, {Count: 1, As: "both"}, {Count: 1, Cursor: "zz"}, {Count: 1, Cursor: "abc"},
			{Count: 1, Cursor: strings.Repeat("a", 65)}, {Count: 1, Text: long}, {Count: 1, Account: long}, {Count: 1, Act: long}, {Count: 1, Address: long},
		} {
			if _, err := k.List(t.Context(), f); err == nil || !strings.Contains(err.Error(), "error-invalid-params") {
				t.Errorf("%+v: %v", f, err)
			}
		}
	})
}

var errWriter = errors.New("the connection is gone")

// breaking fails after some bytes.
type breaking struct{ left int }

func (b *breaking) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errWriter
	}
	return len(p), nil
}

// An export has every event that fits, once, in either format; no cell is a formula.
func TestExport(t *testing.T) {
	keep(t, func(t *testing.T, k *kept) {
		k.record(1200, "login")
		for _, cell := range []string{"=1+1", "+1", "-1", "@x", "\t=1", " =1", "\u00a0=1", "＝1", "\r1", "\n1"} {
			k.Record(audit.Event{Act: "logout", Outcome: "ok", Target: cell, Agent: `a"b,c`})
		}
		time.Sleep(2 * time.Second)
		export := func(f trail.Filter, format string) string {
			t.Helper()
			e, err := k.Export(t.Context(), f, format)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := e.Write(t.Context(), &out); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		if n := strings.Count(export(trail.Filter{}, trail.JSONLines), "\n"); n != 1210 {
			t.Errorf("%d lines", n)
		}
		table := export(trail.Filter{Act: "logout"}, trail.CSV)
		for _, cell := range []string{"'=1+1,", "'+1,", "'-1,", "'@x,", "'\t'=1,", "' =1,", "'\u00a0=1,", "'＝1,", "\"'\r1\",", "\"'\n1\","} {
			if !strings.Contains(table, ","+cell) {
				t.Errorf("no cell %q in %q", cell, table)
			}
		}
		if !strings.Contains(table, `"a""b,c"`) {
			t.Error("quotes")
		}
		if _, err := k.Export(t.Context(), trail.Filter{}, "xml"); err == nil {
			t.Error("a format that is none")
		}
		e, err := k.Export(t.Context(), trail.Filter{}, trail.JSONLines)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Write(t.Context(), &breaking{100_000}); !errors.Is(err, errWriter) {
			t.Errorf("%v", err)
		}
	})
}

// The copy holds as much of an address as the setting says when the event is recorded,
// and shows no more than it says when somebody reads, whoever does; the stream of lines
// has all of it.
func TestAddressesAsTheSettingAllows(t *testing.T) {
	const whole, network = "203.0.113.9", "203.0.113.0/24"
	values := []string{settings.AddressFull, settings.AddressShortened, settings.AddressNone}
	shows := map[string]string{settings.AddressFull: whole, settings.AddressShortened: network}
	keep(t, func(t *testing.T, k *kept) {
		for _, then := range values {
			k.Set(settings.SessionAddress, then)
			k.Record(audit.Event{Act: "login", Outcome: "ok", User: then, Address: whole})
			time.Sleep(2 * trail.Interval)
			if got := k.Trail.Of("login"); got[len(got)-1].Address != whole {
				t.Errorf("%s: the stream has %q", then, got[len(got)-1].Address)
			}
			for _, now := range values {
				k.Set(settings.SessionAddress, now)
				want := shows[max(then, now)] // the names are in the order of what they leave out, but none
				if then == settings.AddressNone || now == settings.AddressNone {
					want = ""
				}
				listed := k.list(t, trail.Filter{Account: then})
				mine, _, err := k.Mine(t.Context(), then, trail.Filter{Count: 5})
				if err != nil {
					t.Fatal(err)
				}
				for door, events := range map[string][]trail.Event{"list": listed, "mine": mine} {
					if len(events) != 1 || events[0].Address != want {
						t.Errorf("kept %s, %s with %s: %+v, want %q", then, door, now, events, want)
					}
				}
				for _, format := range []string{trail.JSONLines, trail.CSV} {
					var file strings.Builder
					e, err := k.Export(t.Context(), trail.Filter{Account: then}, format)
					if err == nil {
						err = e.Write(t.Context(), &file)
					}
					if err != nil || strings.Contains(file.String(), "203.0.113") != (want != "") || !strings.Contains(file.String(), want) {
						t.Errorf("kept %s, %s with %s: %v %s", then, format, now, err, file.String())
					}
				}
			}
			// What is kept now is found by the address that somebody knows.
			k.Set(settings.SessionAddress, then)
			if found := k.list(t, trail.Filter{Address: whole}); then != settings.AddressNone && (len(found) != 1 || found[0].User != then) {
				t.Errorf("%s: found %+v", then, found)
			}
		}
	})
}
