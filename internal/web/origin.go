package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Origins decides which pages may connect. No cookie authenticates anything
// here, so this is a second line of defence against pages that use a visitor's
// network position (docs/security-tests.md S086).
type Origins struct {
	any, loopback bool
	allowed       map[string]bool
}

// NewOrigins allows the origin of root and the entries of list: origins, the
// word "loopback" for every origin whose host is this machine, and "*" for all.
func NewOrigins(root string, list []string) (*Origins, error) {
	o := &Origins{allowed: map[string]bool{}}
	for _, s := range append([]string{root}, list...) {
		switch s {
		case "*":
			o.any = true
		case "loopback":
			o.loopback = true
		default:
			u, err := url.Parse(s)
			if err != nil || u.Scheme == "" || u.Host == "" {
				return nil, fmt.Errorf("%q is no origin", s)
			}
			o.allowed[canonical(u)] = true
		}
	}
	return o, nil
}

// Allowed tells whether the request's Origin may connect. A request without the
// header comes from no browser page and may; "null", two headers and everything
// that is not exactly an origin may not, unless all are allowed. A page that was
// served by this server under an IP address may, since no foreign page can have
// an address as its host's name.
func (o *Origins) Allowed(r *http.Request) bool {
	values := r.Header["Origin"]
	if len(values) == 0 || o.any {
		return true
	}
	if len(values) > 1 || len(values[0]) > 300 {
		return false
	}
	u, err := url.Parse(values[0])
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(values[0], "#") {
		return false
	}
	if o.allowed[canonical(u)] {
		return true
	}
	host := u.Hostname()
	if u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	if o.loopback && isLoopback(host) {
		return true
	}
	_, err = netip.ParseAddr(host)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// canonical is scheme, host and port in one spelling.
func canonical(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		switch scheme {
		case "http", "ws":
			port = "80"
		case "https", "wss":
			port = "443"
		}
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// isLoopback takes names too: browsers resolve localhost and its subdomains to
// this machine only.
func isLoopback(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
