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
	// Fresh asks every time: remembered trust and the bypass of a personal
	// access token do not count, and success is not remembered. An account
	// without a factor is asked for its password, if the fallback is on.
	Fresh
	// Required is Fresh, and asks for the password of an account without a
	// factor even when the fallback is off. An account that has no password
	// either cannot pass.
	Required
	// Login is for the doors that hand out tokens: never the password (it was
	// given already), never trust, nothing remembered.
	Login
)

var policyNames = [...]string{"none", "ordinary", "fresh", "required", "login"}

// String names the policy as documents and the golden surface file do.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "unknown"
}

// remembers tells whether the policy honours and stores remembered trust.
func (p Policy) remembers() bool { return p == None || p == Ordinary }
