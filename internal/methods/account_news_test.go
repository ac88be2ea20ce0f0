package methods_test

import (
	"strings"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/feed"
	"ddpserver/internal/user"
)

// When a call is answered that ended login tokens, their sessions are closed; and
// what it changed of the own account was sent before the answer.
func TestNewsOfAnAccountComesBeforeTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		call   string
		params []any
		shows  string // in the change of the own document
	}{
		"other sessions end": {call: "removeOtherTokens"},
		"a factor goes on":   {call: "2fa:enable-email", shows: `"email2fa":{"enabled":true}`},
		"a new name":         {call: "saveUserProfile", params: []any{map[string]any{"realname": "Countess"}}, shows: `"name":"Countess"`},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.Unlimited()
				ada := w.User("ada", "verified")
				actor := w.As("ada")
				others := []*client{w.As("ada"), w.As("ada")}
				seen := len(actor.Other)
				if _, fail := actor.Call(c.call, c.params...); fail != nil {
					t.Fatal(fail.Code(), fail.Reason)
				}
				answered := time.Now()
				u, err := w.Store.UserByID(t.Context(), ada.ID)
				if err != nil {
					t.Fatal(err)
				}
				for _, other := range others {
					if u.LoginToken(accounts.HashToken(other.Token)) == nil && (!other.Closed(time.Second) || time.Now() != answered) {
						t.Error("a session with a dead token was open when the answer came")
					}
				}
				told := ""
				for _, f := range actor.Other[seen:] {
					if f.Msg == "changed" && strings.Contains(f.Text, `"collection":"users"`) {
						told += f.Text
					}
				}
				if !strings.Contains(told, c.shows) {
					t.Errorf("before the answer came %q", told)
				}
			})
		})
	}
}

// A node of an older version tells of dead tokens in a way that this version cannot
// read. It reads the account instead, within two seconds.
func TestTokensRevokedByAnOlderVersion(t *testing.T) {
	pair(t, func(t *testing.T, n1, n2 *world, _ *cable) {
		ada := n1.User("ada")
		c := n2.As("ada")
		time.Sleep(2 * time.Second) // until the news of all this has been everywhere
		if _, err := n1.Store.UpdateUser(t.Context(), ada.ID, user.Change{RemoveTokens: true, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := n1.Store.AppendEvents(t.Context(), []feed.Event{
			{ID: "old", Node: "older", Kind: "tokens-revoked", Key: ada.ID, At: time.Now()},
		}); err != nil {
			t.Fatal(err)
		}
		if !c.Closed(2 * time.Second) {
			t.Error("the connection is open")
		}
		if n := n2.Logs.FilterMessage("event_not_readable").Len(); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
	})
}

// The news of ended tokens may reach another node after somebody logged in there
// with a new one: that connection stays.
func TestLoginBeforeTheNewsOfEndedTokens(t *testing.T) {
	pair(t, func(t *testing.T, n1, n2 *world, link *cable) {
		n1.User("ada")
		actor, other := n1.As("ada"), n2.As("ada")
		time.Sleep(2 * time.Second) // until the news of all this has been everywhere
		link.down.Store(true)
		if _, fail := actor.Call("removeOtherTokens"); fail != nil {
			t.Fatal(fail.Code())
		}
		late := n2.As("ada")
		link.down.Store(false)
		if !other.Closed(10 * time.Second) {
			t.Error("a connection with a dead token is open on the other node")
		}
		time.Sleep(10 * time.Second) // the news has come by now
		if _, fail := late.Call("getServerInfo"); fail != nil {
			t.Errorf("the new connection: %s", fail.Code())
		}
	})
}
