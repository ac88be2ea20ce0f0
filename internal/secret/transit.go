package secret

import (
	"crypto/cipher"
	"crypto/rand"

	"golang.org/x/crypto/chacha20poly1305"
)

// newTransit makes the cipher of what nodes send each other. Its nonces are so long
// that they may be drawn for any number of messages, other than those of AES-GCM.
func newTransit(key []byte) cipher.AEAD {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic(err) // only possible for a key of another length
	}
	return aead
}

// TransitOverhead is how many bytes Wrap adds.
const TransitOverhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// Wrap encrypts what goes to nodes with the same key, through hands that need not be
// trusted, and appends it to dst (XChaCha20-Poly1305). Whoever unwraps it must name the
// same bound. It has its own key beside those of Seal and Digest.
func (k *Key) Wrap(dst, plain, bound []byte) []byte {
	head := len(dst)
	dst = append(dst, make([]byte, chacha20poly1305.NonceSizeX)...)
	nonce := dst[head:]
	rand.Read(nonce)
	return k.transit.Seal(dst, nonce, plain, bound)
}

// Unwrap reverses Wrap. Any mismatch is ErrSealed; the old key of a rotation is not
// tried.
func (k *Key) Unwrap(wrapped, bound []byte) ([]byte, error) {
	if len(wrapped) < TransitOverhead {
		return nil, ErrSealed
	}
	plain, err := k.transit.Open(nil, wrapped[:chacha20poly1305.NonceSizeX], wrapped[chacha20poly1305.NonceSizeX:], bound)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
