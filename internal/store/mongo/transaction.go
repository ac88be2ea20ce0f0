package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
)

// Transactions are for acts that write several documents, where the database has them and
// none of these documents is what everybody is waiting for: what a transaction has
// written is locked until it ends, and when its node dies that takes up to a minute. Which
// act is written in which way, and why, is ADR 13.

// errTransient says that a transaction came to nothing and may be tried again. The
// outcome of its last command alone may be anything.
var errTransient = fmt.Errorf("%w: a transaction met another writer, or was cut", dberr.Unavailable)

// farewell bounds how long the end of a transaction that failed waits for a server which is perhaps not there.
const farewell = 200 * time.Millisecond

// Transactions tells whether the database has them.
func (s *Store) Transactions() bool { return s.transactions }

// Transaction runs do, whose operations with the context that it is given happen together
// or not at all; Transactions has to be true. While others are in the way do runs again,
// on what is there then, as long as an operation may take. When it is not known whether
// the transaction was committed the error is dberr.Unavailable.
func (s *Store) Transaction(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := s.op(ctx)
	defer cancel()
	sess, err := s.client.StartSession()
	if err != nil {
		return failure(err)
	}
	defer end(ctx, sess)
	for round := range maxRounds {
		if err := pause(ctx, round); err != nil {
			return err
		}
		if err = sess.StartTransaction(options.Transaction().SetReadConcern(readconcern.Snapshot()).SetWriteConcern(durable())); err != nil {
			return failure(err)
		}
		if err = do(driver.NewSessionContext(ctx, sess)); err == nil {
			err = commit(ctx, sess)
		} else {
			abort(ctx, sess)
		}
		if !errors.Is(err, errTransient) || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("MongoDB: %w, %d times", err, maxRounds)
}

// commit asks for the commit until there is an answer: a server that has committed says so again.
func commit(ctx context.Context, sess *driver.Session) (err error) {
	for round := range maxRounds {
		if err := pause(ctx, round); err != nil {
			return err
		}
		err = sess.CommitTransaction(ctx)
		var labelled driver.LabeledError
		if !errors.As(err, &labelled) || !labelled.HasErrorLabel("UnknownTransactionCommitResult") || ctx.Err() != nil {
			break
		}
	}
	return failure(err)
}

// abort ends a transaction that failed. Where that fails too, the server does it when the transaction is a minute old.
func abort(ctx context.Context, sess *driver.Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = sess.AbortTransaction(ctx)
}

// end gives the session back. One whose commit found no answer in time is still in its
// transaction, which the driver aborts then, and would wait for without a limit.
func end(ctx context.Context, sess *driver.Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	sess.EndSession(ctx)
}

// findTransactions finds out whether there are transactions: an engine that refuses them
// says so, one that takes no notice of them keeps what was aborted.
func (s *Store) findTransactions(ctx context.Context) error {
	probe := bson.D{{Key: "_id", Value: "probe:" + random.ID()}}
	aborted := errors.New("mongo: the probe was aborted")
	s.transactions = true
	err := s.Transaction(ctx, func(ctx context.Context) error {
		if _, err := s.counters.InsertOne(ctx, probe); err != nil {
			return failure(err)
		}
		return aborted
	})
	s.transactions = false
	switch {
	case errors.Is(err, aborted):
		res, err := s.counters.DeleteOne(ctx, probe)
		if err != nil {
			return failure(err)
		}
		s.transactions = res.DeletedCount == 0
	case errors.Is(err, errTransient) || ctx.Err() != nil:
		return err
	}
	if !s.transactions {
		s.log.Info("no_transactions", zap.Error(err),
			zap.String("hint", "what a dying node leaves half written is mended by the others; a replica set of MongoDB writes it as one"))
	}
	return nil
}
