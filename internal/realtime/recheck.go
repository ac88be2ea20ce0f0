package realtime

import (
	"context"
	"sync"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/settings"
)

// What nobody told the hub of has its effect all the same (docs/wire/ddp.md F2 A20,
// docs/security-tests.md S044, S109). What a node of this program did is marked in the
// store, and found by the next sweep. What somebody did to the database with other
// tools, a login token or an account that was removed or deactivated, is found by the
// round in which each account that somebody here is logged in as is read anew.
const (
	// roundShared is how long a round takes on a store that others write too.
	roundShared = 5 * time.Minute
	// roundAlone is how long it takes on a store of this process, where it costs no commands.
	roundAlone = 30 * time.Second
	// roundSteps spreads one round over its time.
	roundSteps = 30
)

// rulesOfFactors are the settings that decide who must set up a second factor
// before anything else.
var rulesOfFactors = map[string]bool{
	settings.TwoFactorMandatoryRoles: true, settings.TwoFactorEnabled: true, settings.TwoFactorByTOTP: true,
	settings.TwoFactorByEmail: true, settings.TwoFactorEmailOAuth: true, settings.TwoFactorByWebAuthn: true,
}

// Run follows the marks of a shared store, reads the accounts of whoever is logged in
// again, round after round, and checks what they listen to when the rules of second
// factors change, on whichever node, until ctx ends. When it returns, nothing it started
// is left.
func (b *Base) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { b.followRules(ctx) })
	loops.Go(func() { b.rounds(ctx) })
	loops.Go(func() { b.expiries(ctx) })
	if b.marked != nil {
		loops.Go(func() { b.sweeps(ctx) })
	}
	loops.Wait()
	b.hub.workers.wait()
	return nil
}

// followRules checks everybody when the rules of second factors have changed.
func (b *Base) followRules(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.rules:
		}
		b.settings.Settle() // the router heard of the change too
		for _, id := range b.own.ids() {
			if ctx.Err() != nil {
				return
			}
			b.readmit(id)
		}
	}
}

// expiries ends the sessions of personal access tokens that come to their end, which is no
// change that anybody marks. What cannot be read is read a moment later.
func (b *Base) expiries(ctx context.Context) {
	every(ctx, sweepEvery, false, func() {
		if ids := b.own.expired(time.Now()); len(ids) > 0 {
			_ = b.own.refreshMany(ctx, ids) // in the log
		}
	})
}

// rounds reads the accounts in use again, a part of them at each step. What cannot be
// read because the store does not answer is read at the next step.
func (b *Base) rounds(ctx context.Context) {
	round := roundShared
	if b.marked == nil {
		round = roundAlone
	}
	var left []string
	step, size := 0, 0
	every(ctx, round/roundSteps, false, func() {
		if step%roundSteps == 0 {
			left = b.own.ids() // those that are left of the last round among them
			size = (len(left) + roundSteps - 1) / roundSteps
		}
		step++
		n := min(size, len(left))
		if b.own.refreshMany(ctx, left[:n]) == nil {
			left = left[n:]
		}
	})
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
