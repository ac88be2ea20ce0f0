package ejson

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestBombs reads what strangers may send before login (docs/security-tests.md S073): no text
// of 60 KiB may cost more than 4 MiB.
func TestBombs(t *testing.T) {
	var keys strings.Builder
	for i := range 7000 {
		fmt.Fprintf(&keys, `"k%d":0,`, i)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"lists":   {strings.Repeat("[", 60<<10), ErrDepth},
		"objects": {strings.Repeat(`{"a":`, 12<<10), ErrDepth},
		"empty":   {"[" + strings.Repeat("{},", 20<<10) + "{}]", nil},
		"zeros":   {"[" + strings.Repeat("0,", 30<<10) + "0]", nil},
		"keys":    {"{" + keys.String() + `"end":1}`, nil},
		"numbers": {"[" + strings.Repeat("1e400,", 10<<10) + "-1e400]", nil},
		"dates":   {"[" + strings.Repeat(`{"$date":0},`, 5<<10) + "0]", nil},
		"escapes": {strings.Repeat(`{"$escape":{"a":`, 15) + "1" + strings.Repeat("}}", 15), nil},
		"maybes":  {strings.Repeat(`{"$x":`, 31) + `"` + strings.Repeat("x", 59<<10) + `"` + strings.Repeat("}", 31), nil},
		"pattern": {`{"$regexp":"` + strings.Repeat("(a+)+", 6<<10) + `","$flags":"g"}`, nil},
	} {
		raw := []byte(c.text)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := Scan(raw, 32)
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if err := Check(raw); err != nil {
				t.Errorf("%s: Check: %v", name, err)
			}
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("%s: %d KiB for %d KiB", name, used>>10, len(raw)>>10)
		}
	}
}
