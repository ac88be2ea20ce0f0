// Package accounts says who users are and how they prove it: passwords, login
// tokens, personal access tokens, verification and reset links, registration,
// profiles and administration of accounts.
//
// The pieces of a login are separate calls (password, then a second factor of
// package twofactor, then a token), because the handler puts them in order.
// Everything that changes an account is one atomic conditional update of its
// document; after it is committed the change is published, audited and, where
// the owner should know, mailed.
//
// The package does not know protocols, permissions or second factors, sends no
// mail itself (see Mailer) and never hands out a stored secret: the tokens it
// makes are returned once and kept as hashes.
//
// Goroutines: Run has the sweeper; mails to strangers' requests are written by
// at most backgroundJobs goroutines, all of which have ended when Run returns.
package accounts
