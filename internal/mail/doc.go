// Package mail writes and delivers the server's mails: templates in text and
// HTML, and a persistent outbox that hands them to an SMTP server or, when none
// is configured, to .eml files.
//
// A mail that Send has accepted survives a crash. It waits sealed with the
// server key, so no code or link lies readable in the database; the .eml files
// of the embedded default are the one exception. The package does not decide
// who gets mail, how often, or what a code is worth.
//
// Goroutines: Run has one dispatcher and at most Options.Workers deliveries; all
// of them have ended when Run returns.
package mail
