package mongo_test

import (
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/goleak"

	store "ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/trail"
	"ddpserver/internal/trail/mongo"
	"ddpserver/internal/trail/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB) trail.Store {
	t.Helper()
	core, err := store.Open(t.Context(), mongotest.Start(t), store.Options{Parts: mongo.Parts()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := core.Close(); err != nil {
			t.Error(err)
		}
	})
	return mongo.New(core)
}

func TestConformance(t *testing.T) { storetest.Run(t, open) }

// Every filter is one that an index answers in the order of ids: its keys with one
// value stand in front of an index, and the id behind them. Only what selects nothing
// but a beginning of an address, or a text, walks over the ids themselves.
func TestEveryFilterHasAnIndex(t *testing.T) {
	indexes := mongo.Parts()[0].Indexes[mongo.Name]
	for _, q := range storetest.Queries() {
		var single []string
		for _, e := range mongo.Filter(q) {
			if _, ranged := e.Value.(bson.D); !ranged {
				single = append(single, e.Key)
			}
		}
		found := len(single) == 0
		for _, ix := range indexes {
			keys := ix.Keys[:len(ix.Keys)-1]
			fits := ix.Keys[len(keys)] == "_id"
			for _, k := range keys {
				fits = fits && slices.Contains(single, k)
			}
			found = found || fits
		}
		if !found {
			t.Errorf("%+v: no index for %v", q, single)
		}
		if q.Indexed() && len(single) > 0 && !slices.ContainsFunc(indexes, func(ix store.Index) bool {
			return slices.Equal(ix.Keys, append(slices.Clone(single), "_id"))
		}) {
			t.Errorf("%+v is said to be indexed, and no index is that of %v", q, single)
		}
	}
}
