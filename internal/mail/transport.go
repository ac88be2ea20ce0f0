package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"ddpserver/internal/secret"
)

// Transport hands one rendered mail to the next hop.
type Transport struct {
	smtp *smtpConfig
	dir  string
}

type smtpConfig struct {
	host      string
	port      int
	user      string
	password  secret.String
	ssl       bool
	policy    gomail.TLSPolicy
	tlsConfig *tls.Config
	helo      string
	// strict says that the configuration itself demands a certificate that can be
	// checked: starttls=required, or an authority.
	strict bool
	// dialogue hears every line of the conversation, secrets blanked; nil for mails of
	// the outbox.
	dialogue *dialogue
}

// attemptTimeout bounds one whole delivery: connect, TLS, login, data. It is
// shorter than the lease of an item, so no second node takes it meanwhile.
const attemptTimeout = 20 * time.Second

// Files is the transport of the embedded default: every mail becomes a file in
// dir, readable in clear, whose name sorts by the time of sending.
func Files(dir string) *Transport { return &Transport{dir: dir} }

// Parse reads a MAIL_URL: smtp://user:password@host:port or smtps://…, the
// password percent-encoded. Queries:
//
//	starttls=required|opportunistic|none   (smtp only; default required, but opportunistic on a loopback host)
//	ca=FILE                                a PEM file with the authorities to trust
//
// On a loopback host nobody but this machine hears what is said, so a password goes
// out without TLS too, and a certificate that no authority vouches for will do, unless
// starttls=required or ca asks for more.
//
//	name=HOST                              the name this server gives itself (EHLO)
//
// Ports default to 587 for smtp and 465 for smtps. The error never holds the password.
func Parse(mailURL string) (*Transport, error) {
	u, err := url.Parse(mailURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, errors.New("must be smtp://[user:password@]host[:port] or smtps://…, special characters in the password percent-encoded")
	}
	c := &smtpConfig{host: u.Hostname(), port: 587, ssl: u.Scheme == "smtps", policy: gomail.TLSMandatory}
	if c.ssl {
		c.port = 465
	}
	if p := u.Port(); p != "" {
		if c.port, err = strconv.Atoi(p); err != nil || c.port < 1 || c.port > 65535 {
			return nil, fmt.Errorf("port %q is not a number from 1 to 65535", p)
		}
	}
	if u.User != nil {
		c.user = u.User.Username()
		password, _ := u.User.Password()
		c.password = secret.String(password)
	}
	if loopback(c.host) {
		c.policy = gomail.TLSOpportunistic
	}
	c.tlsConfig = &tls.Config{ServerName: c.host, MinVersion: tls.VersionTLS12}
	for key, values := range u.Query() {
		if err := c.option(key, values[len(values)-1]); err != nil {
			return nil, err
		}
	}
	c.tlsConfig.InsecureSkipVerify = loopback(c.host) && !c.strict // #nosec G402 -- no network lies between
	if c.policy == gomail.NoTLS && !c.ssl && c.user != "" && !loopback(c.host) {
		return nil, errors.New("starttls=none would send the password in clear; leave it out or use smtps://")
	}
	return &Transport{smtp: c}, nil
}

func (c *smtpConfig) option(key, value string) error {
	switch key {
	case "starttls":
		policy, ok := map[string]gomail.TLSPolicy{"required": gomail.TLSMandatory, "opportunistic": gomail.TLSOpportunistic, "none": gomail.NoTLS}[value]
		if !ok {
			return fmt.Errorf("starttls=%s is not one of required, opportunistic, none", value)
		}
		c.policy, c.strict = policy, c.strict || policy == gomail.TLSMandatory
	case "ca":
		pem, err := os.ReadFile(value)
		if err != nil {
			return fmt.Errorf("ca: %w", err)
		}
		c.strict = true
		c.tlsConfig.RootCAs = x509.NewCertPool()
		if !c.tlsConfig.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("ca: %s holds no certificate in PEM form", value)
		}
	case "name":
		c.helo = value
	default:
		return fmt.Errorf("unknown option %q; there are starttls, ca and name", key)
	}
	return nil
}

// String describes the transport for the start-up log, without credentials.
func (t *Transport) String() string {
	if t.smtp == nil {
		return "files in " + t.dir
	}
	scheme := "smtp"
	if t.smtp.ssl {
		scheme = "smtps"
	}
	return scheme + "://" + net.JoinHostPort(t.smtp.host, strconv.Itoa(t.smtp.port))
}

// InClear tells whether mails are kept as readable files.
func (t *Transport) InClear() bool { return t.smtp == nil }

// deliver sends one mail; where is the file's path for the file transport.
func (t *Transport) deliver(ctx context.Context, it Item, l letter) (where string, err error) {
	opts := []gomail.MsgOption{gomail.WithNoDefaultUserAgent()}
	if t.smtp == nil {
		// People and scripts read the files: no soft line breaks inside links.
		opts = append(opts, gomail.WithEncoding(gomail.NoEncoding))
	}
	m := gomail.NewMsg(opts...)
	if err := m.From(l.From); err != nil {
		return "", fmt.Errorf("%w: sender: %w", errPermanent, err)
	}
	if err := m.To(l.To); err != nil {
		return "", fmt.Errorf("%w: recipient: %w", errPermanent, err)
	}
	m.Subject(l.Subject)
	m.SetDateWithValue(it.CreatedAt)
	// The same id at every try lets a receiver recognise a second copy after a crash.
	m.SetMessageIDWithValue(it.ID + "@" + domainOf(l.From))
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	if l.HTML != "" {
		m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	}
	if t.smtp == nil {
		return t.write(it, m)
	}
	return "", t.smtp.send(ctx, m)
}

func (c *smtpConfig) send(ctx context.Context, m *gomail.Msg) error {
	opts := []gomail.Option{gomail.WithPort(c.port), gomail.WithTLSPolicy(c.policy), gomail.WithTLSConfig(c.tlsConfig), gomail.WithTimeout(attemptTimeout)}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	// A server that hangs after DATA must not outlive the attempt. The client
	// locks itself while it waits, so the socket beneath it is closed.
	var dialer net.Dialer
	opts = append(opts, gomail.WithDialContextFunc(func(dialCtx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(dialCtx, network, addr)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		if c.ssl {
			return tls.Client(conn, c.tlsConfig), nil
		}
		return conn, nil
	}))
	if c.ssl {
		opts = append(opts, gomail.WithSSL())
	}
	if c.helo != "" {
		opts = append(opts, gomail.WithHELO(c.helo))
	}
	if c.user != "" {
		opts = append(opts, c.login(), gomail.WithUsername(c.user), gomail.WithPassword(c.password.Reveal()))
	}
	if c.dialogue != nil {
		opts = append(opts, gomail.WithLogger(c.dialogue), gomail.WithDebugLog())
	}
	client, err := gomail.NewClient(c.host, opts...)
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		c.dialogue.failed(err)
		return fmt.Errorf("connect: %w", err)
	}
	sendErr := client.SendWithSMTPClient(conn, m)
	c.dialogue.failed(sendErr)
	_ = client.CloseWithSMTPClient(conn)
	if sendErr == nil || m.IsDelivered() {
		return nil
	}
	var se *gomail.SendError
	if errors.As(sendErr, &se) {
		code := se.ErrorCode()
		switch {
		case code >= 500:
			return fmt.Errorf("%w: server answered %d", errPermanent, code)
		case code >= 400:
			return fmt.Errorf("%w: server answered %d", errLater, code)
		}
	}
	return fmt.Errorf("send: %w", sendErr)
}

// login chooses the mechanism: the strongest that the server offers. The library's own
// choice leaves out those that show the password where there is no TLS, also on a
// loopback host, where nobody else listens.
func (c *smtpConfig) login() gomail.Option {
	if !loopback(c.host) {
		return gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover)
	}
	return gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256PLUS, gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1PLUS,
		gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc)
}

// write stores the mail as a file in one step; writing it again is harmless.
func (t *Transport) write(it Item, m *gomail.Msg) (string, error) {
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(t.dir, it.CreatedAt.UTC().Format("20060102T150405.000Z")+"-"+it.ID+".eml")
	tmp, err := os.CreateTemp(t.dir, ".new-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = m.WriteTo(tmp)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return "", err
	}
	return path, os.Rename(tmp.Name(), path)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func domainOf(addr string) string {
	if i := strings.LastIndexByte(addr, '@'); i >= 0 {
		return strings.Trim(addr[i+1:], "> ")
	}
	return "localhost"
}
