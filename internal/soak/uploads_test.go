package soak

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ddpserver/internal/testwait"
)

// TestSoakUploads: a hundred files that come at once are not held in memory, whatever their size; and a process that is
// killed in the middle of them leaves nothing of them after its next start.
func TestSoakUploads(t *testing.T) {
	together(t)
	dir := t.TempDir()
	people := seed(t, dir, "ada", 10, nil)
	files, small, large := 20, int64(256<<10), int64(2<<20)
	if long {
		files, small, large = 100, 1<<20, 16<<20
	}
	if n, err := strconv.ParseInt(os.Getenv("SOAK_UPLOAD_MIB"), 10, 64); err == nil {
		files, large = 100, n<<20
	}
	s := launch(t, dir, calm)
	for _, a := range people {
		if code, text := ask(t, s, a, "channels.join", "application/json", strings.NewReader(`{"roomId":"GENERAL"}`)); code != 200 {
			t.Fatalf("joining: %d %s", code, text)
		}
	}
	uploads := func(size int64) {
		t.Helper()
		var all sync.WaitGroup
		for i := range files {
			all.Go(func() {
				if code, text := ask(t, s, people[i%len(people)], "rooms.upload/GENERAL", "multipart/form-data; boundary=x", fileOf(size)); code != 200 {
					t.Errorf("an upload of %d bytes: %d %s", size, code, text)
				}
			})
		}
		all.Wait()
	}
	uploads(small)
	before := s.peak()
	uploads(large)
	after := s.peak()
	t.Logf("%d uploads at once: %d KiB at most with files of %d KiB, %d KiB with files of %d MiB", files, before>>10, small>>10, after>>10, large>>20)
	if grown := after - before; grown > int64(files)*large/8 && grown > 24<<20 {
		t.Errorf("%d KiB more for files of %d MiB", grown>>10, large>>20)
	}

	// Half a file, and nobody to write the rest.
	half, rest := io.Pipe()
	var cut sync.WaitGroup
	cut.Go(func() { _, _ = try(s, people[0], "rooms.upload/GENERAL", "multipart/form-data; boundary=x", half) })
	if _, err := io.Copy(rest, io.LimitReader(fileOf(large), large/2)); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "the draft of half a file", func() bool { return len(under(t, filepath.Join(dir, "files", "drafts"))) == 1 })
	kept := len(under(t, filepath.Join(dir, "files")))
	s.kill()
	_ = rest.CloseWithError(io.ErrUnexpectedEOF)
	cut.Wait()
	s = launch(t, dir, calm)
	if code, text := ask(t, s, people[1], "rooms.upload/GENERAL", "multipart/form-data; boundary=x", fileOf(100)); code != 200 {
		t.Errorf("after the start: %d %s", code, text)
	}
	testwait.Until(t, "the end of the draft of the process that was killed", func() bool {
		return len(under(t, filepath.Join(dir, "files", "drafts"))) == 0
	})
	if n := len(under(t, filepath.Join(dir, "files"))); n != kept {
		t.Errorf("%d files, want the %d of before, the half one less and one more", n, kept)
	}
}

// fileOf is a body with a file of that size.
func fileOf(size int64) io.Reader {
	return io.MultiReader(strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n"),
		io.LimitReader(zeros{}, size), strings.NewReader("\r\n--x--\r\n"))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func ask(t testing.TB, s *server, a *account, path, media string, body io.Reader) (code int, text string) {
	t.Helper()
	resp, err := try(s, a, path, media, body)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	return resp.code, resp.text
}

type reply struct {
	code int
	text string
}

func try(s *server, a *account, path, media string, body io.Reader) (reply, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+s.addr+"/api/v1/"+path, body)
	if err != nil {
		return reply{}, err
	}
	req.Close = true
	req.Header.Set("Content-Type", media)
	req.Header.Set("X-User-Id", a.id)
	req.Header.Set("X-Auth-Token", a.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, string(text)}, err
}

// under are the files below a directory.
func under(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
