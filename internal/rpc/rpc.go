// Package rpc describes one call on its way from a door to a handler: what was
// asked, by whom, and through which connection. Every door (DDP, SockJS, REST)
// builds the same Call, so handlers and checks cannot tell doors apart unless
// they look.
//
// It holds no protocol engine, no router and no rules.
package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/user"
)

// Door names the way a call came in; it stands in logs, metrics and the audit stream.
type Door string

// The doors there are.
const (
	DDP    Door = "ddp"
	SockJS Door = "sockjs"
	REST   Door = "rest"
	// HTTP is every other path: requests that no door takes.
	HTTP Door = "http"
)

// Peer is what is known of the other end of a connection. It is shared by all
// calls of the connection and never changes.
type Peer struct {
	// Conn identifies the connection; for REST, the request.
	Conn string
	Door Door
	// Opened is when the connection was opened; zero where requests have none.
	Opened time.Time
	// Address is the client's IP address after trusted proxies, or "" when unknown.
	Address string
	// Proxied tells that a proxy which nobody declared stands in front: Address is
	// the proxy's, and stands for everybody behind it.
	Proxied bool
	// UserAgent is for people's eyes: cut, and valid UTF-8. It may be empty: most
	// DDP clients send none.
	UserAgent string
	// AgentDigest tells clients apart (see DigestAgent); empty when nobody looked.
	AgentDigest string
	// Proof comes from the headers of the handshake or request (HeaderProof).
	Proof Proof
}

// DigestAgent is the hex SHA-256 of the User-Agent headers of a request as they
// were sent, every one of them, each with its length: no two different lists of
// bytes have the same, and none at all is another one than an empty text.
func DigestAgent(headers []string) string {
	h := sha256.New()
	for _, v := range headers {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(v)))
		h.Write(n[:])
		io.WriteString(h, v)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Login is who a connection is logged in as. The zero value is nobody.
type Login struct {
	UserID string
	// Token is the hash of the login token in use (base64 SHA-256, as stored).
	Token string
}

// Session is what a handler may do to the connection that carries its call.
// REST gives a session of its own that lives for one request.
type Session interface {
	// SetLogin changes the connection's user, re-runs subscriptions and sends
	// the difference. It must not be called after Unblock.
	SetLogin(ctx context.Context, l Login) error
	// Unblock lets the next message of the connection start.
	Unblock()
}

// Call is one method call. It is used by one goroutine at a time.
type Call struct {
	// Method is the name under which the call is limited, logged and audited.
	Method string
	// Purpose names what the call does, the same for a method and for the REST route
	// that stands for it: a mailed code that answers one is good for the other. The
	// router sets it.
	Purpose string
	// Proofs say which factors are a proof for it. The router sets them.
	Proofs Proofs
	// Via names the envelope that carried the call, a REST route; empty for a call
	// that came by itself.
	Via string
	// Params is the raw EJSON array of parameters, or nil when absent.
	Params []byte
	// Asked is what a request of REST asks for, in place of Params, which its handler
	// makes: path, query and body as they were sent. What is proved for one request is not
	// proved for another.
	Asked [][]byte
	// Frame is the id of the message that carried the call, where clients send the same
	// message again after their connection broke; nil for other calls.
	Frame []byte
	Peer  *Peer
	// Login is the identity at the start of the call.
	Login Login
	// Session is never nil.
	Session Session

	// Proof is the second-factor answer that came with the call: in the trailing
	// parameter, in callWithTwoFactorRequired or in headers.
	Proof Proof
	// Passed is what was accepted for this call so far. A check that asks for no more
	// than that takes it, so that no answer is asked for, and spent, twice.
	Passed Passed

	// Told is set by a call that only carries another one, which was recorded,
	// counted and limited under its own name.
	Told bool
	// User is loaded by the router for calls that need a login; nil otherwise.
	// Handlers must treat it as read-only and as of the start of the call.
	User *user.User
}

// Bind decodes the parameters into dst, in order. Parameters beyond dst are
// refused, missing ones too unless the destination is a pointer to a pointer,
// which stays nil then; a mismatch is fault.MatchFailed (see ejson.BindArray).
// A lone null stands for no parameters at all, as several clients send it.
func (c *Call) Bind(dst ...any) error {
	if err := ejson.BindArray(c.Params, dst...); err != nil {
		return fault.MatchFailed.Because(err)
	}
	return nil
}
