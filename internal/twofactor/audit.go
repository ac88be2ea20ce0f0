package twofactor

import "ddpserver/internal/audit"

// event is one security event before the facts of the call are added.
type event struct {
	act, outcome, reason, factor, user, target string
}

// record writes an event with the door, address and agent of the call.
func (s *Service) record(r Request, e event) {
	line := audit.Event{
		Time: s.now(), Act: e.act, Outcome: e.outcome, Reason: e.reason, User: e.user,
		Target: e.target, Factor: e.factor, Method: r.Action, Node: s.node,
	}
	if p := r.Peer; p != nil {
		line.Door, line.Address, line.Agent, line.Conn = string(p.Door), p.Address, p.UserAgent, p.Conn
	}
	s.audit.Record(line)
}
