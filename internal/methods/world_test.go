package methods_test

import (
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"ddpserver/internal/feed"
	"ddpserver/internal/methods"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a whole server without sockets and mail, in fake time. Every group of
// methods tests itself in one.
type world struct{ *testkit.World }

type (
	client  = testkit.Client
	frame   = testkit.Frame
	failure = testkit.Failure
)

// bubble runs f in fake time with a world of its own. extra groups and factors are
// served beside those of the server.
func bubble(t *testing.T, f func(t *testing.T, w *world), extra ...any) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t, extra...)) })
}

// newWorld makes a server of its own.
func newWorld(t testing.TB, extra ...any) *world {
	t.Helper()
	return newNode(t, "n1", nil, nil, nil, extra...)
}

// newNode makes one server of several on one database. Its nodes share the key,
// and hear of each other through events, which is nil for a server on its own.
func newNode(t testing.TB, node string, db testkit.Store, rawKey []byte, events feed.Store, extra ...any) *world {
	t.Helper()
	o := testkit.Options{Node: node, RawKey: rawKey, Events: events,
		Routes: []methods.RouteName{{Verb: "POST", Path: "test.route", Actions: []string{"test:echo"}}}}
	if db != nil {
		o.Store = db
	}
	for _, e := range extra {
		switch e := e.(type) {
		case methods.Group:
			o.Groups = append(o.Groups, e)
		case twofactor.Factor:
			o.Factors = append(o.Factors, e)
		default:
			t.Fatalf("nobody serves a %T", e)
		}
	}
	return &world{testkit.NewWorld(t, o)}
}

// play plays the conversations that fit the pattern.
func play(t *testing.T, pattern string) { t.Helper(); testkit.Play(t, pattern, nil) }
