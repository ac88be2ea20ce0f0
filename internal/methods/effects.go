package methods

import "ddpserver/internal/twofactor"

// Effects say what a call changes (twofactor.Effects).
type Effects = twofactor.Effects

// The effects by the names that the tables use.
const (
	Reads    = twofactor.Reads
	Ends     = twofactor.Ends
	Profile  = twofactor.Profile
	Messages = twofactor.Messages
	Rooms    = twofactor.Rooms
	Others   = twofactor.Others
	Guards   = twofactor.Guards
	Tokens   = twofactor.Tokens
	Factors  = twofactor.Factors
	Rights   = twofactor.Rights
	Accounts = twofactor.Accounts
)
