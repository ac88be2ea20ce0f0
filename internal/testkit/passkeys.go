package testkit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/passkey"
	"ddpserver/internal/passkey/passkeytest"
	"ddpserver/internal/user"
)

// Device is an authenticator in front of a page of the server under test, with the
// passkeys of all its accounts.
func (g *Ground) Device() *passkeytest.Authenticator {
	g.deviceOnce.Do(func() { g.device = passkeytest.New(RootURL) })
	return g.device
}

// Passkeys are what the document of an account holds that has one key, of Device,
// beside all ceremonies. asked makes it a second factor.
func (g *Ground) Passkeys(name string, asked bool) *user.WebAuthn {
	g.T.Helper()
	party := g.party()
	sum := sha256.Sum256([]byte(name))
	handle := base64.RawURLEncoding.EncodeToString(sum[:])
	options, err := ejson.Append(nil, party.Creation(passkey.Creation{Challenge: handle, Handle: handle, Name: name, Verify: passkey.Required, Life: time.Minute}))
	g.ok(err)
	text, err := g.Device().Create(options)
	g.ok(err)
	n, err := passkey.ReadNew([]byte(text))
	g.ok(err)
	key, err := party.Accept(n, passkey.Demand{Challenge: handle, Handle: handle, Verified: true})
	g.ok(err)
	key.Name, key.CreatedAt = "key", time.Now().UTC().Truncate(time.Millisecond)
	return &user.WebAuthn{Handle: handle, SecondFactor: asked, Keys: []user.Passkey{key}, ChangedAt: key.CreatedAt}
}

// AnswerOf answers the challenge in the details of a refusal; "" when there is none.
func (g *Ground) AnswerOf(details []byte) string {
	g.T.Helper()
	var challenge struct {
		PublicKey json.RawMessage `json:"publicKey"`
	}
	if json.Unmarshal(details, &challenge) != nil || len(challenge.PublicKey) == 0 {
		return ""
	}
	text, err := g.Device().Get([]byte(challenge.PublicKey))
	g.ok(err)
	return text
}
