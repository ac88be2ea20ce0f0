package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"ddpserver/internal/rooms"
)

// presenceDoc is what the connections of one node say about one user.
type presenceDoc struct {
	ID     string `bson:"_id"`
	Node   string `bson:"node"`
	UserID string `bson:"uid"`
	Status string `bson:"status"`
}

// SavePresence implements rooms.PresenceStore.
func (s *Store) SavePresence(ctx context.Context, node string, states []rooms.Presence, now, alive time.Time) ([]rooms.Presence, error) {
	if err := s.TouchNode(ctx, node, now); err != nil {
		return nil, err
	}
	writes, ids := make([]driver.WriteModel, len(states)), make([]string, len(states))
	for i, p := range states {
		ids[i] = p.UserID
		id := byID(node + " " + p.UserID)
		if p.Status == "" {
			writes[i] = driver.NewDeleteOneModel().SetFilter(id)
		} else {
			writes[i] = driver.NewUpdateOneModel().SetFilter(id).SetUpsert(true).
				SetUpdate(set(bson.D{{Key: "node", Value: node}, {Key: "uid", Value: p.UserID}, {Key: "status", Value: p.Status}}))
		}
	}
	if len(writes) == 0 {
		return nil, nil
	}
	if err := s.presence.Write(ctx, writes); err != nil {
		return nil, err
	}
	return s.best(ctx, ids, alive)
}

// best finds the best status of users over the nodes that live.
func (s *Store) best(ctx context.Context, ids []string, alive time.Time) ([]rooms.Presence, error) {
	living, err := s.livingNodes(ctx, alive)
	if err != nil {
		return nil, err
	}
	list, err := many(ctx, s.presence, bson.D{{Key: "uid", Value: in(ids)}}, decode[presenceDoc])
	if err != nil {
		return nil, err
	}
	best := make(map[string]string, len(ids))
	for _, r := range list {
		if living[r.Node] {
			best[r.UserID] = rooms.BetterStatus(best[r.UserID], r.Status)
		}
	}
	out := make([]rooms.Presence, len(ids))
	for i, id := range ids {
		out[i] = rooms.Presence{UserID: id, Status: best[id]}
	}
	return out, nil
}

func (s *Store) livingNodes(ctx context.Context, alive time.Time) (map[string]bool, error) {
	living := map[string]bool{}
	err := s.nodes.All(ctx, bson.D{{Key: "seen", Value: bson.D{{Key: "$gte", Value: alive}}}}, func(raw bson.Raw) error {
		living[raw.Lookup("_id").StringValue()] = true
		return nil
	})
	return living, err
}

// TouchNode implements rooms.PresenceStore.
func (s *Store) TouchNode(ctx context.Context, node string, now time.Time) error {
	return s.nodes.Put(ctx, node, bson.D{{Key: "$max", Value: bson.D{{Key: "seen", Value: now}}}})
}

// SweepPresence implements rooms.PresenceStore.
func (s *Store) SweepPresence(ctx context.Context, alive time.Time) ([]rooms.Presence, error) {
	living, err := s.livingNodes(ctx, alive)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(living))
	for n := range living {
		names = append(names, n)
	}
	dead := bson.D{{Key: "node", Value: bson.D{{Key: "$nin", Value: names}}}}
	rows, err := many(ctx, s.presence, dead, decode[presenceDoc])
	if err != nil {
		return nil, err
	}
	var ids, rowIDs []string
	seen := map[string]bool{}
	for _, r := range rows {
		rowIDs = append(rowIDs, r.ID)
		if !seen[r.UserID] {
			seen[r.UserID] = true
			ids = append(ids, r.UserID)
		}
	}
	if len(rowIDs) > 0 {
		if err := s.presence.Remove(ctx, bson.D{{Key: "_id", Value: in(rowIDs)}}); err != nil {
			return nil, err
		}
	}
	if err := s.nodes.Remove(ctx, bson.D{{Key: "seen", Value: bson.D{{Key: "$lt", Value: alive}}}}); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return s.best(ctx, ids, alive)
}
