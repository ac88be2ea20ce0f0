package mongo

import (
	"context"
	"fmt"
	"maps"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// index is one index that the store needs.
type index struct {
	keys   []string // ascending
	unique bool     // unique and sparse
	sparse bool
	ttl    bool // documents go at the date in the key
	// ours: an existing index with these keys that is weaker is an error. The
	// others belong to Meteor's shape; whatever an adopted database has is taken.
	ours bool
}

// indexes lists every index by collection; a new aggregate adds its own.
func (s *Store) indexes() map[*driver.Collection][]index {
	return map[*driver.Collection][]index{
		s.users: {
			{keys: []string{"ddpUsernameKey"}, unique: true, ours: true},
			{keys: []string{"ddpEmailKeys"}, unique: true, ours: true},
			{keys: []string{"services.resume.loginTokens.hashedToken"}, unique: true},
			{keys: []string{"services.resume.loginTokens.token"}, sparse: true},
			{keys: []string{"services.resume.loginTokens.when"}, sparse: true},
			{keys: []string{"services.email.verificationTokens.token"}, sparse: true},
			{keys: []string{"services.password.reset.token"}, sparse: true},
			{keys: []string{"services.password.enroll.token"}, sparse: true},
			{keys: []string{"services.password.earlierResets.token"}, sparse: true},
			{keys: []string{"services.password.earlierResets.when"}, sparse: true},
			{keys: []string{"services.password.reset.when"}, sparse: true},
			{keys: []string{"services.password.enroll.when"}, sparse: true},
			{keys: []string{"services.totp.resetDue"}, sparse: true},
			{keys: []string{"roles"}, sparse: true},
			{keys: []string{"status"}, sparse: true},
		},
		s.guards:  {{keys: []string{"forgetAt"}, ttl: true, ours: true}},
		s.tries:   {{keys: []string{"forgetAt"}, ttl: true, ours: true}},
		s.batches: {{keys: []string{"seq"}, ours: true}},
		s.outbox:  {{keys: []string{"rank", "createdAt", "_id"}, ours: true}, {keys: []string{"class"}, sparse: true, ours: true}, {keys: []string{"notBefore"}, ours: true}, {keys: []string{"leaseUntil"}, sparse: true, ours: true}},
		s.events:  {{keys: []string{"ts", "_id"}, ours: true}, {keys: []string{"forgetAt"}, ttl: true, ours: true}},
	}
}

func (s *Store) ensureIndexes(ctx context.Context) error {
	all := s.indexes()
	maps.Copy(all, s.chat.indexes())
	for coll, want := range all {
		have, err := existing(ctx, coll)
		if err != nil {
			return err
		}
		for _, ix := range want {
			if err := ensureIndex(ctx, coll, ix, have); err != nil {
				return err
			}
		}
	}
	return nil
}

// existing lists the indexes of a collection by their keys.
func existing(ctx context.Context, coll *driver.Collection) (map[string]driver.IndexSpecification, error) {
	specs, err := coll.Indexes().ListSpecifications(ctx)
	if err != nil {
		return nil, fmt.Errorf("list indexes of %s: %w", coll.Name(), failure(err))
	}
	have := make(map[string]driver.IndexSpecification, len(specs))
	for _, spec := range specs {
		elems, err := spec.KeysDocument.Elements()
		if err != nil {
			return nil, fmt.Errorf("list indexes of %s: %w", coll.Name(), err)
		}
		var keys []string
		for _, e := range elems {
			keys = append(keys, e.Key())
		}
		have[fmt.Sprint(keys)] = spec
	}
	return have, nil
}

func ensureIndex(ctx context.Context, coll *driver.Collection, ix index, have map[string]driver.IndexSpecification) error {
	if spec, ok := have[fmt.Sprint(ix.keys)]; ok {
		weaker := ix.unique && (spec.Unique == nil || !*spec.Unique) || ix.ttl && spec.ExpireAfterSeconds == nil
		if ix.ours && weaker {
			return fmt.Errorf("index %s of %s exists but is not what this program needs; drop it", spec.Name, coll.Name())
		}
		return nil
	}
	o := options.Index()
	if ix.unique {
		o.SetUnique(true)
	}
	if ix.unique || ix.sparse {
		o.SetSparse(true)
	}
	if ix.ttl {
		o.SetExpireAfterSeconds(0)
	}
	var keys bson.D
	for _, k := range ix.keys {
		keys = append(keys, bson.E{Key: k, Value: 1})
	}
	if _, err := coll.Indexes().CreateOne(ctx, driver.IndexModel{Keys: keys, Options: o}); err != nil {
		return fmt.Errorf("index %v of %s: %w", ix.keys, coll.Name(), failure(err))
	}
	return nil
}
