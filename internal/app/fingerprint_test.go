package app

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// agents are user agents that are one where they are cut, repaired or joined
// before they are compared.
var agents = [][]string{
	nil, {""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "a"}, {"a, a"},
	{strings.Repeat("a", 512) + "b"}, {strings.Repeat("a", 512) + "c"}, {strings.Repeat("a", 512)},
	{"x\xe8y"}, {"x\xe9y"}, {"x\uFFFDy"},
}

// A8: trust that one client earned counts for no other, through every door: what
// is compared is the user agent as it was sent.
func TestA8TrustBelongsToTheAgentAsSent(t *testing.T) {
	n := start(t, t.TempDir(), "ADMIN_PASS=correct horse battery", "OVERWRITE_SETTING_DDP_Rate_Limit_User_By_Method_Enabled=false")
	in := dial(t, n.addr(), nil).login("admin", "correct horse battery")
	id, token := in["id"].(string), in["token"].(string)
	proof := hexDigest("correct horse battery")
	save := func(agent []string, code string) int {
		raw := "POST /api/v1/settings/Site_Name HTTP/1.1\r\nHost: " + n.addr() + "\r\nContent-Type: application/json\r\nConnection: close\r\n"
		raw += "X-User-Id: " + id + "\r\nX-Auth-Token: " + token + "\r\n"
		for _, a := range agent {
			raw += "User-Agent: " + a + "\r\n"
		}
		if code != "" {
			raw += "X-2fa-Code: " + code + "\r\n"
		}
		body := `{"value":"x"}`
		return rawStatus(t, n.addr(), raw+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
	}
	for i, earned := range agents {
		if got := save(earned, proof); got != http.StatusOK {
			t.Fatalf("%q with the password: %d", earned, got)
		}
		for j, other := range agents {
			if got := save(other, ""); (got == http.StatusOK) != (i == j) {
				t.Errorf("earned by %.20q, used by %.20q: %d", earned, other, got)
			}
		}
	}
	for _, pair := range [][2][]string{{agents[7], agents[8]}, {agents[10], agents[11]}} {
		if got := save(pair[0], proof); got != http.StatusOK {
			t.Fatal(got)
		}
		for _, door := range []string{"/websocket", "/sockjs/websocket"} {
			for k, agent := range pair {
				c := openAt(t, n.addr()+door, http.Header{"User-Agent": agent})
				c.send(map[string]any{"msg": "connect", "version": "1", "support": []string{"1"}})
				c.await(func(f map[string]any) bool { return f["msg"] == "connected" })
				c.must("login", map[string]any{"resume": token})
				if _, failure := c.call("saveSetting", "Site_Name", "y"); (failure == nil) != (k == 0) {
					t.Errorf("%s, earned by %.20q, used by %.20q: %v", door, pair[0], agent, failure)
				}
			}
		}
	}
}

// rawStatus sends bytes over a socket of their own and reads the answer's status.
func rawStatus(t *testing.T, addr, raw string) int {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(raw)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// hexDigest is how a client sends a password where it is asked for as a factor.
func hexDigest(password string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(password))) }
