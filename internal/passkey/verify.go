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
)

// ErrAnswer is the kind of every error about an answer. What is wrong with it is for
// tests and nobody else: it says nothing that a client should be told.
var ErrAnswer = errors.New("not a valid answer of an authenticator")

// What people can do something about, and are told, is of these kinds as well: a key that
// is beyond the bounds of what is kept, and one that is kept elsewhere than is asked for.
var (
	ErrKey  = errors.New("a key that is not taken")
	ErrKind = errors.New("a key of another kind than is asked for")
)

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
	if err := user.CheckPublicKey(key.PublicKey); err != nil { // before any arithmetic with it
		return Use{}, wrong(fmt.Errorf("%w: %w", ErrKey, err))
	}
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

// Demand is what the answer to the options of a new key must be.
type Demand struct {
	// Challenge and Handle are those of the options.
	Challenge, Handle string
	// Verified asks for user verification.
	Verified bool
	// Kind is "platform", "cross-platform", or "" for any.
	Kind string
}

// Accept checks a new key and returns what is kept of it, all but its name and times.
func (p *Party) Accept(n *New, d Demand) (user.Passkey, error) {
	owner, err := ownerOf(d.Handle, user.Passkey{})
	if err != nil {
		return user.Passkey{}, wrong(err)
	}
	if err := n.taken(); err != nil {
		return user.Passkey{}, wrong(fmt.Errorf("%w: %w", ErrKey, err))
	}
	if err := n.of(d.Kind); err != nil {
		return user.Passkey{}, wrong(fmt.Errorf("%w: %w", ErrKind, err))
	}
	session := webauthn.SessionData{Challenge: d.Challenge, RelyingPartyID: p.ID, UserID: owner.id, UserVerification: protocol.VerificationPreferred}
	if d.Verified {
		session.UserVerification = protocol.VerificationRequired
	}
	for _, a := range algorithms {
		session.CredParams = append(session.CredParams, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	c, err := p.lib.CreateCredential(owner, session, n.parsed)
	switch {
	case err != nil:
		return user.Passkey{}, wrong(err)
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
		if len(key.Transports) < user.MaxTransports && len(t) <= user.MaxTransport {
			key.Transports = append(key.Transports, string(t))
		}
	}
	return key, nil
}

// taken tells why the key is not kept: its id is too long, or its public key is none of
// those that are taken. It is asked before the key verifies its own attestation.
func (n *New) taken() error {
	data := n.parsed.Response.AttestationObject.AuthData.AttData
	if len(n.parsed.RawID) > user.MaxPasskeyID || len(data.CredentialID) > user.MaxPasskeyID {
		return errors.New("the id of the key is too long")
	}
	return user.CheckPublicKey(data.CredentialPublicKey)
}

// carried are the ways in which a browser reaches a key that is carried around.
var carried = []protocol.AuthenticatorTransport{protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard, protocol.Hybrid}

// of tells why the key is not of that kind, as far as its client says where it is kept. The
// client's word is all there is without attestation: one that lies is believed. What it
// leaves out is not: who asks for a kind hears of none otherwise.
func (n *New) of(kind string) error {
	if kind == "" {
		return nil
	}
	said, ways := n.parsed.AuthenticatorAttachment, n.parsed.Response.Transports
	if said != "" && string(said) != kind {
		return fmt.Errorf("it is said to be %s", said)
	}
	fits := slices.ContainsFunc(ways, func(w protocol.AuthenticatorTransport) bool {
		if kind == string(protocol.Platform) {
			return w == protocol.Internal
		}
		return slices.Contains(carried, w)
	})
	switch {
	case len(ways) > 0 && !fits:
		return errors.New("it is reached in no way that fits")
	case said == "" && len(ways) == 0:
		return errors.New("its client does not say where it is kept")
	}
	return nil
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
