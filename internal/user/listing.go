package user

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What administrators list accounts by is derived from the document and stored with
// it, so that both stores find one among many by an index: ListKeys holds the words
// of an account, and its traits, which begin with a mark that no word begins with.

// State says whether an account can be used.
type State string

// The states; every account has one of them.
const (
	Active   State = "active"
	Inactive State = "inactive"
	// Invited accounts are active and have no password, and no other way in, yet.
	Invited State = "pending"
)

// The traits that accounts are found by, beside StateTrait and RoleTrait.
const (
	TraitNoFactor   = "=factor:none"
	TraitEmail      = "=factor:email"
	TraitTOTP       = "=factor:totp"
	TraitTwoFactors = "=factor:both"
	// TraitPasskeys: passkeys are a second factor of the account. TraitHasPasskeys: it has
	// some, which may only log in.
	TraitPasskeys    = "=factor:webauthn"
	TraitHasPasskeys = "=passkeys"
	// TraitTokens: the account has personal access tokens.
	TraitTokens = "=tokens"
	// TraitNeverIn: nobody ever logged in to the account, so far as it is known.
	TraitNeverIn = "=login:never"
	// TraitBeenIn is the opposite.
	TraitBeenIn = "=login:once"
)

// StateTrait is the trait of the accounts in that state.
func StateTrait(s State) string { return "=state:" + string(s) }

// PasskeyTrait is the trait of the one account that authenticators know by that handle.
func PasskeyTrait(handle string) string { return "=passkeys:" + handle }

// PartyTrait is the trait of the accounts with a key that was made for that host.
func PartyTrait(host string) string { return "=passkeys-for:" + host }

// RoleTrait is the trait of the accounts with that role.
func RoleTrait(role string) string { return "=role:" + role }

// Order is what a list of accounts is ordered by.
type Order string

// The orders there are. Accounts that are equal are ordered by id.
const (
	ByUsername  Order = "username"
	ByName      Order = "name"
	ByCreatedAt Order = "createdAt"
	ByLastLogin Order = "lastLogin"
)

// Query selects accounts. The zero value selects all, by user name.
type Query struct {
	// Traits must all be there.
	Traits []string
	// Word begins a word of the user name, the name or an address (WordOf); "" is any.
	Word string
	// Order and Descending are the order, Offset and Count the part of it.
	Order         Order
	Descending    bool
	Offset, Count int
}

const (
	maxWord  = 48 // bytes of a word
	maxWords = 12 // of one text
)

// State is the state of the account.
func (u *User) State() State {
	switch {
	case !u.IsActive():
		return Inactive
	case u.PasswordHash() == "" && !u.Foreign() && len(u.Passkeys()) == 0:
		return Invited
	}
	return Active
}

// Tokens counts the sessions and the personal access tokens of the account.
func (u *User) Tokens() (sessions, personal int) {
	if u.Services.Resume == nil {
		return 0, 0
	}
	for i := range u.Services.Resume.LoginTokens {
		if u.Services.Resume.LoginTokens[i].IsPAT() {
			personal++
		} else {
			sessions++
		}
	}
	return sessions, personal
}

// fillListing sets NameKey, LastLogin and ListKeys from the rest of the document.
func (u *User) fillListing() {
	u.NameKey = Key(u.Name)
	if u.Services.Resume != nil {
		for _, t := range u.Services.Resume.LoginTokens {
			if !t.IsPAT() && t.When.After(u.LastLogin) {
				u.LastLogin = t.When
			}
		}
	}
	keys := u.traits()
	keys = append(keys, words(u.Username)...)
	keys = append(keys, words(u.Name)...)
	for _, e := range u.Emails {
		keys = append(keys, words(e.Address)...)
	}
	slices.Sort(keys)
	u.ListKeys = slices.Compact(keys)
}

func (u *User) traits() []string {
	list := []string{StateTrait(u.State())}
	for _, r := range u.Roles {
		list = append(list, RoleTrait(r))
	}
	on := 0 // of whatever factors there are
	for _, f := range u.Factors() {
		if f.On {
			on++
		}
	}
	add := func(is bool, trait string) {
		if is {
			list = append(list, trait)
		}
	}
	add(on == 0, TraitNoFactor)
	add(u.Email2FAEnabled(), TraitEmail)
	add(u.TOTPEnabled(), TraitTOTP)
	add(on > 1, TraitTwoFactors)
	add(u.PasskeysEnabled(), TraitPasskeys)
	for _, k := range u.Passkeys() {
		list = append(list, TraitHasPasskeys, PasskeyTrait(u.PasskeyHandle()), PartyTrait(k.RPID))
	}
	_, personal := u.Tokens()
	add(personal > 0, TraitTokens)
	add(u.LastLogin.IsZero(), TraitNeverIn)
	add(!u.LastLogin.IsZero(), TraitBeenIn)
	return list
}

// words are the ends of a text that begin with a word of it, cut to their first
// bytes: whatever begins one of them is found in the text.
func words(text string) (list []string) {
	text, inside := Key(text), false
	for i, r := range text {
		is := unicode.IsLetter(r) || unicode.IsDigit(r)
		if is && !inside {
			if list = append(list, cut(text[i:])); len(list) == maxWords {
				return list
			}
		}
		inside = is
	}
	return list
}

// WordOf is Query.Word for what somebody typed; ok is false for a text that is found
// in no account, because no letter or digit is in it.
func WordOf(text string) (word string, ok bool) {
	word = strings.TrimLeftFunc(Key(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return cut(word), word != ""
}

func cut(s string) string {
	if len(s) <= maxWord {
		return s
	}
	n := maxWord
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// AfterWord is behind every text that begins with the word, in the order of bytes.
func AfterWord(word string) string { return word + string(unicode.MaxRune) }

// Millis is a moment as an order of accounts compares it; the zero time comes first.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
