package user

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// The bounds of what is kept of passkeys. A document may hold more, because another
// program wrote it; what is beyond them does not count as a key.
const (
	// MaxPasskeyID bounds the id of a key, and maxHandle that of an account, in bytes
	// before they are written in base64url (WebAuthn, 4 "Credential ID" and 14.4.2).
	MaxPasskeyID = 1023
	maxHandle    = 64
	// MaxPasskeys is how many keys an account may add, maxCounted how many of a document count.
	MaxPasskeys = 20
	maxCounted  = 64
	// MaxTransports and MaxTransport bound what a client says of how a key is reached, maxHost
	// a host and maxLabel every other word.
	MaxTransports, MaxTransport = 8, 32
	maxHost, maxLabel           = 253, 64
	// MaxPasskeyName bounds the name of a key that people see, in characters.
	MaxPasskeyName = 64

	// A public key in COSE has no more than maxPublicKey bytes: an RSA key of maxModulus bits
	// has 528. The modulus is what a check costs, so it is bounded in both directions.
	maxPublicKey           = 640
	minModulus, maxModulus = 2048, 4096
	maxExponent            = math.MaxInt32
)

// fits tells whether a key is one that somebody could answer with: of the shape that this
// program writes, and within the bounds.
func (k *Passkey) fits() bool {
	return fitsBase64(k.ID, MaxPasskeyID) && k.Counter >= 0 && k.Counter <= math.MaxUint32 && len(k.RPID) <= maxHost &&
		len(k.DeviceType) <= maxLabel && len(k.AAGUID) <= maxLabel && len(k.Format) <= maxLabel && len(k.Transports) <= MaxTransports &&
		!slices.ContainsFunc(k.Transports, func(t string) bool { return len(t) > MaxTransport }) && CheckPublicKey(k.PublicKey) == nil
}

// fitsBase64 tells whether a text is base64url of at least one and at most that many bytes.
func fitsBase64(text string, most int) bool {
	return text != "" && len(text) <= base64.RawURLEncoding.EncodedLen(most) && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// DisplayName is the name of the key as people are shown it: a line of readable characters,
// whoever wrote it.
func (k *Passkey) DisplayName() string {
	name := strings.TrimSpace(strings.Map(func(r rune) rune {
		if Hidden(r) {
			return -1
		}
		return r
	}, k.Name[:min(len(k.Name), 4*MaxPasskeyName)]))
	if runes := []rune(name); len(runes) > MaxPasskeyName {
		name = string(runes[:MaxPasskeyName])
	}
	return name
}

// What CheckPublicKey refuses.
var (
	errKeySize  = errors.New("a public key that is longer than any of these kinds")
	errKeyShape = errors.New("not a public key in COSE")
	errKeyKind  = errors.New("neither an Ed25519 nor a P-256 nor an RSA key for SHA-256")
	errModulus  = fmt.Errorf("an RSA key whose modulus has not %d to %d bits", minModulus, maxModulus)
	errExponent = fmt.Errorf("an RSA key whose exponent is not odd and between 3 and %d", maxExponent)
)

// The labels and values of COSE keys (RFC 9052, 7.1; RFC 9053, 7).
const (
	coseType, coseAlgorithm, coseCurve, coseX, coseY = 1, 3, -1, -2, -3
	coseModulus, coseExponent                        = -1, -2

	typeOKP, typeEC2, typeRSA = 1, 2, 3
	algEdDSA, algES256        = -8, -7
	algRS256                  = -257
	curveP256, curveEd25519   = 1, 6
)

// CheckPublicKey tells why a public key in COSE is not taken; nil for an Ed25519 key, one
// on P-256, and an RSA key for SHA-256 with a modulus and an exponent within the bounds. It
// does no arithmetic: whether the numbers are a key is asked by whoever verifies with it.
func CheckPublicKey(key []byte) error {
	if len(key) > maxPublicKey {
		return errKeySize
	}
	numbers, texts, ok := readCOSE(key)
	if !ok {
		return errKeyShape
	}
	members := len(numbers) + len(texts)
	switch [2]int64{numbers[coseType], numbers[coseAlgorithm]} {
	case [2]int64{typeOKP, algEdDSA}:
		if members != 4 || numbers[coseCurve] != curveEd25519 || len(texts[coseX]) != 32 {
			return errKeyShape
		}
	case [2]int64{typeEC2, algES256}:
		if members != 5 || numbers[coseCurve] != curveP256 || len(texts[coseX]) != 32 || len(texts[coseY]) != 32 {
			return errKeyShape
		}
	case [2]int64{typeRSA, algRS256}:
		if members != 4 {
			return errKeyShape
		}
		return checkRSA(texts[coseModulus], texts[coseExponent])
	default:
		return errKeyKind
	}
	return nil
}

func checkRSA(modulus, exponent []byte) error {
	if n := bitsOf(modulus); n < minModulus || n > maxModulus {
		return errModulus
	}
	if bitsOf(exponent) > 31 {
		return errExponent
	}
	e := 0
	for _, b := range exponent {
		e = e<<8 | int(b)
	}
	if e < 3 || e%2 == 0 {
		return errExponent
	}
	return nil
}

// bitsOf is the length of a number without leading zeros.
func bitsOf(number []byte) int {
	for i, b := range number {
		if b != 0 {
			return (len(number)-i-1)*8 + bits.Len8(b)
		}
	}
	return 0
}

// readCOSE reads a map of small whole numbers to small whole numbers and byte strings, each
// of them once and nothing behind it, which is all that a key is made of (RFC 8949, 3.1).
func readCOSE(raw []byte) (numbers map[int64]int64, texts map[int64][]byte, ok bool) {
	kind, members, rest, ok := readHead(raw)
	if !ok || kind != 5 || members > 8 {
		return nil, nil, false
	}
	numbers, texts = make(map[int64]int64, members), make(map[int64][]byte, members)
	for range members {
		kind, n, after, ok := readHead(rest)
		label, whole := wholeNumber(kind, n)
		if !ok || !whole {
			return nil, nil, false
		}
		kind, n, after, ok = readHead(after)
		if !ok {
			return nil, nil, false
		}
		_, one := numbers[label]
		_, two := texts[label]
		value, whole := wholeNumber(kind, n)
		switch {
		case one || two:
			return nil, nil, false
		case whole:
			numbers[label] = value
		case kind == 2 && n <= int64(len(after)):
			texts[label], after = after[:n], after[n:]
		default:
			return nil, nil, false
		}
		rest = after
	}
	return numbers, texts, len(rest) == 0
}

// readHead reads the head of a CBOR item: its major type and its number, which has at most
// two bytes more.
func readHead(raw []byte) (kind byte, n int64, rest []byte, ok bool) {
	if len(raw) == 0 {
		return 0, 0, nil, false
	}
	kind, n, rest = raw[0]>>5, int64(raw[0]&31), raw[1:]
	switch {
	case n < 24:
		return kind, n, rest, true
	case n == 24 && len(rest) >= 1:
		return kind, int64(rest[0]), rest[1:], true
	case n == 25 && len(rest) >= 2:
		return kind, int64(rest[0])<<8 | int64(rest[1]), rest[2:], true
	}
	return 0, 0, nil, false
}

// wholeNumber is the number that a head says, if it says one.
func wholeNumber(kind byte, n int64) (int64, bool) {
	switch kind {
	case 0:
		return n, true
	case 1:
		return -1 - n, true
	}
	return 0, false
}
