package realtime

import (
	"context"
	"errors"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ddp"
	"ddpserver/internal/settings"
)

// recheckEvery is how often each account that somebody on this node is logged in
// as is read anew, so that what nobody told the hub of has its effect: a login
// token or an account that somebody removed or deactivated with other tools, or
// an event that was lost (docs/wire/ddp.md F2 A20, docs/security-tests.md S044, S109).
const recheckEvery = 30 * time.Second

// recheckSteps spreads one round over its time.
const recheckSteps = 30

// rulesOfFactors are the settings that decide who must set up a second factor
// before anything else.
var rulesOfFactors = map[string]bool{
	settings.TwoFactorMandatoryRoles: true, settings.TwoFactorEnabled: true, settings.TwoFactorByTOTP: true,
	settings.TwoFactorByEmail: true, settings.TwoFactorEmailOAuth: true, settings.TwoFactorByWebAuthn: true,
}

// Run reads the accounts of whoever is logged in again, round after round, until
// ctx ends, and checks what they listen to when the rules of second factors
// change, on whichever node. When it returns, nothing it started is left.
func (b *Base) Run(ctx context.Context) error {
	tick := time.NewTicker(recheckEvery / recheckSteps)
	defer tick.Stop()
	var round []string
	for step := 0; ; step = (step + 1) % recheckSteps {
		select {
		case <-ctx.Done():
			return nil
		case <-b.rules:
			b.settings.Settle() // the router heard of the change too
			for _, id := range b.own.ids() {
				b.readmit(id)
			}
			step-- // not a step of the round
			continue
		case <-tick.C:
		}
		if step == 0 {
			round = b.own.ids()
		}
		for _, id := range round[step*len(round)/recheckSteps : (step+1)*len(round)/recheckSteps] {
			if ctx.Err() != nil {
				break
			}
			if _, err := b.own.refresh(id); errors.Is(err, dberr.Unavailable) {
				break // the store does not answer; the next round asks again
			} // an account that cannot be read keeps nobody else from being checked
		}
	}
}

// recheck asks again whether this user may have what was subscribed, by the gate
// and by the streams, and ends the subscriptions that no longer may be. It is
// called when roles or factors change.
func (b *Base) recheck(userID string) {
	b.readmit(userID)
	b.hub.recheck(userID)
}

// readmit ends the subscriptions of a user that the gate would not admit any more:
// those of every publication and stream, the own events of stream-notify-user
// among them. The engine knows them all; nothing is kept for this.
func (b *Base) readmit(userID string) {
	if userID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), StoreTime)
	defer cancel()
	b.sessions.Sessions(userID, func(s *ddp.Session) bool {
		l := s.Login()
		subs := s.Subscriptions()
		if l.UserID != userID || len(subs) == 0 || b.gate.Enrolled(ctx, l) == nil {
			return true
		}
		for _, sub := range subs {
			event, _, _ := streamParams(sub) // what names no event is open to nobody by its event
			if err := b.gate.Admit(ctx, l, sub.Name(), event); err != nil {
				sub.Error(err)
			}
		}
		return true
	})
}
