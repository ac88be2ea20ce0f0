package methods_test

import (
	"crypto/sha256"
	"encoding/hex"
)

// digestOf is the password of world.user as clients send it and as the password
// fallback wants it.
func digestOf(name string) string {
	sum := sha256.Sum256([]byte(passwordOf(name)))
	return hex.EncodeToString(sum[:])
}
