package calls_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/audit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testkit"
	"ddpserver/internal/trail"
	"ddpserver/internal/user"
)

// paging is the real store; a test may take a step of its own once a page was read.
type paging struct {
	testkit.Store
	then func()
}

func (p *paging) PageTrail(ctx context.Context, q trail.Query) (trail.Page, error) {
	page, err := p.Store.PageTrail(ctx, q)
	if then := p.then; then != nil {
		p.then = nil
		then()
	}
	return page, err
}

// A23: a file that is being answered breaks off once its reader may not have it any
// more: every route that answers files × every way of losing the right to.
func TestA23FilesEndWithTheRightToThem(t *testing.T) {
	store := &paging{Store: testkit.OpenStore(t)}
	a := testkit.NewAPI(t, testkit.Options{Store: store})
	a.Unlimited()
	a.Account("root", "admin")
	for range 1700 {
		a.Kept.Record(audit.Event{Act: "login", Outcome: "ok", User: "nobody"})
	}
	if err := a.FlushTrail(); err != nil {
		t.Fatal(err)
	}
	ctx, off := t.Context(), false
	change := func(c accounts.UserChange) func(*testkit.Caller) error {
		return func(who *testkit.Caller) error {
			_, err := a.Accounts.UpdateUser(ctx, &rpc.Peer{}, root(t, a), who.ID, c)
			return err
		}
	}
	losses := map[string]func(who *testkit.Caller) error{
		"role":        change(accounts.UserChange{Roles: &[]string{"user"}}),
		"deactivated": change(accounts.UserChange{Active: &off}),
		"deleted":     func(who *testkit.Caller) error { return a.Accounts.DeleteUser(ctx, &rpc.Peer{}, root(t, a), who.ID) },
		"logged out": func(who *testkit.Caller) error {
			return a.Accounts.Logout(ctx, &rpc.Peer{}, rpc.Login{UserID: who.ID, Token: accounts.HashToken(who.Token)})
		},
		"": func(*testkit.Caller) error { return nil },
	}
	files := 0
	for _, rt := range a.REST.Routes() {
		if len(rt.Files) == 0 {
			continue
		}
		files++
		for name, lose := range losses {
			named := "eve" + strings.ReplaceAll(name, " ", "")
			a.Account(named, "admin")
			who := a.Login(named)
			store.then = func() {
				if err := lose(who); err != nil {
					t.Error(name, err)
				}
			}
			lines, err := download(t, who, rt.Verb, rt.Path)
			switch {
			case name == "" && (err != nil || lines < 1700):
				t.Errorf("%s, nothing lost: %d lines, %v", rt.Path, lines, err)
			case name != "" && (err == nil || lines > 500):
				t.Errorf("%s, %s: %d lines, %v", rt.Path, name, lines, err)
			}
		}
	}
	if files == 0 {
		t.Error("no route answers files")
	}
}

// root is the account of an administrator as it is now.
func root(t *testing.T, a *testkit.API) *user.User {
	t.Helper()
	u, err := a.Accounts.Named(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// download reads a file, and counts the lines that came.
func download(t *testing.T, who *testkit.Caller, verb, path string) (lines int, err error) {
	t.Helper()
	req, err := http.NewRequest(verb, testkit.RootURL+"/api/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-User-Id", who.ID)
	req.Header.Set("X-Auth-Token", who.Token)
	answer, err := who.API.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != 200 {
		t.Errorf("%s: %d", path, answer.StatusCode)
	}
	body, err := io.ReadAll(answer.Body)
	return strings.Count(string(body), "\n"), err
}
