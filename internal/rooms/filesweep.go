package rooms

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

const (
	sweepEvery = time.Minute
	// sweepBatch is how many files one look of a sweep is about.
	sweepBatch = 100
	// settledAfter is the age from which on a file that no message has is nobody's: the
	// message would be there.
	settledAfter = 10 * time.Minute
)

// FileSweeper removes what uploads left that nobody finished, files whose message is gone,
// and bytes that could not be removed at once. Several nodes may do so at the same time.
type FileSweeper struct {
	Rooms *Service
	// Alone says that no other node shares the store: what is under way at the start is
	// under way nowhere.
	Alone  bool
	Logger *zap.Logger

	walked string
}

// Run sweeps until ctx ends, and returns nil.
func (w *FileSweeper) Run(ctx context.Context) error {
	if w.Rooms.blobs == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	w.warn(w.Sweep(ctx, w.Alone))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			w.warn(w.Sweep(ctx, false))
		}
	}
}

func (w *FileSweeper) warn(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		w.Logger.Warn("files_not_swept", zap.Error(err))
	}
}

// Sweep does all of it once. start says that every upload under way is of a process that
// is dead.
func (w *FileSweeper) Sweep(ctx context.Context, start bool) error {
	s := w.Rooms
	now := s.time()
	dead := now.Add(-uploadLife)
	if start {
		dead = now.Add(time.Millisecond)
	}
	return errors.Join(
		s.blobs.Sweep(dead),
		w.stale(ctx, FileUploading, dead),
		w.stale(ctx, FileWaiting, now.Add(-fileLife)),
		w.stale(ctx, FileGone, now.Add(time.Millisecond)),
		w.walk(ctx, now),
	)
}

func (w *FileSweeper) stale(ctx context.Context, in FileState, before time.Time) error {
	for {
		list, err := w.Rooms.store.StaleFiles(ctx, in, before, sweepBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, f := range list {
			if err := w.Rooms.remove(ctx, f.ID); err != nil {
				return err
			}
		}
	}
}

// walk looks at the next files that are attached, and removes those whose message or room
// is gone: whoever deletes these need not know of files.
func (w *FileSweeper) walk(ctx context.Context, now time.Time) error {
	list, err := w.Rooms.store.FilesAfter(ctx, w.walked, sweepBatch)
	if err != nil {
		return err
	}
	for _, f := range list {
		w.walked = f.ID
		if f.UpdatedAt.After(now.Add(-settledAfter)) {
			continue
		}
		held, err := w.Rooms.has(ctx, f)
		if err == nil && !held {
			err = w.Rooms.remove(ctx, f.ID)
		}
		if err != nil {
			return err
		}
	}
	if len(list) < sweepBatch {
		w.walked = ""
	}
	return nil
}
