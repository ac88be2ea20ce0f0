package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ddpserver/internal/secret"
)

// derive fills in what follows from other keys.
func (c *Config) derive() {
	if c.RootURL == "" {
		c.rootFromPort = true
		c.UsePort(c.Port)
	}
	c.RootURL = strings.TrimRight(c.RootURL, "/")
	if u, err := url.Parse(c.RootURL); err == nil && c.MailFrom == "" && u.Hostname() != "" {
		c.MailFrom = "ddpserver@" + u.Hostname()
	}
	if c.AuditFile == "" {
		c.AuditFile = filepath.Join(c.DataDir, "audit.log")
	}
}

// UsePort tells the configuration which port was taken when Port is 0; a
// RootURL that nobody set follows it.
func (c *Config) UsePort(port int) {
	if c.rootFromPort {
		c.RootURL = "http://" + net.JoinHostPort("localhost", strconv.Itoa(port))
	}
}

// AuditOff and AuditStdout are the words that stand for no file in AuditFile.
const (
	AuditOff    = "off"
	AuditStdout = "-"
)

// apiLevel is a version as Rocket.Chat writes its own.
var apiLevel = regexp.MustCompile(`^(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){2}$`)

// username is what Rocket.Chat's UTF8_User_Names_Validation allows by default.
var username = regexp.MustCompile(`^[0-9a-zA-Z-_.]{1,64}$`)

// validate checks what bounds alone cannot say. It looks at no file and no network.
func (c *Config) validate() (p Problems) {
	add := func(name, format string, args ...any) {
		p = append(p, name+": "+fmt.Sprintf(format, args...))
	}
	if net.ParseIP(c.BindIP) == nil && c.BindIP != "localhost" {
		add("BIND_IP", "%q is no address; write an IP address such as 127.0.0.1 or 0.0.0.0", c.BindIP)
	}
	if why := checkRootURL(c.RootURL); why != "" {
		add("ROOT_URL", "%s; write http:// or https:// with a host, as https://chat.example.com/team", why)
	}
	if !apiLevel.MatchString(c.APILevel) {
		add("API_LEVEL", "%q is no version; write three numbers, as 8.5.0", c.APILevel)
	}
	if c.DataDir == "" {
		add("DATA_DIR", "it is empty; write a directory such as ./data")
	}
	c.checkStorage(add)
	c.checkTransporter(add)
	c.checkMail(add)
	c.checkAdmin(add)
	c.checkTrust(add)
	if c.MetricsAddr != "" {
		if host, port, err := net.SplitHostPort(c.MetricsAddr); err != nil || !isPort(port) || host != "" && host != "localhost" && net.ParseIP(host) == nil {
			add("METRICS_ADDR", "%q is no address; write an IP address and a port, as 127.0.0.1:9464", c.MetricsAddr)
		}
	}
	if c.MaxMessageBytesLoggedOut > c.MaxMessageBytes {
		add("MAX_MESSAGE_BYTES_LOGGED_OUT", "%v is more than MAX_MESSAGE_BYTES (%v); write less", c.MaxMessageBytesLoggedOut, c.MaxMessageBytes)
	}
	if c.MaxDepthLoggedOut > c.MaxDepth {
		add("MAX_DEPTH_LOGGED_OUT", "%d is more than MAX_DEPTH (%d); write less", c.MaxDepthLoggedOut, c.MaxDepth)
	}
	return p
}

type adder func(name, format string, args ...any)

func (c *Config) checkStorage(add adder) {
	if u := c.MongoURL.Reveal(); u != "" {
		if !strings.HasPrefix(u, "mongodb://") && !strings.HasPrefix(u, "mongodb+srv://") {
			add("MONGO_URL", "it is no MongoDB connection string; write mongodb://host:27017/database, or leave it empty for the embedded store")
		}
		if c.EncryptionKey == "" {
			add("ENCRYPTION_KEY", "it is missing, and with MONGO_URL there is no key of the data directory to fall back to; write 32 random bytes in base64 "+
				"(openssl rand -base64 32), the same on every node, here or in the file of ENCRYPTION_KEY_FILE")
		}
	}
	if k := c.EncryptionKey.Reveal(); k != "" {
		if _, err := secret.Parse(k); err != nil {
			add("ENCRYPTION_KEY", "%v; openssl rand -base64 32 makes one", err)
		}
	}
	if k := c.EncryptionKeyOld.Reveal(); k != "" {
		if _, err := secret.Parse(k); err != nil {
			add("ENCRYPTION_KEY_OLD", "%v; it is the key that ENCRYPTION_KEY was before", err)
		}
		if c.EncryptionKey == "" {
			add("ENCRYPTION_KEY", "it is missing, and ENCRYPTION_KEY_OLD says that it changes: write the new key here, or leave ENCRYPTION_KEY_OLD out")
		}
	}
}

// Polling is the value of Transporter with which nodes ask the database for news, whatever
// else it offers.
const Polling = secret.String("polling")

// checkTransporter looks at the schemes; what else an address may be, the package knows
// that takes it.
func (c *Config) checkTransporter(add adder) {
	if c.Transporter == "" {
		return
	}
	for server := range strings.SplitSeq(c.Transporter.Reveal(), ",") {
		if c.Transporter == Polling {
			break
		}
		if server = strings.TrimSpace(server); !strings.HasPrefix(server, "nats://") && !strings.HasPrefix(server, "tls://") {
			add("TRANSPORTER", "it names something that is no NATS server; write nats://host:4222 or tls://user:password@host:4222, several with commas, "+
				"or leave it empty: the database carries news between nodes then (polling: and is asked for them, whatever it offers)")
			return
		}
	}
	if c.MongoURL == "" {
		add("TRANSPORTER", "it is set, and the embedded store serves one node, which has nobody to tell; set MONGO_URL, or leave TRANSPORTER out")
	}
}

func (c *Config) checkMail(add adder) {
	if raw := c.MailURL.Reveal(); raw != "" {
		const want = "write smtp://user:password@host:587 or smtps://user:password@host:465, with %-escapes for special characters"
		switch u, err := url.Parse(raw); {
		case err != nil: // url's error would repeat the password
			add("MAIL_URL", "it is no valid URL; %s", want)
		case u.Scheme != "smtp" && u.Scheme != "smtps":
			add("MAIL_URL", "its scheme is %q; %s", u.Scheme, want)
		case u.Hostname() == "":
			add("MAIL_URL", "it names no host; %s", want)
		case u.Port() != "" && !isPort(u.Port()):
			add("MAIL_URL", "its port %q is no port; %s", u.Port(), want)
		}
	}
	if _, err := mail.ParseAddress(c.MailFrom); err != nil && c.MailFrom != "" {
		add("MAIL_FROM", "%q is no mail address; write one such as ddpserver@example.com", c.MailFrom)
	}
}

func (c *Config) checkAdmin(add adder) {
	if !username.MatchString(c.AdminUsername) {
		add("ADMIN_USERNAME", "%q is no user name; write up to 64 letters, digits, - _ or .", c.AdminUsername)
	}
	if a, err := mail.ParseAddress(c.AdminEmail); err != nil || a.Address != c.AdminEmail {
		add("ADMIN_EMAIL", "%q is no mail address; write one such as admin@example.com", c.AdminEmail)
	}
}

func (c *Config) checkTrust(add adder) {
	for _, s := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(s); err != nil {
			if _, err := netip.ParseAddr(s); err != nil {
				add("TRUSTED_PROXIES", "%q is no address or network; write entries such as 10.0.0.5 or 10.0.0.0/8", s)
			}
		}
	}
	for _, s := range c.AllowedOrigins {
		if s == "*" || s == Loopback || s == Apps || androidApp.MatchString(s) {
			continue
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || strings.TrimRight(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			add("ALLOWED_ORIGINS", "%q is no origin; write entries such as https://app.example.com, or loopback, or apps, or *, "+
				"or android:apk-key-hash: and the base64url SHA-256 of an application's certificate", s)
		}
	}
}

// androidApp is the origin of an application on Android, which uses passkeys of the host.
var androidApp = regexp.MustCompile(`^android:apk-key-hash:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$`)

func checkRootURL(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "it is no valid URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Sprintf("its scheme is %q", u.Scheme)
	case u.Hostname() == "":
		return "it names no host"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "it has a user, query or fragment"
	case u.Port() != "" && !isPort(u.Port()):
		return "its port is no port"
	case strings.ContainsAny(u.Path, "{}% ") || strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/../") || strings.Contains(u.Path+"/", "/./"):
		return "its path has characters that no route can have"
	}
	return ""
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n <= 65535
}

// isNetwork tells whether an entry of TRUSTED_PROXIES stands for many addresses.
func isNetwork(entry string) bool {
	p, err := netip.ParsePrefix(entry)
	return err == nil && !p.IsSingleIP()
}

// warnings are combinations that are allowed and probably not meant.
func (c *Config) warnings() (w []string) {
	for _, s := range c.AllowedOrigins {
		if s != "*" && strings.Contains(s, "*") {
			w = append(w, fmt.Sprintf("ALLOWED_ORIGINS names %s: no page has a star in its origin, so the entry allows none; name every origin", s))
		}
	}
	if c.ForwardedCount > 0 && len(c.TrustedProxies) == 0 {
		w = append(w, "HTTP_FORWARDED_COUNT is set and TRUSTED_PROXIES names nobody: forwarded headers are ignored; name the proxies")
	}
	if n := len(c.TrustedProxies); n > 0 && n < c.ForwardedCount && !slices.ContainsFunc(c.TrustedProxies, isNetwork) {
		w = append(w, fmt.Sprintf("HTTP_FORWARDED_COUNT is %d and TRUSTED_PROXIES names %d addresses: the address of every proxy belongs there, "+
			"also of those that the server does not see itself; at the first one that is missing the proxy counts as the client", c.ForwardedCount, n))
	}
	if c.ForwardedCount == 0 && len(c.TrustedProxies) > 0 {
		w = append(w, "TRUSTED_PROXIES is set and HTTP_FORWARDED_COUNT is 0: forwarded headers are ignored; write the number of proxies")
	}
	if c.MetricsAddr != "" {
		if host, _, _ := net.SplitHostPort(c.MetricsAddr); host != "localhost" && !net.ParseIP(host).IsLoopback() {
			w = append(w, "METRICS_ADDR listens beyond this machine: /metrics and /debug/pprof have no password")
		}
	}
	return w
}
