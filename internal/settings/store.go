package settings

import (
	"context"
	"time"
)

// Stored is one setting as the store keeps it (collection "rocketchat_settings").
type Stored struct {
	ID        string    `bson:"_id"`
	Value     any       `bson:"value"` // bool, int64, string
	UpdatedAt time.Time `bson:"_updatedAt"`
	// Unreadable says why there is no value, though something is stored: whoever else
	// writes into the database left what cannot be understood.
	Unreadable error `bson:"-"`
}

// Store is what settings need of a store.
type Store interface {
	// Settings reads every stored value, pending batches included. One that cannot be
	// read says so (Stored.Unreadable), and keeps no other from being read.
	Settings(ctx context.Context) ([]Stored, error)
	// SaveSettings writes all of them or none, also across a crash.
	SaveSettings(ctx context.Context, values []Stored) error
}
