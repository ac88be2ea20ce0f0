// Package audit writes the stream of security events: one JSON object a line,
// enough to answer who passed which factor where, and what failed.
//
// No event holds a code, token, password, digest or whole e-mail address. The
// package decides nothing, and never reads what it wrote.
package audit

import "time"

// Event is one act. Empty members are left out of the line.
type Event struct {
	Time time.Time `json:"time"`
	// Act is what happened, such as "login", "factor_check", "code_sent",
	// "factor_enabled", "token_created", "setting_changed" (docs/operations.md lists them; whom each is about says internal/trail/acts.go).
	Act string `json:"act"`
	// Outcome is "ok", "refused", "required", "limited" or "error".
	Outcome string `json:"outcome"`
	// Reason is the code of the refusal, such as "totp-invalid".
	Reason string `json:"reason,omitempty"`
	User   string `json:"user,omitempty"`
	// Target is what was acted on when it is not the user: another user's id, a
	// setting id, a token's name, a method.
	Target  string `json:"target,omitempty"`
	Door    string `json:"door,omitempty"`
	Factor  string `json:"factor,omitempty"`
	Method  string `json:"method,omitempty"`
	Address string `json:"address,omitempty"`
	Agent   string `json:"agent,omitempty"`
	Conn    string `json:"conn,omitempty"`
	Node    string `json:"node,omitempty"`
	// Count stands in an event that tells of several alike.
	Count int `json:"count,omitempty"`
}

// Recorder takes events. Record never blocks for long and never fails; lines
// that cannot be written are counted and reported when writing works again.
type Recorder interface {
	Record(e Event)
}
