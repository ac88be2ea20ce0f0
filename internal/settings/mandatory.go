package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ddpserver/internal/permission"
)

// Mandatory is one entry of TwoFactorMandatoryRoles: users of the role must have
// a second factor.
type Mandatory struct {
	Role string
	// Factor is the weakest factor that will do, MandatoryTOTP or MandatoryWebAuthn; empty
	// for any.
	Factor string
}

// The factors that can be demanded by name: the authenticator app or what is stronger,
// and a passkey.
const (
	MandatoryTOTP     = "totp"
	MandatoryWebAuthn = "webauthn"
)

// String writes the entry as the setting has it.
func (m Mandatory) String() string {
	if m.Factor == "" {
		return m.Role
	}
	return m.Role + ":" + m.Factor
}

// ParseMandatory reads "role", "role:totp" and "role:webauthn", separated by commas or
// line breaks. The error names what fits no role of the server, or those named beside, and
// no factor; such entries are in the list all the same, and demand the app where the
// factor is not known.
func ParseMandatory(text string, beside ...string) (list []Mandatory, err error) {
	roles := slices.Clone(beside)
	for _, r := range permission.Roles() {
		if r.Scope == "Users" {
			roles = append(roles, r.ID)
		}
	}
	for _, entry := range entries(text) {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		role, factor, demanding := strings.Cut(entry, ":")
		m := Mandatory{Role: strings.TrimSpace(role), Factor: strings.TrimSpace(factor)}
		switch {
		case err != nil: // one is enough to tell
		case !slices.Contains(roles, m.Role):
			err = fmt.Errorf("there is no role %q; the roles are %s", m.Role, strings.Join(roles, ", "))
		case demanding && !Demandable(m.Factor):
			err = fmt.Errorf("%q demands a factor that does not exist; write %s, %s:%s for an authenticator app or %s:%s for a passkey", m, m.Role,
				m.Role, MandatoryTOTP, m.Role, MandatoryWebAuthn)
		}
		if demanding && !Demandable(m.Factor) {
			m.Factor = MandatoryTOTP
		}
		list = append(list, m)
	}
	return list, err
}

// entries are the parts of a list that commas or line breaks separate.
func entries(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' })
}

// Demandable tells whether a factor can be demanded by that name.
func Demandable(factor string) bool { return factor == MandatoryTOTP || factor == MandatoryWebAuthn }

// CutDemand parts an entry of TwoFactorProtectedCalls, "pattern" or "pattern = factor".
func CutDemand(entry string) (pattern, factor string, demanding bool) {
	pattern, factor, demanding = strings.Cut(entry, "=")
	return strings.TrimSpace(pattern), strings.TrimSpace(factor), demanding
}

// protectedCalls is CheckNew of TwoFactorProtectedCalls.
func protectedCalls(v any) error {
	for _, entry := range entries(v.(string)) {
		pattern, factor, demanding := CutDemand(entry)
		if demanding && !Demandable(factor) {
			return fmt.Errorf("%q demands a factor that does not exist; write %s, %s = %s for an authenticator app or %s = %s for a passkey", entry, pattern,
				pattern, MandatoryTOTP, pattern, MandatoryWebAuthn)
		}
	}
	return nil
}

// mandatoryRoles is CheckNew of TwoFactorMandatoryRoles.
func mandatoryRoles(v any) error {
	_, err := ParseMandatory(v.(string))
	return err
}

// demand makes roles, which may be of a database that was adopted and unknown here, a
// part of every value of TwoFactorMandatoryRoles.
func (d *Definition) demand(roles []string) {
	d.CheckNew = func(v any) error {
		_, err := ParseMandatory(v.(string), roles...)
		return err
	}
	d.floor = func(v any) any {
		text := v.(string)
		list, _ := ParseMandatory(text)
		for _, role := range roles {
			if !slices.ContainsFunc(list, func(m Mandatory) bool { return m.Role == role }) {
				text = strings.TrimPrefix(text+","+role, ",")
			}
		}
		return text
	}
}

// deciding are the settings that decide together whether a factor that is demanded
// can be had at all.
var deciding = []string{TwoFactorMandatoryRoles, TwoFactorProtectedCalls, TwoFactorEnabled, TwoFactorByTOTP, TwoFactorByEmail, TwoFactorByWebAuthn}

// unmet is a demand that no factor of the server can meet.
type unmet struct {
	// why is a sentence for the administrator.
	why string
	// shut says that what demands it is shut to everybody. Otherwise the demand is not
	// enforced: it would lock its users out for good.
	shut bool
}

// unsatisfied lists the entries of TwoFactorMandatoryRoles and TwoFactorProtectedCalls
// that no factor of the server can satisfy, by the entry's text. value gives the settings;
// noPasskeys says why nobody can have a passkey whatever they say (Options.NoPasskeys).
//
// A role that demands what nobody can have is let off, since its users could do nothing any
// more, the administrator included. A call is not: it alone is shut, and is opened from
// outside (OVERWRITE_SETTING_…) should it be the one that saves settings.
func unsatisfied(value func(id string) any, noPasskeys string) map[string]unmet {
	off := func(id string) string {
		if value(id).(bool) {
			return ""
		}
		return id + " is off"
	}
	keysOff := cmp.Or(off(TwoFactorByWebAuthn), noPasskeys)
	bad := map[string]unmet{}
	list, _ := ParseMandatory(value(TwoFactorMandatoryRoles).(string))
	for _, m := range list {
		why := off(TwoFactorEnabled)
		switch {
		case why != "":
		case m.Factor == MandatoryWebAuthn:
			why = keysOff
		case m.Factor != "":
			why = off(TwoFactorByTOTP)
		case off(TwoFactorByTOTP) != "" && off(TwoFactorByEmail) != "":
			why = TwoFactorByTOTP + " and " + TwoFactorByEmail + " are off"
		}
		if why != "" {
			bad[m.String()] = unmet{why: fmt.Sprintf("%q in %s needs a second factor that nobody can set up while %s: "+
				"its users, you perhaps among them, could do nothing any more. Switch the factor on, or take the role out", m, TwoFactorMandatoryRoles, why)}
		}
	}
	for _, entry := range entries(value(TwoFactorProtectedCalls).(string)) {
		pattern, factor, demanding := CutDemand(entry)
		why := ""
		switch {
		case !demanding:
		case off(TwoFactorEnabled) != "": // calls that ask by themselves, as what guards the settings does, still do
			why = off(TwoFactorEnabled)
		case factor != MandatoryTOTP: // what does not exist demands the most
			why = keysOff
		case off(TwoFactorByTOTP) != "" && keysOff != "": // a passkey is stronger than the app
			why = off(TwoFactorByTOTP) + " and " + keysOff
		}
		if why != "" {
			bad[pattern+" = "+factor] = unmet{shut: true, why: fmt.Sprintf("%q in %s needs a second factor that nobody can have while %s: "+
				"the calls would be shut to everybody, to you as well. Switch the factor on, or take the demand out", pattern+" = "+factor, TwoFactorProtectedCalls, why)}
		}
	}
	return bad
}

// lockout refuses a change after which an entry of TwoFactorMandatoryRoles or
// TwoFactorProtectedCalls cannot be satisfied that could be before, or that was not
// there. What is wrong already does not stand in the way of other changes.
func lockout(old *snapshot, changed map[string]any, noPasskeys string) error {
	if !slices.ContainsFunc(deciding, func(id string) bool { _, ok := changed[id]; return ok && old.byID[id] != nil }) {
		return nil
	}
	if slices.ContainsFunc(deciding, func(id string) bool { return old.byID[id] == nil }) {
		return nil // a test's table
	}
	was := unsatisfied(func(id string) any { return old.byID[id].Value }, noPasskeys)
	now := unsatisfied(func(id string) any {
		if v, ok := changed[id]; ok {
			return v
		}
		return old.byID[id].Value
	}, noPasskeys)
	for _, entry := range sortedKeys(now) {
		if _, known := was[entry]; !known {
			for _, id := range deciding {
				if v, ok := changed[id]; ok && v != old.byID[id].Value {
					return ErrValue.With(map[string]any{"setting": id, "reason": now[entry].why})
				}
			}
		}
	}
	return nil
}

// warnings are the sentences an operator should read about values that are in
// force: they may come from another release, the environment or other tools.
func (n *snapshot) warnings(noPasskeys string) []string {
	if slices.ContainsFunc(deciding, func(id string) bool { return n.byID[id] == nil }) {
		return nil
	}
	value := func(id string) any { return n.byID[id].Value }
	var out []string
	if err := n.byID[TwoFactorMandatoryRoles].CheckNew(value(TwoFactorMandatoryRoles)); err != nil {
		out = append(out, TwoFactorMandatoryRoles+": "+err.Error())
	}
	bad := unsatisfied(value, noPasskeys)
	for _, entry := range sortedKeys(bad) {
		if bad[entry].shut {
			out = append(out, "shut to everybody: "+bad[entry].why+"; if no administrator can save settings any more, start with OVERWRITE_SETTING_"+
				TwoFactorProtectedCalls)
			continue
		}
		out = append(out, "not enforced: "+bad[entry].why)
	}
	return out
}
