package sqlite

import (
	"context"
	"slices"
	"sync"
	"time"

	"ddpserver/internal/rooms"
)

// presence is who is connected. One server owns the directory, so nobody else
// could read this, and when the process is gone so are its connections: it lives
// in memory, and a login writes nothing to the disk.
type presence struct {
	mu    sync.Mutex
	nodes map[string]time.Time
	here  map[string][]nodeStatus // by user
}

// nodeStatus is what the connections to one node say about a user.
type nodeStatus struct{ node, status string }

func (p *presence) touch(node string, now time.Time) {
	if p.nodes == nil {
		p.nodes, p.here = map[string]time.Time{}, map[string][]nodeStatus{}
	}
	if now.After(p.nodes[node]) {
		p.nodes[node] = now
	}
}

// set records the word of a node about a user.
func (p *presence) set(id, node, status string) {
	list := p.here[id]
	i := slices.IndexFunc(list, func(s nodeStatus) bool { return s.node == node })
	switch {
	case i >= 0 && status == "":
		list = slices.Delete(list, i, i+1)
	case i >= 0:
		list[i].status = status
	case status != "":
		list = append(list, nodeStatus{node, status})
	}
	if len(list) == 0 {
		delete(p.here, id)
	} else {
		p.here[id] = list
	}
}

func (p *presence) best(id string, alive time.Time) (best string) {
	for _, s := range p.here[id] {
		if !p.nodes[s.node].Before(alive) {
			best = rooms.BetterStatus(best, s.status)
		}
	}
	return best
}

// SavePresence implements rooms.PresenceStore.
func (s *Store) SavePresence(ctx context.Context, node string, states []rooms.Presence, now, alive time.Time) ([]rooms.Presence, error) {
	if err := s.Usable(ctx); err != nil {
		return nil, err
	}
	p := &s.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	p.touch(node, now)
	out := make([]rooms.Presence, len(states))
	for i, st := range states {
		p.set(st.UserID, node, st.Status)
		out[i] = rooms.Presence{UserID: st.UserID, Status: p.best(st.UserID, alive)}
	}
	return out, nil
}

// TouchNode implements rooms.PresenceStore.
func (s *Store) TouchNode(ctx context.Context, node string, now time.Time) error {
	if err := s.Usable(ctx); err != nil {
		return err
	}
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	s.presence.touch(node, now)
	return nil
}

// SweepPresence implements rooms.PresenceStore.
func (s *Store) SweepPresence(ctx context.Context, alive time.Time) ([]rooms.Presence, error) {
	if err := s.Usable(ctx); err != nil {
		return nil, err
	}
	p := &s.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []rooms.Presence
	dead := func(st nodeStatus) bool { return p.nodes[st.node].Before(alive) }
	for id, list := range p.here {
		if !slices.ContainsFunc(list, dead) {
			continue
		}
		if list = slices.DeleteFunc(list, dead); len(list) == 0 {
			delete(p.here, id)
		} else {
			p.here[id] = list
		}
		out = append(out, rooms.Presence{UserID: id, Status: p.best(id, alive)})
	}
	for node, seen := range p.nodes {
		if seen.Before(alive) {
			delete(p.nodes, node)
		}
	}
	return out, nil
}
