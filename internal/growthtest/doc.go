// Package growthtest measures how the work of whatever reads texts of strangers
// grows with the text, and fails a test where it grows faster than the length
// (docs/security-tests.md A11). It is support for tests and no part of the server.
//
// The texts are generated: for every token that opens, closes, escapes or
// separates something in any of the languages the server reads, the token
// repeated, opened and closed, numbered, left unfinished, and in seeded
// mixtures. Two texts of one family, one sixteen times as long as the other,
// are compared by the processor time of the thread and by the bytes that were
// allocated, so that neighbours on the machine do not count.
//
// It does not judge how fast a reader is, and cannot see work that a reader
// leaves to other goroutines.
package growthtest
