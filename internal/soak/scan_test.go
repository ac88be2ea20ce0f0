package soak

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// scan looks for codes in clear in every file below a data directory: as the mail
// shows them, and as six digits on their own.
func scan(t testing.TB, dir string, codes []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, digits := range codes {
			c := []byte(digits)
			if len(c) == 6 && (bytes.Contains(text, append(append(slices.Clone(c[:3]), '-'), c[3:]...)) || alone(text, c)) || len(c) > 6 && bytes.Contains(text, c) {
				t.Errorf("%s holds a code in clear", filepath.Base(path))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// alone tells whether digits stand in a text without a digit or dot beside them.
func alone(text, digits []byte) bool {
	part := func(b byte) bool { return b >= '0' && b <= '9' || b == '.' }
	for at := 0; ; {
		i := bytes.Index(text[at:], digits)
		if i < 0 {
			return false
		}
		begin, end := at+i, at+i+len(digits)
		if (begin == 0 || !part(text[begin-1])) && (end == len(text) || !part(text[end])) {
			return true
		}
		at = begin + 1
	}
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2].Round(100 * time.Microsecond)
}

// worst is the longest of some times.
func worst(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return slices.Max(d).Round(100 * time.Microsecond)
}
