package blob

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"ddpserver/internal/dberr"
)

// draftsName is the directory of drafts inside a directory of blobs: on the same file
// system, so that a draft becomes a blob by its name alone.
const draftsName = "drafts"

// Dir keeps blobs in a directory, which several servers may share: drafts have names of
// their own, and a name appears in it all at once. Files are readable by their owner alone.
type Dir struct {
	*spool
	path string
	root *os.Root
}

// OpenDir opens or makes a directory of blobs.
func OpenDir(at string) (*Dir, error) {
	drafts, err := openSpool(filepath.Join(at, draftsName))
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(at)
	if err != nil {
		return nil, err
	}
	return &Dir{spool: drafts, path: at, root: root}, nil
}

// String implements Store.
func (d *Dir) String() string { return d.path }

// Close gives the directory back.
func (d *Dir) Close() error { return errors.Join(d.spool.root.Close(), d.root.Close()) }

// place is where a blob is: few enough names in each directory.
func place(key string) string { return path.Join(key[:min(2, len(key))], key) }

// Create implements Store.
func (d *Dir) Create(key string) (*Draft, error) { return d.create(key, d.commit) }

// commit has the bytes on the disk before the name, and the name before it returns.
func (d *Dir) commit(_ context.Context, draft *Draft) error {
	to := place(draft.key)
	err := draft.file.Sync()
	if err == nil {
		err = d.root.Mkdir(path.Dir(to), 0o700)
	}
	if err == nil {
		err = d.syncDir(".")
	} else if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err == nil {
		err = d.root.Rename(path.Join(draftsName, draft.name), to)
	}
	if err == nil {
		err = d.syncDir(path.Dir(to))
	}
	if errors.Is(err, fs.ErrNotExist) { // swept meanwhile: it is lost
		err = errors.Join(dberr.Unavailable, errors.New("the draft is gone"))
	}
	return failed("commit", err)
}

func (d *Dir) syncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open implements Store.
func (d *Dir) Open(_ context.Context, key string) (Reader, error) {
	if !usable(key) {
		return nil, dberr.NotFound
	}
	f, err := d.root.Open(place(key))
	if err != nil {
		return nil, failed("open", err)
	}
	return f, nil
}

// Remove implements Store.
func (d *Dir) Remove(_ context.Context, key string) error {
	if !usable(key) {
		return nil
	}
	err := d.root.Remove(place(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return failed("remove", err)
}

var _ Store = (*Dir)(nil)
