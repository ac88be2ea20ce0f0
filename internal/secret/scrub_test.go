package secret

import (
	"strings"
	"testing"
	"time"

	"ddpserver/internal/growthtest"
)

func TestScrub(t *testing.T) {
	for in, want := range map[string]string{
		"nothing here":                     "nothing here",
		"rcpt <alice@example.com> refused": "rcpt <a***@example.com> refused",
		"a@b c@d":                          "a***@b c***@d",
		"dial mongodb://root:p4ss@db:27017/x: refused":  "dial mongodb://[redacted]@db:27017/x: refused",
		"smtps://me%40x:pw@mail then bob+tag@x.example": "smtps://[redacted]@mail then b***@x.example",
		"http://host/path mail x.y@z":                   "http://host/path mail x***@z",
		"@ alone, @twice":                               "@ alone, @twice",
	} {
		if got := Scrub(in); got != want {
			t.Errorf("Scrub(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestScrubIsLinear(t *testing.T) {
	took := growthtest.Work(func() {
		Scrub(strings.Repeat("://a@", 200_000))
		Scrub(strings.Repeat("a", 1_000_000) + "@")
	})
	if took > 2*time.Second {
		t.Errorf("a megabyte took %v", took)
	}
}
