package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"go.uber.org/goleak"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms/blob"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bucket is a server that speaks S3, and its address; spoil may answer in its place.
func bucket(t testing.TB, spoil func(w http.ResponseWriter, r *http.Request) bool) (address string, backend *s3mem.Backend) {
	t.Helper()
	backend = s3mem.New()
	if err := backend.CreateBucket("files"); err != nil {
		t.Fatal(err)
	}
	s3 := gofakes3.New(backend).Server()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if spoil == nil || !spoil(w, r) {
			s3.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return strings.Replace(srv.URL, "http://", "s3+http://key:secret%2Fkey@", 1) + "/files/here?region=eu-central-1", backend
}

func open(t testing.TB, address string) (blob.Store, string) {
	t.Helper()
	p, err := blob.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	drafts := filepath.Join(t.TempDir(), "drafts")
	s, done, err := p.Open(drafts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	})
	if p.Directory != "" {
		drafts = filepath.Join(p.Directory, "drafts")
	}
	return s, drafts
}

// stores runs a test on both kinds.
func stores(t *testing.T, run func(t *testing.T, s blob.Store, drafts string)) {
	t.Run("directory", func(t *testing.T) {
		s, drafts := open(t, "file://"+filepath.Join(t.TempDir(), "blobs"))
		run(t, s, drafts)
	})
	t.Run("bucket", func(t *testing.T) {
		address, _ := bucket(t, nil)
		s, drafts := open(t, address)
		run(t, s, drafts)
	})
}

func write(t testing.TB, s blob.Store, key string, parts ...string) *blob.Draft {
	t.Helper()
	d, err := s.Create(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if _, err := io.WriteString(d, p); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func entries(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.Name()
	}
	return names
}

func fails(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func TestWriteReadRemove(t *testing.T) {
	stores(t, func(t *testing.T, s blob.Store, drafts string) {
		ctx := t.Context()
		text := "\x00first " + strings.Repeat("0123456789", 10_000) + " last\xff"
		d := write(t, s, "k1", text[:7], text[7:50_000], text[50_000:])
		if d.Size() != int64(len(text)) {
			t.Error("size", d.Size())
		}
		head := make([]byte, 6)
		if _, err := d.ReadAt(head, 1); err != nil || string(head) != "first " {
			t.Errorf("%q %v", head, err)
		}
		_, err := s.Open(ctx, "k1")
		fails(t, err, dberr.NotFound) // it is not there before it is whole
		fails(t, d.Commit(ctx), nil)
		if list := entries(t, drafts); len(list) > 0 {
			t.Errorf("drafts are left: %q", list)
		}
		r, err := s.Open(ctx, "k1")
		fails(t, err, nil)
		if size, err := r.Seek(0, io.SeekEnd); err != nil || size != int64(len(text)) {
			t.Errorf("%d %v", size, err)
		}
		for _, from := range []int64{0, 3, int64(len(text)) - 4, 50_000, int64(len(text))} {
			at, err := r.Seek(from, io.SeekStart)
			got, err2 := io.ReadAll(r)
			if err != nil || err2 != nil || at != from || string(got) != text[from:] {
				t.Errorf("from %d: %d bytes at %d, %v %v", from, len(got), at, err, err2)
			}
		}
		fails(t, r.Close(), nil)
		fails(t, s.Remove(ctx, "k1"), nil)
		fails(t, s.Remove(ctx, "k1"), nil)
		_, err = s.Open(ctx, "k1")
		fails(t, err, dberr.NotFound)

		fails(t, write(t, s, "empty").Commit(ctx), nil)
		r, err = s.Open(ctx, "empty")
		fails(t, err, nil)
		if got, err := io.ReadAll(r); len(got) > 0 || err != nil {
			t.Errorf("%q %v", got, err)
		}
		fails(t, r.Close(), nil)
	})
}

func TestDraftsLeaveNothing(t *testing.T) {
	stores(t, func(t *testing.T, s blob.Store, drafts string) {
		d := write(t, s, "k1", "thrown away")
		d.Discard()
		d.Discard()
		if err := d.Commit(t.Context()); err == nil {
			t.Error("a discarded draft was committed")
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		d = write(t, s, "k2", "nobody waits for it")
		if err := d.Commit(ended); err == nil && s.String() != filepath.Dir(drafts) {
			t.Error("it was sent although nobody waits")
		}
		if list := entries(t, drafts); len(list) > 0 {
			t.Errorf("drafts are left: %q", list)
		}
		// A process that dies leaves its drafts, which are swept by age.
		left, fresh := write(t, s, "k3", "half"), write(t, s, "k4", "in the middle of it")
		old := time.Now().Add(-time.Hour)
		for _, name := range entries(t, drafts) {
			if strings.HasPrefix(name, "k3") {
				fails(t, os.Chtimes(filepath.Join(drafts, name), old, old), nil)
			}
		}
		fails(t, s.Sweep(time.Now().Add(-time.Minute)), nil)
		if list := entries(t, drafts); len(list) != 1 || !strings.HasPrefix(list[0], "k4") {
			t.Errorf("after the sweep: %q", list)
		}
		fails(t, fresh.Commit(t.Context()), nil)
		if err := left.Commit(t.Context()); err == nil && s.String() == filepath.Dir(drafts) {
			t.Error("a draft that was swept was committed")
		}
	})
}

// Keys mean nothing to a file system, whatever they look like.
func TestKeys(t *testing.T) {
	stores(t, func(t *testing.T, s blob.Store, _ string) {
		for _, key := range []string{"", ".", "..", "../x", "a/b", "a\\b", "a b", "a\x00", "ä", "%2e", strings.Repeat("x", 65), "drafts/x"} {
			if d, err := s.Create(key); err == nil {
				d.Discard()
				t.Errorf("%q is a key", key)
			}
			_, err := s.Open(t.Context(), key)
			fails(t, err, dberr.NotFound)
			fails(t, s.Remove(t.Context(), key), nil)
		}
		fails(t, write(t, s, "a", "one letter").Commit(t.Context()), nil)
	})
}

func TestFilesAreTheOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	s, drafts := open(t, "file://"+dir)
	d := write(t, s, "k1", "x")
	for _, p := range []string{dir, drafts, filepath.Join(drafts, entries(t, drafts)[0])} {
		if st, err := os.Stat(p); err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", p, st.Mode(), err)
		}
	}
	fails(t, d.Commit(t.Context()), nil)
	if st, err := os.Stat(filepath.Join(dir, "k1", "k1")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	// A symbolic link does not lead out of the directory.
	outside := filepath.Join(t.TempDir(), "secret")
	fails(t, os.WriteFile(outside, []byte("secret"), 0o600), nil)
	fails(t, os.Symlink(outside, filepath.Join(dir, "k1", "k1link")), nil)
	if r, err := s.Open(t.Context(), "k1link"); err == nil {
		_ = r.Close()
		t.Error("a link out of the directory was followed")
	}
}

// What the server cannot serve for a moment is asked again, with the whole body; what it
// refuses is not. Nothing tells the keys.
func TestBucketTrouble(t *testing.T) {
	var bad, requests atomic.Int64
	var status atomic.Int64
	address, backend := bucket(t, func(w http.ResponseWriter, r *http.Request) bool {
		requests.Add(1)
		if bad.Add(-1) < 0 {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(int(status.Load()))
		return true
	})
	s, drafts := open(t, address)
	for _, c := range []struct{ status, bad, requests int64 }{{503, 1, 2}, {500, 2, 3}, {503, 9, 3}, {403, 9, 1}, {301, 9, 1}} {
		t.Run(fmt.Sprint(c.status, " ", c.bad), func(t *testing.T) {
			status.Store(c.status)
			bad.Store(c.bad)
			requests.Store(0)
			err := write(t, s, "k1", "body").Commit(t.Context())
			if n := requests.Load(); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			if c.bad < 3 {
				fails(t, err, nil)
				o, err := backend.GetObject("files", "here/k1", nil)
				fails(t, err, nil)
				if got, _ := io.ReadAll(o.Contents); string(got) != "body" {
					t.Errorf("%q", got)
				}
			} else {
				fails(t, err, dberr.Unavailable)
				if strings.Contains(err.Error(), "secret") {
					t.Error(err)
				}
			}
			if list := entries(t, drafts); len(list) > 0 {
				t.Errorf("drafts are left: %q", list)
			}
		})
	}
	bad.Store(0)
	probe := s.(*blob.S3)
	fails(t, probe.Probe(t.Context()), nil)
	status.Store(403)
	bad.Store(1)
	fails(t, probe.Probe(t.Context()), dberr.Unavailable)
	if text := s.String(); strings.Contains(text, "secret") || strings.Contains(text, "key") || !strings.HasSuffix(text, "/files/here") {
		t.Error(text)
	}
}

func TestParse(t *testing.T) {
	for address, want := range map[string]string{
		"file:///srv/files":                             "",
		"s3://key:se%2Fcret@s3.example.com/files":       "",
		"s3+http://k:s@10.0.0.5:9000/b-1.x/p/q?region=": "region",
		"s3+http://k:s@10.0.0.5:9000/files/p/q/":        "",
		"":                                              "no place for files",
		"files":                                         "no place for files",
		"http://k:s@h/files":                            "no place for files",
		"file://srv/files":                              "three slashes",
		"file:files":                                    "three slashes",
		"s3://h/files":                                  "no keys",
		"s3://k@h/files":                                "no keys",
		"s3://k:s@/files":                               "no host",
		"s3://k:s@h":                                    "no bucket",
		"s3://k:s@h/A_B":                                "no bucket",
		"s3://k:s@h/files/../x":                         "no beginning of keys",
		"s3://k:s@h/files/a//b":                         "no beginning of keys",
		"s3://k:s@h/files?style=path":                   "something else than a region",
		"s3://k:s@h/files#x":                            "%23",
		"s3://k:s%@h/files":                             "no valid URL",
		"s3://" + strings.Repeat("x", 100_000):          "no keys",
	} {
		_, err := blob.Parse(address)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.80s: %v, want %q", address, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "k:s") {
			t.Errorf("%s is repeated: %v", address, err)
		}
	}
	// All problems at once.
	if _, err := blob.Parse("s3:///?x=1"); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("%v", err)
	}
	for address, clear := range map[string]bool{"s3+http://k:s@localhost/files": false, "s3+http://k:s@127.0.0.1:1/files": false,
		"s3+http://k:s@minio/files": true, "s3://k:s@minio/files": false} {
		if p, err := blob.Parse(address); err != nil || p.Clear != clear {
			t.Errorf("%s: %v %v", address, p.Clear, err)
		}
	}
}

// nothing takes a request and forgets it: what a bucket in the same process holds would be
// measured with the store.
func nothing(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPut {
		return false
	}
	sum := sha256.New()
	_, _ = io.Copy(sum, r.Body)
	if fmt.Sprintf("%x", sum.Sum(nil)) != r.Header.Get("X-Amz-Content-Sha256") {
		w.WriteHeader(http.StatusBadRequest)
	}
	return true
}

// Files pass through: a hundred of them at once hold a small part of what they are.
func TestFilesAreNotHeldInMemory(t *testing.T) {
	address, _ := bucket(t, nothing)
	for kind, address := range map[string]string{"directory": "file://" + filepath.Join(t.TempDir(), "blobs"), "bucket": address} {
		t.Run(kind, func(t *testing.T) {
			s, _ := open(t, address)
			const files, size = 20, 4 << 20
			piece := bytes.Repeat([]byte("x"), 32<<10)
			var before, most runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var all sync.WaitGroup
			for i := range files {
				all.Go(func() {
					d, err := s.Create(fmt.Sprint("k", i))
					for n := 0; err == nil && n < size; n += len(piece) {
						_, err = d.Write(piece)
					}
					if err == nil {
						err = d.Commit(t.Context())
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			runtime.ReadMemStats(&most)
			if grown := most.TotalAlloc - before.TotalAlloc; grown > files*size/8 {
				t.Errorf("%d files of %d MiB allocated %d MiB", files, size>>20, grown>>20)
			}
		})
	}
}
