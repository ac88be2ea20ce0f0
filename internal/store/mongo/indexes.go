package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Index is one index that the store or a slice needs.
type Index struct {
	Keys   []string // ascending
	Unique bool     // unique and sparse
	Sparse bool
	// TTL: documents go at the date in the key.
	TTL bool
	// Ours: an existing index with these keys that is weaker is an error. The
	// others belong to Meteor's shape; whatever an adopted database has is taken.
	Ours bool
}

// indexes lists the indexes of the core by collection.
func (s *Store) indexes() map[*driver.Collection][]Index {
	return map[*driver.Collection][]Index{
		s.users: {
			{Keys: []string{"ddpUsernameKey"}, Unique: true, Ours: true},
			{Keys: []string{"ddpEmailKeys"}, Unique: true, Ours: true},
			{Keys: []string{"services.resume.loginTokens.hashedToken"}, Unique: true},
			{Keys: []string{"services.resume.loginTokens.token"}, Sparse: true},
			{Keys: []string{"services.resume.loginTokens.when"}, Sparse: true},
			{Keys: []string{"services.email.verificationTokens.token"}, Sparse: true},
			{Keys: []string{"services.password.reset.token"}, Sparse: true},
			{Keys: []string{"services.password.enroll.token"}, Sparse: true},
			{Keys: []string{"services.password.earlierResets.token"}, Sparse: true},
			{Keys: []string{"services.password.earlierResets.when"}, Sparse: true},
			{Keys: []string{"services.password.reset.when"}, Sparse: true},
			{Keys: []string{"services.password.enroll.when"}, Sparse: true},
			{Keys: []string{"services.totp.resetDue"}, Sparse: true},
			{Keys: []string{"services.webauthn.resetDue"}, Sparse: true},
			{Keys: []string{"roles"}, Sparse: true},
			{Keys: []string{"ddpListKeys"}, Ours: true},
			{Keys: []string{"ddpNameKey", "_id"}, Ours: true},
			{Keys: []string{"createdAt", "_id"}, Ours: true},
			{Keys: []string{"lastLogin", "_id"}, Ours: true},
			{Keys: []string{"status"}, Sparse: true},
			{Keys: []string{markField, "_id"}, Ours: true},
		},
		s.marks:   {{Keys: []string{markField, "_id"}, Ours: true}, {Keys: []string{"forgetAt"}, TTL: true, Ours: true}},
		s.guards:  {{Keys: []string{"forgetAt"}, TTL: true, Ours: true}},
		s.tries:   {{Keys: []string{"forgetAt"}, TTL: true, Ours: true}},
		s.batches: {{Keys: []string{"seq"}, Ours: true}},
		s.outbox: {{Keys: []string{"rank", "createdAt", "_id"}, Ours: true}, {Keys: []string{"class"}, Sparse: true, Ours: true},
			{Keys: []string{"notBefore"}, Ours: true}, {Keys: []string{"leaseUntil"}, Sparse: true, Ours: true}},
		s.events: {{Keys: []string{"ts", "_id"}, Ours: true}, {Keys: []string{"forgetAt"}, TTL: true, Ours: true}},
	}
}

// ensureIndexes makes the indexes of the core and of the parts that are not there.
func (s *Store) ensureIndexes(ctx context.Context, parts []Part) error {
	all := s.indexes()
	for _, p := range parts {
		for name, indexes := range p.Indexes {
			all[s.db.Collection(name)] = indexes
		}
	}
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

func ensureIndex(ctx context.Context, coll *driver.Collection, ix Index, have map[string]driver.IndexSpecification) error {
	if spec, ok := have[fmt.Sprint(ix.Keys)]; ok {
		weaker := ix.Unique && (spec.Unique == nil || !*spec.Unique) || ix.TTL && spec.ExpireAfterSeconds == nil
		if ix.Ours && weaker {
			return fmt.Errorf("index %s of %s exists but is not what this program needs; drop it", spec.Name, coll.Name())
		}
		return nil
	}
	o := options.Index()
	if ix.Unique {
		o.SetUnique(true)
	}
	if ix.Unique || ix.Sparse {
		o.SetSparse(true)
	}
	if ix.TTL {
		o.SetExpireAfterSeconds(0)
	}
	var keys bson.D
	for _, k := range ix.Keys {
		keys = append(keys, bson.E{Key: k, Value: 1})
	}
	if _, err := coll.Indexes().CreateOne(ctx, driver.IndexModel{Keys: keys, Options: o}); err != nil {
		return fmt.Errorf("index %v of %s: %w", ix.Keys, coll.Name(), failure(err))
	}
	return nil
}
