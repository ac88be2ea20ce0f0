package rest_test

import (
	"io"
	"strings"
	"testing"

	"ddpserver/internal/testkit"
)

// world is the REST door on real services and a real store, which checks every
// answer against the published document.
type (
	world  = testkit.API
	client = testkit.Caller
	answer = testkit.Answer
)

// newWorld makes a world with forced settings, which may be nil.
func newWorld(t testing.TB, overrides map[string]string) *world {
	t.Helper()
	return testkit.NewAPI(t, testkit.Options{Overrides: overrides})
}

// atLeast is how much of something a test must find: in the whole server, or in
// one without rooms.
func atLeast(whole, core int) int {
	if testkit.WithRooms {
		return whole
	}
	return core
}

// lobby makes a channel of the client's and gives its id; without rooms it is that
// of none.
func lobby(c *client) string {
	if !testkit.WithRooms {
		return "lobby"
	}
	return c.OK("POST", "channels.create", map[string]any{"name": "lobby"}).Doc("channel")["_id"].(string)
}

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
