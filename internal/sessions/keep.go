package sessions

import (
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Settings is what the package reads of the runtime settings; *settings.Service has it.
type Settings interface {
	Int(id string) int
	String(id string) string
}

// Keeper makes what is kept of a client when it logs in and when a use of its session
// is noted, for accounts.Options: its program and system, and its address as the
// setting Accounts_Sessions_Address says at that moment.
func Keeper(s Settings) func(p *rpc.Peer) *user.Origin {
	return func(p *rpc.Peer) *user.Origin {
		o := parseAgent(p.UserAgent)
		o.Door, o.Address = string(p.Door), settings.KeptAddress(s.String(settings.SessionAddress), p.Address)
		return &o
	}
}
