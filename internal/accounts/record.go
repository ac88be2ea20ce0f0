package accounts

import (
	"ddpserver/internal/audit"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// record writes one audit event about an act of, or on, the account.
func (s *Service) record(p *rpc.Peer, act, userID string, err error, more ...func(*audit.Event)) {
	e := audit.Event{Time: s.time(), Act: act, User: userID, Outcome: "ok"}
	if f, refusal := fault.From(err); err != nil {
		switch {
		case !refusal:
			e.Outcome = "error"
		case f.Code == "too-many-requests" || f.Is(ErrBlockedUser) || f.Is(ErrBlockedAddress):
			e.Outcome, e.Reason = "limited", f.ID()
		default:
			e.Outcome, e.Reason = "refused", f.ID()
		}
	}
	if p != nil {
		e.Door, e.Address, e.Agent, e.Conn = string(p.Door), p.Address, p.UserAgent, p.Conn
	}
	for _, m := range more {
		m(&e)
	}
	s.audit.Record(e)
}

// target names what was acted on, for record.
func target(t string) func(*audit.Event) { return func(e *audit.Event) { e.Target = t } }

// method names how it was done, for record.
func method(m string) func(*audit.Event) { return func(e *audit.Event) { e.Method = m } }

// isRefusal tells a wrong password's answer from a fault and from a full queue.
func isRefusal(err error) bool {
	f, ok := fault.From(err)
	return err != nil && ok && f.Code != "too-many-requests"
}
