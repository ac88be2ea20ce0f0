// Package mongo is the store on MongoDB.
package mongo

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"ddpserver/internal/store"
)

// Options say how to open a store.
type Options struct {
	// Logger hears what an operator should know about an adopted database. Nil is silent.
	Logger *zap.Logger
}

// Store is the store on MongoDB.
type Store struct{ store.Store }

// Open connects to the database that url names and prepares its indexes.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	return nil, errors.ErrUnsupported
}
