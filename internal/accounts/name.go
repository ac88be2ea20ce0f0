package accounts

import (
	"slices"
	"strings"
	"unicode/utf8"

	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Limits of what people call themselves. User names and addresses are ASCII, so
// no two of them look alike once case is folded; adopted accounts keep theirs.
const (
	maxUsername = 64
	maxName     = 128
	maxEmail    = 254 // RFC 5321 4.5.3.1.3, without the angle brackets
	maxLocal    = 64  // RFC 5321 4.5.3.1.1
	maxLabel    = 63  // RFC 1035 2.3.4
	// maxSelector bounds what is looked up; no account has a longer name or id.
	maxSelector = 512
)

// reserved are user names that mean something else: mentions, pages, the system.
var reserved = []string{"all", "here", "admin", "administrator", "system", "user", "me", "rocket.cat", "root", "null", "undefined"}

// lookupKey is the key of something to look up, or "" when nobody can have it.
func lookupKey(s string) string {
	if len(s) > maxSelector || !utf8.ValidString(s) {
		return ""
	}
	return user.Key(s)
}

// checkUsername accepts Rocket.Chat's characters, [0-9a-zA-Z-_.], with at least
// one letter or digit, up to 64 of them.
func checkUsername(name string) error {
	if name == "" || len(name) > maxUsername {
		return ErrUsername
	}
	solid := false
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			solid = true
		case c != '-' && c != '_' && c != '.':
			return ErrUsername
		}
	}
	if !solid {
		return ErrUsername
	}
	return nil
}

// freeUsername also refuses names that nobody may choose. own is the account that is
// to have the name, or nil: its own name passes, however it came to it, and so
// does that name in another spelling that keeps the rules.
func (s *Service) freeUsername(name string, own *user.User) error {
	if own != nil && own.Username != "" && own.Username == name {
		return nil
	}
	if err := checkUsername(name); err != nil {
		return err
	}
	if own != nil && own.Username != "" && user.Key(own.Username) == user.Key(name) {
		return nil
	}
	if containsFold(reserved, name) || containsFold(s.listed(settings.BlockedUsernames), name) {
		return ErrReserved
	}
	return nil
}

// ValidEmail tells whether an address may be stored: a dot-atom and a host name
// in ASCII, with nothing that needs quoting (S099).
func ValidEmail(addr string) bool {
	at := strings.LastIndexByte(addr, '@')
	if at < 1 || at > maxLocal || len(addr) > maxEmail {
		return false
	}
	for atom := range strings.SplitSeq(addr[:at], ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtext(r) }) {
			return false
		}
	}
	for label := range strings.SplitSeq(addr[at+1:], ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return !isAlnum(r) && r != '-' }) {
			return false
		}
	}
	return true
}

func isAlnum(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// isAtext is atext of RFC 5322 3.2.3.
func isAtext(r rune) bool {
	return isAlnum(r) || r < utf8.RuneSelf && strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// newEmail checks an address that an account is to get; blanks around it go.
func newEmail(addr string) (string, error) {
	if len(addr) > 2*maxEmail {
		return "", ErrEmail
	}
	addr = strings.Trim(addr, " \t")
	if !ValidEmail(addr) {
		return "", ErrEmail
	}
	return addr, nil
}

// allowedDomain applies the list of domains that may register.
func (s *Service) allowedDomain(addr string) error {
	domains := s.listed(settings.AllowedDomains)
	_, domain, _ := strings.Cut(addr, "@")
	if len(domains) > 0 && !containsFold(domains, domain) {
		return ErrDomain
	}
	return nil
}

// cleanName checks a real name: up to 128 characters, none of which moves or
// hides others. Blanks around it go; an empty name is allowed.
func cleanName(name string) (string, error) {
	if !utf8.ValidString(name) || len(name) > 4*maxName+2 {
		return "", ErrName
	}
	name = strings.TrimSpace(name)
	if utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, user.Hidden) {
		return "", ErrName
	}
	return name, nil
}

// cleanText checks a free text of at most limit characters; line breaks are allowed.
func cleanText(text string, limit int) (string, error) {
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > limit ||
		strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && user.Hidden(r) }) {
		return "", ErrTooLong
	}
	return strings.TrimSpace(text), nil
}

// cleanFields checks a profile or custom fields as decoded from the wire.
func cleanFields(m map[string]any) error {
	if user.CheckFields(m) != nil {
		return ErrTooLong
	}
	return nil
}

// suggestions are user names made from an address or a real name, best first.
func suggestions(name, email string) []string {
	var out []string
	local, _, _ := strings.Cut(email, "@")
	for _, base := range []string{strings.ReplaceAll(strings.TrimSpace(name), " ", "."), local} {
		base = strings.Trim(strings.Map(func(r rune) rune {
			if isAlnum(r) || r == '.' || r == '-' || r == '_' {
				return r
			}
			return -1
		}, base), ".-_")
		base = base[:min(len(base), maxUsername-8)]
		if checkUsername(base) == nil && !slices.Contains(out, base) {
			out = append(out, base)
		}
	}
	return out
}
