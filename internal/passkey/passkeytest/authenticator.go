// Package passkeytest is an authenticator in software, for tests: it makes keys, answers
// challenges, and can be told to answer wrongly in every way.
//
// It is no part of the server, and shares no code with what verifies its answers.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/descope/virtualwebauthn"
	"github.com/fxamacker/cbor/v2"
)

// Authenticator is a device with keys. The members may be changed between answers. It is
// safe for concurrent use while they stay.
type Authenticator struct {
	// Origin is the page that asks; Party, when set, is what the device takes for the id of
	// the relying party.
	Origin, Party string
	// Absent and Unverified are what it says of who holds it.
	Absent, Unverified bool
	// Synced keys are copied to other devices. BackedUp new keys were, whether they can or not.
	Synced, BackedUp bool
	// Counts makes it count signatures.
	Counts bool
	// RSA makes keys of that kind.
	RSA bool
	// Attests makes it say, unasked, what kind of device it is.
	Attests bool
	// Attachment and Transports are what the browser says of where new keys are kept. No
	// attachment is said where it is empty; transports are "internal" and "hybrid" where nil.
	Attachment string
	Transports []string
	// ID and PublicKey, when set, are what new keys claim in place of their own: they answer
	// nothing. Only a device that does not attest claims them.
	ID, PublicKey []byte

	mu   sync.Mutex
	keys []*key
}

type key struct {
	virtualwebauthn.Credential
	party, handle string
}

// New is a device in front of a page of that origin.
func New(origin string) *Authenticator { return &Authenticator{Origin: origin} }

// creation and request are what the device reads of options.
type creation struct {
	Challenge string
	RP        struct{ ID string }
	User      struct{ ID string }
}

type request struct {
	Challenge        string
	RPID             string `json:"rpId"`
	AllowCredentials []struct{ ID string }
}

// Create makes a key, as navigator.credentials.create does, and returns
// RegistrationResponseJSON. options is anything that JSON can be made of.
func (a *Authenticator) Create(options any) (string, error) {
	var o creation
	if err := read(options, &o); err != nil {
		return "", err
	}
	challenge, err := base64.RawURLEncoding.DecodeString(o.Challenge)
	if err != nil {
		return "", err
	}
	k := &key{party: o.RP.ID, handle: o.User.ID}
	if a.RSA {
		k.Credential = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeRSA)
	} else if k.Credential, err = elliptical(); err != nil {
		return "", err
	}
	if a.Counts {
		k.Counter = 1
	}
	party := o.RP.ID
	if a.Party != "" {
		party = a.Party
	}
	device := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{
		UserNotPresent: a.Absent, UserNotVerified: a.Unverified, BackupEligible: a.Synced, BackupState: a.Synced || a.BackedUp,
	})
	a.mu.Lock()
	a.keys = append(a.keys, k)
	a.mu.Unlock()
	text := virtualwebauthn.CreateAttestationResponse(virtualwebauthn.RelyingParty{ID: party, Origin: a.Origin}, device, k.Credential,
		virtualwebauthn.AttestationOptions{Challenge: challenge})
	if a.Attests {
		return text, nil
	}
	return a.unattested(text)
}

// elliptical is a key on P-256. The library writes coordinates without leading zeros, which
// no authenticator may (RFC 9053, 7.1.1) and the server refuses: one key of 128 would not
// do, so another one is made.
func elliptical() (virtualwebauthn.Credential, error) {
	for {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return virtualwebauthn.Credential{}, err
		}
		public, err := private.PublicKey.Bytes() // 4, x, y
		if err != nil {
			return virtualwebauthn.Credential{}, err
		}
		if public[1] == 0 || public[33] == 0 {
			continue
		}
		raw, err := x509.MarshalPKCS8PrivateKey(private)
		return virtualwebauthn.NewCredentialWithImportedKey(virtualwebauthn.KeyTypeEC2, raw), err
	}
}

// unattested takes the attestation away, as browsers do when nobody asks for one.
func (a *Authenticator) unattested(text string) (string, error) {
	var answer, response map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal([]byte(text), &answer), json.Unmarshal(answer["response"], &response)); err != nil {
		return "", err
	}
	var object struct {
		Data []byte `cbor:"authData"`
	}
	var encoded string
	if err := json.Unmarshal(response["attestationObject"], &encoded); err != nil {
		return "", err
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil {
		err = cbor.Unmarshal(raw, &object)
	}
	if err == nil {
		raw, err = cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": a.claimed(object.Data)})
	}
	if err != nil {
		return "", err
	}
	response["attestationObject"], _ = json.Marshal(base64.RawURLEncoding.EncodeToString(raw))
	response["transports"] = json.RawMessage(`["internal","hybrid"]`)
	if a.Transports != nil {
		response["transports"], _ = json.Marshal(a.Transports)
	}
	if a.Attachment != "" {
		answer["authenticatorAttachment"], _ = json.Marshal(a.Attachment)
	}
	if a.ID != nil {
		id, _ := json.Marshal(base64.RawURLEncoding.EncodeToString(a.ID))
		answer["id"], answer["rawId"] = id, id
	}
	answer["response"], _ = json.Marshal(response)
	answer["clientExtensionResults"] = json.RawMessage(`{"credProps":{"rk":true}}`)
	out, err := json.Marshal(answer)
	return string(out), err
}

// claimed is the authenticator data with the id and the public key that the device claims:
// behind the hash, flags, counter and AAGUID stand the length of the id, the id and the key.
func (a *Authenticator) claimed(data []byte) []byte {
	const head = 32 + 1 + 4 + 16
	length := int(binary.BigEndian.Uint16(data[head:]))
	id, key := data[head+2:head+2+length], data[head+2+length:]
	if a.ID != nil {
		id = a.ID
	}
	if a.PublicKey != nil {
		key = a.PublicKey
	}
	out := binary.BigEndian.AppendUint16(slices.Clone(data[:head]), uint16(len(id))) // #nosec G115 -- of tests
	return slices.Concat(out, id, key)
}

// Get answers a challenge with the newest key that it is for, as navigator.credentials.get
// does, and returns AuthenticationResponseJSON.
func (a *Authenticator) Get(options any) (string, error) {
	got, err := a.Answer(options)
	if err != nil {
		return "", err
	}
	return got.JSON(), nil
}

// Answer is Get before it is written, to be changed.
func (a *Authenticator) Answer(options any) (*Answer, error) {
	var o request
	if err := read(options, &o); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range slices.Backward(a.keys) {
		id := base64.RawURLEncoding.EncodeToString(k.ID)
		listed := len(o.AllowCredentials) == 0 || slices.ContainsFunc(o.AllowCredentials, func(d struct{ ID string }) bool { return d.ID == id })
		if k.party == o.RPID && listed {
			return a.answer(k, o), nil
		}
	}
	return nil, fmt.Errorf("the device has no key for %s", o.RPID)
}

func (a *Authenticator) answer(k *key, o request) *Answer {
	if a.Counts {
		k.Counter++
	}
	party := o.RPID
	if a.Party != "" {
		party = a.Party
	}
	hash := sha256.Sum256([]byte(party))
	flags := byte(0)
	for i, on := range [...]bool{!a.Absent, false, !a.Unverified, a.Synced, a.Synced} {
		if on {
			flags |= 1 << i
		}
	}
	got := &Answer{
		ID: slices.Clone(k.ID), RawID: slices.Clone(k.ID), Type: "public-key",
		Client: map[string]any{"type": "webauthn.get", "challenge": o.Challenge, "origin": a.Origin, "crossOrigin": false},
		Data:   binary.BigEndian.AppendUint32(append(hash[:], flags), k.Counter), key: k,
	}
	got.Handle, _ = base64.RawURLEncoding.DecodeString(k.handle)
	got.Sign()
	return got
}

// Answer is an answer with its parts in clear.
type Answer struct {
	ID, RawID []byte
	Type      string
	// Client is the client data; ClientJSON its text as it was signed.
	Client     map[string]any
	ClientJSON []byte
	// Data is the authenticator data.
	Data, Signature, Handle []byte

	key *key
}

// Sign writes the client data anew and signs it with the data.
func (a *Answer) Sign() {
	a.ClientJSON, _ = json.Marshal(a.Client)
	hash := sha256.Sum256(a.ClientJSON)
	digest := sha256.Sum256(slices.Concat(a.Data, hash[:]))
	signature, err := a.key.Key.Sign(digest[:])
	if err != nil {
		panic(err)
	}
	a.Signature = signature
}

// JSON is AuthenticationResponseJSON.
func (a *Answer) JSON() string {
	e := base64.RawURLEncoding.EncodeToString
	text, _ := json.Marshal(map[string]any{
		"id": e(a.ID), "rawId": e(a.RawID), "type": a.Type, "authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": e(a.ClientJSON), "authenticatorData": e(a.Data), "signature": e(a.Signature), "userHandle": e(a.Handle),
		},
	})
	return string(text)
}

func read(options, into any) error {
	text, is := options.([]byte)
	if !is {
		var err error
		if text, err = json.Marshal(options); err != nil {
			return err
		}
	}
	return json.Unmarshal(text, into)
}
