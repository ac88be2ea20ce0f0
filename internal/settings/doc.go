// Package settings holds what an administrator may change while the server
// runs: typed values with defaults, ranges and a public flag, kept in the shape
// of Rocket.Chat (docs/wire/rocketchat.md 4).
//
// Reads take no lock and never fail. Every write, whatever door it came
// through, is checked by the one table in definitions.go and is all or nothing.
// The package decides nobody's permission, renders nothing and knows no
// protocol; what must be fixed before the server starts is package config's.
package settings
