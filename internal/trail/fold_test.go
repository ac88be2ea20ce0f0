package trail_test

import (
	"fmt"
	"testing"
	"time"

	"ddpserver/internal/audit"
	"ddpserver/internal/settings"
	"ddpserver/internal/trail"
)

// A23: whoever is refused very often does not push the history of others out of the copy:
// refusals that are alike, whatever their texts, are told with their number, and none is
// lost. The first of them stand there one by one.
func TestA23AFloodOfRefusalsIsFewEvents(t *testing.T) {
	for _, outcome := range []string{"refused", "required", "limited", "error"} {
		keep(t, func(t *testing.T, k *kept) {
			k.Set(settings.AuditRetentionEvents, 1000)
			k.record(300, "password_change")
			const flood, rounds = 500, 20
			for range rounds {
				for i := range flood {
					k.Record(audit.Event{Act: "factor_check", Outcome: outcome, User: "eve", Address: "192.0.2.7", Method: fmt.Sprint("m", i), Reason: fmt.Sprint(i)})
				}
				time.Sleep(30 * time.Minute)
			}
			k.Record(audit.Event{Act: "factor_check", Outcome: outcome, User: "eve", Address: "192.0.2.7"})
			k.Record(audit.Event{Act: "factor_check", Outcome: outcome, User: "bob", Address: "192.0.2.7"})
			k.stop()
			if others := len(k.list(t, trail.Filter{Account: "u"})); others != 300 {
				t.Errorf("%s: %d of 300 events of another are left", outcome, others)
			}
			events, told := k.list(t, trail.Filter{Account: "eve"}), 0
			for _, e := range events {
				told += max(1, e.Count)
			}
			if told != flood*rounds+1 || len(events) != 11*rounds+1 {
				t.Errorf("%s: %d events tell of %d", outcome, len(events), told)
			}
			if n := len(k.list(t, trail.Filter{Account: "bob"})); n != 1 {
				t.Errorf("%s: %d events of somebody else", outcome, n)
			}
		})
	}
}
