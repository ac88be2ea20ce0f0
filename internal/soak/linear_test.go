package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"ddpserver/internal/audit"
	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// world is two services on one store, as two nodes have them, with a clock that
// jumps when the test says so. Nothing of it is a stand-in for what is tested:
// stores, services and settings are the real ones.
type world struct {
	grounds [2]*testkit.Ground
	nodes   [2]*twofactor.Service
	store   store.Store
	ahead   atomic.Int64 // of the real clock, nanoseconds
}

// set changes a setting on both nodes.
func (w *world) set(id string, v any) {
	for _, g := range w.grounds {
		g.Set(id, v)
	}
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// deps is what is outside the service: it notes codes for whoever asked, and keeps
// nothing of millions of calls.
type deps struct{}

type codeKey struct{}

func (deps) SendCode(ctx context.Context, m twofactor.CodeMail) error {
	if p, ok := ctx.Value(codeKey{}).(*string); ok {
		*p = m.Code.Reveal()
	}
	return nil
}
func (deps) SendNotice(context.Context, twofactor.Notice) error { return nil }
func (deps) VerifyPassword(context.Context, *user.User, string) (bool, error) {
	return false, errors.New("no passwords here")
}
func (deps) Publish(feed.Event) {}
func (deps) Record(audit.Event) {}

func newWorld(t *testing.T, stores ...store.Store) *world {
	t.Helper()
	w := &world{store: stores[0]}
	key := secret.Generate()
	for i := range w.nodes {
		// Settings keep real time.
		w.grounds[i] = testkit.NewGround(t, testkit.Options{Store: stores[i%len(stores)], RawKey: key})
		w.nodes[i] = w.grounds[i].NewFactors(func(o *twofactor.Options) {
			o.Mailer, o.Passwords, o.Feed, o.Audit, o.Now = deps{}, deps{}, deps{}, deps{}, w.now
		})
		t.Cleanup(w.nodes[i].Close)
	}
	for id, v := range map[string]any{settings.TwoFactorWrongPerHour: 100, settings.TwoFactorMailsPerHour: 100, settings.TwoFactorMailsPerAddress: 10000,
		settings.TwoFactorRememberFor: 0} {
		w.set(id, v)
	}
	return w
}

// do is one operation of a client: "send", "submit" with a code, or "jump", after
// which every code is dead.
type do struct {
	op   string
	code string
}

// mailState is what a sequential server would know: the live codes, and how many
// answers were counted against them.
type mailState struct {
	live  string // codes, sorted
	tries int
}

// mailModel accepts what a correct server may do. A refusal of a good code is
// always allowed (who lost a race is refused) and counts as an answer; success
// needs a code that is alive at that moment, in a set with answers left, and ends
// the set. So a code that is good twice, after its end, after five answers or
// after another code's success has no place in any order.
var mailModel = porcupine.Model{
	Init: func() any { return mailState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(mailState), input.(do), output.(string)
		switch in.op {
		case "send":
			if out == "" {
				return true, s
			}
			codes := append(strings.Fields(s.live), out)
			slices.Sort(codes) // equal sets are equal states: fewer of them to look at
			s.live = strings.Join(codes, " ")
			return true, s
		case "jump":
			return true, mailState{}
		}
		if out == "ok" {
			return slices.Contains(strings.Fields(s.live), in.code), mailState{}
		}
		if s.live != "" {
			s.tries++
		}
		if s.tries >= 5 {
			s = mailState{}
		}
		return true, s
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " → ", output) },
}

// TestSoakLinearizable (docs/security-tests.md S107): clients on two nodes ask for codes, answer
// right and wrong and let time jump past the codes' end; the history of each round
// must be one that a single, sequential server could have had.
func TestSoakLinearizable(t *testing.T) {
	together(t)
	t.Run("sqlite", func(t *testing.T) {
		st, err := sqlite.Open(t.TempDir(), sqlite.Options{Server: true})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		histories(t, newWorld(t, st))
	})
	t.Run("mongo", func(t *testing.T) {
		uri := mongotest.Start(t)
		var both []store.Store
		for range 2 {
			st, err := mongo.Open(t.Context(), uri, mongo.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			both = append(both, st)
		}
		histories(t, newWorld(t, both...))
	})
}

func histories(t *testing.T, w *world) {
	chance := dice(t)
	n, operations, good, unknown := rounds(10, 400), 0, 0, 0
	for round := range n {
		a, err := addUser(t.Context(), w.store, fmt.Sprint("u", round, "x", random.ID()[:4]), withEmail)
		if err != nil {
			t.Fatal(err)
		}
		u, err := w.store.UserByID(t.Context(), a.id)
		if err != nil {
			t.Fatal(err)
		}
		h := w.history(t, u, chance, 10, 4)
		for _, o := range h {
			if o.Output == "ok" {
				good++
			}
		}
		operations += len(h)
		switch porcupine.CheckOperationsTimeout(mailModel, h, patience) {
		case porcupine.Illegal:
			for _, o := range h {
				t.Logf("%d–%d client %d: %v → %v", o.Call, o.Return, o.ClientId, o.Input, o.Output)
			}
			t.Fatalf("round %d has no sequential order", round)
		case porcupine.Unknown:
			unknown++
		}
	}
	if good == 0 {
		t.Error("no code was ever good: the histories say nothing")
	}
	if unknown > n/10 {
		t.Errorf("%d of %d histories could not be decided in time", unknown, n)
	}
	t.Logf("%d histories, %d operations of 10 clients on two nodes, %d good answers: linearizable (%d undecided)", n, operations, good, unknown)
}

// history lets clients work at once and writes down what they did and saw.
func (w *world) history(t *testing.T, u *user.User, chance *rand.Rand, clients, each int) []porcupine.Operation {
	var (
		mu    sync.Mutex
		known []string
		h     []porcupine.Operation
		wg    sync.WaitGroup
		begin = time.Now()
		gate  = make(chan struct{})
	)
	for client := range clients {
		roll := rand.New(rand.NewPCG(chance.Uint64(), chance.Uint64()))
		wg.Go(func() {
			<-gate
			for range each {
				mu.Lock()
				in := do{op: "submit", code: random.Digits(6)}
				switch n := roll.IntN(40); {
				case n < 14 || len(known) == 0:
					in = do{op: "send"}
				case n == 14:
					in = do{op: "jump"}
				case n < 38:
					in.code = known[max(0, len(known)-1-roll.IntN(2))]
				}
				mu.Unlock()
				o := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(begin))}
				o.Output = w.play(t, u, in, client%2)
				o.Return = int64(time.Since(begin))
				mu.Lock()
				h = append(h, o)
				if out := o.Output.(string); in.op == "send" && out != "" {
					known = append(known, out)
				}
				mu.Unlock()
			}
		})
	}
	close(gate)
	wg.Wait()
	return h
}

func (w *world) play(t *testing.T, u *user.User, in do, node int) string {
	svc := w.nodes[node]
	switch in.op {
	case "jump":
		w.ahead.Add(int64(601 * time.Second))
		return ""
	case "send":
		var got string
		_, err := svc.SendCode(context.WithValue(t.Context(), codeKey{}, &got), twofactor.Request{User: u}, u.Username)
		if err != nil {
			if _, ok := fault.From(err); !ok {
				t.Errorf("send: %v", err)
			}
		}
		return got
	}
	// A refused answer may mail a new code, which nobody here learns: see Prepare.
	err := svc.Check(t.Context(), twofactor.Request{User: u, Policy: twofactor.Fresh, Proof: rpc.TextProof("email", in.code)})
	if err == nil {
		return "ok"
	}
	if _, ok := fault.From(err); !ok {
		t.Errorf("submit: %v", err)
	}
	return "refused"
}

// The check must be able to fail: histories that no correct server has.
func TestModelRefuses(t *testing.T) {
	at := func(n int64, in do, out string) porcupine.Operation {
		return porcupine.Operation{ClientId: int(n), Input: in, Output: out, Call: 10 * n, Return: 10*n + 5}
	}
	send, jump := do{op: "send"}, do{op: "jump"}
	right, wrong := do{op: "submit", code: "111111"}, do{op: "submit", code: "222222"}
	for name, h := range map[string][]porcupine.Operation{
		"good twice":         {at(0, send, "111111"), at(1, right, "ok"), at(2, right, "ok")},
		"good after its end": {at(0, send, "111111"), at(1, jump, ""), at(2, right, "ok")},
		"another's success":  {at(0, send, "111111"), at(1, send, "222222"), at(2, wrong, "ok"), at(3, right, "ok")},
		"never sent":         {at(0, send, "111111"), at(1, wrong, "ok")},
		"after five mistakes": {at(0, send, "111111"), at(1, wrong, "refused"), at(2, wrong, "refused"), at(3, wrong, "refused"), at(4, wrong, "refused"),
			at(5, wrong, "refused"), at(6, right, "ok")},
	} {
		if porcupine.CheckOperations(mailModel, h) {
			t.Errorf("%s was accepted", name)
		}
	}
	if !porcupine.CheckOperations(mailModel, []porcupine.Operation{at(0, send, "111111"), at(1, wrong, "refused"), at(2, right, "ok"), at(3, right, "refused")}) {
		t.Error("a correct history was refused")
	}
}
