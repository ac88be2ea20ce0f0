//go:build !norooms

package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/accounts"
	"ddpserver/internal/config"
	"ddpserver/internal/feed"
	"ddpserver/internal/methods"
	"ddpserver/internal/realtime"
	"ddpserver/internal/rest"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/blob"
	"ddpserver/internal/rooms/calls"
	roommongo "ddpserver/internal/rooms/mongo"
	roomsqlite "ddpserver/internal/rooms/sqlite"
	"ddpserver/internal/rooms/streams"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/store"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/sqlite"
)

// roomSchemas and roomParts are what rooms keep in the two stores.
func roomSchemas() []sqlite.Schema { return roomsqlite.Schemas() }
func roomParts() []mongo.Part      { return roommongo.Parts() }

// roomSlice is rooms, and who is connected: a part of the program that the build
// tag norooms leaves out (rooms_none.go).
type roomSlice struct {
	service  *rooms.Service
	presence *rooms.Tracker // nil in a command that works without a server
	sweeper  *rooms.FileSweeper
	files    blob.Store // nil in such a command
	done     func() error
}

// openRooms makes the rules of rooms, and the first channel if it is not there. c says
// where files are; nil is a command that has to do with none.
func openRooms(ctx context.Context, st store.Store, s *settings.Service, p feed.Publisher, key *secret.Key, c *config.Config) (r roomSlice, err error) {
	if c != nil {
		if r.files, r.done, err = openFiles(c); err != nil {
			return roomSlice{}, err
		}
	}
	r.service, err = rooms.New(rooms.Options{Store: roomStore(st), Settings: s, Feed: p, Codes: key, Blobs: r.files})
	if err == nil {
		if err = r.service.Start(ctx); err != nil {
			err = fmt.Errorf("the first channel cannot be made: %w", err)
		}
	}
	if err != nil {
		return roomSlice{}, errors.Join(err, r.close())
	}
	return r, nil
}

// close gives back what openRooms opened.
func (r *roomSlice) close() error {
	if r.done == nil {
		return nil
	}
	return r.done()
}

// filesName is the directory of files inside the data directory.
const filesName = "files"

// filesPlace is where the configuration has files.
func filesPlace(c *config.Config) (blob.Place, error) {
	if c.FilesURL == "" {
		return blob.Place{Directory: filepath.Join(c.DataDir, filesName)}, nil
	}
	return blob.Parse(c.FilesURL.Reveal())
}

// checkFiles finds what is wrong with FILES_URL.
func checkFiles(c *config.Config) (problems, warnings []string) {
	p, err := filesPlace(c)
	for _, line := range each(err) {
		problems = append(problems, "FILES_URL: "+line)
	}
	if p.Clear && err == nil {
		warnings = append(warnings, "FILES_URL names a bucket without TLS: whoever is on the way reads every file; write s3://")
	}
	if c.MongoURL != "" && c.FilesURL == "" {
		warnings = append(warnings, "FILES_URL is empty: files are kept in DATA_DIR of each node, where the others "+
			"do not find them; with several nodes name a bucket "+

			"or a directory that all of them see")
	}
	return problems, warnings
}

// openFiles opens the place of files. A bucket is not asked for anything yet.
func openFiles(c *config.Config) (blob.Store, func() error, error) {
	p, err := filesPlace(c)
	if err != nil {
		return nil, nil, fmt.Errorf("FILES_URL: %s", oneLine(err))
	}
	st, done, err := p.Open(filepath.Join(c.DataDir, filesName, "drafts"))
	switch {
	case err == nil:
		return st, done, nil
	case p.Directory != "" && c.FilesURL != "":
		return nil, nil, fmt.Errorf("FILES_URL: %s is not writable (%s): make it a directory that this user may write", p.Directory, cause(err))
	}
	return nil, nil, explainDir(c.DataDir, err)
}

// roomStore is the rooms' half of a store that openStore opened.
func roomStore(st store.Store) rooms.Store {
	switch st := st.(type) {
	case *sqlite.Store:
		return roomsqlite.New(st)
	case *mongo.Store:
		return roommongo.New(st)
	}
	panic(fmt.Sprintf("app: no rooms in a %T", st))
}

// track makes presence, for a server. alone says that no other node shares the store.
func (r *roomSlice) track(st store.Store, s *settings.Service, hub *realtime.Hub, alone bool, log *zap.Logger) (err error) {
	r.presence, err = rooms.NewTracker(rooms.PresenceOptions{
		Store: roomStore(st), Settings: s, Feed: hub, Node: hub.Node(), Alone: alone, Logger: log,
	})
	r.sweeper = &rooms.FileSweeper{Rooms: r.service, Alone: alone, Logger: log}
	log.Info("files", zap.Stringer("in", r.files))
	return err
}

// follower does in rooms what follows from changes of accounts.
func (r *roomSlice) follower() accounts.Follower {
	return &rooms.Follower{Rooms: r.service, Presence: r.presence}
}

// run follows who is connected, and sweeps files, until ctx ends.
func (r *roomSlice) run(ctx context.Context) error {
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		r.probe(ctx)
		_ = r.sweeper.Run(ctx)
	})
	defer sweeping.Wait()
	return r.presence.Run(ctx)
}

// probe tells an operator at the start that a bucket cannot be used. Chat goes on: it may
// be back in a minute.
func (r *roomSlice) probe(ctx context.Context) {
	bucket, ok := r.files.(*blob.S3)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if err := bucket.Probe(ctx); err != nil {
		r.sweeper.Logger.Error("files_unreachable", zap.Stringer("in", bucket), zap.Error(err),
			zap.String("hint", "uploads and downloads fail until FILES_URL names a bucket that its keys may write, read and delete in"))
	}
}

// probeTime is how long a bucket has to answer at the start.
const probeTime = 15 * time.Second

// calls are the methods and routes; streams what members may subscribe to.
func (r *roomSlice) calls(a *App) ([]methods.Slice, []rest.Group) {
	o := calls.Options{Rooms: r.service, Presence: r.presence, Accounts: a.accounts, Settings: a.settings, Limiter: a.limiter, Audit: a.audit}
	return []methods.Slice{calls.Methods(o)}, calls.Routes(o)
}

func (r *roomSlice) streams(a *App) []realtime.Group {
	return []realtime.Group{streams.New(streams.Options{Hub: a.hub, Rooms: r.service, Presence: r.presence, Logger: a.log})}
}
