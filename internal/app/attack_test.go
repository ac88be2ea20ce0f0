package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// S067: nothing in the environment, a header or a frame tells the server that
// it is being tested and may check less.
func TestS067NoTestSwitch(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery", "TEST_MODE=true", "TEST=1", "CI=true", "NODE_ENV=test", "DEBUG=*",
		"DDPSERVER_TEST=1", "DISABLE_2FA=true", "GO_TEST=1", "FAKETIME=+1h")
	c := dial(t, n.addr(), http.Header{"X-Test-Mode": {"true"}, "X-2fa-Code": {"000000"}, "X-Forwarded-For": {"127.0.0.1"},
		"Cookie": {"meteor_login_token=x; rc_token=x"}})
	c.login("admin", "correct horse battery")
	c.refused("totp-required", "saveSetting", "Site_Name", "x") // one of the two headers alone is no answer
	c.refused("totp-required", "saveSetting", "Site_Name", "x", map[string]any{"twoFactorChecked": true})
	c.refused("totp-invalid", "saveSetting", "Site_Name", "x", map[string]any{"twoFactorCode": "000000", "twoFactorMethod": "test"})
	c.refused("totp-required", "saveUserProfile", map[string]any{"email": "other@example.com"}, map[string]any{})
}

// S062: a session id is no credential: whoever names somebody else's gets a
// connection of their own, without a user and without data.
func TestS062SessionIDIsNoCredential(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery")
	victim := open(t, n.addr(), nil)
	victim.send(map[string]any{"msg": "connect", "version": "1", "support": []string{"1"}})
	session := victim.await(func(f map[string]any) bool { return f["msg"] == "connected" })["session"]
	user := victim.login("admin", "correct horse battery")["id"].(string)

	thief := open(t, n.addr(), nil)
	thief.send(map[string]any{"msg": "connect", "version": "1", "support": []string{"1"}, "session": session})
	if got := thief.await(func(f map[string]any) bool { return f["msg"] == "connected" })["session"]; got == session {
		t.Error("the session was taken over")
	}
	thief.refused("error-not-authorized", "getServerInfo")
	thief.send(map[string]any{"msg": "sub", "id": "s", "name": "stream-notify-user", "params": []any{user + "/userData", false}})
	thief.await(func(f map[string]any) bool { return f["msg"] == "nosub" && f["id"] == "s" })
	if slices.ContainsFunc(thief.frames, func(f map[string]any) bool { return f["msg"] == "added" }) {
		t.Errorf("data without a login: %v", thief.frames)
	}
	victim.must("getServerInfo")
}

// S004: one code, three doors at the same moment: exactly one of DDP, REST and
// method.call is let in, and afterwards none.
func TestS004OneCodeThreeDoorsAtOnce(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery")
	n.addUser(NewUser{Username: "alice", Email: "alice@example.com", Verified: true, Password: "wonder land 1", Email2FA: true})
	c := dial(t, n.addr(), nil)
	c.refused("totp-required", "login", byPassword("alice", "wonder land 1"))
	wrapped := map[string]any{"totp": map[string]any{"login": byPassword("alice", "wonder land 1"), "code": mailedCode(t, n.dir, 1)}}
	body, err := json.Marshal(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := json.Marshal(map[string]any{"msg": "method", "id": "1", "method": "login", "params": []any{wrapped}})
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := json.Marshal(map[string]any{"message": string(frame)})
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string, body []byte) bool {
		resp, err := http.Post("http://"+n.addr()+path, "application/json", strings.NewReader(string(body))) // a test against this machine
		if err != nil {
			t.Error(err)
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	}
	doors := []func() bool{
		func() bool { _, failure := c.call("login", wrapped); return failure == nil },
		func() bool { return post("/api/v1/login", body) },
		func() bool { return post("/api/v1/method.callAnon/login", envelope) },
	}
	for round, want := range []int{1, 0} {
		in := make([]bool, len(doors))
		var all sync.WaitGroup
		for i, door := range doors[1:] {
			all.Go(func() { in[i+1] = door() })
		}
		in[0] = doors[0]() // may end the test, so not on a goroutine
		all.Wait()
		got := 0
		for _, ok := range in {
			if ok {
				got++
			}
		}
		if got != want {
			t.Errorf("round %d: %d doors opened, want %d", round, got, want)
		}
	}
}
