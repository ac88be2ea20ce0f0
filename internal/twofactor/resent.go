package twofactor

import (
	"context"
	"fmt"
	"time"
)

// resendFor is for how long a message that is sent again stands for the first one: as
// long as clients try to come back, and as trust lasts if nobody changes the setting.
const resendFor = 5 * time.Minute

// spent is what is remembered of an accepted answer, so that the same message may come
// again: clients that lost their connection before the result arrived resume their
// login and send it, with its id, its parameters and its code. Nothing is remembered
// of logins, which have no token, and of doors where nobody sends again by design.
func (s *Service) spent(r Request, accepted string) Spent {
	if !resendable(r) {
		return Spent{}
	}
	return Spent{Digest: s.key.Digest(framed(r)...), Factor: accepted, At: s.now()}
}

// resendable tells whether a client may send the message of a request again.
func resendable(r Request) bool {
	return r.Frame != nil && r.Token != "" && r.Policy != Login
}

// framed is everything that must be the same: the account and the token, the method and
// what it is for, its parameters and its message's id, and the answer. Methods that do
// the same share a purpose, and are two calls all the same.
func framed(r Request) []string {
	return []string{"twofactor accepted message", r.User.ID, r.Token, r.Action, r.Purpose, string(r.Frame), string(r.Params),
		r.Proof.Factor, string(r.Proof.Value)}
}

// resent names the factor that was accepted for the very same message a moment ago, if
// that is enough for f, or "". Only a connection that was opened after it was accepted
// can have lost the answer: who has several open and sends the message on all of them
// tries one code often, and it is good once. It is looked up before the answer is
// counted: who can name the message has proved nothing new, and nothing wrong.
func (s *Service) resent(ctx context.Context, r Request, f Factor) (accepted string, err error) {
	if !resendable(r) || r.Peer == nil || r.Peer.Opened.IsZero() {
		return "", nil
	}
	g, err := s.store.Guard(ctx, r.User.ID)
	if err != nil {
		return "", fmt.Errorf("reading the answers that were accepted: %w", err)
	}
	if len(g.Spent) == 0 {
		return "", nil
	}
	since, opened := s.now().Add(-resendFor), r.Peer.Opened.Add(-time.Millisecond) // Spent.At is cut to milliseconds
	for _, digest := range s.key.Digests(framed(r)...) {
		for _, old := range g.Spent {
			if old.Digest == digest && old.At.After(since) && !old.At.After(opened) && s.strengthOf(old.Factor) >= f.Strength() &&
				counts(r.Proofs, old.Factor) {
				return old.Factor, nil
			}
		}
	}
	return "", nil
}

// acceptAgain lets a message pass that was sent again, or refuses it when nobody knows.
func (s *Service) acceptAgain(r Request, factor string, err error) (Outcome, error) {
	if err != nil {
		return Outcome{}, s.refuse(r, factor, err)
	}
	if r.Passed != nil {
		r.Passed.Factor = factor
	}
	s.record(r, event{act: "factor_check", outcome: "ok", reason: "resent", factor: factor, user: r.User.ID})
	return Outcome{Factor: factor}, nil
}
