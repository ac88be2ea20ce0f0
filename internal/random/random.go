// Package random makes identifiers, secrets and codes from crypto/rand. It keeps no
// state of its own and cannot fail: crypto/rand does not return errors.
package random

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
)

const (
	// idAlphabet has 55 characters without the look-alikes (docs/wire/ddp.md D9).
	idAlphabet = "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz"
	// secretAlphabet has 64 characters, safe in URLs.
	secretAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	hexAlphabet    = "0123456789abcdef"
	digitAlphabet  = "0123456789"

	idLength     = 17
	secretLength = 43
)

// ID makes a document id: 17 characters, about 98 bits. It is unpredictable.
func ID() string { return text(idAlphabet, idLength) }

// IDOf makes a document id out of texts: the same for the same ones, and as unpredictable
// as they are.
func IDOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	sum := new(big.Int).SetBytes(h.Sum(nil))
	out, size, rest := make([]byte, idLength), big.NewInt(int64(len(idAlphabet))), new(big.Int)
	for i := range out {
		sum.QuoRem(sum, size, rest)
		out[i] = idAlphabet[rest.Int64()]
	}
	return string(out)
}

// Secret makes a token: 43 characters of an alphabet of 64, 258 bits.
func Secret() string { return text(secretAlphabet, secretLength) }

// Code makes n characters of the id's alphabet, for codes that people copy by
// hand. It panics if n is negative.
func Code(n int) string { return text(idAlphabet, n) }

// Hex makes n lower-case hexadecimal digits, 4 bits each. It panics if n is negative.
func Hex(n int) string { return text(hexAlphabet, n) }

// Digits makes n decimal digits, all 10^n numbers equally likely, leading
// zeros included. It panics if n is negative.
func Digits(n int) string { return text(digitAlphabet, n) }

// Uint32 makes 32 random bits.
func Uint32() uint32 {
	var b [4]byte
	fill(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

// text draws n characters without bias: bytes beyond the largest multiple of
// the alphabet's length are thrown away.
func text(alphabet string, n int) string {
	out := make([]byte, 0, n)
	size := len(alphabet)
	limit := 256 - 256%size
	var pool [64]byte
	for len(out) < n {
		fill(pool[:])
		for _, b := range pool {
			if int(b) >= limit {
				continue
			}
			if out = append(out, alphabet[int(b)%size]); len(out) == n {
				break
			}
		}
	}
	return string(out)
}

// fill reads from the operating system; since Go 1.24 rand.Read ends the
// program rather than return an error.
func fill(b []byte) { _, _ = rand.Read(b) }
