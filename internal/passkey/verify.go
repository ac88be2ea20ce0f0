package passkey

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"ddpserver/internal/user"
)

// The longest answers that are read, in bytes: no authenticator's is half as long.
const (
	maxAssertion = 16 << 10
	maxCreation  = 64 << 10
	// maxID bounds the id of a key (WebAuthn 4, Credential ID), maxTransports and
	// maxTransport what a client may say of how it is reached.
	maxID, maxTransports, maxTransport = 1023, 8, 32
)

// ErrAnswer is the kind of every error about an answer. What is wrong with it is for
// tests and nobody else: it says nothing that a client should be told.
var ErrAnswer = errors.New("not a valid answer of an authenticator")

func wrong(err error) error { return fmt.Errorf("%w: %w", ErrAnswer, err) }

// Assertion is an answer that proves a key, as it was sent: nothing of it is verified.
type Assertion struct {
	// ID is the id of the key, Challenge what it answers, Handle the account that the
	// authenticator names ("" when it names none); all base64url.
	ID, Challenge, Handle string

	parsed *protocol.ParsedCredentialAssertionData
}

// ReadAssertion reads AuthenticationResponseJSON.
func ReadAssertion(text []byte) (*Assertion, error) {
	if len(text) > maxAssertion {
		return nil, wrong(errors.New("too long"))
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(text)
	if err != nil {
		return nil, wrong(err)
	}
	return &Assertion{
		ID: base64.RawURLEncoding.EncodeToString(parsed.RawID), Challenge: parsed.Response.CollectedClientData.Challenge,
		Handle: base64.RawURLEncoding.EncodeToString(parsed.Response.UserHandle), parsed: parsed,
	}, nil
}

// Use is what a verified answer tells of its key.
type Use struct {
	Counter  int64
	BackedUp bool
	// Verified says that the authenticator made sure who held it.
	Verified bool
}

// Verify checks an answer to a challenge by one of an account's keys. verified asks for
// user verification. Whether the counter goes forward is asked where it is stored.
func (p *Party) Verify(a *Assertion, challenge, handle string, key user.Passkey, verified bool) (Use, error) {
	owner, err := ownerOf(handle, key)
	if err != nil {
		return Use{}, wrong(err)
	}
	session := webauthn.SessionData{
		Challenge: challenge, RelyingPartyID: p.ID, UserID: owner.id, UserVerification: protocol.VerificationPreferred,
	}
	if verified {
		session.UserVerification = protocol.VerificationRequired
	}
	if _, err := p.lib.ValidateLogin(owner, session, a.parsed); err != nil {
		return Use{}, wrong(err)
	}
	data := a.parsed.Response.AuthenticatorData
	return Use{Counter: int64(data.Counter), BackedUp: data.Flags.HasBackupState(), Verified: data.Flags.HasUserVerified()}, nil
}

// New is the answer to the options of a new key, as it was sent.
type New struct {
	// ID is the id of the key, Challenge what it answers; base64url.
	ID, Challenge string

	parsed *protocol.ParsedCredentialCreationData
}

// ReadNew reads RegistrationResponseJSON.
func ReadNew(text []byte) (*New, error) {
	if len(text) > maxCreation {
		return nil, wrong(errors.New("too long"))
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(text)
	if err != nil {
		return nil, wrong(err)
	}
	return &New{
		ID: base64.RawURLEncoding.EncodeToString(parsed.RawID), Challenge: parsed.Response.CollectedClientData.Challenge, parsed: parsed,
	}, nil
}

// Accept checks a new key for the account of handle and returns what is kept of it, all
// but its name and times.
func (p *Party) Accept(n *New, challenge, handle string, verified bool) (user.Passkey, error) {
	owner, err := ownerOf(handle, user.Passkey{})
	if err != nil {
		return user.Passkey{}, wrong(err)
	}
	session := webauthn.SessionData{Challenge: challenge, RelyingPartyID: p.ID, UserID: owner.id, UserVerification: protocol.VerificationPreferred}
	if verified {
		session.UserVerification = protocol.VerificationRequired
	}
	for _, a := range algorithms {
		session.CredParams = append(session.CredParams, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	c, err := p.lib.CreateCredential(owner, session, n.parsed)
	switch {
	case err != nil:
		return user.Passkey{}, wrong(err)
	case len(c.ID) > maxID:
		return user.Passkey{}, wrong(errors.New("the id of the key is too long"))
	case base64.RawURLEncoding.EncodeToString(c.ID) != n.ID:
		return user.Passkey{}, wrong(errors.New("the key has two ids"))
	}
	key := user.Passkey{
		ID: n.ID, PublicKey: slices.Clone(c.PublicKey), Counter: int64(c.Authenticator.SignCount), DeviceType: user.SingleDevice,
		BackedUp: c.Flags.BackupState, Format: c.AttestationFormat, UserVerified: c.Flags.UserVerified, RPID: p.ID,
	}
	if c.Flags.BackupEligible {
		key.DeviceType = user.MultiDevice
	}
	if g := c.Authenticator.AAGUID; len(g) == 16 {
		key.AAGUID = fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:])
	}
	for _, t := range c.Transport {
		if len(key.Transports) < maxTransports && len(t) <= maxTransport {
			key.Transports = append(key.Transports, string(t))
		}
	}
	return key, nil
}

// owner is an account as the library asks for it.
type owner struct {
	id   []byte
	keys []webauthn.Credential
}

func ownerOf(handle string, key user.Passkey) (*owner, error) {
	id, err := base64.RawURLEncoding.DecodeString(handle)
	if err != nil || len(id) == 0 {
		return nil, errors.New("the account has no handle")
	}
	o := &owner{id: id}
	if key.ID == "" {
		return o, nil
	}
	keyID, err := base64.RawURLEncoding.DecodeString(key.ID)
	if err != nil {
		return nil, fmt.Errorf("the id of the key: %w", err)
	}
	o.keys = []webauthn.Credential{{
		ID: keyID, PublicKey: key.PublicKey, AttestationFormat: key.Format,
		Flags:         webauthn.CredentialFlags{BackupEligible: key.DeviceType == user.MultiDevice, BackupState: key.BackedUp, UserVerified: key.UserVerified},
		Authenticator: webauthn.Authenticator{SignCount: uint32(min(max(key.Counter, 0), math.MaxUint32))}, // #nosec G115 -- between its bounds
	}}
	return o, nil
}

// WebAuthnID and its like implement the library's User.
func (o *owner) WebAuthnID() []byte                         { return o.id }
func (*owner) WebAuthnName() string                         { return "" }
func (*owner) WebAuthnDisplayName() string                  { return "" }
func (o *owner) WebAuthnCredentials() []webauthn.Credential { return o.keys }
