package mongotest

import (
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
)

// Coarse is an engine that stamps all writes of a unit of time alike ($currentDate with
// timestamps), where MongoDB counts those of one second.
func Coarse(unit time.Duration) Kind { return Kind{unit: unit} }

// coarse writes the server's stamp into an update, if it is such an engine.
func (k Kind) coarse(update bson.D) bson.D {
	dates, _ := get(update, "$currentDate").(bson.D)
	if k.unit == 0 || len(dates) == 0 {
		return update
	}
	var out, others, stamped bson.D
	for _, e := range dates {
		if how, _ := e.Value.(bson.D); get(how, "$type") == "timestamp" {
			stamped = append(stamped, bson.E{Key: e.Key, Value: primitive.Timestamp{T: uint32(time.Now().Truncate(k.unit).Unix()), I: 1}})
		} else {
			others = append(others, e)
		}
	}
	for _, op := range update {
		switch op.Key {
		case "$currentDate":
		case "$set":
			set, _ := op.Value.(bson.D)
			stamped = append(set[:len(set):len(set)], stamped...)
		default:
			out = append(out, op)
		}
	}
	if len(others) > 0 {
		out = append(out, bson.E{Key: "$currentDate", Value: others})
	}
	return append(out, bson.E{Key: "$set", Value: stamped})
}
