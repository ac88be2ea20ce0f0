package realtime

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/feed/natsfeed"
	"ddpserver/internal/feed/natstest"
	"ddpserver/internal/secret"
	"ddpserver/internal/testwait"
)

// natsNodes are three hubs over one NATS server, which listen.
func natsNodes(t testing.TB) (*natstest.Server, []*node) {
	server := natstest.Start(t, nil)
	key, err := secret.NewKey(secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*node
	for _, name := range []string{"n1", "n2", "n3"} {
		transport, err := natsfeed.Open(natsfeed.Options{Address: server.URL(), Node: name, Database: "chat", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { transport.Close() })
		nodes = append(nodes, runOver(t, name, transport))
	}
	listening(t, nodes, true)
	return server, nodes
}

func listening(t testing.TB, nodes []*node, want bool) {
	t.Helper()
	for _, n := range nodes {
		testwait.Until(t, fmt.Sprint("a node listens: ", want), func() bool { name, hears := n.Transport(); return name == "nats" && hears == want })
	}
}

// Three hubs over NATS tell each other everything, in order; one that the server went away
// from says so, and reads anew what it missed when the server is back.
func TestNodesOverNATS(t *testing.T) {
	server, nodes := natsNodes(t)
	const each = 500
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() {
			for i := range each {
				n.publish(fmt.Sprintf("%s/%d", n.Node(), i))
			}
		})
	}
	all.Wait()
	for _, n := range nodes {
		testwait.Until(t, n.Node()+" has everything", func() bool { return len(n.news()) == each*len(nodes) })
		for _, from := range nodes {
			got := slices.DeleteFunc(n.news(), func(key string) bool { return !strings.HasPrefix(key, from.Node()+"/") })
			for i, key := range got {
				if key != fmt.Sprintf("%s/%d", from.Node(), i) {
					t.Fatalf("%s heard %s as number %d of %s", n.Node(), key, i, from.Node())
				}
			}
		}
		if late := n.News().Late; late <= 0 || late > testwait.Limit*time.Duration(2*each) {
			t.Errorf("%s took events %v late", n.Node(), late)
		}
		if n.gapCount() != 0 || n.Heard().Since(n.Heard().Mark(), "anybody") {
			t.Errorf("%s read anew %d times", n.Node(), n.gapCount())
		}
	}
	server.Stop()
	listening(t, nodes, false)
	nodes[0].publish("during")
	if n := nodes[1]; !n.Heard().Since(n.Heard().Mark(), "anybody") {
		t.Error("a deaf node believes what it read")
	}
	server.Restart()
	listening(t, nodes, true)
	for _, n := range nodes {
		testwait.Until(t, n.Node()+" reads anew", func() bool { return n.gapCount() > 0 })
	}
	nodes[2].publish("after")
	testwait.Until(t, "n2 hears what was published afterwards", func() bool { return slices.Contains(nodes[1].news(), "after") })
	testwait.Until(t, "what could not be sent is sent", func() bool { return nodes[0].News().Waiting == 0 })
}
