package methods

import (
	"time"

	"ddpserver/internal/ratelimit"
	"ddpserver/internal/settings"
)

// limits makes the limiter's rules of the settings (docs/wire/rocketchat.md 5.5).
// Meteor's rule for account methods goes with the by-method rule of
// connections: half of it, at least 5, and off when that is off, so that the
// settings lift every limit (docs/decisions.md 6.2).
func limits(s *settings.Service) ratelimit.Config {
	rule := func(enabled, requests, interval string) ratelimit.Rule {
		if !s.Bool(enabled) {
			return ratelimit.Rule{}
		}
		return ratelimit.Rule{Count: s.Int(requests), Window: time.Duration(s.Int(interval)) * time.Millisecond}
	}
	c := ratelimit.Config{
		IP:               rule(settings.LimitIPEnabled, settings.LimitIPRequests, settings.LimitIPInterval),
		User:             rule(settings.LimitUserEnabled, settings.LimitUserRequests, settings.LimitUserInterval),
		Connection:       rule(settings.LimitConnectionEnabled, settings.LimitConnectionRequests, settings.LimitConnectionInterval),
		UserMethod:       rule(settings.LimitUserByMethodEnabled, settings.LimitUserByMethodRequests, settings.LimitUserByMethodInterval),
		ConnectionMethod: rule(settings.LimitConnectionMethodEnabled, settings.LimitConnectionMethodRequests, settings.LimitConnectionMethodInterval),
		REST:             rule(settings.LimitRESTEnabled, settings.LimitRESTRequests, settings.LimitRESTInterval),
	}
	c.Stray = ratelimit.Rule{Count: strayFactor * c.REST.Count, Window: c.REST.Window}
	if c.ConnectionMethod.Count > 0 {
		c.Account = ratelimit.Rule{Count: max(5, c.ConnectionMethod.Count/2), Window: c.ConnectionMethod.Window}
	}
	return c
}

// strayFactor is how many requests that no route takes stand for one that a
// route takes: several people behind one address make mistakes, and a mistake
// costs little.
const strayFactor = 6
