package rest_test

import (
	"slices"
	"testing"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/testkit"
)

// Over REST, too, an account is read once: by a login, which also answers with it, and
// by a request with a token of whatever kind, which the account was found by.
func TestLoginReadsTheAccountOnce(t *testing.T) {
	db := &testkit.Watched{Store: testkit.OpenStore(t)}
	w := testkit.NewAPI(t, testkit.Options{Store: db})
	ada := w.Account("ada")
	session := w.Login("ada")
	pat, err := w.Accounts.GenerateToken(t.Context(), &rpc.Peer{}, ada, "ci", false, accounts.TokenLimits{})
	if err != nil {
		t.Fatal(err)
	}
	token := w.Caller()
	token.ID, token.Token = ada.ID, pat
	for name, c := range map[string]struct {
		do   func()
		want []string
	}{
		"password": {func() { w.Login("ada") }, []string{"UserByUsername", "AddToken"}},
		"resume": {func() { w.Caller().OK("POST", "login", map[string]any{"resume": session.Token}) },
			[]string{"UserByToken"}},
		"a request of a session":               {func() { session.OK("GET", "me", nil) }, []string{"UserByToken"}},
		"a request of a personal access token": {func() { token.OK("GET", "me", nil) }, []string{"UserByToken"}},
	} {
		db.Take()
		c.do()
		if got := db.Take(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
