package twofactor_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// plainHashes are the ways in which a code must not be stored.
func plainHashes(s string) []string {
	sums := [][]byte{}
	a, b, c := sha256.Sum256([]byte(s)), sha1.Sum([]byte(s)), md5.Sum([]byte(s))
	sums = append(sums, a[:], b[:], c[:], []byte(s))
	var out []string
	for _, sum := range sums {
		out = append(out, hex.EncodeToString(sum), base64.StdEncoding.EncodeToString(sum), base64.RawURLEncoding.EncodeToString(sum))
	}
	return append(out, s)
}
