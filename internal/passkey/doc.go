// Package passkey speaks WebAuthn (Level 3): it writes the options of a ceremony and
// verifies what an authenticator answered to them, for one relying party.
//
// It is the only package that imports the library for it. It keeps nothing, knows no
// account but the keys it is given, makes no challenges, and does not know whether one
// was answered before: packages twofactor and store do.
package passkey
