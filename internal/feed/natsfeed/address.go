package natsfeed

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// want says how an address is written.
const want = "write nats://host:4222, or tls://user:password@host:4222, several with commas; " +
	"?creds=FILE, ?ca=FILE and ?cert=FILE&key=FILE name files with credentials and certificates"

// address says where the NATS servers are and how they know this node.
type address struct {
	servers []string // as the library takes them, with names and passwords
	files   map[string]string
	user    *url.Userinfo // for servers that name none
	tls     bool
}

// CheckAddress tells what is wrong with an address, without its passwords. It looks at
// no file and no network.
func CheckAddress(text string) error {
	_, err := parseAddress(text)
	return err
}

// parseAddress reads servers separated by commas. Files may be named at any of them, and count
// for all. No error repeats a part of the text, which holds passwords.
func parseAddress(text string) (a address, err error) {
	a.files = map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		u, err := url.Parse(part)
		switch {
		case err != nil: // url's error would repeat the password
			return a, errors.New("it is no valid URL; " + want)
		case u.Scheme != "nats" && u.Scheme != "tls":
			return a, errors.New("it names something that is no NATS server; " + want)
		case u.Hostname() == "":
			return a, errors.New("it names no host; " + want)
		case u.Port() != "" && !isPort(u.Port()):
			return a, errors.New("its port is no port; " + want)
		case u.Path != "" && u.Path != "/" || u.Fragment != "":
			return a, errors.New("it has a path, which NATS servers do not have; " + want)
		}
		if err := a.addFiles(u.Query()); err != nil {
			return a, err
		}
		if a.user == nil {
			a.user = u.User
		}
		a.tls = a.tls || u.Scheme == "tls"
		server, _, _ := strings.Cut(part, "?")
		a.servers = append(a.servers, strings.TrimSuffix(server, "/"))
	}
	if (a.files["cert"] == "") != (a.files["key"] == "") {
		return a, errors.New("cert and key belong together; " + want)
	}
	if (a.files["ca"] != "" || a.files["cert"] != "") && !a.tls {
		return a, errors.New("certificates are named and no server with tls://; " + want)
	}
	if a.files["creds"] != "" && a.user != nil {
		return a, errors.New("a file of credentials is named and a user, too; keep one")
	}
	return a, nil
}

func (a *address) addFiles(query url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains([]string{"creds", "ca", "cert", "key"}, name) || query.Get(name) == "" {
			return errors.New("it has a parameter that means nothing; " + want)
		}
		a.files[name] = query.Get(name)
	}
	return nil
}

// options are what the library is told of the address. Files are read now, so that one
// that is missing is noticed at the start.
func (a *address) options() ([]nats.Option, error) {
	opts := []nats.Option{func(o *nats.Options) error { o.Servers = a.servers; return nil }}
	if password, has := a.user.Password(); has {
		opts = append(opts, nats.UserInfo(a.user.Username(), password))
	} else if a.user != nil {
		opts = append(opts, nats.Token(a.user.Username()))
	}
	if file := a.files["creds"]; file != "" {
		if _, err := os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("the file of credentials cannot be read: %w", err)
		}
		opts = append(opts, nats.UserCredentials(file)) // read anew at each connection
	}
	if !a.tls {
		return opts, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := a.files["ca"]; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("the certificates of ca cannot be read: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("the file of ca holds no certificate")
		}
	}
	if file := a.files["cert"]; file != "" {
		pair, err := tls.LoadX509KeyPair(file, a.files["key"])
		if err != nil {
			return nil, fmt.Errorf("the certificate of cert and key cannot be read: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return append(opts, nats.Secure(c)), nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}
