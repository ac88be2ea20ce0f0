package realtime

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/feed"
)

const (
	// helloEvery is how often a node tells the others of itself; one that is silent for
	// goneAfter is taken for dead.
	helloEvery = 1500 * time.Millisecond
	goneAfter  = 4 * time.Second
	// checkEvery is how often the silent ones are looked for.
	checkEvery = 500 * time.Millisecond
	// maxNodes bounds how many other nodes are remembered.
	maxNodes = 1000
)

// Hello is what a node tells the others of itself. It is for people to look at; besides, a
// node that stops sends its sessions away one by one only if it hears another.
type Hello struct {
	// Name is what the operator calls the node; several may have one name.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Since is when it started, in milliseconds since 1970.
	Since int64 `json:"since"`
	// Sessions are those of DDP, Messages what they sent in a second.
	Sessions int `json:"sessions"`
	Messages int `json:"messagesPerSecond"`
	// Leaving says that it is not ready any more and sends its sessions away, Left that it is gone.
	Leaving bool `json:"leaving,omitempty"`
	Left    bool `json:"left,omitempty"`
	// Ask is for nodes that have just come: whoever hears it tells of itself at once.
	Ask bool `json:"ask,omitempty"`
}

// Check implements feed.Payload.
func (h Hello) Check() error {
	if h.Name == "" || len(h.Name) > 256 || len(h.Version) > 256 || h.Sessions < 0 || h.Messages < 0 {
		return errors.New("no node tells that of itself")
	}
	return nil
}

// Node is one of the nodes that share a database.
type Node struct {
	Hello
	// ID is another at every start.
	ID   string
	Self bool
	// Heard is when it last told of itself, by this node's clock.
	Heard time.Time
}

// said is the kind of news that a Hello is.
var said = feed.NewKind[Hello]("node", 1)

// Nodes knows which other nodes this one hears. It is safe for concurrent use.
type Nodes struct {
	hub  *Hub
	self func() Hello

	asked chan struct{} // a node that has just come wants to know

	mu      sync.Mutex
	known   map[string]Node
	leaving bool
}

// NewNodes makes it; self tells what Name, Version, Since, Sessions and Messages are now.
// It belongs to the set-up of the hub.
func NewNodes(h *Hub, self func() Hello) *Nodes {
	n := &Nodes{hub: h, self: self, known: map[string]Node{}, asked: make(chan struct{}, 1)}
	Listen(h, said, n.hear)
	return n
}

// List is this node and those that it hears, itself first and the others by name.
func (n *Nodes) List() []Node {
	me := Node{Hello: n.self(), ID: n.hub.Node(), Self: true, Heard: n.hub.opts.Now()}
	n.mu.Lock()
	me.Leaving = n.leaving
	list := slices.Collect(maps.Values(n.known))
	n.mu.Unlock()
	slices.SortFunc(list, func(a, b Node) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return slices.Insert(list, 0, me)
}

// Leave tells the others that this node goes.
func (n *Nodes) Leave() {
	n.mu.Lock()
	n.leaving = true
	n.mu.Unlock()
	if n.hub.opts.Transport != nil {
		n.say(Hello{})
	}
}

// Run tells the others of this node until ctx ends, and says good-bye then.
func (n *Nodes) Run(ctx context.Context) error {
	if n.hub.opts.Transport == nil {
		<-ctx.Done()
		return nil
	}
	tell, check := time.NewTicker(helloEvery), time.NewTicker(checkEvery)
	defer tell.Stop()
	defer check.Stop()
	n.say(Hello{Ask: true})
	hears := n.hub.opts.Now()
	for {
		select {
		case <-ctx.Done():
			n.say(Hello{Left: true})
			return nil
		case <-n.asked:
			n.say(Hello{})
		case <-tell.C:
			n.say(Hello{})
		case <-check.C:
			now := n.hub.opts.Now()
			if !n.hub.hears.Load() {
				hears = now // whoever is silent may have spoken
			}
			for _, o := range n.silent(now, hears) {
				n.hub.log.Warn("node_lost", zap.String("name", o.Name), zap.String("node", o.ID), zap.Time("heard", o.Heard))
				n.hub.Untold(o.Heard) // many at once are made good at once
			}
		}
	}
}

// say tells of this node; h is what is special about it.
func (n *Nodes) say(h Hello) {
	now := n.self()
	now.Ask, now.Left = h.Ask, h.Left
	n.mu.Lock()
	now.Leaving = n.leaving
	n.mu.Unlock()
	said.Publish(n.hub, n.hub.Node(), now)
}

// hear notes what another node told of itself.
func (n *Nodes) hear(e feed.Event, h Hello) {
	if e.Node == n.hub.Node() {
		return
	}
	n.mu.Lock()
	_, before := n.known[e.Node]
	switch {
	case h.Left:
		delete(n.known, e.Node)
	case before || len(n.known) < maxNodes:
		n.known[e.Node] = Node{Hello: h, ID: e.Node, Heard: n.hub.opts.Now()}
	}
	n.mu.Unlock()
	switch {
	case h.Left && before:
		n.hub.log.Info("node_left", zap.String("name", h.Name), zap.String("node", e.Node))
	case !h.Left && !before:
		n.hub.log.Info("node_joined", zap.String("name", h.Name), zap.String("node", e.Node), zap.String("version", h.Version))
	}
	if h.Ask {
		select {
		case n.asked <- struct{}{}:
		default:
		}
	}
}

// silent forgets and returns the nodes that have not been heard for too long, reckoned
// from when this one began to hear.
func (n *Nodes) silent(now, hears time.Time) (gone []Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, o := range n.known {
		if now.Sub(o.Heard) > goneAfter && now.Sub(hears) > goneAfter {
			delete(n.known, id)
			gone = append(gone, o)
		}
	}
	return gone
}
