// Package secret keeps what must not be readable at rest: sealing with the
// server key, keyed digests, and a string type that does not print itself.
//
// It makes no policy about lifetimes or attempts and stores nothing.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// String is a text that logs, JSON and %v show as "[redacted]".
type String string

// String implements fmt.Stringer without giving the text away.
func (String) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer without giving the text away.
func (String) GoString() string { return "[redacted]" }

// MarshalText implements encoding.TextMarshaler without giving the text away.
func (String) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Reveal is the text itself.
func (s String) Reveal() string { return string(s) }

// KeySize is the length of a server key in bytes.
const KeySize = 32

// prefix marks a sealed text and its format.
const prefix = "v1."

// ErrSealed says that a sealed text was made with another key, for another
// owner, or was changed.
var ErrSealed = errors.New("sealed value cannot be opened with this server key")

// Key is the server key. Separate keys for sealing and digests are derived from
// it (HKDF, RFC 5869), so one use never weakens another.
type Key struct {
	id   string
	aead cipher.AEAD
	mac  []byte
}

// NewKey takes 32 random bytes.
func NewKey(raw []byte) (*Key, error) {
	if len(raw) != KeySize {
		return nil, fmt.Errorf("the server key has %d bytes and needs %d", len(raw), KeySize)
	}
	derive := func(info string) []byte {
		k, err := hkdf.Key(sha256.New, raw, nil, "ddpserver "+info, 32)
		if err != nil {
			panic(err) // only possible for absurd lengths
		}
		return k
	}
	block, err := aes.NewCipher(derive("seal"))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Key{id: hex.EncodeToString(derive("id")[:4]), aead: aead, mac: derive("mac")}, nil
}

// Generate makes the bytes of a new server key.
func Generate() []byte {
	b := make([]byte, KeySize)
	rand.Read(b)
	return b
}

// Parse reads a server key written as base64 (any variant) or hex.
func Parse(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if b, err := hex.DecodeString(text); err == nil && len(b) == KeySize {
		return b, nil
	}
	trimmed := strings.TrimRight(text, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(trimmed); err == nil && len(b) == KeySize {
			return b, nil
		}
	}
	return nil, fmt.Errorf("the server key must be %d bytes in base64 or hex", KeySize)
}

// ID names the key without telling it; it stands in front of every sealed text.
func (k *Key) ID() string { return k.id }

// Seal encrypts a text so that only this key can read it and only for the same
// owner and purpose (AES-256-GCM; both are associated data).
func (k *Key) Seal(purpose, owner, plain string) string {
	nonce := make([]byte, k.aead.NonceSize())
	rand.Read(nonce)
	box := k.aead.Seal(nonce, nonce, []byte(plain), bind(purpose, owner))
	return prefix + k.id + "." + base64.RawURLEncoding.EncodeToString(box)
}

// Open reverses Seal. Any mismatch is ErrSealed.
func (k *Key) Open(purpose, owner, sealed string) (string, error) {
	id, body, ok := strings.Cut(strings.TrimPrefix(sealed, prefix), ".")
	if !ok || !Sealed(sealed) || id != k.id {
		return "", ErrSealed
	}
	box, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || len(box) < k.aead.NonceSize() {
		return "", ErrSealed
	}
	n := k.aead.NonceSize()
	plain, err := k.aead.Open(nil, box[:n], box[n:], bind(purpose, owner))
	if err != nil {
		return "", ErrSealed
	}
	return string(plain), nil
}

// Sealed tells a sealed text from a plain one.
func Sealed(s string) bool { return strings.HasPrefix(s, prefix) }

// Digest is the keyed digest of the parts in hex (HMAC-SHA-256 over
// length-prefixed parts), for codes that must not be readable at rest.
func (k *Key) Digest(parts ...string) string {
	m := hmac.New(sha256.New, k.mac)
	m.Write(bind(parts...))
	return hex.EncodeToString(m.Sum(nil))
}

// bind joins parts so that no two lists give the same bytes.
func bind(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}
