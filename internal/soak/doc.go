// Package soak breaks the running program on purpose and looks at what is left.
// It holds tests only: they build the real program, start it in processes of its
// own, drive it over real sockets, and kill it, cut its database, stop its mail
// server, fill its disk and flood its connections.
//
// Every run is bounded. `go test` plays each for a few seconds; `make soak`
// (build tag "soak") plays the long form, and SOAK_SCALE=n multiplies the number
// of rounds of either. docs/reliability.md has the figures.
//
// The package changes nothing in the program: it has no hooks there, in no build.
// It asserts order and outcome, never tight times, since machines are shared.
// It is no load test (the tools module has that) and no conformance suite (ddp, storetest).
package soak
