package trail

import "strings"

// Fit tells whether an event is what the query selects, ids aside: what every store
// must agree with.
func (q Query) Fit(e *Event) bool {
	return fitsAccount(q, e) && equalOrAny(q.Act, e.Act) && equalOrAny(q.Outcome, e.Outcome) && fitsAddress(q, e) && strings.Contains(e.Text, q.Text)
}

func equalOrAny(wanted, is string) bool { return wanted == "" || wanted == is }

func fitsAccount(q Query, e *Event) bool {
	actor, about := q.Account == e.User, q.Account == e.Subject
	switch {
	case q.Account == "":
		return true
	case q.As == Actor:
		return actor
	case q.As == Subject:
		return about
	}
	return actor || about
}

func fitsAddress(q Query, e *Event) bool {
	if q.Prefix {
		return strings.HasPrefix(e.Address, q.Address)
	}
	return equalOrAny(q.Address, e.Address)
}
