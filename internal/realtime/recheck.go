package realtime

import (
	"context"
	"time"
)

// recheckEvery is how often each account that somebody on this node is logged in
// as is read anew, so that what nobody told the hub of has its effect: a login
// token or an account that somebody removed or deactivated with other tools, or
// an event that was lost (spec meteor-ddp A20, security S044, S109).
const recheckEvery = 30 * time.Second

// recheckSteps spreads one round over its time.
const recheckSteps = 30

// Run reads the accounts of whoever is logged in again, round after round, until
// ctx ends. When it returns, nothing it started is left.
func (b *Base) Run(ctx context.Context) error {
	tick := time.NewTicker(recheckEvery / recheckSteps)
	defer tick.Stop()
	var round []string
	for step := 0; ; step = (step + 1) % recheckSteps {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if step == 0 {
			round = b.own.ids()
		}
		for _, id := range round[step*len(round)/recheckSteps : (step+1)*len(round)/recheckSteps] {
			if ctx.Err() != nil || !b.own.refresh(id) {
				break // the store does not answer; the next round asks again
			}
		}
	}
}
