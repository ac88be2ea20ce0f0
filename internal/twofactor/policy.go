package twofactor

// Policy says which proof a call asks for. It stands in the table line of a
// method or route; what is asked for in fact also depends on the account's
// factors and on the settings.
type Policy uint8

// The policies there are, weakest first.
const (
	// None asks for nothing.
	None Policy = iota
	// Ordinary asks for a factor unless the login token is remembered or is a
	// personal access token that may skip checks.
	Ordinary
	// Fresh asks every time and whatever the settings say: remembered trust and
	// the bypass of a personal access token do not count, success is not
	// remembered, and nothing weaker is accepted than the strongest factor that is
	// on. An account without one is asked for its password, also while second
	// factors or the password fallback are switched off. An account that has
	// neither cannot pass (ErrNoProof).
	Fresh
	// Login is for the doors that hand out tokens: never the password (it was
	// given already), never trust, nothing remembered.
	Login
)

var policyNames = [...]string{"none", "ordinary", "fresh", "login"}

// String names the policy as documents and the golden surface file do.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "unknown"
}

// remembers tells whether the policy honours and stores remembered trust.
func (p Policy) remembers() bool { return p == None || p == Ordinary }
