package methods

// All lists the groups of the server. r is the router that will serve them, for
// handlers that challenge or call on.
func All(d Deps, r *Router) []Group {
	return []Group{
		&launcher{router: r},
		&system{deps: d},
		&settingsMethods{settings: d.Settings, audit: d.Audit, now: d.now},
		&mutators{accounts: d.Accounts},
	}
}
