package twofactor

import (
	"errors"
	"fmt"
	"strings"
)

// Effects say what a call changes. They stand in the table line of every method
// and route, as its permission does, and decide the least second factor that the
// line must ask for. The zero value is none said, which the router refuses: what
// changes nothing says Reads.
type Effects uint16

// The effects there are, harmless ones first.
const (
	// Reads changes nothing but counters and what a client hears.
	Reads Effects = 1 << iota
	// Ends ends logins of the caller's own. It is a brake for somebody in panic,
	// so it asks for nothing.
	Ends
	// Profile changes what the caller is called and shown as.
	Profile
	// Messages writes, changes or marks messages.
	Messages
	// Rooms makes rooms and changes who is in them and with which role there.
	Rooms
	// Others is an act of office on somebody else's account or room.
	Others
	// Guards saves a setting that guards (settings.Definition).
	Guards
	// Tokens makes or removes login tokens and personal access tokens.
	Tokens
	// Factors switches second factors on or off, or makes codes for them.
	Factors
	// Rights gives or takes roles of the server.
	Rights
	// Accounts makes, deletes, activates or deactivates accounts, or changes what
	// an account is reached and entered by: address, password, somebody else's
	// user name.
	Accounts
)

// asksFresh are the effects that neither remembered trust nor a token that
// bypasses the second factor may reach.
const asksFresh = Guards | Tokens | Factors | Rights | Accounts

var effectNames = [...]string{"reads", "ends", "profile", "messages", "rooms", "others", "guards", "tokens", "factors", "rights", "accounts"}

// String names the effects as documents and the golden surface file do.
func (e Effects) String() string {
	var names []string
	for i, name := range effectNames {
		if e&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// Floor is the least second factor that a call with these effects asks for.
func (e Effects) Floor() Policy {
	switch {
	case e&asksFresh != 0:
		return Fresh
	case e&Others != 0:
		return Ordinary
	}
	return None
}

// CheckEffects tells what is wrong with a line of the surface, if anything: one
// that says no effects, or asks for less than they need. asks is the strongest
// policy that the line or its handler asks for; instead is Spec.Instead.
func CheckEffects(e Effects, asks Policy, instead string) error {
	switch {
	case e == 0:
		return errors.New("says no effects; what changes nothing says Reads")
	case e&Reads != 0 && e != Reads:
		return errors.New("reads only, and has other effects as well")
	case asks < e.Floor() && instead == "":
		return fmt.Errorf("has the effects %s and asks for %s, which is less than %s", e, asks, e.Floor())
	case asks >= e.Floor() && instead != "" && asks != Login:
		return errors.New("asks for what its effects need, and names something instead")
	}
	return nil
}
