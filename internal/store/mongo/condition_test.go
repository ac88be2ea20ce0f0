package mongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestConditions: what a change is written on condition of, value by value.
func TestConditions(t *testing.T) {
	raw, err := bson.Marshal(bson.D{{Key: "_id", Value: "ann"}, {Key: "name", Value: "Ann"}, {Key: "bio", Value: bson.Undefined{}}, {Key: "foreign", Value: 1}})
	if err != nil {
		t.Fatal(err)
	}
	d := &Documents[struct{}]{keys: []string{"name", "bio", "active"}}
	got, err := bson.MarshalExtJSON(d.unchanged(raw), false, false)
	if err != nil {
		t.Fatal(err)
	}
	// A server refuses to compare with undefined; only its type is asked then.
	const want = `{"_id":"ann","name":{"$eq":"Ann"},"bio":{"$type":6},"active":{"$exists":false}}`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
