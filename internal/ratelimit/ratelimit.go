package ratelimit

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"ddpserver/internal/fault"
	"ddpserver/internal/netkey"
)

// Class says which rules a method or publication falls under. The zero value
// is the strict ordinary one.
type Class uint8

// The classes there are.
const (
	// Default counts under all five DDP rules.
	Default Class = iota
	// Account is Meteor's rule for login, createUser, resetPassword and
	// forgotPassword: 5 in 10 s for a connection and method, in place of the two
	// by-method rules.
	Account
	// Wide leaves the by-method rules out: cheap calls that clients make in
	// bursts, such as one for each open room after a reconnect.
	Wide
)

var classNames = [...]string{"default", "account", "wide"}

// String names the class as documents and the golden surface file do.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// Kind tells methods from subscriptions; their names are counted apart.
type Kind byte

// The kinds there are.
const (
	Method       Kind = 'm'
	Subscription Kind = 's'
	// Unknown is a method or publication that does not exist. All its names are
	// counted as one, four times as widely as a method: clients of another server
	// ask for a dozen at their start.
	Unknown Kind = 'x'
	// Refused is a request that was refused before a rule of its own counted it:
	// an unknown path, a wrong verb, no valid login. Only the address counts.
	Refused Kind = 'f'
)

// Event is one call to be counted.
type Event struct {
	Kind  Kind
	Name  string
	Class Class
	// UserID, Conn and Address may be empty; rules that need them are skipped then.
	UserID, Conn, Address string
	// Shared says that Address stands for many, as that of an undeclared proxy; it
	// is then limited even where it is a loopback one.
	Shared bool
}

// Rule allows Count events in a window. Count 0 switches the rule off.
type Rule struct {
	Count  int
	Window time.Duration
}

// Config holds the rules in force. The zero value limits nothing.
type Config struct {
	// IP is not applied to loopback addresses, unless they are shared (Event.Shared).
	IP, User, Connection, UserMethod, ConnectionMethod Rule
	// Account is the rule of the class of that name.
	Account Rule
	// REST is the rule of routes that name none.
	REST Rule
	// Stray is the rule of requests that are refused before another one counts
	// them, by address and name (Kind Refused).
	Stray Rule
}

// Defaults are the limits of a server nobody configured.
func Defaults() Config {
	const minute, ten = time.Minute, 10 * time.Second
	return Config{
		IP: Rule{120_000, minute}, User: Rule{1200, minute}, Connection: Rule{600, minute},
		UserMethod: Rule{20, ten}, ConnectionMethod: Rule{10, ten},
		Account: Rule{5, ten}, REST: Rule{10, minute},
		Stray: Rule{60, minute},
	}
}

// streamFactor widens the by-method rules for subscriptions to streams and for
// unknown names: a client opens or asks for a dozen of them at once.
const streamFactor = 4

// Limiter counts. It is safe for concurrent use.
type Limiter struct {
	config  atomic.Pointer[Config]
	now     func() time.Time
	start   time.Time
	calls   *table
	budgets *table
}

// Options configure a Limiter; the zero value is fine.
type Options struct {
	// Config is in force from the start; nil is Defaults.
	Config *Config
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Table sizes: together they stay below 64 MiB when full (docs/security-tests.md S040).
const (
	maxCalls   = 1 << 19
	maxBudgets = 1 << 17
)

// New makes a limiter.
func New(o Options) *Limiter {
	l := &Limiter{now: o.Now, calls: newTable(maxCalls), budgets: newTable(maxBudgets)}
	if l.now == nil {
		l.now = time.Now
	}
	l.start = l.now()
	c := o.Config
	if c == nil {
		d := Defaults()
		c = &d
	}
	l.Configure(*c)
	return l
}

// Configure puts other rules in force at once. Windows that already run keep
// their counts, and end no later than the new rule's window would.
func (l *Limiter) Configure(c Config) { l.config.Store(&c) }

// ms is the limiter's clock, in milliseconds since it was made.
func (l *Limiter) ms() int64 { return l.now().Sub(l.start).Milliseconds() }

// Allow counts the event under every rule that fits and refuses it with
// too-many-requests when one of them is exceeded. Refused events count too.
func (l *Limiter) Allow(e Event) error {
	c, now := l.config.Load(), l.ms()
	var wait int64
	hit := func(r Rule, scope byte, parts ...string) {
		if r.Count > 0 {
			if _, w := l.calls.hit(l.calls.key(scope, parts...), r, now); w > wait {
				wait = w
			}
		}
	}
	if e.Address != "" && (e.Shared || !loopback(e.Address)) {
		hit(c.IP, 'i', netkey.Of(e.Address))
	}
	if e.UserID != "" {
		hit(c.User, 'u', e.UserID)
	}
	if e.Conn != "" {
		hit(c.Connection, 'c', e.Conn)
	}
	if e.Kind == Refused {
		hit(c.Stray, byte(e.Kind), netkey.Of(e.Address), e.Name)
		return verdict(wait)
	}
	switch e.Class {
	case Default:
		user, conn := c.UserMethod, c.ConnectionMethod
		if e.Kind == Unknown || e.Kind == Subscription && strings.HasPrefix(e.Name, "stream-") {
			user, conn = user.times(streamFactor), conn.times(streamFactor)
		}
		if e.UserID != "" {
			hit(user, byte(e.Kind), "u", e.UserID, e.Name)
		}
		if e.Conn != "" {
			hit(conn, byte(e.Kind), "c", e.Conn, e.Name)
		}
	case Account:
		hit(c.Account, 'a', e.Conn, e.Name)
	case Wide:
	}
	return verdict(wait)
}

// verdict refuses when there is something to wait for, in milliseconds.
func verdict(wait int64) error {
	if wait > 0 {
		return TooMany(time.Duration(wait) * time.Millisecond)
	}
	return nil
}

func (r Rule) times(n int) Rule { return Rule{r.Count * n, r.Window * time.Duration(n)} }

// TooMany is Meteor's refusal (docs/wire/ddp.md C) of a caller who has to wait.
func TooMany(wait time.Duration) *fault.Error {
	ms := max(wait.Milliseconds(), 1)
	return fault.New("too-many-requests", fmt.Sprintf(
		"Error, too many requests. Please slow down. You must wait %d seconds before trying again.", (ms+999)/1000)).
		With(map[string]any{"timeToReset": ms})
}

// Verdict is the state of a REST route's window after one request.
type Verdict struct {
	// OK is false for a request that is too many.
	OK bool
	// Limited is false where no rule applies; Limit, Remaining and Reset are
	// then meaningless and their headers left out.
	Limited          bool
	Limit, Remaining int
	// Reset is when the window ends; Wait the time until then.
	Reset time.Time
	Wait  time.Duration
}

// Err is nil, or REST's refusal of a request that is too many.
func (v Verdict) Err() error {
	if v.OK {
		return nil
	}
	ms := max(v.Wait.Milliseconds(), 1)
	return fault.New("error-too-many-requests", fmt.Sprintf(
		"Error, too many requests. Please slow down. You must wait %d seconds before trying this endpoint again.", (ms+999)/1000)).
		With(map[string]any{"timeToReset": ms})
}

// Route counts one request of a network address to a REST route. A rule with
// Count 0 stands for the configured default, a negative one for no limit at all;
// while the default is off, so is every rule of a route.
func (l *Limiter) Route(route, address string, r Rule) Verdict {
	c := l.config.Load()
	if c.REST.Count == 0 || r.Count < 0 {
		return Verdict{OK: true}
	}
	if r.Count == 0 {
		r = c.REST
	}
	now := l.ms()
	used, wait := l.calls.hit(l.calls.key('w', route, netkey.Of(address)), r, now)
	end := wait
	if wait == 0 {
		end = l.calls.left(l.calls.key('w', route, netkey.Of(address)), now)
	}
	return Verdict{
		OK: wait == 0, Limited: true, Limit: r.Count, Remaining: max(r.Count-used, 0),
		Reset: l.start.Add(time.Duration(now+end) * time.Millisecond), Wait: time.Duration(wait) * time.Millisecond,
	}
}

// Take counts one use of the budget that key names: at most max in a window.
// When it is used up, ok is false and wait is the time until it is not. Such
// uses count too. Keys should name what they count, as "mail/192.0.2.1".
func (l *Limiter) Take(key string, max int, window time.Duration) (wait time.Duration, ok bool) {
	_, w := l.budgets.hit(l.budgets.key('b', key), Rule{max, window}, l.ms())
	return time.Duration(w) * time.Millisecond, w == 0
}

// Peek tells, without counting, whether the budget of key is used up: max or
// more uses were counted in the window that runs.
func (l *Limiter) Peek(key string, max int) (wait time.Duration, ok bool) {
	w := l.budgets.peek(l.budgets.key('b', key), max, l.ms())
	return time.Duration(w) * time.Millisecond, w == 0
}

// Forget sets the budget of key back to unused.
func (l *Limiter) Forget(key string) { l.budgets.forget(l.budgets.key('b', key)) }

func loopback(address string) bool {
	if strings.HasPrefix(address, "127.") || address == "::1" {
		return true
	}
	if !strings.HasPrefix(address, "::") {
		return false
	}
	a, err := netip.ParseAddr(address)
	return err == nil && a.Unmap().IsLoopback()
}
