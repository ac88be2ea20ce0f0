package sqlite_test

import (
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	core "ddpserver/internal/store/storetest"
	"ddpserver/internal/trail"
	"ddpserver/internal/trail/sqlite"
	"ddpserver/internal/trail/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB) trail.Store { return sqlite.New(core.OpenSQLite(t, sqlite.Schemas()...)) }

func TestConformance(t *testing.T) { storetest.Run(t, open) }

// BenchmarkPages reads pages of a trail of 100,000 events: the ones that an index
// answers, and the worst that are looked for.
func BenchmarkPages(b *testing.B) {
	s := open(b)
	for part := range slices.Chunk(storetest.Events(100_000), 200) {
		if err := s.AppendTrail(b.Context(), part); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]trail.Query{
		"newest": {}, "offset": {Skip: 10_000}, "account": {Account: "user7"}, "subject": {Account: "user7", As: trail.Subject}, "administrator": {Account: "root"},
		"act": {Act: "factor_check"}, "act and outcome": {Act: "login", Outcome: "refused"}, "address": {Address: "192.0.2.7"},
		"prefix": {Address: "192.0.2.", Prefix: true}, "prefix nobody has": {Address: "203.", Prefix: true},
		"text": {Text: "curl"}, "text nobody has": {Text: "needle"}, "account and text nobody has": {Account: "root", Text: "needle"},
		"account, act, outcome": {Account: "user7", Act: "login", Outcome: "limited"},
	} {
		q.Limit, q.Scan = 50, 10_000
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.PageTrail(b.Context(), q); err != nil {
					b.Fatal(err)
				}
				if q.Indexed() {
					if _, err := s.CountTrail(b.Context(), q, 10_001); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
