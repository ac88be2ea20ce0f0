package app

import (
	"strings"
	"testing"

	"ddpserver/internal/feed/natstest"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
)

// Two servers on one database and one NATS server: what one changes the other hears, and
// both say in /readyz what carries it and whether it does. NATS is down when the second
// starts, which serves all the same.
func TestNodesOverNATS(t *testing.T) {
	nats := natstest.Start(t, nil)
	env := []string{"MONGO_URL=" + mongotest.Start(t), "ENCRYPTION_KEY=" + strings.Repeat("ab", 32), "ADMIN_PASS=correct horse battery",
		"TRANSPORTER=nats://ada:hunter2@" + nats.Addr()}
	ready := func(n *node, want string) {
		t.Helper()
		testwait.Until(t, "/readyz says "+want, func() bool {
			code, body := httpGet(t, "http://"+n.addr()+"/readyz")
			return code == 200 && strings.TrimSpace(body) == want
		})
	}
	n1 := start(t, t.TempDir(), append(env, "NODE_NAME=n1")...)
	ready(n1, `{"status":"ok","transport":"nats"}`)
	nats.Stop()
	ready(n1, `{"status":"ok","notes":["news_not_heard"],"transport":"nats"}`)
	n2 := start(t, t.TempDir(), append(env, "NODE_NAME=n2")...)
	ready(n2, `{"status":"ok","notes":["news_not_heard"],"transport":"nats"}`)
	c := dial(t, n2.addr(), nil)
	c.login("admin", "correct horse battery")
	nats.Restart()
	for _, n := range []*node{n1, n2} {
		ready(n, `{"status":"ok","transport":"nats"}`)
	}
	id := n2.addUser(NewUser{Username: "alice", Email: "alice@example.com", Verified: true, Password: "wonder land 1"})
	c = dial(t, n2.addr(), nil)
	c.login("alice", "wonder land 1")
	mark := n1.hub.Heard().Mark()
	if n1.hub.Heard().Since(mark, id) {
		t.Error("n1 hears of a change before it is made")
	}
	c.must("2fa:enable-email")
	testwait.Until(t, "n1 hears of the change", func() bool { return n1.hub.Heard().Since(mark, id) })
	for _, n := range []*node{n1, n2} {
		if logs := n.logs.String(); strings.Contains(logs, "hunter2") || !strings.Contains(logs, "nats_connected") {
			t.Errorf("the log of a node has the password, or no line of NATS: %s", logs)
		}
	}
}
