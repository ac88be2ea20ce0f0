package passkey

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Party is a relying party: whom keys are made for, and the pages that may ask for them.
// It is safe for concurrent use.
type Party struct {
	// ID is the host that keys are bound to.
	ID string
	// Origins are the pages that answers may come from.
	Origins []string

	lib *webauthn.WebAuthn
}

// appOrigin begins the origin of an application on Android: what follows is the SHA-256 of
// the certificate that signed it, base64url.
const appOrigin = "android:apk-key-hash:"

// NewParty makes the relying party of a server at rootURL, whose host is its id. Of
// allowed, the origins that may connect besides, those on that host or below it count, as
// browsers have it, and applications on Android, which the host vouches for itself
// (assetlinks.json); left lists the others that name a host. An entry means what it means to
// whoever checks the origins of connections (web.Origins): a star in a host is no host, and
// ws and wss are http and https. The error says why browsers know no passkeys there: the
// host is an address, or pages come from it in clear.
func NewParty(rootURL string, allowed []string) (p *Party, left []string, err error) {
	root, err := url.Parse(rootURL)
	if err != nil || root.Hostname() == "" {
		return nil, nil, errors.New("the address of the server names no host")
	}
	id := strings.ToLower(root.Hostname())
	if _, err := netip.ParseAddr(id); err == nil {
		return nil, nil, fmt.Errorf("%s is an address, and passkeys are made for names", id)
	}
	if err := protocol.ValidateRPID(id); err != nil {
		return nil, nil, fmt.Errorf("%s is no host that passkeys can be made for: %w", id, err)
	}
	if !secure(root) {
		return nil, nil, fmt.Errorf("browsers make passkeys on pages over https only, and %s is none", rootURL)
	}
	p = &Party{ID: id, Origins: []string{origin(root)}}
	for _, text := range allowed {
		o, ours := allowedOrigin(text, id)
		switch {
		case o == "": // a word for many
		case !ours:
			left = append(left, text)
		case !slices.Contains(p.Origins, o):
			p.Origins = append(p.Origins, o)
		}
	}
	p.lib, err = webauthn.New(&webauthn.Config{
		RPID: p.ID, RPOrigins: p.Origins, AttestationPreference: protocol.PreferNoAttestation,
		// Browsers answer extensions of their own that nobody asked for.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("preparing passkeys for %s: %w", id, err)
	}
	return p, left, nil
}

// allowedOrigin is an entry of the list as clients spell it, "" for a word that stands for
// many; ours says that passkeys of that host may be used there.
func allowedOrigin(text, id string) (spelled string, ours bool) {
	if IsApp(text) {
		return text, true
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "", false
	}
	if web, is := map[string]string{"ws": "http", "wss": "https"}[u.Scheme]; is {
		u.Scheme = web
	}
	host := strings.ToLower(u.Hostname())
	return origin(u), (host == id || strings.HasSuffix(host, "."+id)) && !strings.Contains(host, "*") && secure(u)
}

// IsApp tells whether a text is the origin of an application on Android.
func IsApp(text string) bool {
	digest, is := strings.CutPrefix(text, appOrigin)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(digest)
	return is && err == nil && len(raw) == sha256.Size
}

// secure tells whether browsers call the pages of an origin secure.
func secure(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || strings.HasSuffix(host, ".localhost"))
}

// origin is scheme, host and port as browsers write them, without the usual port.
func origin(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return u.Scheme + "://" + host
	}
	return u.Scheme + "://" + net.JoinHostPort(host, port)
}
