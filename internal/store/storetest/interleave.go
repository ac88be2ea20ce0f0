package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// operation is one change of the account, guard and tries with the id of the test.
type operation struct {
	name string
	run  func(context.Context, rule.Operations) error
}

// testInterleavings: two changes of one document from two connections have an
// outcome that they could have had one after the other. Where the database is
// shared, both have read the document before either writes.
func testInterleavings(t *testing.T, db Database) {
	one := open(t, db)
	two := one
	if db.Shared() {
		two = open(t, db)
	}
	create(t, one, "root", asAdmin) // so that the others may lose that role
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		id := fmt.Sprint("u", n)
		u := genUser(id).Draw(rt, "user")
		ok(t, one.CreateUser(t.Context(), u))
		defer func() { ok(t, one.DeleteUser(t.Context(), id, true)) }()
		begin := &model{user: get(t, one, id), guard: twofactor.Guard{UserID: id}, tries: accounts.Tries{Key: accounts.TriesKey(id)}}
		for range rapid.IntRange(0, 3).Draw(rt, "mail codes") { // so that there is a guard to change
			op := genOperation(begin.user).Draw(rt, "before")
			if next, err := begin.after(t, op), op.run(t.Context(), rule.On(one.(rule.Engine))); outcome(err) == outcome(next.errs[0]) {
				begin = next.fresh()
			} else {
				rt.Fatalf("%s: %v, want %v", op.name, err, next.errs[0])
			}
		}
		a, b := genOperation(begin.user).Draw(rt, "a"), genOperation(begin.user).Draw(rt, "b")
		errs := together(t, db.Shared(), one, two, a, b)
		now := begin.stored(t, one, id)
		now.errs = errs[:]
		ab, ba := begin.after(t, a).after(t, b), begin.after(t, b).after(t, a)
		ba.errs[0], ba.errs[1] = ba.errs[1], ba.errs[0]
		if now.view(t) != ab.view(t) && now.view(t) != ba.view(t) {
			rt.Fatalf("%s and %s at once were\n%s\none after the other (-want +got):\n%s\nor the other way round:\n%s", a.name, b.name, now.view(t),
				cmp.Diff(ab.view(t), now.view(t)), cmp.Diff(ba.view(t), now.view(t)))
		}
	})
}

// together runs two operations at once, each on its own connection.
func together(t testing.TB, meet bool, one, two Core, a, b operation) (errs [2]error) {
	gates := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	var wg sync.WaitGroup
	for i, op := range []operation{a, b} {
		var once sync.Once
		here := func() { once.Do(func() { close(gates[i]) }) }
		engine := &between{Engine: []Core{one, two}[i].(rule.Engine), then: func() {
			here()
			if meet {
				<-gates[1-i]
			}
		}}
		wg.Go(func() {
			defer here()
			errs[i] = op.run(t.Context(), rule.On(engine))
		})
	}
	wg.Wait()
	return errs
}

// between is an engine that calls then after a rule has run for the first time, and
// before what it made is written.
type between struct {
	rule.Engine
	once sync.Once
	then func()
}

func interrupt[T any](b *between, do func(*T) error) func(*T) error {
	return func(v *T) error {
		err := do(v)
		b.once.Do(b.then)
		return err
	}
}

func (b *between) ChangeUser(ctx context.Context, id string, do func(*user.User) error) (*user.User, error) {
	return b.Engine.ChangeUser(ctx, id, interrupt(b, do))
}

func (b *between) ChangeGuard(ctx context.Context, id string, do func(*twofactor.Guard) error) error {
	return b.Engine.ChangeGuard(ctx, id, interrupt(b, do))
}

func (b *between) ChangeTries(ctx context.Context, key string, do func(*accounts.Tries) error) error {
	return b.Engine.ChangeTries(ctx, key, interrupt(b, do))
}

// model is what is stored, as values, and the engine that defines what an operation
// is to do.
type model struct {
	rule.Engine

	user  *user.User
	guard twofactor.Guard
	tries accounts.Tries
	errs  []error
}

// changed runs do on a copy of a value and returns it as a store would read it.
func changed[T any](v *T, do func(*T) error) (T, error) {
	var next T
	raw, err := document.Encode(v)
	if err == nil {
		err = document.Decode(raw, &next)
	}
	if err == nil {
		err = do(&next)
	}
	if err == nil {
		raw, err = document.Encode(&next)
	}
	if err != nil {
		return *v, err
	}
	var out T
	return out, document.Decode(raw, &out)
}

func (m *model) ChangeUser(_ context.Context, _ string, do func(*user.User) error) (*user.User, error) {
	before := m.user
	after := before.Clone()
	if err := do(after); err != nil {
		return nil, err
	}
	rule.Keys(before, after)
	m.user = after
	return after, nil
}

func (m *model) ChangeGuard(_ context.Context, _ string, do func(*twofactor.Guard) error) (err error) {
	m.guard, err = changed(&m.guard, do)
	return err
}

func (m *model) ChangeTries(_ context.Context, _ string, do func(*accounts.Tries) error) (err error) {
	m.tries, err = changed(&m.tries, do)
	return err
}

// after is the model after one more operation.
func (m *model) after(t testing.TB, op operation) *model {
	next := m.fresh()
	next.errs = append(append([]error(nil), m.errs...), op.run(t.Context(), rule.On(next)))
	return next
}

// fresh is the model without the outcomes so far.
func (m *model) fresh() *model {
	return &model{user: m.user.Clone(), guard: m.guard, tries: m.tries}
}

// stored reads what is there now.
func (m *model) stored(t testing.TB, s Core, id string) *model {
	t.Helper()
	return &model{user: get(t, s, id), guard: guard(t, s, id), tries: must[accounts.Tries](t)(s.Tries(t.Context(), accounts.TriesKey(id)))}
}

// view is a model as a text that is equal for models that mean the same. The ids of
// counts are random.
func (m *model) view(t testing.TB) string {
	g := m.guard
	g.Recent = append([]twofactor.Count(nil), g.Recent...)
	for i := range g.Recent {
		g.Recent[i].ID = ""
	}
	return fmt.Sprintf("%v %v\n%v\n%v\n%v", outcome(m.errs[0]), outcome(m.errs[1]), canon(t, m.user), canon(t, &g), canon(t, &m.tries))
}

// outcome reduces an error to what it means.
func outcome(err error) error {
	for _, known := range []error{dberr.NotFound, dberr.Conflict, dberr.Exhausted} {
		if errors.Is(err, known) {
			return known
		}
	}
	return err
}

func genUser(id string) *rapid.Generator[*user.User] {
	return rapid.Custom(func(t *rapid.T) *user.User {
		u := &user.User{ID: id, CreatedAt: epoch, Username: id, Emails: genEmails(id).Draw(t, "emails")}
		u.Services.Resume = &user.Resume{LoginTokens: rapid.SliceOfN(genToken(), 0, 3).Draw(t, "tokens")}
		u.Services.Password = &user.Password{Bcrypt: genBcrypt().Draw(t, "bcrypt"), Reset: rapid.Ptr(genReset(), true).Draw(t, "reset")}
		switch rapid.IntRange(0, 3).Draw(t, "app") {
		case 0:
			u.Services.TOTP = &user.TOTP{TempSecret: "pending", TempAt: epoch, TempTries: 1, TempBound: u.ProofState("h1")}
		case 1, 2:
			u.Services.TOTP = &user.TOTP{Enabled: true, Secret: "s", LastStep: 2, HashedBackup: []string{"b1", "b2"}}
			if rapid.Bool().Draw(t, "reset due") {
				u.Services.TOTP.ResetDue = epoch.Add(time.Hour)
			}
		}
		if rapid.Bool().Draw(t, "passkey") {
			user.AddPasskey(key("k", 0), "handle_of_"+id, epoch)(&u.Services)
			if rapid.Bool().Draw(t, "passkeys due") {
				u.Services.WebAuthn.ResetDue = epoch.Add(time.Hour)
			}
		}
		return u
	})
}

// drawn is what operations are made of: few values, so that they meet.
type drawn struct {
	id, token, code string
	state           string // the ProofState of h1 when the operations were drawn
	factor, mark    string // one of user.Resets, and its ResetMark then
	step            int64
	at              time.Time
	change          user.Change
}

// operations lists every operation on one document, by the file of its other tests.
var operations = []func(d drawn) []operation{userOperations, factorOperations, resetOperations, guardOperations, mailCodeOperations, triesOperations}

// genOperation draws an operation that makes sense for an account like u.
func genOperation(u *user.User) *rapid.Generator[operation] {
	return rapid.Custom(func(t *rapid.T) operation {
		d := drawn{id: u.ID, state: u.ProofState("h1"), change: genChange(u.ID).Draw(t, "change")}
		d.change.Username, d.change.Emails = nil, nil // names are for others to race for
		d.factor = rapid.SampledFrom(user.Resets).Draw(t, "factor")
		d.mark = u.ResetMark(d.factor)
		d.token, d.step = rapid.SampledFrom(tokenHashes).Draw(t, "token"), rapid.Int64Range(0, 5).Draw(t, "step")
		d.code, d.at = rapid.SampledFrom([]string{"b1", "b2"}).Draw(t, "code"), epoch.Add(time.Duration(d.step)*time.Minute)
		var all []operation
		for _, of := range operations {
			all = append(all, of(d)...)
		}
		return rapid.SampledFrom(all).Draw(t, "operation")
	})
}
