// Package twofactor holds the second factors of an account and decides when a
// call may go on without one.
//
// A Service answers two kinds of questions: Check, asked by the router and by
// every login before anything happens, and the flows that switch factors on and
// off, hand out backup codes and mail codes. The rules are those of Rocket.Chat
// with the corrections of docs/divergences.md: a code counts once, an answer is
// counted before it is compared, and a store that does not answer means no.
//
// One file per factor: totp.go (with backup.go, its one-time substitute),
// email.go and password.go. The package does not know doors, frames or routes,
// does not check passwords itself, does not send mail itself, hands out no login
// tokens, and logs nothing: errors go up, security events go to audit.
//
// Goroutines: only code requests under private answers run in the background, at
// most maxBackground at once; Close waits for them.
package twofactor
