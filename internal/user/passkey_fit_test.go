package user

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// number and text are items of CBOR, cose is a map of them.
func number(n int) []byte {
	kind := byte(0)
	if n < 0 {
		kind, n = 1<<5, -1-n
	}
	return head(kind, n)
}

func text(b []byte) []byte { return append(head(2<<5, len(b)), b...) }

func head(kind byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{kind | byte(n)}
	case n < 256:
		return []byte{kind | 24, byte(n)}
	}
	return []byte{kind | 25, byte(n >> 8), byte(n)}
}

func cose(items ...[]byte) []byte {
	return append(head(5<<5, len(items)/2), bytes.Join(items, nil)...)
}

func filled(n int) []byte { return bytes.Repeat([]byte{0xaa}, n) }

func elliptical() []byte {
	return cose(number(1), number(2), number(3), number(-7), number(-1), number(1), number(-2), text(filled(32)), number(-3), text(filled(32)))
}

func edwards() []byte {
	return cose(number(1), number(1), number(3), number(-8), number(-1), number(6), number(-2), text(filled(32)))
}

func rsa(modulus, exponent []byte) []byte {
	return cose(number(1), number(3), number(3), number(-257), number(-1), text(modulus), number(-2), text(exponent))
}

// fitting is a key that counts.
func fitting(id string) Passkey { return Passkey{ID: id, PublicKey: elliptical(), RPID: "example.com"} }

var usual = []byte{1, 0, 1}

// Keys of the three kinds are taken, and nothing else of whatever length, in time that
// does not grow with it.
func TestCheckPublicKey(t *testing.T) {
	for name, c := range map[string]struct {
		key  []byte
		want error
	}{
		"P-256":                        {elliptical(), nil},
		"Ed25519":                      {edwards(), nil},
		"RSA 2048":                     {rsa(filled(256), usual), nil},
		"RSA 4096":                     {rsa(filled(512), usual), nil},
		"RSA 4096, zero in front":      {rsa(append([]byte{0}, filled(512)...), usual), nil},
		"RSA, exponent 3":              {rsa(filled(256), []byte{3}), nil},
		"RSA, largest exponent":        {rsa(filled(256), []byte{0x7f, 0xff, 0xff, 0xff}), nil},
		"RSA 1024":                     {rsa(filled(128), usual), errModulus},
		"RSA 2040":                     {rsa(filled(255), usual), errModulus},
		"RSA 2047":                     {rsa(append([]byte{0x7f}, filled(255)...), usual), errModulus},
		"RSA 4097":                     {rsa(append([]byte{1}, filled(512)...), usual), errModulus},
		"RSA of no modulus":            {rsa(nil, usual), errModulus},
		"RSA 64 KiB":                   {rsa(filled(65_000), usual), errKeySize},
		"RSA, exponent 1":              {rsa(filled(256), []byte{1}), errExponent},
		"RSA, even exponent":           {rsa(filled(256), []byte{1, 0, 0}), errExponent},
		"RSA, no exponent":             {rsa(filled(256), nil), errExponent},
		"RSA, exponent of 32 bits":     {rsa(filled(256), []byte{0x80, 0, 0, 1}), errExponent},
		"RSA, exponent like a modulus": {rsa(filled(256), filled(256)), errExponent},
		"P-384":                        {cose(number(1), number(2), number(3), number(-35), number(-1), number(2), number(-2), text(filled(48))), errKeyKind},
		"no key":                       {nil, errKeyShape},
		"a text":                       {[]byte("pQECAyYgASFYIA"), errKeyShape},
		"an empty map":                 {cose(), errKeyKind},
		"a member more":                {append(append([]byte{0xa6}, elliptical()[1:]...), 4, 1), errKeyShape},
		"a member twice":               {append(append([]byte{0xa6}, elliptical()[1:]...), 1, 2), errKeyShape},
		"something behind":             {append(elliptical(), 0), errKeyShape},
		"cut":                          {elliptical()[:70], errKeyShape},
		"a short coordinate":           {bytes.Replace(elliptical(), text(filled(32)), text(filled(31)), 1), errKeyShape},
		"without an end":               {append([]byte{0xbf}, elliptical()[1:]...), errKeyShape},
	} {
		if got := CheckPublicKey(c.key); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// FuzzPublicKey: nothing crashes the reader, and what it takes is short.
func FuzzPublicKey(f *testing.F) {
	for _, key := range [][]byte{nil, elliptical(), edwards(), rsa(filled(256), usual), {0xa1, 0x39, 0xff, 0xff}} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		if CheckPublicKey(key) == nil && len(key) > maxPublicKey {
			t.Errorf("%d bytes were taken", len(key))
		}
	})
}

// Everything that is kept of a key has a bound, and a key beyond one does not count: it is
// asked for by nobody, opens nothing, and is found by nothing.
func TestKeysBeyondTheBounds(t *testing.T) {
	long := strings.Repeat("A", 2000)
	for name, change := range map[string]func(w *WebAuthn, k *Passkey){
		"no id":                  func(_ *WebAuthn, k *Passkey) { k.ID = "" },
		"a long id":              func(_ *WebAuthn, k *Passkey) { k.ID = long },
		"an id of other letters": func(_ *WebAuthn, k *Passkey) { k.ID = "a b" },
		"no public key":          func(_ *WebAuthn, k *Passkey) { k.PublicKey = nil },
		"a huge public key":      func(_ *WebAuthn, k *Passkey) { k.PublicKey = rsa(filled(65_000), usual) },
		"a counter below zero":   func(_ *WebAuthn, k *Passkey) { k.Counter = -1 },
		"a counter beyond":       func(_ *WebAuthn, k *Passkey) { k.Counter = 1 << 32 },
		"a long host":            func(_ *WebAuthn, k *Passkey) { k.RPID = long },
		"a long kind of device":  func(_ *WebAuthn, k *Passkey) { k.DeviceType = long },
		"a long AAGUID":          func(_ *WebAuthn, k *Passkey) { k.AAGUID = long },
		"a long format":          func(_ *WebAuthn, k *Passkey) { k.Format = long },
		"a long transport":       func(_ *WebAuthn, k *Passkey) { k.Transports = []string{long} },
		"many transports":        func(_ *WebAuthn, k *Passkey) { k.Transports = make([]string, 100) },
		"no handle":              func(w *WebAuthn, _ *Passkey) { w.Handle = "" },
		"a long handle":          func(w *WebAuthn, _ *Passkey) { w.Handle = long },
		"a handle of letters":    func(w *WebAuthn, _ *Passkey) { w.Handle = "ä" },
	} {
		u := ada()
		u.Services.WebAuthn = &WebAuthn{Handle: "h", SecondFactor: true, Keys: []Passkey{fitting("a")}}
		if len(u.Passkeys()) != 1 || !u.PasskeysEnabled() {
			t.Fatalf("%s: the key before the change does not count", name)
		}
		change(u.Services.WebAuthn, &u.Services.WebAuthn.Keys[0])
		u.FillKeys()
		traits := slices.DeleteFunc(slices.Clone(u.ListKeys), func(k string) bool { return !strings.HasPrefix(k, "=passkeys") && k != TraitPasskeys })
		if len(u.Passkeys()) != 0 || u.Passkey(u.Services.WebAuthn.Keys[0].ID) != nil || u.PasskeysEnabled() || len(traits) != 0 {
			t.Errorf("%s: it counts: %.100q", name, traits)
		}
		AddPasskey(fitting("b"), "hh", at)(&u.Services)
		if !u.PasskeysEnabled() || u.Passkey("b") == nil || u.PasskeyHandle() == "" {
			t.Errorf("%s: no key can be added", name)
		}
	}
	u := ada()
	u.Services.WebAuthn = &WebAuthn{Handle: "h"}
	for i := range 1000 {
		u.Services.WebAuthn.Keys = append(u.Services.WebAuthn.Keys, fitting(fmt.Sprint("k", i)))
	}
	if n := len(u.Passkeys()); n != maxCounted {
		t.Errorf("%d keys count", n)
	}
}

// A name is shown as a line that can be read, whoever wrote it.
func TestPasskeyDisplayName(t *testing.T) {
	for name, want := range map[string]string{
		"Desk": "Desk", " a\nb\u202e ": "ab", strings.Repeat("ä", 1000): strings.Repeat("ä", MaxPasskeyName), "": "",
	} {
		if got := (&Passkey{Name: name}).DisplayName(); got != want {
			t.Errorf("%.20q is shown as %q", name, got)
		}
	}
}
