package calls_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"ddpserver/internal/audit"
	"ddpserver/internal/dberr"
	"ddpserver/internal/testkit"
	"ddpserver/internal/trail"
)

// failing is the real store, which answers no more pages after some.
type failing struct {
	testkit.Store
	left atomic.Int64
}

func (f *failing) PageTrail(ctx context.Context, q trail.Query) (trail.Page, error) {
	if f.left.Add(-1) < 0 {
		return trail.Page{}, dberr.Unavailable
	}
	return f.Store.PageTrail(ctx, q)
}

// An export that the store does not let end is no whole file: the connection breaks
// off. One that cannot begin is refused like any other request.
func TestAnUnfinishedExportBreaksOff(t *testing.T) {
	store := &failing{Store: testkit.OpenStore(t)}
	a := testkit.NewAPI(t, testkit.Options{Store: store})
	a.Account("ada", "admin")
	ada := a.Login("ada")
	for range 1200 {
		a.Kept.Record(audit.Event{Act: "login", Outcome: "ok", User: ada.ID})
	}
	if err := a.FlushTrail(); err != nil {
		t.Fatal(err)
	}
	get := func(pages int64) (status int, lines int, err error) {
		t.Helper()
		store.left.Store(pages)
		req, err := http.NewRequest("GET", testkit.RootURL+"/api/v1/audit.export", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-User-Id", ada.ID)
		req.Header.Set("X-Auth-Token", ada.Token)
		answer, err := a.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		return answer.StatusCode, strings.Count(string(body), "\n"), err
	}
	if status, lines, err := get(10); status != 200 || lines < 1200 || err != nil {
		t.Errorf("the whole: %d, %d lines, %v", status, lines, err)
	}
	if status, lines, err := get(2); status != 200 || lines != 1000 || err == nil {
		t.Errorf("two pages of three: %d, %d lines, %v", status, lines, err)
	}
	if status, _, err := get(0); status != 500 || err != nil {
		t.Errorf("no page: %d, %v", status, err)
	}
}
