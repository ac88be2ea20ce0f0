// Package methods is the callable surface of the server: the router, the checks
// every call passes, and one file for each group of methods.
//
// To add a method, write one line in the table of its group (the Specs method at
// the top of the file) and one function beneath it:
//
//	{Name: "example:do", Do: g.do, Doc: "Does it.", Params: "text", Result: "true"},
//
// The zero value of every member of Spec is the safe one: a login is required,
// the strict limits apply. A new group is one file and one line in methods.go.
// `go test ./internal/methods -run Surface -update` refreshes
// testdata/surface.golden, so that a change of a method's security shows in review.
//
// Every call passes observe, recover, limit, user, factor, permission, handler,
// in this order; an unknown name is refused before the limit. The package knows
// no frames, no HTTP and no database; rules live in the domain packages.
package methods
