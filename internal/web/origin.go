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
	any, loopback, apps bool
	allowed             map[string]bool
}

// Words of the list that stand for many origins.
const (
	everyOrigin    = "*"
	loopbackOrigin = "loopback"
	appOrigins     = "apps"
	// androidApps begins entries for applications, which are no pages.
	androidApps = "android:apk-key-hash:"
)

// appSchemes are the schemes of pages that are packed into an application. No page
// of the web can have them.
var appSchemes = map[string]bool{"capacitor": true, "ionic": true, "tauri": true, "file": true}

// NewOrigins allows the origin of root and the entries of list: origins, the
// word "loopback" for every origin whose host is this machine, "apps" for pages
// within applications, and "*" for all. A star within an origin stands for itself, and
// so for no page. Applications on Android are no matter of origins here.
func NewOrigins(root string, list []string) (*Origins, error) {
	o := &Origins{allowed: map[string]bool{}}
	for _, s := range append([]string{root}, list...) {
		switch s {
		case everyOrigin:
			o.any = true
		case loopbackOrigin:
			o.loopback = true
		case appOrigins:
			o.apps = true
		default:
			if strings.HasPrefix(s, androidApps) {
				continue // it connects without an Origin, and says who it is in its passkeys' answers
			}
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
// header comes from no browser page and may; "null", two headers and what is no
// URL may not, unless all are allowed. Of the others scheme, host and port count:
// ws is http and wss is https, and a path is ignored, for programs that are no
// browsers send the address they dial. A page that was served by this server under
// an IP address may, since no foreign page can have an address as its host's name.
func (o *Origins) Allowed(r *http.Request) bool {
	values := r.Header["Origin"]
	if len(values) == 0 || o.any {
		return true
	}
	if len(values) > 1 {
		return false
	}
	u := parseOrigin(values[0])
	if u == nil {
		return false
	}
	if appSchemes[u.Scheme] && o.apps || u.Host != "" && o.allowed[canonical(u)] {
		return true
	}
	if webScheme(u.Scheme) == "" {
		return false
	}
	host := u.Hostname()
	if o.loopback && isLoopback(host) {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// Missing is the entry of the list that would allow the request's Origin, "" when
// only the entry for all would.
func Missing(r *http.Request) string {
	values := r.Header["Origin"]
	if len(values) != 1 {
		return ""
	}
	u := parseOrigin(values[0])
	switch {
	case u == nil:
		return ""
	case appSchemes[u.Scheme]:
		return appOrigins
	case u.Host == "":
		return ""
	case isLoopback(u.Hostname()):
		return loopbackOrigin
	}
	if scheme := webScheme(u.Scheme); scheme != "" {
		return scheme + "://" + strings.ToLower(u.Host)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// parseOrigin reads an Origin; nil when it is none.
func parseOrigin(value string) *url.URL {
	if len(value) > 300 {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.User != nil || u.Opaque != "" || u.Host == "" && !appSchemes[u.Scheme] {
		return nil
	}
	return u
}

// webScheme is http or https for the schemes that a socket of the web has, else "".
func webScheme(scheme string) string {
	switch scheme {
	case "http", "ws":
		return "http"
	case "https", "wss":
		return "https"
	}
	return ""
}

// canonical is scheme, host and port in one spelling.
func canonical(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if w := webScheme(scheme); w != "" {
		scheme = w
	}
	if port == "" {
		switch scheme {
		case "http":
			port = "80"
		case "https":
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
