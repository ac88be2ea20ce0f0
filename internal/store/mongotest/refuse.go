package mongotest

import (
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// What the engine gets wrong without saying so, or does in another way than
// MongoDB, is refused here, so that a test that relies on it fails.

// noNumbers is how a server of no replica set refuses transactions and retryable writes.
var noNumbers = &failed{code: 20, name: "IllegalOperation", msg: "Transaction numbers are only allowed on a replica set member or mongos"}

// refuse looks at the command as a whole.
func (c *call) refuse() error {
	for _, e := range c.doc {
		switch e.Key {
		case "txnNumber":
			if c.s.kind.standalone {
				return noNumbers
			}
		case "collation", "let", "hint", "min", "max":
			return refused("option %s", e.Key)
		}
	}
	return nil
}

// knownOperators are the query operators that the engine answers as MongoDB does.
var knownOperators = map[string]bool{
	"$and": true, "$or": true, "$nor": true, "$not": true, "$eq": true, "$ne": true, "$gt": true, "$gte": true, "$lt": true, "$lte": true,
	"$in": true, "$nin": true, "$exists": true, "$size": true, "$elemMatch": true, "$mod": true,
}

// refuseQuery looks through a filter.
func refuseQuery(v any) error {
	switch v := v.(type) {
	case bson.D:
		for _, e := range v {
			if strings.HasPrefix(e.Key, "$") && !knownOperators[e.Key] {
				return refused("operator %s in a filter", e.Key)
			}
			if e.Key == "$eq" { // a value as it is stored, whatever its keys
				continue
			}
			if err := refuseQuery(e.Value); err != nil {
				return err
			}
		}
	case bson.A:
		for _, e := range v {
			if err := refuseQuery(e); err != nil {
				return err
			}
		}
	case primitive.Regex:
		return refused("regular expressions")
	}
	return nil
}

// refuseProjection allows lists of fields to show, and for those at the top, to hide.
func refuseProjection(d bson.D) error {
	for _, e := range d {
		switch e.Value.(type) {
		case bool, int32, int64, float64:
		default:
			return refused("a projection that is an expression")
		}
		if strings.Contains(e.Key, "$") || strings.Contains(e.Key, ".") && !shows(e.Value) {
			return refused("projection of %s", e.Key)
		}
	}
	return nil
}

func shows(v any) bool { return yes(v) || number(v) != 0 }

// refuseUpdate refuses the positional $ and paths of which one contains the other.
func refuseUpdate(d bson.D) error {
	var paths []string
	for _, op := range d {
		if !strings.HasPrefix(op.Key, "$") {
			continue
		}
		fields, _ := op.Value.(bson.D)
		if len(fields) == 0 {
			return &failed{code: 9, name: "FailedToParse", msg: "'" + op.Key + "' is empty"}
		}
		for _, f := range fields {
			if strings.Contains(f.Key+".", ".$.") {
				return refused("the positional $")
			}
			for _, p := range paths {
				if strings.HasPrefix(f.Key+".", p+".") || strings.HasPrefix(p+".", f.Key+".") {
					return &failed{code: 40, name: "ConflictingUpdateOperators", msg: "updating the path '" + f.Key + "' would create a conflict at '" + p + "'"}
				}
			}
			paths = append(paths, f.Key)
		}
	}
	return nil
}
