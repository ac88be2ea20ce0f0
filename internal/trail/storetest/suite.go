// Package storetest is the conformance suite of the trail's half of a store.
//
// It is test code: nothing of it is linked into the program.
package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/trail"
)

// epoch is when the events of tests begin. It lies far ahead, or a store that forgets
// by its own clock would forget what a test has written.
var epoch = time.Date(2126, 3, 4, 5, 6, 7, 0, time.UTC)

// Run runs the suite. Every group gets a fresh, empty store.
func Run(t *testing.T, fresh func(t testing.TB) trail.Store) {
	for _, p := range []struct {
		name string
		run  func(t *testing.T, s trail.Store)
	}{
		{"Queries", testQueries}, {"Cursors", testCursors}, {"Bounded", testBounded}, {"Again", testAgain}, {"Trim", testTrim}, {"Plain", testPlain},
	} {
		t.Run(p.name, func(t *testing.T) { p.run(t, fresh(t)) })
	}
}

// Events makes n events, oldest first, 100 ms apart: those of a server with a few
// accounts, two networks and some trouble. They are the same for the same n.
func Events(n int) []trail.Event {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	out := make([]trail.Event, n)
	for i := range out {
		at := epoch.Add(time.Duration(i) * 100 * time.Millisecond)
		e := trail.Event{
			ID: fmt.Sprintf("%s%06xabcdef0123", trail.Lowest(at), i), TS: at,
			Act: pick("login", "login", "login", "factor_check", "account_changed"), Outcome: pick("ok", "ok", "ok", "refused", "limited"),
			User: fmt.Sprint("user", r.IntN(50)), Door: pick("ddp", "rest"), Method: pick("login", "users.update"), Node: "n1", Conn: fmt.Sprintf("c%d", i/7),
			Address: fmt.Sprintf("%s.%d", pick("192.0.2", "192.0.20", "198.51.100"), r.IntN(20)), Agent: pick("Mozilla/5.0 (X11) Gecko", "curl/8", "Ünicode <b>"),
		}
		e.Subject = e.User
		if e.Act == "account_changed" {
			e.User, e.Subject = "root", e.User
			e.Target = e.Subject
		}
		e.Accounts = slices.Compact([]string{e.User, e.Subject})
		e.Text = trail.Fold(strings.Join([]string{e.Reason, e.Target, e.Method, e.Factor, e.Door, e.Agent, e.Conn, e.Node}, "\n"))
		out[i] = e
	}
	return out
}

// Queries are of every kind, and of several at once.
func Queries() []trail.Query {
	var all []trail.Query
	for _, account := range []string{"", "user7", "root", "nobody"} {
		for _, as := range []trail.Role{trail.Either, trail.Actor, trail.Subject} {
			for _, act := range []string{"", "login", "account_changed"} {
				for _, outcome := range []string{"", "refused"} {
					for _, address := range []string{"", "192.0.2.7", "192.0.2.*", "*"} {
						for _, text := range []string{"", "curl", "ünicode <B>"} {
							if account == "" && as != trail.Either {
								continue
							}
							prefix, isPrefix := strings.CutSuffix(address, "*")
							all = append(all, trail.Query{Account: account, As: as, Act: act, Outcome: outcome, Address: prefix, Prefix: isPrefix,
								Text: trail.Fold(text)})
						}
					}
				}
			}
		}
	}
	return all
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fill(t testing.TB, s trail.Store, events []trail.Event) {
	t.Helper()
	for part := range slices.Chunk(events, 200) {
		ok(t, s.AppendTrail(t.Context(), part))
	}
}

// want is what a query must find of events that stand oldest first.
func want(events []trail.Event, q trail.Query) (ids []string) {
	for _, e := range slices.Backward(events) {
		if q.Fit(&e) && e.ID >= q.Low && (q.High == "" || e.ID < q.High) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func ids(events []trail.Event) (out []string) {
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

// all reads every page of a query.
func all(t testing.TB, s trail.Store, q trail.Query) (found []string) {
	t.Helper()
	for range 10_000 {
		page, err := s.PageTrail(t.Context(), q)
		ok(t, err)
		if len(page.Events) > q.Limit {
			t.Fatalf("%+v: %d events on a page", q, len(page.Events))
		}
		found = append(found, ids(page.Events)...)
		if page.Next == "" {
			return found
		}
		if q.High != "" && page.Next >= q.High {
			t.Fatalf("%+v: the page ends at %s", q, page.Next)
		}
		q.High, q.Skip = page.Next, 0
	}
	t.Fatalf("%+v: the pages have no end", q)
	return nil
}

// Whatever is asked for, all pages together have just what fits, once and in order,
// and the count says how many that are.
func testQueries(t *testing.T, s trail.Store) {
	events := Events(300)
	fill(t, s, events)
	for i, q := range Queries() {
		q.Limit, q.Scan = 7+i%40, 1000
		if i%3 == 1 {
			q.Low, q.High = events[50].ID, events[250].ID
		}
		fit := want(events, q)
		if found := all(t, s, q); !slices.Equal(found, fit) {
			t.Errorf("%+v: found %d of %d", q, len(found), len(fit))
		}
		if q.Skip = 3; i%4 == 0 {
			if found := all(t, s, q); !slices.Equal(found, fit[min(3, len(fit)):]) {
				t.Errorf("%+v: found %d of %d behind the third", q, len(found), len(fit))
			}
		}
		if !q.Indexed() {
			continue
		}
		n, err := s.CountTrail(t.Context(), q, 1000)
		ok(t, err)
		few, err := s.CountTrail(t.Context(), q, 5)
		ok(t, err)
		if n != len(fit) || few != min(5, n) {
			t.Errorf("%+v: counted %d, up to five %d; there are %d", q, n, few, len(fit))
		}
	}
}

// Pages stay what they are while new events arrive.
func testCursors(t *testing.T, s trail.Store) {
	events := Events(60)
	fill(t, s, events[:40])
	q := trail.Query{Limit: 10, Scan: 100}
	first, err := s.PageTrail(t.Context(), q)
	ok(t, err)
	fill(t, s, events[40:])
	q.High = first.Next
	if got, fit := append(ids(first.Events), all(t, s, q)...), want(events[:40], trail.Query{}); !slices.Equal(got, fit) {
		t.Errorf("%d events over the pages, want %d", len(got), len(fit))
	}
}

// A page looks at no more events than it may, and says where it stopped.
func testBounded(t *testing.T, s trail.Store) {
	events := Events(700)
	events[3].Text += "\nneedle"
	events[3].Agent = "needle"
	fill(t, s, events)
	q := trail.Query{Text: "needle", Limit: 5, Scan: 200}
	page, err := s.PageTrail(t.Context(), q)
	ok(t, err)
	if len(page.Events) != 0 || page.Next == "" {
		t.Fatalf("%+v", page)
	}
	if behind := len(want(events, trail.Query{Low: page.Next})); behind < 190 || behind > 210 {
		t.Errorf("the first page looked at %d events", behind)
	}
	if found := all(t, s, q); !slices.Equal(found, []string{events[3].ID}) {
		t.Errorf("found %v", found)
	}
}

// A batch of unknown outcome is written again.
func testAgain(t *testing.T, s trail.Store) {
	events := Events(30)
	fill(t, s, events[:20])
	fill(t, s, events[10:])
	if found := all(t, s, trail.Query{Limit: 100, Scan: 100}); !slices.Equal(found, want(events, trail.Query{})) {
		t.Errorf("%d events", len(found))
	}
	q := trail.Query{Account: events[15].Subject, Limit: 100, Scan: 100}
	if found := all(t, s, q); len(found) != len(want(events, q)) {
		t.Errorf("%d events of one account", len(found))
	}
}

// The oldest go first, those before a time and those beyond a number, in small steps,
// and nothing of them is found any more.
func testTrim(t *testing.T, s trail.Store) {
	events := Events(300)
	fill(t, s, events)
	trim := func(before time.Time, most, step, removed int) {
		t.Helper()
		n, err := s.TrimTrail(t.Context(), before, most, step)
		ok(t, err)
		if n != removed {
			t.Errorf("%d removed, want %d", n, removed)
		}
	}
	trim(epoch, 300, 50, 0)
	trim(events[70].TS, 300, 50, 50)
	trim(events[70].TS, 300, 50, 20)
	trim(events[70].TS, 300, 50, 0)
	trim(epoch, 200, 50, 30)
	trim(epoch, 200, 50, 0)
	left := events[100:]
	for _, q := range []trail.Query{{}, {Account: "root"}, {Account: "user7"}, {Act: "login"}, {Outcome: "ok"}, {Address: left[0].Address}, {Text: "curl"}} {
		q.Limit, q.Scan = 1000, 1000
		if found := all(t, s, q); !slices.Equal(found, want(left, q)) {
			t.Errorf("%+v: %d found, %d are left", q, len(found), len(want(left, q)))
		}
	}
	trim(events[299].TS.Add(time.Hour), 300, 500, 200)
	if found := all(t, s, trail.Query{Limit: 10, Scan: 10}); len(found) != 0 {
		t.Errorf("%d are left", len(found))
	}
}

// Texts of strangers are kept as they are and mean nothing in a query.
func testPlain(t *testing.T, s trail.Store) {
	e := Events(1)[0]
	hostile := "'; DROP TABLE audit; -- $where \x00\x1b[31m\u2028 %_\\ {\"$ne\":1} <script>"
	e.Agent, e.Target, e.User, e.Address = hostile, "$x", "$ne", hostile
	e.Accounts = []string{"$ne", e.Subject}
	e.Text = trail.Fold(hostile)
	fill(t, s, []trail.Event{e})
	for q, found := range map[trail.Query]bool{
		{Text: trail.Fold("drop TABLE")}: true, {Text: "%"}: true, {Text: "t%b"}: false, {Text: "_\\"}: true, {Account: "$ne"}: true, {Address: hostile}: true,
		{Address: "'; ", Prefix: true}: true, {Address: "%", Prefix: true}: false, {Act: "$ne"}: false, {Act: "log%"}: false,
	} {
		q.Limit, q.Scan = 5, 5
		page, err := s.PageTrail(t.Context(), q)
		ok(t, err)
		if (len(page.Events) == 1) != found {
			t.Errorf("%+v: %d events", q, len(page.Events))
		}
		if found && (page.Events[0].Agent != hostile || !page.Events[0].TS.Equal(e.TS)) {
			t.Errorf("%+v", page.Events[0])
		}
	}
}
