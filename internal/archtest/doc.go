// Package archtest holds the rules of the whole repository as ordinary tests:
// which package may import which, that every package and exported name is
// documented, where the program may end, how long a file may be, and what must
// not be committed. It has no code of its own.
package archtest
