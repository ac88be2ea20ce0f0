package methods

import (
	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

// errUnrecognized answers a login object that means nothing here.
var errUnrecognized = fault.Num(400, "Unrecognized options for login request")

// loginOptions is what a login object says. What kind of login it is follows
// from what it holds, never from a word of the client (docs/security-tests.md S042).
type loginOptions struct {
	resume   string
	selector accounts.Selector
	password accounts.Password
	proof    rpc.Proof
	// meteor tells that it is Meteor's own form, with the password as a member of the
	// object: Rocket.Chat's clients wrap it once they have a code.
	meteor bool
	// passkey is an answer that logs in by itself.
	passkey ejson.Raw
}

// readLogin reads a login object. The first member that counts decides, as in
// Meteor: resume, password, totp, webauthn; falsy ones do not count. A wrapper within a
// wrapper is refused, so that there is one code for one login.
func readLogin(d ejson.Doc, wrapped bool) (loginOptions, error) {
	if v, _ := d.Get("resume"); !falsy(v) {
		token, ok := v.(string)
		if !ok {
			return loginOptions{}, fault.MatchFailed
		}
		return loginOptions{resume: token}, nil
	}
	if v, _ := d.Get("password"); !falsy(v) {
		o, err := readPasswordLogin(d)
		o.meteor = !wrapped
		return o, err
	}
	if v, _ := d.Get("totp"); !falsy(v) && !wrapped {
		return readWrapped(v)
	}
	if v, _ := d.Get(passkeyMember); !falsy(v) && !wrapped {
		return readPasskeyLogin(d, v)
	}
	return loginOptions{}, errUnrecognized
}

// readWrapped reads {login, code}. A missing or empty code is none, so that the
// login is challenged; one that is not a text is a wrong answer.
func readWrapped(v any) (loginOptions, error) {
	wrapper, ok := v.(ejson.Doc)
	if !ok {
		return loginOptions{}, fault.MatchFailed
	}
	var inner ejson.Doc
	var code any
	for _, f := range wrapper {
		switch f.Key {
		case "login":
			if inner, ok = f.Value.(ejson.Doc); !ok {
				return loginOptions{}, fault.MatchFailed
			}
		case "code":
			code = f.Value
		default:
			return loginOptions{}, fault.MatchFailed
		}
	}
	o, err := readLogin(inner, true)
	if err != nil {
		return loginOptions{}, err
	}
	o.proof = loginProof(code)
	return o, nil
}

// passkeyMember holds what an authenticator answered.
const passkeyMember = "webauthn"

// readPasskeyLogin reads {webauthn}, the answer to a challenge that names nobody, as an
// object or as its text, and nothing else.
func readPasskeyLogin(d ejson.Doc, answer any) (loginOptions, error) {
	raw, err := ejson.Append(nil, answer)
	if err != nil || len(d) != 1 {
		return loginOptions{}, fault.MatchFailed
	}
	return loginOptions{passkey: raw}, nil
}

// readPasswordLogin reads {user, password, code? | webauthn?} and nothing else.
func readPasswordLogin(d ejson.Doc) (loginOptions, error) {
	var o loginOptions
	for _, f := range d {
		var err error
		switch f.Key {
		case "user":
			o.selector, err = readSelector(f.Value)
		case "password":
			o.password, err = readPassword(f.Value)
		case "code":
			if code, ok := f.Value.(string); !ok || code == "" {
				err = fault.MatchFailed
			}
			o.proof = loginProof(f.Value)
		case passkeyMember: // Meteor's clients give the second factor so
			o.proof = loginProof(f.Value)
			o.proof.Factor = twofactor.WebAuthn
		default:
			err = fault.MatchFailed
		}
		if err != nil {
			return loginOptions{}, err
		}
	}
	if o.selector == (accounts.Selector{}) {
		return loginOptions{}, fault.MatchFailed
	}
	return o, nil
}

// readSelector reads an object with exactly one of id, username and email, a
// text that is not empty.
func readSelector(v any) (s accounts.Selector, err error) {
	d, ok := v.(ejson.Doc)
	if !ok || len(d) != 1 {
		return s, fault.MatchFailed
	}
	text, ok := d[0].Value.(string)
	if !ok || text == "" {
		return s, fault.MatchFailed
	}
	switch d[0].Key {
	case "id":
		s.ID = text
	case "username":
		s.Username = text
	case "email":
		s.Email = text
	default:
		return s, fault.MatchFailed
	}
	return s, nil
}

// readPassword reads a password, as text or as {digest, algorithm}.
func readPassword(v any) (accounts.Password, error) {
	switch v := v.(type) {
	case string:
		return accounts.Plain(v)
	case ejson.Doc:
		digest, _ := v.Get("digest")
		algorithm, _ := v.Get("algorithm")
		d, isText := digest.(string)
		a, isName := algorithm.(string)
		if !isText || !isName || len(v) != 2 {
			return accounts.Password{}, fault.MatchFailed
		}
		return accounts.Digest(d, a)
	}
	return accounts.Password{}, fault.MatchFailed
}

// bindPassword is readPassword for a parameter.
func bindPassword(raw ejson.Raw) (accounts.Password, error) {
	v, err := ejson.Decode(raw)
	if err != nil {
		return accounts.Password{}, fault.MatchFailed.Because(err)
	}
	return readPassword(v)
}

// falsy tells what JavaScript takes for false.
func falsy(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0 || v != v
	}
	return false
}
