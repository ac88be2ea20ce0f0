package passkey

import (
	"time"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"ddpserver/internal/ejson"
	"ddpserver/internal/user"
)

// algorithms are the kinds of keys that are taken, the best first: all that
// authenticators in use make one of.
var algorithms = []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgEdDSA, webauthncose.AlgES256, webauthncose.AlgRS256}

// Verification says whether an authenticator must make sure who holds it, by a
// fingerprint or a PIN.
type Verification string

// The values, as options have them.
const (
	Required  Verification = "required"
	Preferred Verification = "preferred"
)

// Creation is what the options of a new key say.
type Creation struct {
	Challenge string // base64url
	// Site names the server to people, Handle the account to authenticators (base64url),
	// Name and Display the account to people.
	Site, Handle, Name, Display string
	// Has are the keys that the account has: one authenticator makes one for it.
	Has    []user.Passkey
	Verify Verification
	// Kind is "platform", "cross-platform", or "" for any.
	Kind string
	Life time.Duration
}

// Creation is PublicKeyCredentialCreationOptionsJSON for a new key.
func (p *Party) Creation(c Creation) ejson.Doc {
	params := make([]any, len(algorithms))
	for i, a := range algorithms {
		params[i] = ejson.Doc{{Key: "type", Value: "public-key"}, {Key: "alg", Value: int(a)}}
	}
	selection := ejson.Doc{
		{Key: "residentKey", Value: "preferred"}, {Key: "requireResidentKey", Value: false}, {Key: "userVerification", Value: string(c.Verify)},
	}
	if c.Kind != "" {
		selection = append(selection, ejson.Field{Key: "authenticatorAttachment", Value: c.Kind})
	}
	return ejson.Doc{
		{Key: "rp", Value: ejson.Doc{{Key: "id", Value: p.ID}, {Key: "name", Value: c.Site}}},
		{Key: "user", Value: ejson.Doc{{Key: "id", Value: c.Handle}, {Key: "name", Value: c.Name}, {Key: "displayName", Value: c.Display}}},
		{Key: "challenge", Value: c.Challenge},
		{Key: "pubKeyCredParams", Value: params},
		{Key: "timeout", Value: int(c.Life.Milliseconds())},
		{Key: "excludeCredentials", Value: descriptors(c.Has)},
		{Key: "authenticatorSelection", Value: selection},
		{Key: "attestation", Value: "none"},
		{Key: "extensions", Value: ejson.Doc{{Key: "credProps", Value: true}}},
	}
}

// Request is PublicKeyCredentialRequestOptionsJSON for an answer by one of these keys,
// or by whichever the person has for the server when there are none.
func (p *Party) Request(challenge string, keys []user.Passkey, verify Verification, life time.Duration) ejson.Doc {
	return ejson.Doc{
		{Key: "challenge", Value: challenge},
		{Key: "timeout", Value: int(life.Milliseconds())},
		{Key: "rpId", Value: p.ID},
		{Key: "allowCredentials", Value: descriptors(keys)},
		{Key: "userVerification", Value: string(verify)},
	}
}

func descriptors(keys []user.Passkey) []any {
	list := make([]any, len(keys))
	for i, k := range keys {
		d := ejson.Doc{{Key: "type", Value: "public-key"}, {Key: "id", Value: k.ID}}
		if len(k.Transports) > 0 {
			transports := make([]any, len(k.Transports))
			for i, t := range k.Transports {
				transports[i] = t
			}
			d = append(d, ejson.Field{Key: "transports", Value: transports})
		}
		list[i] = d
	}
	return list
}
