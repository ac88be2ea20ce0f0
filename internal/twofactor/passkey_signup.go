package twofactor

import (
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/passkey"
	"ddpserver/internal/random"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// ErrPasskeySignUpOff refuses accounts that begin with a passkey where the setting does.
var ErrPasskeySignUpOff = fault.New("webauthn-sign-up-disabled", "Making an account with a passkey is switched off")

// Joined is what an answer to SignUpOptions makes: who it is from, what the document of the
// account is to hold, and its id. The id is the same for every answer to one challenge, so
// that no more than one of them makes an account.
type Joined struct {
	Joining
	ID       string
	Passkeys *user.WebAuthn
}

// Joining is who somebody wants to be who makes an account with a passkey.
type Joining struct {
	Username string `ejson:"username,optional"`
	Email    string `ejson:"email,optional"`
}

// SignUpOptions are the options of the key with which somebody makes an account. Who they
// want to be travels in the challenge: nothing is kept of strangers who only ask. Refusals:
// ErrPasskeysOff, ErrPasskeySignUpOff, fault.MatchFailed for names that are too long.
func (s *Service) SignUpOptions(j Joining) (ejson.Doc, error) {
	if err := s.mayJoin(); err != nil {
		return nil, err
	}
	name := j.Username
	if name == "" {
		name = j.Email
	}
	carried, err := ejson.Append(nil, ejson.Doc{{Key: "username", Value: j.Username}, {Key: "email", Value: j.Email}})
	if err != nil || name == "" || len(carried) > maxCarried {
		return nil, fault.MatchFailed
	}
	text := s.challengeFor(joining, string(carried))
	c, _ := s.openChallenge(joining, text)
	return s.creation(text, handleFrom(c), name, "", nil), nil
}

func (s *Service) mayJoin() error {
	switch {
	case s.mayEnter() != nil:
		return ErrPasskeysOff
	case !s.config.Bool(settings.WebAuthnSignUp):
		return ErrPasskeySignUpOff
	case s.config.Bool(settings.EmailVerification):
		// Nobody has a session before the address is proved, and a proof outside of one takes
		// away passkeys of before: the account would be left with no way in.
		return ErrPasskeySignUpOff
	}
	return nil
}

// Join reads the answer to SignUpOptions. The person must have been verified, since nothing else guards the account.
// Refusals: ErrPasskeysOff, ErrPasskeySignUpOff, ErrPasskeyName, ErrPasskeyNew, ErrPasskeyKey,
// ErrPasskeyKind.
func (s *Service) Join(answer []byte, name string) (*Joined, error) {
	if err := s.mayJoin(); err != nil {
		return nil, err
	}
	name, err := passkeyName(name)
	if err != nil {
		return nil, err
	}
	n, err := passkey.ReadNew(answer)
	if err != nil {
		return nil, ErrPasskeyNew
	}
	c, good := s.openChallenge(joining, n.Challenge)
	j := &Joined{ID: random.IDOf("an account that begins with a passkey", c.id)}
	if !good || ejson.Unmarshal([]byte(c.carried), &j.Joining) != nil {
		return nil, ErrPasskeyNew
	}
	handle := handleFrom(c)
	key, err := s.accept(n, handle, true)
	if err != nil {
		return nil, err
	}
	if key.Name = name; name == "" {
		key.Name = freeName(&user.User{})
	}
	key.CreatedAt = s.now()
	j.Passkeys = &user.WebAuthn{Handle: handle, SecondFactor: true, Keys: []user.Passkey{key}, ChangedAt: key.CreatedAt,
		Spent: []user.SpentChallenge{{ID: c.id, Until: c.until}}}
	return j, nil
}
