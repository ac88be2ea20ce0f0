package accounts

import (
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of an argon2 hash that a database was adopted with: who wrote it decides
// what a comparison costs. Meteor's defaults are 19 MiB, two passes and one lane;
// 64 MiB is the second choice of RFC 9106.
const (
	maxArgonMemory = 64 << 10 // KiB
	maxArgonPasses = 16
	maxArgonWork   = 256 << 10 // KiB times passes
	maxArgonLanes  = 8
	minArgonSalt   = 8
	minArgonSum    = 16
	maxArgonPart   = 64 // bytes of salt and sum
)

// argonHash is a stored hash in the form of Meteor's accounts-password:
// $argon2id$v=19$m=19456,t=2,p=1$SALT$SUM, over the same digest as bcrypt.
type argonHash struct {
	derive         func(password, salt []byte, passes, memory uint32, lanes uint8, length uint32) []byte
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

// IsArgon tells an argon2 hash from a bcrypt one, whether or not it can be used.
func IsArgon(stored string) bool { return strings.HasPrefix(stored, "$argon2") }

// UsableArgon tells whether a password can be compared with that argon2 hash: its
// form is known and it asks for no more memory and work than one login is worth.
func UsableArgon(stored string) bool {
	_, ok := parseArgon(stored)
	return ok
}

// UsableBcrypt is UsableArgon for a bcrypt hash.
func UsableBcrypt(stored string) bool {
	cost, err := bcrypt.Cost([]byte(stored))
	return err == nil && cost <= maxCost
}

// parseArgon reads a hash; ok is false for one that is not to be compared with.
func parseArgon(stored string) (h argonHash, ok bool) {
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return h, false
	}
	switch parts[1] {
	case "argon2id":
		h.derive = argon2.IDKey
	case "argon2i":
		h.derive = argon2.Key
	default:
		return h, false
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return h, false
	}
	var memory, passes, lanes uint64
	for i, c := range []struct {
		name string
		most uint64
		to   *uint64
	}{{"m=", maxArgonMemory, &memory}, {"t=", maxArgonPasses, &passes}, {"p=", maxArgonLanes, &lanes}} {
		text, named := strings.CutPrefix(costs[i], c.name)
		n, err := strconv.ParseUint(text, 10, 32)
		if !named || err != nil || n < 1 || n > c.most {
			return h, false
		}
		*c.to = n
	}
	if memory < 8*lanes || memory*passes > maxArgonWork {
		return h, false
	}
	h.memory, h.passes, h.lanes = uint32(memory), uint32(passes), uint8(lanes)
	var errSalt, errSum error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, errSum = base64.RawStdEncoding.DecodeString(parts[5])
	fits := errSalt == nil && errSum == nil && len(h.salt) >= minArgonSalt && len(h.salt) <= maxArgonPart &&
		len(h.sum) >= minArgonSum && len(h.sum) <= maxArgonPart
	return h, fits
}

// matches compares a password, for a caller who holds the core.
func (h *argonHash) matches(p Password) bool {
	sum := h.derive([]byte(p.digest), h.salt, h.passes, h.memory, h.lanes, uint32(len(h.sum))) // #nosec G115 -- at most maxArgonPart
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}
