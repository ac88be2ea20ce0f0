package secret

import (
	"bytes"
	"errors"
	"testing"
)

// What goes through the hands of others comes out as it went in, or not at all.
func TestWrapIsBoundToKeyAndUse(t *testing.T) {
	k := newKey(t)
	plain, bound := []byte("ada changed"), []byte("subject")
	wrapped := k.Wrap([]byte("head"), plain, bound)
	if !bytes.HasPrefix(wrapped, []byte("head")) || bytes.Contains(wrapped, plain) || len(wrapped) != len("head")+len(plain)+TransitOverhead {
		t.Fatalf("wrapped as %q", wrapped)
	}
	wrapped = wrapped[len("head"):]
	if got, err := k.Unwrap(wrapped, bound); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Unwrap = %q, %v", got, err)
	}
	if bytes.Equal(wrapped, k.Wrap(nil, plain, bound)) {
		t.Error("the same bytes wrapped twice look the same")
	}
	other := newKey(t)
	if _, err := k.WithOld(other).Unwrap(other.Wrap(nil, plain, bound), bound); !errors.Is(err, ErrSealed) {
		t.Errorf("the old key was tried: %v", err)
	}
	for i := range wrapped {
		flipped := bytes.Clone(wrapped)
		flipped[i] ^= 1
		for name, got := range map[string][]byte{"changed": flipped, "cut": wrapped[:i]} {
			if plain, err := k.Unwrap(got, bound); !errors.Is(err, ErrSealed) || plain != nil {
				t.Errorf("%s at %d: %q, %v", name, i, plain, err)
			}
		}
	}
	for name, open := range map[string]func() ([]byte, error){
		"another key": func() ([]byte, error) { return other.Unwrap(wrapped, bound) },
		"another use": func() ([]byte, error) { return k.Unwrap(wrapped, []byte("object")) },
		"nothing":     func() ([]byte, error) { return k.Unwrap(nil, bound) },
	} {
		if plain, err := open(); !errors.Is(err, ErrSealed) || plain != nil {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}
