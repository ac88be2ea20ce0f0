package mongo

import (
	"testing"
	"time"
)

// TestTimeLimit: the URL may say how long an operation takes at most, and the
// driver does not give the same time to each command again.
func TestTimeLimit(t *testing.T) {
	for url, want := range map[string]time.Duration{
		"mongodb://localhost/x": 4500 * time.Millisecond, "mongodb://localhost/x?timeoutMS=0": 4500 * time.Millisecond,
		"mongodb://localhost/x?timeoutMS=60000": time.Minute, "mongodb://localhost/x?timeoutMS=300": 300 * time.Millisecond,
	} {
		opts, limit := clientOptions(url)
		if time.Duration(limit) != want || *opts.ServerSelectionTimeout != want || *opts.ConnectTimeout != want || opts.Timeout != nil {
			t.Errorf("%s: %v, %v, %v, %v", url, time.Duration(limit), *opts.ServerSelectionTimeout, *opts.ConnectTimeout, opts.Timeout)
		}
		ctx, cancel := limit.op(t.Context())
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > want {
			t.Errorf("%s: ends at %v", url, end)
		}
		cancel()
	}
}
