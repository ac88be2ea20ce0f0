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
	// exact and prefixes are the entries, with the weakest factor that each takes; 0 for any.
	exact    map[string]twofactor.Strength
	prefixes map[string]twofactor.Strength
	// actions are those of which the list names a call; demands is the weakest factor that
	// one of them takes.
	actions map[string]bool
	demands map[string]twofactor.Strength
	roles   []settings.Mandatory
}

// demanded is the strength of the weakest factor that will do. What names none that can be
// demanded asks for the most: a typing error must not ask for less.
func demanded(factor string) twofactor.Strength {
	if factor == settings.MandatoryTOTP {
		return twofactor.ByTOTP
	}
	return twofactor.ByPasskey
}

// apiPrefix may stand before a REST route in the list.
const apiPrefix = "/api/v1/"

// verbs are the HTTP methods that may stand before a route.
var verbs = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// parsePolicy reads the two lists, entries separated by commas or line breaks
// (docs/decisions.md 2.4). unknown are entries that fit no name that known tells of; they
// count nevertheless.
func parsePolicy(protected, mandatory string, known func(pattern string) bool) (p *policy, unknown []string) {
	p = &policy{exact: map[string]twofactor.Strength{}, prefixes: map[string]twofactor.Strength{}}
	p.roles, _ = settings.ParseMandatory(mandatory) // what is wrong with it is told by the settings
	for _, entry := range split(protected) {
		entry, factor, demanding := settings.CutDemand(entry)
		need := twofactor.Strength(0)
		if demanding {
			need = demanded(factor)
		}
		entry = canonical(entry)
		name := entry
		if verb, route, ok := cutVerb(entry); ok {
			name = route
			entry = verb + " " + route
		}
		if prefix, wild := strings.CutSuffix(entry, "*"); wild {
			p.prefixes[prefix] = max(p.prefixes[prefix], need)
		} else {
			p.exact[entry] = max(p.exact[entry], need)
		}
		if !known(name) || demanding && !settings.Demandable(factor) {
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
	need, listed := p.protects(name, verb)
	if !listed {
		return
	}
	if p.actions == nil {
		p.actions, p.demands = map[string]bool{}, map[string]twofactor.Strength{}
	}
	for _, a := range actions {
		p.actions[a], p.demands[a] = true, max(p.demands[a], need)
	}
}

// protects tells whether the list names a DDP method (verb "") or a REST route, and the
// weakest factor that all entries which do take.
func (p *policy) protects(name, verb string) (need twofactor.Strength, listed bool) {
	names := []string{name}
	if verb != "" {
		names = append(names, verb+" "+name)
	}
	for _, name := range names {
		if n, ok := p.exact[name]; ok {
			need, listed = max(need, n), true
		}
		for prefix, n := range p.prefixes {
			if strings.HasPrefix(name, prefix) {
				need, listed = max(need, n), true
			}
		}
	}
	return need, listed
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
			needs = append(needs, demanded(m.Factor))
		}
	}
	return needs
}
