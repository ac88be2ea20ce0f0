// Package secret protects values that must not be readable in the database or in
// a log: it seals and opens them with the server key, wraps what nodes send each
// other, computes keyed digests, and has a string type that does not print itself.
//
// It does not know how long a secret is good or how often it may be tried, and
// stores nothing.
package secret

import (
	"bytes"
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
	"slices"
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
	// transit is for what nodes send each other.
	transit cipher.AEAD
	// old opens what was sealed before a rotation; nil for none. Nothing is
	// sealed with it.
	old *Key
	// macs are the digest keys of earlier server keys.
	macs [][]byte
}

// Purposes of sealed texts; the owner is the user's or the mail's id.
const (
	// PurposeTOTP is the secret of an authenticator app.
	PurposeTOTP = "totp secret"
	// PurposeMail is a waiting mail.
	PurposeMail = "outbox"
)

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
	return &Key{id: hex.EncodeToString(derive("id")[:4]), aead: aead, mac: derive("mac"), transit: newTransit(derive("transit"))}, nil
}

// WithOld is the key with another one beside it that opens what it sealed and
// whose digests still count. It is for the time of a rotation.
func (k *Key) WithOld(old *Key) *Key {
	if old == nil || old.id == k.id {
		return k
	}
	both := *k
	both.old = old
	both.macs = append(slices.Clip(k.macs), old.mac)
	return &both
}

// Old is the key of before a rotation, or nil.
func (k *Key) Old() *Key { return k.old }

// AddDigestKey makes digests of an earlier server key count. It must not be
// called any more once the key is in use.
func (k *Key) AddDigestKey(mac []byte) {
	if !bytes.Equal(mac, k.mac) && !slices.ContainsFunc(k.macs, func(m []byte) bool { return bytes.Equal(m, mac) }) {
		k.macs = append(k.macs, mac)
	}
}

// OldDigestKeys are the digest keys of earlier server keys.
func (k *Key) OldDigestKeys() [][]byte { return k.macs }

// KeyID is the id of the key that sealed a text, or "" for what is no sealed text.
func KeyID(sealed string) string {
	if !Sealed(sealed) {
		return ""
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(sealed, prefix), ".")
	return id
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
	if k.old != nil && id == k.old.id {
		return k.old.Open(purpose, owner, sealed)
	}
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
func (k *Key) Digest(parts ...string) string { return digest(k.mac, parts) }

// Digests are the digests of the parts with this key and with every earlier one,
// its own first: what was stored before a rotation is one of the others.
func (k *Key) Digests(parts ...string) []string {
	out := []string{k.Digest(parts...)}
	for _, mac := range k.macs {
		out = append(out, digest(mac, parts))
	}
	return out
}

func digest(key []byte, parts []string) string {
	m := hmac.New(sha256.New, key)
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
