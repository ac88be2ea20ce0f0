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
				i := bytes.Index(text, c)
				t.Errorf("%s holds a code of %d characters in clear: %q", filepath.Base(path), len(c), text[max(0, i-40):min(len(text), max(i, 0)+40)])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// alone tells whether digits stand in a text as a word: not inside a longer
// number, a fraction, or a digest in hex or base64.
func alone(text, digits []byte) bool {
	part := func(b byte) bool {
		return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '.' || b == '+' || b == '/'
	}
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
