package accounts

import (
	"strings"
	"time"

	"ddpserver/internal/settings"
)

// Settings is what the package reads of the runtime settings; *settings.Service
// has it.
type Settings interface {
	Bool(id string) bool
	Int(id string) int
	String(id string) string
}

// Fixed lifetimes (docs/wire/ddp.md D3).
const (
	// ResetLife is how long a reset link works.
	ResetLife = 3 * 24 * time.Hour
	// EnrollLife is how long the first link of an account works.
	EnrollLife = 30 * 24 * time.Hour
	// VerificationLife is how long a verification link works; Meteor's never end.
	VerificationLife = 30 * 24 * time.Hour
	// SweepEvery is the pause between two sweeps of expired tokens.
	SweepEvery = 10 * time.Minute
)

// sessionLife is how long a session lasts from its start.
func (s *Service) sessionLife() time.Duration {
	return time.Duration(s.set.Int(settings.LoginExpiration)) * 24 * time.Hour
}

// listed reads a setting that is a list separated by commas, blanks or line breaks.
func (s *Service) listed(id string) []string {
	return strings.FieldsFunc(s.set.String(id), func(r rune) bool {
		return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t'
	})
}
