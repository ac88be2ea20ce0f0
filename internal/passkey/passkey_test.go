package passkey_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

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
	k, err := p.Accept(n, passkey.Demand{Challenge: challenge, Handle: handle, Verified: true})
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
		if _, err := p.Accept(n, passkey.Demand{Challenge: challenge, Handle: handle, Verified: true}); !errors.Is(err, passkey.ErrAnswer) {
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
	if _, err := p.Accept(n, passkey.Demand{Challenge: challenge[1:], Handle: handle, Verified: true}); !errors.Is(err, passkey.ErrAnswer) {
		t.Errorf("another challenge: %v", err)
	}
}

// accepted is what becomes of a new key of a device, where keys of that kind are asked for.
func accepted(t *testing.T, p *passkey.Party, d *passkeytest.Authenticator, kind string) error {
	t.Helper()
	text, err := d.Create(creation(p))
	if err != nil {
		t.Fatal(err)
	}
	n, err := passkey.ReadNew([]byte(text))
	if err != nil {
		return err
	}
	_, err = p.Accept(n, passkey.Demand{Challenge: challenge, Handle: handle, Verified: true, Kind: kind})
	return err
}

// rsaKey is an RSA key in COSE.
func rsaKey(t *testing.T, modulus, exponent []byte) []byte {
	t.Helper()
	key, err := cbor.Marshal(map[int]any{1: 3, 3: -257, -1: modulus, -2: exponent})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What is beyond the bounds is refused as such, before anybody calculates with it, when a
// key is added, and when one that stands in the account answers.
func TestKeysBeyondTheBounds(t *testing.T) {
	p := party(t)
	number := func(n int) []byte { return slices.Repeat([]byte{0xab}, n) }
	for name, d := range map[string]*passkeytest.Authenticator{
		"the longest id": {ID: number(1023)}, "RSA 4096": {PublicKey: rsaKey(t, number(512), []byte{1, 0, 1})},
	} {
		d.Origin = root
		if err := accepted(t, p, d, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	k := made(t, p, passkeytest.New(root))
	for name, d := range map[string]*passkeytest.Authenticator{
		"a modulus of 32 KiB":        {PublicKey: rsaKey(t, number(32<<10), []byte{1, 0, 1})},
		"a modulus of 4104 bits":     {PublicKey: rsaKey(t, number(513), []byte{1, 0, 1})},
		"a modulus of 1024 bits":     {PublicKey: rsaKey(t, number(128), []byte{1, 0, 1})},
		"an exponent like a modulus": {PublicKey: rsaKey(t, number(256), number(255))},
		"an exponent of 62 bits":     {PublicKey: rsaKey(t, number(256), number(8))},
		"a longer id":                {ID: number(1024)},
	} {
		d.Origin = root
		err := accepted(t, p, d, "")
		if !errors.Is(err, passkey.ErrAnswer) || d.PublicKey != nil && !errors.Is(err, passkey.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
		if d.PublicKey == nil {
			continue
		}
		stored := k
		stored.PublicKey = d.PublicKey
		device := passkeytest.New(root)
		if _, err := verify(p, answer(t, p, device, made(t, p, device)).JSON(), stored); !errors.Is(err, passkey.ErrKey) {
			t.Errorf("%s, in the account: %v", name, err)
		}
	}
}

// Where keys of a kind are asked for, one whose client says that it is of another is refused,
// in whatever way it says so; and so is one whose client says nothing. A flag that
// contradicts another is refused everywhere.
func TestKeysOfAKind(t *testing.T) {
	p := party(t)
	in, out := []string{"internal", "hybrid"}, []string{"usb", "nfc"}
	for _, c := range []struct {
		attachment string
		transports []string
		platform   bool
		carried    bool
	}{
		{"platform", in, true, false}, {"platform", []string{}, true, false}, {"platform", out, false, false},
		{"cross-platform", out, false, true}, {"cross-platform", []string{}, false, true}, {"cross-platform", []string{"internal"}, false, false},
		{"cross-platform", in, false, true}, // a telephone beside the computer
		{"", in, true, true}, {"", []string{"internal"}, true, false}, {"", out, false, true}, {"", []string{"smart-card"}, false, true},
		{"", []string{"hybrid"}, false, true}, {"", []string{}, false, false}, {"", []string{"other"}, false, false}, {"other", in, true, true},
	} {
		for _, synced := range []bool{false, true} {
			d := &passkeytest.Authenticator{Origin: root, Attachment: c.attachment, Transports: c.transports, Synced: synced}
			for kind, want := range map[string]bool{"": true, "platform": c.platform, "cross-platform": c.carried} {
				if err := accepted(t, p, d, kind); (err == nil) != want || err != nil && !errors.Is(err, passkey.ErrKind) {
					t.Errorf("%q over %q, where %q is asked for: %v", c.attachment, c.transports, kind, err)
				}
			}
		}
	}
	if err := accepted(t, p, &passkeytest.Authenticator{Origin: root, BackedUp: true}, ""); !errors.Is(err, passkey.ErrAnswer) {
		t.Errorf("backed up, and cannot: %v", err)
	}
}

// An application on Android that the operator names answers as a page does, and no other.
func TestApplications(t *testing.T) {
	app := "android:apk-key-hash:" + base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte{5}, 32))
	other := "android:apk-key-hash:" + base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte{6}, 32))
	for _, url := range []string{root, "http://localhost:3000"} {
		with, left, err := passkey.NewParty(url, []string{app})
		if err != nil || len(left) != 0 {
			t.Fatal(err, left)
		}
		without, _, err := passkey.NewParty(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for origin, want := range map[string]bool{app: true, other: false, strings.ToUpper(app): false, app + "A": false, url: true} {
			if err := accepted(t, with, passkeytest.New(origin), ""); (err == nil) != want {
				t.Errorf("a key made in %s: %v", origin, err)
			}
			if err := accepted(t, without, passkeytest.New(origin), ""); (err == nil) != (origin == url) {
				t.Errorf("a key made in %s, which nobody named: %v", origin, err)
			}
			d := passkeytest.New(url)
			k := made(t, with, d)
			d.Origin = origin
			if _, err := verify(with, answer(t, with, d, k).JSON(), k); (err == nil) != want {
				t.Errorf("an answer from %s: %v", origin, err)
			}
		}
	}
	for _, text := range []string{"android:apk-key-hash:", "android:apk-key-hash:AAAA", app + "=", app[:len(app)-1] + "B", "ios:" + app} {
		if passkey.IsApp(text) {
			t.Errorf("%s is taken for an application", text)
		}
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
		"https://*.example.com", "wss://ws.example.com", "https://*",
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"https://example.com", "https://app.example.com", "https://ws.example.com"}; !slices.Equal(p.Origins, want) {
		t.Errorf("origins %q", p.Origins)
	}
	if want := []string{"https://notexample.com", "http://example.com", "https://other.org", "https://*.example.com", "https://*"}; !slices.Equal(left, want) {
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
		if k, err := p.Accept(n, passkey.Demand{Challenge: challenge, Handle: handle, Verified: true}); err == nil && (k.ID == "" || len(k.PublicKey) == 0) {
			t.Errorf("a key without a name or a lock: %+v", k)
		}
	})
}
