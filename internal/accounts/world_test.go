package accounts_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/storetest"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Service over a real embedded store, with everything that leaves it recorded.
type world struct {
	*accounts.Service
	ground *testkit.Ground
	t      testing.TB
	store  store.Store
	set    *settings.Service
	peer   *rpc.Peer
	pw     *accounts.Passwords
	// factors hears of changed passwords and addresses.
	factors forgetful
	// follower is that of Services made from here on; nil is none.
	follower accounts.Follower

	mu    sync.Mutex
	clock time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldWithCost(t, bcrypt.MinCost)
}

func newWorldWithCost(t testing.TB, cost int) *world {
	t.Helper()
	return newWorldOn(t, cost, storetest.OpenSQLite(t))
}

func newWorldOn(t testing.TB, cost int, st store.Store) *world {
	t.Helper()
	w := &world{
		t: t, store: st, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		peer: &rpc.Peer{Conn: "c1", Door: rpc.DDP, Address: "192.0.2.1", UserAgent: "test"},
	}
	w.ground = testkit.NewGround(t, testkit.Options{Store: st, Now: w.now, Cost: cost})
	w.set = w.ground.Settings
	w.Service, w.pw = w.nodeAndPasswords(w.store)
	return w
}

// node makes another Service on the same database, as a restart or another node does.
func (w *world) node(st accounts.Store, change ...func(*accounts.Options)) *accounts.Service {
	w.t.Helper()
	s, _ := w.nodeAndPasswords(st, change...)
	return s
}

func (w *world) nodeAndPasswords(st accounts.Store, change ...func(*accounts.Options)) (*accounts.Service, *accounts.Passwords) {
	w.t.Helper()
	pw := w.passwords(st)
	own := func(o *accounts.Options) {
		o.Store, o.Factors, o.Follower, o.RootURL = st, &w.factors, w.follower, testkit.RootURL+"/"
	}
	return w.ground.NewAccounts(pw, append([]func(*accounts.Options){own}, change...)...), pw
}

// passwords makes what hashes and knows sources, for another Service.
func (w *world) passwords(st accounts.PasswordStore) *accounts.Passwords {
	w.t.Helper()
	return w.ground.NewPasswords(func(o *accounts.PasswordOptions) { o.Store = st })
}

// enrol switches the account's authenticator app on.
func (w *world) enrol(id string) {
	w.t.Helper()
	storetest.GiveTOTP(w.t, w.store, id, "sealed", w.now())
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// set changes settings.
func (w *world) with(pairs ...any) {
	w.t.Helper()
	var list []settings.Change
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, settings.Change{ID: pairs[i].(string), Value: pairs[i+1]})
	}
	if _, err := w.set.Save(w.t.Context(), list); err != nil {
		w.t.Fatal(err)
	}
}

// settle waits for mails that are written in the background.
func (w *world) settle() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Run(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// mailed takes the mails sent since the last call.
func (w *world) mailed() []accounts.Message {
	w.settle()
	return w.ground.Mails.Take()
}

// linkToken takes the token out of the newest mail with that template.
func (w *world) linkToken(template string) string {
	w.t.Helper()
	for _, m := range slices.Backward(w.mailed()) {
		if m.Template == template {
			url := m.Data["url"]
			return url[strings.LastIndexByte(url, '/')+1:]
		}
	}
	w.t.Fatalf("no mail %q", template)
	return ""
}

// alive tells whether the newest news about an account's tokens still names this one.
func (w *world) alive(userID, hash string) bool {
	for _, e := range slices.Backward(w.ground.News.All()) {
		if news, err := user.Changed.Payload(e); err == nil && e.Key == userID && news.Ended != nil {
			return news.Ended.Kept && !news.Ended.Has(hash)
		}
	}
	return true
}

func (w *world) lastAudit(act string) audit.Event { return w.ground.Trail.Last(act) }

func (w *world) user(id string) *user.User {
	w.t.Helper()
	u, err := w.store.UserByID(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// add registers an account with the password "secret".
func (w *world) add(username, email string) *user.User {
	w.t.Helper()
	u, err := w.Register(w.t.Context(), w.peer, accounts.Registration{Username: username, Email: email, Password: plain(w.t, "secret")})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// login is a whole login without a second factor.
func (w *world) login(u *user.User) accounts.Issued {
	w.t.Helper()
	got, err := w.IssueToken(w.t.Context(), w.peer, w.user(u.ID), "password")
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *world) try(name, password string) error {
	w.t.Helper()
	_, err := w.Authenticate(w.t.Context(), w.peer, accounts.Selector{Username: name}, plain(w.t, password))
	return err
}

func (w *world) from(address string) *rpc.Peer {
	p := *w.peer
	p.Address = address
	return &p
}

func plain(t testing.TB, s string) accounts.Password {
	t.Helper()
	p, err := accounts.Plain(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// hashOf is a stored password hash with the given cost and version letter.
func hashOf(t testing.TB, password string, cost int, version byte) string {
	t.Helper()
	b, err := bcrypt.GenerateFromPassword([]byte(digest(password)), cost)
	if err != nil {
		t.Fatal(err)
	}
	b[2] = version
	return string(b)
}

// patch changes an account behind the Service's back.
func (w *world) patch(id string, c user.Change) *user.User {
	w.t.Helper()
	c.At = w.now()
	u, err := w.store.UpdateUser(w.t.Context(), id, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func ptr[T any](v T) *T { return &v }
