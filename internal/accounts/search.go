package accounts

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/user"
)

// Search is what an administrator asks for of all accounts; empty members select all.
type Search struct {
	// Text begins a word of the user name, the name or an address, in any case.
	Text string
	Role string
	// State is one of user.State, Factor "none", "email", "totp", "webauthn", "both" (more than
	// one) or "tokens", Order one of user.Order, with "-" in front for the other way round.
	State, Factor, Order string
	// BeenIn selects those who have, or have never, logged in; nil both.
	BeenIn *bool
	// Offset and Count are the part of the list; Count is at most 100.
	Offset, Count int
}

// Filters tells whether s asks for more than a page of all accounts by user name.
func (s Search) Filters() bool {
	return s.Text != "" || s.Role != "" || s.State != "" || s.Factor != "" || s.Order != "" || s.BeenIn != nil
}

// searched are the traits behind the words of Search.
var searched = map[string]string{
	"none": user.TraitNoFactor, "email": user.TraitEmail, "totp": user.TraitTOTP, "webauthn": user.TraitPasskeys,
	"both": user.TraitTwoFactors, "tokens": user.TraitTokens,
	"active": user.StateTrait(user.Active), "inactive": user.StateTrait(user.Inactive), "pending": user.StateTrait(user.Invited),
}

// Search is the part of a list that s asks for, and how many accounts fit in all. The
// caller has checked the permission. A word that is none of those above fails with
// fault.MatchFailed.
func (s *Service) Search(ctx context.Context, f Search) (page []*user.User, total int, err error) {
	q := user.Query{Offset: max(f.Offset, 0), Count: f.Count}
	if q.Count <= 0 || q.Count > maxPage {
		q.Count = maxPage
	}
	for _, word := range []string{f.State, f.Factor} {
		if word == "" {
			continue
		}
		trait, ok := searched[word]
		if !ok {
			return nil, 0, fault.MatchFailed
		}
		q.Traits = append(q.Traits, trait)
	}
	if f.Role != "" {
		q.Traits = append(q.Traits, user.RoleTrait(f.Role))
	}
	if f.BeenIn != nil {
		q.Traits = append(q.Traits, map[bool]string{true: user.TraitBeenIn, false: user.TraitNeverIn}[*f.BeenIn])
	}
	if q.Order = user.Order(f.Order); f.Order != "" && f.Order[0] == '-' {
		q.Order, q.Descending = q.Order[1:], true
	}
	switch q.Order {
	case "", user.ByUsername, user.ByName, user.ByCreatedAt, user.ByLastLogin:
	default:
		return nil, 0, fault.MatchFailed
	}
	if f.Text != "" {
		var found bool
		if q.Word, found = user.WordOf(f.Text); !found {
			return nil, 0, nil
		}
	}
	return s.store.FindUsers(ctx, q)
}

// Statistics are numbers of accounts.
type Statistics struct {
	Total         int            `json:"total"`
	Active        int            `json:"active"`
	Inactive      int            `json:"inactive"`
	Pending       int            `json:"pending"`
	NeverLoggedIn int            `json:"neverLoggedIn"`
	Factors       FactorNumbers  `json:"factors"`
	Tokens        int            `json:"personalAccessTokens"`
	Roles         map[string]int `json:"roles"`
}

// FactorNumbers are how many accounts have which second factor switched on; Both have more
// than one, and are among the others.
type FactorNumbers struct {
	None     int `json:"none"`
	Email    int `json:"email"`
	TOTP     int `json:"totp"`
	WebAuthn int `json:"webauthn"`
	Both     int `json:"both"`
}

// Statistics counts accounts. The numbers are read one after the other.
func (s *Service) Statistics(ctx context.Context) (*Statistics, error) {
	st := &Statistics{Roles: map[string]int{}}
	var err error
	if _, st.Total, err = s.store.ListUsers(ctx, 0, 0); err != nil {
		return nil, err
	}
	numbers := map[string]*int{
		user.StateTrait(user.Active): &st.Active, user.StateTrait(user.Inactive): &st.Inactive, user.StateTrait(user.Invited): &st.Pending,
		user.TraitNeverIn: &st.NeverLoggedIn, user.TraitTokens: &st.Tokens, user.TraitNoFactor: &st.Factors.None, user.TraitEmail: &st.Factors.Email,
		user.TraitTOTP: &st.Factors.TOTP, user.TraitPasskeys: &st.Factors.WebAuthn, user.TraitTwoFactors: &st.Factors.Both,
	}
	for trait, n := range numbers {
		if *n, err = s.store.CountUsers(ctx, trait); err != nil {
			return nil, err
		}
	}
	for _, r := range permission.Roles() {
		if r.Scope != "Users" {
			continue
		}
		if st.Roles[r.ID], err = s.store.CountUsers(ctx, user.RoleTrait(r.ID)); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// Listed is an account in an administrator's list: Full, and how it is guarded.
func Listed(u *user.User) ejson.Doc {
	d := Full(u)
	add := adder(&d)
	add("state", string(u.State()), true)
	add("lastLogin", u.LastLogin, !u.LastLogin.IsZero())
	factors := []string{}
	for _, f := range u.Factors() {
		if f.On {
			factors = append(factors, f.Key)
		}
	}
	sessions, personal := u.Tokens()
	add("factors", factors, true)
	add("passwordSet", u.PasswordHash() != "", true)
	add("sessions", sessions, true)
	add("personalAccessTokens", personal, true)
	for _, f := range user.Resets {
		due := u.ResetDue(f)
		add(f+"ResetDue", due, !due.IsZero())
	}
	suspended := u.SuspendedPasskeys()
	add("passkeysSuspended", suspended, suspended > 0)
	return d
}
