package app

import (
	"context"

	"ddpserver/internal/ddp"
)

// registerMetrics registers what is read from the parts when somebody asks.
func (a *App) registerMetrics(context.Context) error {
	m := a.metrics
	stat := func(read func(ddp.Stats) float64) func() float64 {
		return func() float64 { return read(a.ddp.Stats()) }
	}
	m.Gauge("connections", "Open connections.", stat(func(s ddp.Stats) float64 { return float64(s.Sockets) }))
	m.Gauge("sessions", "DDP sessions.", stat(func(s ddp.Stats) float64 { return float64(s.Sessions) }))
	m.Gauge("calls_running", "Calls that run now.", stat(func(s ddp.Stats) float64 { return float64(s.Calls) }))
	m.Gauge("subscriptions", "Subscriptions.", stat(func(s ddp.Stats) float64 { return float64(s.Subscriptions) }))
	m.Counter("connections_total", "Connections since the start.", stat(func(s ddp.Stats) float64 { return float64(s.Opened) }))
	m.Counter("connections_refused_total", "Connections that a limit turned away.", stat(func(s ddp.Stats) float64 { return float64(s.Refused) }))
	m.Counter("messages_total", "Messages received.", stat(func(s ddp.Stats) float64 { return float64(s.Frames) }))
	m.Counter("message_bytes_total", "Bytes of messages received.", stat(func(s ddp.Stats) float64 { return float64(s.Bytes) }))
	m.Counter("messages_malformed_total", "Messages answered with an error frame.", stat(func(s ddp.Stats) float64 { return float64(s.Malformed) }))
	m.Counters("disconnects_total", "Ended connections by reason.", "reason", func(add func(string, float64)) {
		s := a.ddp.Stats()
		for i, reason := range ddp.Reasons() {
			add(reason.String(), float64(s.Disconnects[i]))
		}
	})
	m.Gauge("bytes_in_flight", "Bytes received or made for clients that wait.", func() float64 { return float64(a.budget.Used()) })
	m.Gauge("bytes_in_flight_peak", "The most bytes that ever waited at once.", func() float64 { return float64(a.budget.Peak()) })
	m.Gauge("bytes_in_flight_limit", "The most bytes that may wait.", func() float64 { return float64(a.budget.Limit()) })
	m.Counter("bytes_in_flight_refused_total", "Connections and requests refused because too many bytes wait.",
		func() float64 { return float64(a.budget.Refused()) })
	m.Gauge("sockjs_sessions", "SockJS sessions that poll.", func() float64 { return float64(a.sockjs.Len()) })
	m.Gauge("mails_unreadable", "Waiting mails that the present server key does not open.", func() float64 { return float64(a.mail.Unreadable()) })
	m.Counter("sockjs_sessions_evicted_total", "SockJS sessions that had to go for others.", func() float64 { return float64(a.sockjs.Evicted()) })
	m.Counter("undeclared_proxy_requests_total", "Requests through a proxy that is not in TRUSTED_PROXIES.", func() float64 { return float64(a.proxied.Load()) })
	m.Gauge("hashing_running", "Passwords that are being hashed.", func() float64 { r, _ := a.passwords.Hashing(); return float64(r) })
	m.Counter("hashing_rounds_total", "Rounds of bcrypt done.", func() float64 { return float64(a.passwords.HashWork()) })
	m.Gauge("hashing_waiting", "Calls that wait for their turn to hash a password.", func() float64 { _, w := a.passwords.Hashing(); return float64(w) })
	if a.auditLog != nil {
		m.Counter("audit_events_total", "Audit events written.", func() float64 { w, _, _ := a.auditLog.Stats(); return float64(w) })
		m.Counter("audit_events_lost_total", "Audit events that could not be written.", func() float64 { _, l, _ := a.auditLog.Stats(); return float64(l) })
	}
	if name, _ := a.hub.Transport(); name != "" {
		m.Gauge("nodes", "Nodes that share the database, as far as this one hears them; itself included.", func() float64 { return float64(len(a.nodes.List())) })
		m.Counter("news_sent_total", "Events handed to other nodes.", func() float64 { return float64(a.hub.News().Sent) })
		m.Counter("news_taken_total", "Events of other nodes.", func() float64 { return float64(a.hub.News().Taken) })
		m.Counter("news_missed_total", "How often events of other nodes were missing, and what they tell of was read anew.",
			func() float64 { return float64(a.hub.News().Missed) })
		m.Counter("news_late_seconds_total", "Time from when events of other nodes were made until they came, all together: divide by news_taken_total.",
			func() float64 { return a.hub.News().Late.Seconds() })
		m.Gauge("news_waiting", "Events that wait to be handed to other nodes.", func() float64 { return float64(a.hub.News().Waiting) })
		m.Gauge("news_topics", "Rooms and streams whose news this node asks other nodes for; 0 where it hears all.",
			func() float64 { return float64(a.hub.News().Topics) })
	}
	a.trail.metrics(m)
	if s := a.opts.LogStats; s != nil {
		m.Counter("log_records_lost_total", "Log records that could not be written.", func() float64 { return float64(s.Lost()) })
	}
	return nil
}
