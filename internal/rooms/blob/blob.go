// Package blob keeps the bytes of files: in a directory, or in a bucket of a server that
// speaks S3.
//
// Whoever keeps a file knows its key, its size and whose it is; here are bytes by keys,
// written once and never changed. A blob is there as a whole or not at all: until Commit
// its bytes are in a file of their own (Draft), of which a process that dies leaves nothing
// that Sweep does not find. Bytes are passed on piece by piece: nothing here holds a file
// in memory.
//
// It decides nothing about who may read what, lists nothing, encrypts nothing and starts no
// goroutine. Failures are dberr.Unavailable, and dberr.NotFound for a blob that is not there.
package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/random"
)

// Store is a place where blobs are. It is safe for concurrent use.
type Store interface {
	// Create begins a blob. Keys are letters and digits, at most 64 of them, and used once.
	Create(key string) (*Draft, error)
	// Open reads a blob; ctx ends the reading too. NotFound when there is none.
	Open(ctx context.Context, key string) (Reader, error)
	// Remove forgets a blob. One that is not there is no error.
	Remove(ctx context.Context, key string) error
	// Sweep removes what is left of drafts that nobody wrote to since that time.
	Sweep(before time.Time) error
	// String names the place, without what is secret about it.
	String() string
}

// Reader is a blob that is read. A read may begin anywhere.
type Reader interface {
	io.ReadSeekCloser
}

// Draft is a blob that is being written. Of Commit and Discard one must be called; after
// that the draft is of no use. It belongs to one goroutine.
type Draft struct {
	key  string
	name string // of its file in the spool
	file *os.File
	size int64
	sum  hash.Hash
	dir  *spool
	put  func(ctx context.Context, d *Draft) error
	over bool
}

// Write adds bytes. A disk that is full, or fails, is dberr.Unavailable.
func (d *Draft) Write(p []byte) (int, error) {
	n, err := d.file.Write(p)
	d.size += int64(n)
	d.sum.Write(p[:n])
	return n, failed("write a draft", err)
}

// ReadAt reads what was written.
func (d *Draft) ReadAt(p []byte, at int64) (int, error) { return d.file.ReadAt(p, at) }

// Size is how many bytes were written.
func (d *Draft) Size() int64 { return d.size }

// Commit makes the blob, for good once it returns nil. After an error it is not known
// whether there is one: whoever gets it removes the key.
func (d *Draft) Commit(ctx context.Context) error {
	defer d.Discard()
	if d.over {
		return errors.New("blob: a draft is committed twice")
	}
	return d.put(ctx, d)
}

// Discard forgets a draft that was not committed. It may be called twice.
func (d *Draft) Discard() {
	if d.over {
		return
	}
	d.over = true
	_ = d.file.Close()
	_ = d.dir.root.Remove(d.name) // what stays is swept
}

// spool is the directory in which drafts are written.
type spool struct{ root *os.Root }

// openSpool opens or makes the directory.
func openSpool(path string) (*spool, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &spool{root}, nil
}

func (s *spool) create(key string, put func(context.Context, *Draft) error) (*Draft, error) {
	if !usable(key) {
		return nil, fmt.Errorf("blob: %q is no key", key)
	}
	name := key + "." + random.ID()
	f, err := s.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, failed("begin a draft", err)
	}
	return &Draft{key: key, name: name, file: f, sum: sha256.New(), dir: s, put: put}, nil
}

// Sweep implements Store.
func (s *spool) Sweep(before time.Time) error {
	var errs []error
	err := fs.WalkDir(s.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // it was finished meanwhile
			return nil
		}
		if err == nil && info.ModTime().Before(before) {
			err = s.root.Remove(name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		return nil
	})
	return failed("sweep drafts", errors.Join(append(errs, err)...))
}

// usable tells whether a text can be a key: nothing in it means anything to a file system
// or in an address.
func usable(key string) bool {
	if key == "" || len(key) > 64 {
		return false
	}
	for i := range len(key) {
		c := key[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// failed gives an error its place in dberr.
func failed(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return dberr.NotFound
	case errors.Is(err, dberr.NotFound), errors.Is(err, dberr.Unavailable):
		return err
	}
	return fmt.Errorf("blob: %s: %w: %w", doing, dberr.Unavailable, err)
}
