package twofactor

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// rememberFor is how long trust lasts; 0 or less switches it off.
func (s *Service) rememberFor() time.Duration {
	return time.Duration(s.config.Int(settings.TwoFactorRememberFor)) * time.Second
}

// trusted tells whether the token was given trust from the same address and user
// agent and not longer ago than the setting says now. Trust is absolute: using
// it does not prolong it.
func (s *Service) trusted(t *user.LoginToken, p *rpc.Peer) bool {
	print, known := fingerprint(p)
	life := s.rememberFor()
	if !known || life <= 0 || t.TrustHash == "" {
		return false
	}
	left := t.TrustUntil.Sub(s.now())
	return left > 0 && left <= life && t.TrustHash == print
}

// remember gives the login token trust after an accepted answer, where the policy
// allows, and with it which factor earned it. A call that does not take every factor may
// have taken one that others would not, such as the password beside codes by mail
// (docs/adr/0011-the-outbox-is-the-mailbox.md): that earns nothing. Losing trust costs the
// user one more code, so a failure is not one of the call.
func (s *Service) remember(ctx context.Context, r Request, factor string) {
	print, known := fingerprint(r.Peer)
	life := s.rememberFor()
	if !known || life <= 0 || r.Token == "" || !r.Policy.remembers() || !s.everywhere(r, factor) {
		return
	}
	if s.store.SetTrust(ctx, r.User.ID, r.Token, print, factor, s.now().Add(life)) == nil {
		s.tell(r.User.ID, user.FieldTrust)
	}
}

// everywhere tells whether what was accepted would have been where every factor counts.
func (s *Service) everywhere(r Request, accepted string) bool {
	return !r.Proofs.Narrow() || slices.Contains(names(s.accepted(r.User, r.Policy, rpc.Proofs{})), standsFor(accepted))
}

// outlived forgets trust that is over, so that a clock that jumps back does not
// bring it back. A failure is not one of the call, which is asked for a code.
func (s *Service) outlived(ctx context.Context, r Request) {
	t := r.User.LoginToken(r.Token)
	if t != nil && t.TrustHash != "" && !t.TrustUntil.After(s.now()) {
		_ = s.store.SetTrust(ctx, r.User.ID, r.Token, "", "", t.TrustUntil)
	}
}

// fingerprint binds trust to a client: SHA-256 over the length-prefixed address
// and digest of the user agent as it was sent (not as it is shown, which is cut),
// the same for every door. A client without a known address has none: it cannot
// be told from others.
func fingerprint(p *rpc.Peer) (print string, known bool) {
	if p == nil || p.Address == "" || p.AgentDigest == "" {
		return "", false
	}
	h := sha256.New()
	for _, part := range [...]string{p.AgentDigest, p.Address} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil)), true
}
