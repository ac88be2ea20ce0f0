package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func newKey(t *testing.T) *Key {
	t.Helper()
	k, err := NewKey(Generate())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// S085: a stolen database yields nothing usable, and a ciphertext is good for its owner only.
func TestS085SealIsBoundToKeyPurposeAndOwner(t *testing.T) {
	k := newKey(t)
	sealed := k.Seal("totp", "ada", "JBSWY3DPEHPK3PXP")
	if !Sealed(sealed) || strings.Contains(sealed, "JBSWY3") || !strings.HasPrefix(sealed, "v1."+k.ID()+".") {
		t.Fatalf("sealed text %q", sealed)
	}
	if plain, err := k.Open("totp", "ada", sealed); err != nil || plain != "JBSWY3DPEHPK3PXP" {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	if again := k.Seal("totp", "ada", "JBSWY3DPEHPK3PXP"); again == sealed {
		t.Error("the same text sealed twice looks the same")
	}
	flipped := []byte(sealed)
	flipped[len(flipped)-2] ^= 1
	for name, open := range map[string]func() (string, error){
		"another owner":   func() (string, error) { return k.Open("totp", "eve", sealed) },
		"another purpose": func() (string, error) { return k.Open("mail", "ada", sealed) },
		"another key":     func() (string, error) { return newKey(t).Open("totp", "ada", sealed) },
		"changed":         func() (string, error) { return k.Open("totp", "ada", string(flipped)) },
		"truncated":       func() (string, error) { return k.Open("totp", "ada", sealed[:20]) },
		"plain":           func() (string, error) { return k.Open("totp", "ada", "JBSWY3DPEHPK3PXP") },
		"empty":           func() (string, error) { return k.Open("totp", "ada", "") },
	} {
		if plain, err := open(); !errors.Is(err, ErrSealed) || plain != "" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

func TestDigestSeparatesItsParts(t *testing.T) {
	k := newKey(t)
	if k.Digest("a", "bc") == k.Digest("ab", "c") || k.Digest("a") == k.Digest("a", "") {
		t.Error("two lists of parts give one digest")
	}
	first, again := k.Digest("a", "b"), k.Digest("a", "b")
	if first != again || k.Digest("a") == newKey(t).Digest("a") {
		t.Error("a digest must depend on the key and the parts, and on nothing else")
	}
}

func TestParse(t *testing.T) {
	raw := Generate()
	for _, text := range []string{hex.EncodeToString(raw), " " + base64.StdEncoding.EncodeToString(raw) + "\n",
		base64.RawStdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw)} {
		if got, err := Parse(text); err != nil || string(got) != string(raw) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, bad := range []string{"", "secret", hex.EncodeToString(raw[:31]), base64.StdEncoding.EncodeToString(append(raw, 1))} {
		if _, err := Parse(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := NewKey(raw[:16]); err == nil {
		t.Error("a short key was taken")
	}
}

func TestStringDoesNotPrintItself(t *testing.T) {
	s := String("hunter2")
	j, err := json.Marshal(map[string]any{"p": s, "q": &s})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprint(s) + fmt.Sprintf("%v %+v %s %q %#v", s, s, s, s, s) + string(j)
	if strings.Contains(all, "hunter2") || s.Reveal() != "hunter2" {
		t.Errorf("printed: %s", all)
	}
}
