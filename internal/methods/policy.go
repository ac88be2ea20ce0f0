package methods

import (
	"slices"
	"strings"

	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// policy is what two settings say about all calls: the administrator's list of
// further protected ones, and the roles that must have a factor.
type policy struct {
	exact    map[string]bool
	prefixes []string
	// actions are those of which the list names a call.
	actions map[string]bool
	roles   []settings.Mandatory
}

// apiPrefix may stand before a REST route in the list.
const apiPrefix = "/api/v1/"

// verbs are the HTTP methods that may stand before a route.
var verbs = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// parsePolicy reads the two lists, entries separated by commas or line breaks
// (docs/decisions.md 2.4). unknown are entries that fit no name that known tells of; they
// count nevertheless.
func parsePolicy(protected, mandatory string, known func(pattern string) bool) (p *policy, unknown []string) {
	p = &policy{exact: map[string]bool{}}
	p.roles, _ = settings.ParseMandatory(mandatory) // what is wrong with it is told by the settings
	for _, entry := range split(protected) {
		entry = canonical(entry)
		name := entry
		if verb, route, ok := cutVerb(entry); ok {
			name = route
			entry = verb + " " + route
		}
		if prefix, wild := strings.CutSuffix(entry, "*"); wild {
			if !slices.Contains(p.prefixes, prefix) {
				p.prefixes = append(p.prefixes, prefix)
			}
		} else {
			p.exact[entry] = true
		}
		if !known(name) {
			unknown = append(unknown, clip(entry))
		}
	}
	return p, unknown
}

// split cuts a list at commas and line breaks and drops what is blank.
func split(list string) []string {
	var out []string
	for _, s := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// canonical gives an entry one blank between verb and route, the verb in upper
// case, and the route without the prefix of its URL.
func canonical(entry string) string {
	first, rest, ok := strings.Cut(entry, " ")
	if verb := strings.ToUpper(first); ok && slices.Contains(verbs, verb) {
		return verb + " " + strings.TrimPrefix(strings.TrimSpace(rest), apiPrefix)
	}
	return strings.TrimPrefix(entry, apiPrefix)
}

func cutVerb(entry string) (verb, route string, ok bool) {
	verb, route, ok = strings.Cut(entry, " ")
	return verb, route, ok && slices.Contains(verbs, verb)
}

// list marks the actions of a call that the list names.
func (p *policy) list(name, verb string, actions ...string) {
	if !p.protects(name, verb) {
		return
	}
	if p.actions == nil {
		p.actions = map[string]bool{}
	}
	for _, a := range actions {
		p.actions[a] = true
	}
}

// protects tells whether the list names a DDP method (verb "") or a REST route.
func (p *policy) protects(name, verb string) bool {
	if len(p.exact) == 0 && len(p.prefixes) == 0 {
		return false
	}
	if p.exact[name] || verb != "" && p.exact[verb+" "+name] {
		return true
	}
	for _, prefix := range p.prefixes {
		if strings.HasPrefix(name, prefix) || verb != "" && strings.HasPrefix(verb+" "+name, prefix) {
			return true
		}
	}
	return false
}

// mandatory are the demands on an account with these roles, each the weakest
// second factor that will do. All of them hold: one that the server cannot satisfy
// does not lift the others.
func (p *policy) mandatory(roles []string) (needs []twofactor.Strength) {
	for _, m := range p.roles {
		switch {
		case !slices.Contains(roles, m.Role):
		case m.Factor == "":
			needs = append(needs, twofactor.ByEmail)
		default:
			needs = append(needs, twofactor.ByTOTP)
		}
	}
	return needs
}
