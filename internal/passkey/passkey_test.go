package passkey_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/passkey"
	"ddpserver/internal/passkey/passkeytest"
	"ddpserver/internal/user"
)

const root = "https://chat.example.com"

var (
	challenge = base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte{7}, 57))
	handle    = base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte{9}, 32))
)

func party(t testing.TB) *passkey.Party {
	t.Helper()
	p, _, err := passkey.NewParty(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func creation(p *passkey.Party) []byte {
	return options(p.Creation(passkey.Creation{
		Challenge: challenge, Site: "Chat", Handle: handle, Name: "ada", Display: "Ada", Verify: passkey.Required, Life: time.Minute,
	}))
}

func options(d ejson.Doc) []byte {
	raw, err := ejson.Append(nil, d)
	if err != nil {
		panic(err)
	}
	return raw
}

// made is a key that a device made.
func made(t testing.TB, p *passkey.Party, d *passkeytest.Authenticator) user.Passkey {
	t.Helper()
	text, err := d.Create(creation(p))
	if err != nil {
		t.Fatal(err)
	}
	n, err := passkey.ReadNew([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	k, err := p.Accept(n, challenge, handle, true)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func answer(t testing.TB, p *passkey.Party, d *passkeytest.Authenticator, k user.Passkey) *passkeytest.Answer {
	t.Helper()
	a, err := d.Answer(options(p.Request(challenge, []user.Passkey{k}, passkey.Required, time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func verify(p *passkey.Party, text string, k user.Passkey) (passkey.Use, error) {
	a, err := passkey.ReadAssertion([]byte(text))
	if err != nil {
		return passkey.Use{}, err
	}
	return p.Verify(a, challenge, handle, k, true)
}

// A key that was made answers a challenge, whatever kind of key and device it is.
func TestKeysAnswer(t *testing.T) {
	p := party(t)
	for name, d := range map[string]*passkeytest.Authenticator{
		"plain": {}, "counting": {Counts: true}, "synced": {Synced: true}, "RSA": {RSA: true}, "attesting": {Attests: true},
	} {
		d.Origin = root
		k := made(t, p, d)
		synced := k.DeviceType == user.MultiDevice
		if k.RPID != "chat.example.com" || !k.UserVerified || synced != d.Synced || k.BackedUp != d.Synced || (k.Counter > 0) != d.Counts ||
			d.Attests != (k.Format == "packed") || len(k.PublicKey) == 0 {
			t.Errorf("%s: %+v", name, k)
		}
		use, err := verify(p, answer(t, p, d, k).JSON(), k)
		if err != nil || !use.Verified || use.BackedUp != d.Synced || d.Counts && use.Counter != k.Counter+1 {
			t.Errorf("%s: %+v, %v", name, use, err)
		}
	}
}

// Every bit of everything that is signed, or that says whose key it is, counts: one that
// is flipped makes the answer wrong.
func TestEveryBitCounts(t *testing.T) {
	p, d := party(t), passkeytest.New(root)
	k := made(t, p, d)
	good := answer(t, p, d, k)
	if _, err := verify(p, good.JSON(), k); err != nil {
		t.Fatal(err)
	}
	for name, field := range map[string]*[]byte{
		"id": &good.ID, "rawId": &good.RawID, "clientDataJSON": &good.ClientJSON, "authenticatorData": &good.Data, "signature": &good.Signature,
		"userHandle": &good.Handle,
	} {
		for i := range len(*field) * 8 {
			(*field)[i/8] ^= 1 << (i % 8)
			if _, err := verify(p, good.JSON(), k); !errors.Is(err, passkey.ErrAnswer) {
				t.Errorf("%s with bit %d flipped: %v", name, i, err)
			}
			(*field)[i/8] ^= 1 << (i % 8)
		}
		whole := *field
		for n := range len(whole) { // and one that is cut, wherever; no handle at all is allowed
			*field = whole[:n]
			if _, err := verify(p, good.JSON(), k); !errors.Is(err, passkey.ErrAnswer) && (name != "userHandle" || n > 0) {
				t.Errorf("%s cut to %d bytes: %v", name, n, err)
			}
		}
		*field = whole
	}
	if _, err := verify(p, good.JSON(), k); err != nil {
		t.Error("the test broke the answer: ", err)
	}
}

// What a device or a page says, rightly signed, and must not.
func TestRefusals(t *testing.T) {
	p := party(t)
	for name, change := range map[string]func(d *passkeytest.Authenticator, a *passkeytest.Answer){
		"another origin": func(_ *passkeytest.Authenticator, a *passkeytest.Answer) {
			a.Client["origin"] = "https://chat.example.com.evil.org"
		},
		"a page below": func(_ *passkeytest.Authenticator, a *passkeytest.Answer) {
			a.Client["origin"] = "https://x.chat.example.com"
		},
		"in clear": func(_ *passkeytest.Authenticator, a *passkeytest.Answer) {
			a.Client["origin"] = "http://chat.example.com"
		},
		"another port":            func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Client["origin"] = root + ":8443" },
		"a frame in another page": func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Client["crossOrigin"] = true },
		"another challenge":       func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Client["challenge"] = challenge[1:] },
		"another ceremony":        func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Client["type"] = "webauthn.create" },
		"another relying party":   func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Data[0] ^= 1 },
		"nobody present":          func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Data[32] &^= 1 },
		"nobody verified":         func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Data[32] &^= 4 },
		"suddenly copied":         func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Data[32] |= 8 },
		"backed up, and cannot":   func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Data[32] |= 16 },
		"another type":            func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Type = "password" },
		"another account":         func(_ *passkeytest.Authenticator, a *passkeytest.Answer) { a.Handle = []byte("somebody else") },
	} {
		d := passkeytest.New(root)
		k := made(t, p, d)
		a := answer(t, p, d, k)
		change(d, a)
		a.Sign()
		if _, err := verify(p, a.JSON(), k); !errors.Is(err, passkey.ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, other := passkeytest.New(root), passkeytest.New(root)
	k, not := made(t, p, d), made(t, p, other)
	if _, err := verify(p, answer(t, p, d, k).JSON(), not); !errors.Is(err, passkey.ErrAnswer) {
		t.Errorf("another's key: %v", err)
	}
	for name, text := range map[string]string{
		"nothing": "", "a number": "7", "an object": "{}", "too long": `{"id":"` + strings.Repeat("A", 20_000) + `"}`, "two answers": answer(t, p, d, k).JSON() + "{}",
	} {
		if _, err := verify(p, text, k); !errors.Is(err, passkey.ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A new key is refused like a wrong answer, and every bit of it counts that says what it
// is for. What it says of itself is signed by itself.
func TestNewKeysRefused(t *testing.T) {
	p := party(t)
	for name, d := range map[string]*passkeytest.Authenticator{
		"another origin": {Origin: "https://evil.org"}, "another relying party": {Origin: root, Party: "evil.org"},
		"nobody present": {Origin: root, Absent: true}, "nobody verified": {Origin: root, Unverified: true},
	} {
		text, err := d.Create(creation(p))
		if err != nil {
			t.Fatal(err)
		}
		n, err := passkey.ReadNew([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Accept(n, challenge, handle, true); !errors.Is(err, passkey.ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := passkeytest.New(root).Create(creation(p))
	if err != nil {
		t.Fatal(err)
	}
	n, err := passkey.ReadNew([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Accept(n, challenge[1:], handle, true); !errors.Is(err, passkey.ErrAnswer) {
		t.Errorf("another challenge: %v", err)
	}
}

// The relying party is the host of the server, on the pages where browsers know passkeys.
func TestParty(t *testing.T) {
	for url, id := range map[string]string{
		"https://chat.example.com": "chat.example.com", "https://Chat.Example.com:8443/chat": "chat.example.com", "http://localhost:3000": "localhost",
		"http://chat.example.com": "", "https://192.0.2.1": "", "http://[::1]:3000": "", "https://": "", "http://127.0.0.1": "",
	} {
		p, _, err := passkey.NewParty(url, nil)
		if (err == nil) != (id != "") || err == nil && p.ID != id {
			t.Errorf("%s: %+v, %v", url, p, err)
		}
	}
	p, left, err := passkey.NewParty("https://example.com/x", []string{
		"loopback", "apps", "*", "https://app.example.com", "https://APP.example.com:443", "https://notexample.com", "http://example.com", "https://other.org",
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"https://example.com", "https://app.example.com"}; !slices.Equal(p.Origins, want) {
		t.Errorf("origins %q", p.Origins)
	}
	if want := []string{"https://notexample.com", "http://example.com", "https://other.org"}; !slices.Equal(left, want) {
		t.Errorf("left out %q", left)
	}
}

// FuzzAssertion: whatever comes in place of an answer is refused, without a crash, unless
// it is the answer.
func FuzzAssertion(f *testing.F) {
	p, d := party(f), passkeytest.New(root)
	k := made(f, p, d)
	good := answer(f, p, d, k)
	f.Add(good.JSON())
	good.Handle = nil
	f.Add(good.JSON())
	f.Add(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := passkey.ReadAssertion([]byte(text))
		if err != nil {
			if !errors.Is(err, passkey.ErrAnswer) {
				t.Error(err)
			}
			return
		}
		if _, err := p.Verify(a, challenge, handle, k, true); err == nil && !strings.Contains(text, `"public-key"`) {
			t.Errorf("accepted %s", text)
		}
	})
}

// FuzzNew: the same for new keys.
func FuzzNew(f *testing.F) {
	p := party(f)
	text, err := passkeytest.New(root).Create(creation(p))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		n, err := passkey.ReadNew([]byte(text))
		if err != nil {
			return
		}
		if k, err := p.Accept(n, challenge, handle, true); err == nil && (k.ID == "" || len(k.PublicKey) == 0) {
			t.Errorf("a key without a name or a lock: %+v", k)
		}
	})
}
