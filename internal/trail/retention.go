package trail

import (
	"context"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/settings"
)

const (
	// sweepEvery is how often old events are looked for.
	sweepEvery = time.Minute
	// sweepStep is how many are removed in one write: calls wait for no longer one.
	sweepStep = 200
	// sweepMost bounds one sweep; the next one goes on.
	sweepMost = 50_000
)

// days is for how many days events are kept; 0 keeps none.
func (s *Service) days() int { return s.o.Settings.Int(settings.AuditRetentionDays) }

// sweep removes what is too old or too much by the settings as they are now.
func (s *Service) sweep(ctx context.Context) {
	if _, err := s.Trim(ctx); err != nil && ctx.Err() == nil {
		s.o.Logger.Warn("audit_copy_not_trimmed", zap.Error(err))
	}
}

// Trim removes what is too old or too much by the settings as they are now, in small
// steps, and returns how many events that were. Run does it once a minute.
func (s *Service) Trim(ctx context.Context) (removed int, err error) {
	before, most := s.o.Now().AddDate(0, 0, -s.days()), s.o.Settings.Int(settings.AuditRetentionEvents)
	if s.days() == 0 {
		before = s.o.Now().Add(24 * time.Hour) // clocks of nodes differ
	}
	for removed < sweepMost {
		n, err := s.o.Store.TrimTrail(ctx, before, most, sweepStep)
		removed += n
		if err != nil || n < sweepStep {
			return removed, err
		}
	}
	return removed, nil
}
