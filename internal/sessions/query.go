package sessions

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/fault"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Query says which part of a list of sessions is asked for.
type Query struct {
	// Offset is at most 50,000: whoever wants more narrows the search.
	Offset, Count int
	// Search is in a user name, a name, an address, or the name of a program or system,
	// in any case; "" is everything, as it is in the other members.
	Search string
	// UserID is the account, whole.
	UserID string
	// Address is in an address, or is one in the network that was kept.
	Address string
	// Client is in the name of a program, in any case.
	Client string
	// Sort is the name of an order, with "-" in front for the other direction; "" is
	// "-createdAt". What is equal in it comes newest first.
	Sort string
}

const (
	// maxOffset bounds what a list of all sessions holds.
	maxOffset = 50_000
	maxSearch = 200
	usual     = "-createdAt"
)

// The refusals of a query.
var (
	ErrSort  = fault.New("error-invalid-sort-keys", "There is no such order")
	ErrQuery = fault.New("error-invalid-params", "Offset, count or search is out of range")
)

// orders compare two sessions by each name of an order.
var orders = map[string]func(a, b *Session) int{
	"createdAt":  func(a, b *Session) int { return a.Made.Compare(b.Made) },
	"lastUsedAt": func(a, b *Session) int { return a.lastUsed().Compare(b.lastUsed()) },
	"client":     func(a, b *Session) int { return fold(a.UsedFrom.Client, b.UsedFrom.Client) },
	"os":         func(a, b *Session) int { return fold(a.UsedFrom.System, b.UsedFrom.System) },
	"osVersion":  func(a, b *Session) int { return fold(a.UsedFrom.SystemVersion, b.UsedFrom.SystemVersion) },
	"username":   func(a, b *Session) int { return fold(a.Username, b.Username) },
	"name":       func(a, b *Session) int { return fold(a.Name, b.Name) },
}

// lastUsed is the last use, or the beginning.
func (s *Session) lastUsed() time.Time {
	if s.Used.After(s.Made) {
		return s.Used
	}
	return s.Made
}

func fold(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }

// picker picks what a query asks for out of what it is shown, and holds not much more
// than that.
type picker struct {
	q       Query
	compare func(a, b *Session) int
	search  string
	client  string
	address string
	inside  netip.Prefix // the address that is asked for; not valid when it is none
	found   []*Session
	// worst is the last that would be asked for of those found so far; nil while there
	// are not that many.
	worst *Session
	total int
}

func (q Query) picker() (*picker, error) {
	if q.Offset < 0 || q.Offset > maxOffset || q.Count < 0 || max(len(q.Search), len(q.Address), len(q.Client), len(q.UserID)) > maxSearch {
		return nil, ErrQuery
	}
	name, down := strings.CutPrefix(cmp.Or(q.Sort, usual), "-")
	by := orders[name]
	if by == nil {
		return nil, ErrSort
	}
	p := &picker{q: q, search: strings.ToLower(q.Search), client: strings.ToLower(q.Client), address: strings.ToLower(q.Address)}
	p.inside, _ = settings.Network(strings.TrimSpace(q.Address))
	p.compare = func(a, b *Session) int {
		c := by(a, b)
		if down {
			c = -c
		}
		return cmp.Or(c, b.Made.Compare(a.Made), cmp.Compare(a.ID, b.ID))
	}
	return p, nil
}

// add takes a session into account.
func (p *picker) add(s Session) {
	if !p.fits(&s) {
		return
	}
	p.total++
	most := p.q.Offset + p.q.Count
	if most == 0 || p.worst != nil && p.compare(&s, p.worst) >= 0 {
		return
	}
	if p.found = append(p.found, &s); len(p.found) >= 2*most+1000 {
		slices.SortFunc(p.found, p.compare)
		p.found = slices.Delete(p.found, most, len(p.found))
		p.worst = p.found[most-1]
	}
}

// page is the part that was asked for, and how many there are.
func (p *picker) page() ([]Session, int) {
	slices.SortFunc(p.found, p.compare)
	from := min(p.q.Offset, len(p.found))
	list := []Session{}
	for _, s := range p.found[from:min(from+p.q.Count, len(p.found))] {
		list = append(list, *s)
	}
	return list, p.total
}

func (p *picker) fits(s *Session) bool {
	has := func(part string, texts ...string) bool {
		return part == "" || slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), part) })
	}
	m, u := &s.MadeFrom, &s.UsedFrom
	return has(p.client, m.Client, u.Client) && p.from(m, u) &&
		has(p.search, s.Username, s.Name, m.Client, u.Client, m.System, u.System, m.Address, u.Address)
}

// from tells whether one of the origins has the address that is asked for.
func (p *picker) from(origins ...*user.Origin) bool {
	return p.address == "" || slices.ContainsFunc(origins, func(o *user.Origin) bool {
		if o.Address == "" {
			return false
		}
		if net, ok := settings.Network(o.Address); ok && p.inside.IsValid() {
			return net.Overlaps(p.inside)
		}
		return strings.Contains(o.Address, p.address)
	})
}
