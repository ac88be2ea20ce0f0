package methods

// All lists the groups of the core. r is the router that will serve them, for
// handlers that challenge or call on.
func All(d Deps, r *Router) []Group {
	door := gate{accounts: d.Accounts, factors: d.TwoFactor, settings: d.Settings}
	return []Group{
		&launcher{router: r},
		&system{deps: d},
		&settingsMethods{settings: d.Settings, audit: d.Audit, now: d.now},
		&mutators{accounts: d.Accounts},
		&logins{accounts: d.Accounts, gate: door, guess: r.Guess},
		&registration{accounts: d.Accounts, gate: door},
		&profiles{accounts: d.Accounts, gate: door, challenge: r.Challenge, listed: r.ChallengeActions},
		&tokens{accounts: d.Accounts, settings: d.Settings},
		&factorCalls{factors: d.TwoFactor},
		&users{accounts: d.Accounts},
	}
}
