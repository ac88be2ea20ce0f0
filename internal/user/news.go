package user

import (
	"errors"
	"slices"

	"ddpserver/internal/feed"
)

// Changed is the news that an account was made, changed or removed; its key is
// the account's id. Whoever changes an account publishes it, once for each change.
var Changed = feed.NewKind[News]("account-changed", 1)

// News is the payload of Changed.
type News struct {
	// Fields names the parts of the document that changed, see Change.Fields; nil
	// means that anything may have.
	Fields []string `json:"fields,omitempty"`
	// Ended tells which login tokens ended with the change; nil is none.
	Ended *EndedTokens `json:"ended,omitempty"`
}

// EndedTokens tells which of an account's login tokens are dead: those listed, or
// all but those listed. The second also covers a token that somebody made while
// the change ran.
type EndedTokens struct {
	// Hashes are stored tokens, never clear ones.
	Hashes []string `json:"hashes,omitempty"`
	// Kept tells that Hashes are the tokens that live on.
	Kept bool `json:"kept,omitempty"`
}

// Check implements feed.Payload. An empty list of dead tokens says nothing; it
// could be a list that got lost.
func (n News) Check() error {
	if n.Ended != nil && !n.Ended.Kept && len(n.Ended.Hashes) == 0 {
		return errors.New("no token is named that ended")
	}
	return nil
}

// The parts of a document that News.Fields tells apart. Other parts have the names
// of their fields.
const (
	FieldStatus   = "status" // status, statusDefault and statusText
	FieldPassword = "services.password"
	FieldProofs   = "services.email" // proofs of addresses
	FieldFactors  = "services.factors"
	FieldTokens   = "services.resume"
	FieldTrust    = "services.resume.trust" // what login tokens remember of a second factor
	FieldCustom   = "customFields"
	FieldAvatar   = "avatar"
)

// Only tells whether nothing but these parts changed.
func (n News) Only(parts ...string) bool {
	return n.Fields != nil && !slices.ContainsFunc(n.Fields, func(f string) bool { return !slices.Contains(parts, f) })
}

// security says which lists of an owner's a part of the document is shown in.
var security = []struct {
	kind  string
	parts []string
}{
	{"sessions", []string{FieldTokens}}, {"tokens", []string{FieldTokens}}, {"trust", []string{FieldTrust}}, {"factors", []string{FieldFactors}},
	{"addresses", []string{"emails", FieldProofs}}, {"password", []string{FieldPassword}},
}

// Security names what of the account's security the owner should look at anew:
// "sessions", "tokens" (personal access tokens), "trust", "factors", "addresses" and
// "password".
func (n News) Security() (kinds []string) {
	for _, s := range security {
		if n.Fields == nil || slices.ContainsFunc(n.Fields, func(f string) bool { return slices.Contains(s.parts, f) }) {
			kinds = append(kinds, s.kind)
		}
	}
	return kinds
}

// Voids tells whether somebody who read the account before may have read what is no
// longer so. One more login token, or less trust in one, voids nothing.
func (n News) Voids() bool { return n.Ended != nil || !n.Only(FieldTokens, FieldTrust) }

// Urgent says that other nodes are told before they are told of other things: sessions
// may have to end there.
func (n News) Urgent() bool { return n.Voids() }

// Fields names the parts of the document that the change touches, for News.
func (c *Change) Fields() []string {
	fields := []string{}
	for _, part := range []struct {
		name    string
		touched bool
	}{
		{"username", c.Username != nil}, {"name", c.Name != nil}, {"language", c.Language != nil}, {"type", c.Type != nil},
		{"emails", c.Emails != nil}, {"roles", c.Roles != nil}, {"active", c.Active != nil}, {"profile", c.Profile != nil},
		{FieldStatus, c.Status != nil || c.StatusDefault != nil || c.StatusText != nil},
		{FieldCustom, c.CustomFields != nil}, {FieldAvatar, c.AvatarETag != nil || c.AvatarOrigin != nil},
		{FieldPassword, c.Bcrypt != nil || c.ResetAt != nil || c.Reset != nil || c.Enroll != nil || c.Earlier != nil},
		{FieldProofs, c.AddVerification != nil || c.ClearVerification != "" || c.Verifications != nil || c.Pending != nil},
		{FieldFactors, c.Factor != nil},
		{FieldTokens, c.AddToken != nil || c.RemoveToken != "" || c.RemoveSessions || c.RemoveTokens || c.UpgradeToken != nil},
		{FieldTrust, c.ClearTrust},
	} {
		if part.touched {
			fields = append(fields, part.name)
		}
	}
	return fields
}

// Has tells whether the token with this hash ended.
func (e *EndedTokens) Has(hash string) bool {
	return e != nil && slices.Contains(e.Hashes, hash) != e.Kept
}

// Ended lists the tokens of before that after no longer has; nil when there are none.
func Ended(before, after *User) *EndedTokens {
	var dead []string
	for _, hash := range before.tokenHashes() {
		if after.LoginToken(hash) == nil {
			dead = append(dead, hash)
		}
	}
	if dead == nil {
		return nil
	}
	return &EndedTokens{Hashes: dead}
}

// EndedBut lists the tokens that the account has left after a change that ended
// others. An account that is not active has none that count.
func EndedBut(after *User) *EndedTokens {
	kept := &EndedTokens{Kept: true}
	if after.IsActive() {
		kept.Hashes = after.tokenHashes()
	}
	return kept
}

// tokenHashes are the stored login tokens of the account.
func (u *User) tokenHashes() (hashes []string) {
	if u.Services.Resume == nil {
		return nil
	}
	for _, t := range u.Services.Resume.LoginTokens {
		if t.HashedToken != "" {
			hashes = append(hashes, t.HashedToken)
		}
	}
	return hashes
}
