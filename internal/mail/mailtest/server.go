// Package mailtest runs a real SMTP server inside a test and keeps what it
// receives. It is for tests only and delivers nothing.
package mailtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"ddpserver/internal/testwait"
)

// Mail is one received message.
type Mail struct {
	From, To string
	Header   mail.Header
	// Text and HTML are the decoded bodies; Raw is what came over the wire.
	Text, HTML, Raw string
}

var codePattern = regexp.MustCompile(`(?m)^(\d{3})-(\d{3})\r?$`)

// Code is the six-digit code in the mail's text, or "".
func (m Mail) Code() string {
	if f := codePattern.FindStringSubmatch(m.Text); f != nil {
		return f[1] + f[2]
	}
	return ""
}

// Link is the first URL in the mail's text, or "".
func (m Mail) Link() string {
	for _, word := range strings.Fields(m.Text) {
		if strings.HasPrefix(word, "http") {
			return word
		}
	}
	return ""
}

// Options change how the server behaves.
type Options struct {
	// TLS offers STARTTLS with a certificate whose authority is Server.CAFile.
	TLS bool
	// User and Password are demanded when set.
	User, Password string
	// Rcpt, Data answer a recipient or a whole mail; nil accepts. An
	// *smtp.SMTPError is sent as it is.
	Rcpt func(to string) error
	Data func(to string) error
	// Addr to listen on; empty means any free port of 127.0.0.1.
	Addr string
}

// Server is a running SMTP server.
type Server struct {
	Addr   string
	CAFile string

	opts  Options
	mu    sync.Mutex
	mails []Mail
	news  chan struct{}
	seen  bytes.Buffer // everything clients wrote before TLS
}

// Start runs a server until the test ends.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s := &Server{opts: opts, news: make(chan struct{})}
	srv := smtp.NewServer(s)
	srv.Domain, srv.AllowInsecureAuth = "localhost", !opts.TLS
	srv.ErrorLog = log.New(io.Discard, "", 0)
	srv.ReadTimeout, srv.WriteTimeout = testwait.Limit, testwait.Limit
	if opts.TLS {
		srv.TLSConfig = s.certificate(t)
	}
	addr := opts.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("mailtest: %v", err)
	}
	s.Addr = ln.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(&tap{Listener: ln, s: s})
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return s
}

// URL is the server's MAIL_URL, credentials included.
func (s *Server) URL() string {
	user := ""
	if s.opts.User != "" {
		user = s.opts.User + ":" + s.opts.Password + "@"
	}
	url := "smtp://" + user + s.Addr
	if s.CAFile != "" {
		url += "?starttls=required&ca=" + s.CAFile
	}
	return url
}

// Mails lists what was received so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// InClear is everything clients sent before a TLS handshake.
func (s *Server) InClear() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// Wait blocks until n mails came and returns them all; it fails the test after testwait.Limit.
func (s *Server) Wait(t testing.TB, n int) []Mail {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
	defer cancel()
	for {
		s.mu.Lock()
		mails, news := append([]Mail(nil), s.mails...), s.news
		s.mu.Unlock()
		if len(mails) >= n {
			return mails
		}
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatalf("mailtest: %d mails came, waiting for %d", len(mails), n)
		}
	}
}

// NewSession implements smtp.Backend.
func (s *Server) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &session{s: s, authed: s.opts.User == ""}, nil
}

type session struct {
	s        *Server
	authed   bool
	from, to string
}

func (c *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != c.s.opts.User || password != c.s.opts.Password {
			return smtp.ErrAuthFailed
		}
		c.authed = true
		return nil
	}), nil
}

func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	if !c.authed {
		return smtp.ErrAuthRequired
	}
	c.from = from
	return nil
}

func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if c.s.opts.Rcpt != nil {
		if err := c.s.opts.Rcpt(to); err != nil {
			return err
		}
	}
	if c.to != "" {
		return errors.New("mailtest: a second recipient in one mail")
	}
	c.to = to
	return nil
}

func (c *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if c.s.opts.Data != nil {
		if err := c.s.opts.Data(c.to); err != nil {
			return err
		}
	}
	m, err := Read(raw)
	if err != nil {
		return err
	}
	m.From, m.To = c.from, c.to
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.mails = append(c.s.mails, m)
	close(c.s.news)
	c.s.news = make(chan struct{})
	return nil
}

func (c *session) Reset()        { c.from, c.to = "", "" }
func (c *session) Logout() error { return nil }

// Read parses a message, for instance the bytes of an .eml file: one of plain
// text, or one with alternatives.
func Read(raw []byte) (Mail, error) {
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Mail{}, err
	}
	m := Mail{Header: msg.Header, Raw: string(raw), To: strings.Trim(msg.Header.Get("To"), "<>")}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return Mail{}, err
	}
	if kind == "text/plain" {
		m.Text, err = text(msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
		return m, err
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return Mail{}, err
		}
		body, err := text(p.Header.Get("Content-Transfer-Encoding"), p)
		if err != nil {
			return Mail{}, err
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			m.HTML = body
		} else {
			m.Text = body
		}
	}
}

// text reads a body out of its transfer encoding.
func text(encoding string, body io.Reader) (string, error) {
	if strings.EqualFold(encoding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	b, err := io.ReadAll(body)
	return string(b), err
}

// certificate makes an authority of one certificate for 127.0.0.1.
func (s *Server) certificate(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailtest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// tap records what clients send until they switch to TLS.
type tap struct {
	net.Listener
	s *Server
}

func (l *tap) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tapConn{Conn: c, s: l.s}, nil
}

type tapConn struct {
	net.Conn
	s *Server
}

func (c *tapConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.seen.Write(b[:n])
	return n, err
}

// To lists what was received so far for one recipient.
func (s *Server) To(address string) []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Mail
	for _, m := range s.mails {
		if m.To == address {
			out = append(out, m)
		}
	}
	return out
}
