package twofactor

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/user"
)

// challengeLife is how long a challenge can be answered; challengeSkew is how far the
// clocks of two nodes may be apart.
const (
	challengeLife = 2 * time.Minute
	challengeSkew = 30 * time.Second
)

// The parts of a challenge: a version, the end of its life, what nobody can foresee, and a
// digest with the server key over these, what travels in it, and what its answer is good
// for.
const (
	challengeVersion = 1
	challengeHead    = 1 + 8 + 16
	challengeMAC     = sha256.Size
	// maxCarried bounds what travels in a challenge, bytes.
	maxCarried = 4 << 10
)

// ceremony is what a challenge is for.
type ceremony string

const (
	answering ceremony = "answer a call"
	enrolling ceremony = "make a key"
	entering  ceremony = "log in"
	joining   ceremony = "make an account"
)

// challenge is one that was opened: made by this server for this very purpose, and alive.
type challenge struct {
	// id tells it from all others, carried is what travelled in it.
	id, carried string
	until       time.Time
}

// challengeFor makes a challenge whose answer is good for the ceremony and these parts,
// once (user.WebAuthn.Use). Nothing is kept of it.
func (s *Service) challengeFor(what ceremony, carried string, parts ...string) string {
	head := binary.BigEndian.AppendUint64([]byte{challengeVersion}, uint64(s.now().Add(challengeLife).UnixMilli())) // #nosec G115 -- after 1970
	nonce := make([]byte, challengeHead-len(head))
	rand.Read(nonce)
	head = append(head, nonce...)
	mac, _ := hex.DecodeString(s.key.Digest(challengeParts(what, head, carried, parts)...))
	return base64.RawURLEncoding.EncodeToString(append(append(head, mac...), carried...))
}

func challengeParts(what ceremony, head []byte, carried string, parts []string) []string {
	return append([]string{"twofactor passkey challenge", string(what), string(head), carried}, parts...)
}

// openChallenge tells whether a text is a challenge for the ceremony and these parts that
// is alive. Digests of earlier server keys count.
func (s *Service) openChallenge(what ceremony, text string, parts ...string) (challenge, bool) {
	if len(text) > base64.RawURLEncoding.EncodedLen(challengeHead+challengeMAC+maxCarried) {
		return challenge{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < challengeHead+challengeMAC || raw[0] != challengeVersion {
		return challenge{}, false
	}
	head, mac, carried := raw[:challengeHead], raw[challengeHead:challengeHead+challengeMAC], string(raw[challengeHead+challengeMAC:])
	right := false
	for _, digest := range s.key.Digests(challengeParts(what, head, carried, parts)...) {
		want, err := hex.DecodeString(digest)
		right = right || err == nil && hmac.Equal(want, mac)
	}
	until := time.UnixMilli(int64(binary.BigEndian.Uint64(head[1:9]))).UTC() // #nosec G115 -- what we wrote, or refused
	now := s.now()
	if !right || !until.After(now) || until.After(now.Add(challengeLife+challengeSkew)) {
		return challenge{}, false
	}
	return challenge{id: base64.RawURLEncoding.EncodeToString(head[9:]), carried: carried, until: until}, true
}

// handleFrom makes the user handle of an account that has none out of the challenge of its
// first key: as random, and not kept before there is a key.
func handleFrom(c challenge) string {
	sum := sha256.Sum256([]byte("user handle " + c.id))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// callParts is what an answer to a challenge of a call is bound to: the account, the
// token and everything that was proved with it, the call and its parameters. Calls that do
// the same share a purpose, and are two all the same.
func callParts(r Request) []string {
	parts := []string{r.User.ID, r.Token, stateOf(r.User, r.Token), r.Action, r.Purpose}
	if r.Asked == nil {
		return append(parts, string(canonical(r.Params)))
	}
	for _, part := range r.Asked {
		parts = append(parts, string(part))
	}
	return parts
}

// stateOf is the account's ProofState, or where there is no token yet, what a login proves.
func stateOf(u *user.User, token string) string {
	if state := u.ProofState(token); state != "" {
		return state
	}
	return u.FactorState() + "\x00" + u.PasswordHash()
}

// canonical writes parameters in one way: a client may send the same ones with other
// blanks when it answers. What cannot be decoded stays as it is.
func canonical(params []byte) []byte {
	if len(bytes.TrimSpace(params)) == 0 {
		return []byte("[]")
	}
	v, err := ejson.Decode(params)
	if err != nil {
		return params
	}
	out, err := ejson.Append(nil, v)
	if err != nil {
		return params
	}
	return out
}
