package app

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/fault"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/web"
)

// refusedMessage records a message of DDP that never became a call.
func (a *App) refusedMessage(p *rpc.Peer, l rpc.Login, reason string, limited bool) {
	err := fault.New("malformed", reason)
	if limited {
		err = ratelimit.TooMany(time.Minute) // the connection was closed for it
	}
	c := &rpc.Call{Method: "malformed: " + reason, Peer: p, Login: l}
	_ = a.router.Observe(context.Background(), c, "malformed", func(context.Context) error { return err })
}

// refusedRequest counts, limits and records a request that a door refused before
// it was a call, or that no door takes. wait is how long its sender must keep
// quiet, or 0.
func (a *App) refusedRequest(r *http.Request, mount string, status int) (wait time.Duration) {
	p := a.peer(r)
	name := mount
	switch mount {
	case "/sockjs":
		p.Door = rpc.SockJS
	case "/websocket":
		p.Door = rpc.DDP
	default:
		p.Door = rpc.HTTP
	}
	if name == "" {
		name = "unknown"
	}
	c := &rpc.Call{Method: r.Method + " " + a.rest.Shown(r.URL.Path), Peer: p}
	err := a.router.Stray(r.Context(), c, name, fault.New("http-"+strconv.Itoa(status), http.StatusText(status)))
	if f, ok := fault.From(err); ok && f.Code == "too-many-requests" {
		if d, ok := f.Details.(map[string]any); ok {
			ms, _ := d["timeToReset"].(int64)
			return max(time.Duration(ms)*time.Millisecond, time.Second)
		}
	}
	return 0
}

// maxOriginsTold bounds how many different refused origins are logged: they come
// from strangers.
const maxOriginsTold = 64

// originsTold are the refused origins that are in the log.
type originsTold struct {
	mu   sync.Mutex
	seen map[string]bool
}

// first tells whether an origin is new here.
func (o *originsTold) first(origin string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[origin] || len(o.seen) >= maxOriginsTold {
		return false
	}
	if o.seen == nil {
		o.seen = make(map[string]bool)
	}
	o.seen[origin] = true
	return true
}

// judge is Allowed of origins, and says once of each origin that is refused what
// would let it in: to the page the refusal looks like a server that is not there.
func (a *App) judge(origins *web.Origins) func(*http.Request) bool {
	return func(r *http.Request) bool {
		if origins.Allowed(r) {
			return true
		}
		origin := strings.Join(r.Header["Origin"], ", ")
		if len(origin) > 300 || !a.origins.first(origin) {
			return false
		}
		hint := "no entry of ALLOWED_ORIGINS fits it but *, which lets every page in"
		if entry := web.Missing(r); entry != "" {
			hint = "if its pages may connect, add " + entry + " to ALLOWED_ORIGINS"
		}
		a.log.Warn("origin_refused", zap.String("origin", origin), zap.String("path", a.rest.Shown(r.URL.Path)), zap.String("hint", hint))
		return false
	}
}

// peer describes the sender of a request, and says once that an undeclared proxy
// stands in front: everybody would count as one address.
func (a *App) peer(r *http.Request) *rpc.Peer {
	p := a.proxies.Peer(r)
	if p.Proxied && a.proxied.Add(1) == 1 {
		a.log.Warn("undeclared_proxy", zap.String("address", p.Address),
			zap.String("hint", "requests from this address have headers of a proxy, but none is declared, so everybody behind it counts as one: set "+
				"HTTP_FORWARDED_COUNT and TRUSTED_PROXIES, or keep the proxy from adding such headers"))
	}
	return p
}
