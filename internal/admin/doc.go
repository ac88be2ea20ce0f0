// Package admin is what a panel of administration asks a server for beside the calls
// that every client makes: accounts found and counted, and the news of them. It is a
// slice (docs/architecture.md): methods, routes and one stream, plugged in by
// internal/app, and left out by the build tag noadmin.
//
// It keeps nothing and decides nothing about accounts: it shows what accounts, the
// router and the telemetry know.
package admin
