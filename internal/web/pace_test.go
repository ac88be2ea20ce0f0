package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// Many requests on one connection take turns; other connections, and the same one
// after a while, do not.
func TestManyRequestsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, ended := 0, 0
		s := New(Options{Mounts: []Mount{{Path: "/x", Handler: echo("x")}}, Turn: func() func() {
			began++
			return func() { ended++ }
		}})
		ask := func(n int, r *http.Request) {
			for range n {
				s.ServeHTTP(httptest.NewRecorder(), r)
			}
		}
		on := func() *http.Request {
			r := httptest.NewRequest("GET", "/x", nil)
			return r.WithContext(withPace(r.Context(), nil))
		}
		one := on()
		ask(ordinary, one)
		ask(ordinary, on())
		if began != 0 {
			t.Error("an ordinary client had to wait for its turn")
		}
		ask(3, one)
		if began != 3 || ended != 3 {
			t.Errorf("%d turns, %d ended", began, ended)
		}
		time.Sleep(paceTime + 1)
		ask(ordinary, one)
		if began != 3 {
			t.Error("turns went on after a pause")
		}
	})
}
