package natsfeed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"ddpserver/internal/feed/feedtest"
	"ddpserver/internal/testwait"
)

func TestAddress(t *testing.T) {
	for text, want := range map[string][]string{
		"nats://h":         {"nats://h"},
		"nats://h:4222/":   {"nats://h:4222"},
		"tls://u:p@h:4222": {"tls://u:p@h:4222"},
		"nats://u:p%2C@h1:4222, nats://h2,nats://[::1]:1": {"nats://u:p%2C@h1:4222", "nats://h2", "nats://[::1]:1"},
		"nats://h1,nats://h2?creds=/a/b.creds":            {"nats://h1", "nats://h2"},
		"tls://h?ca=ca.pem&cert=c.pem&key=k.pem":          {"tls://h"},
	} {
		if got, err := parseAddress(text); err != nil || !reflect.DeepEqual(got.servers, want) {
			t.Errorf("%s: %v, %v", text, got.servers, err)
		}
	}
	for _, text := range []string{
		"", ",", "h", "h:4222", "http://u:s3cret@h", "monolith+nats://u:s3cret@h", "ws://h", "nats://", "nats://u:s3cret@", "nats://u:s3cret@h:0",
		"nats://u:s3cret@h:x", "nats://u:s3cret@h:65536", "nats://u:s3cret@h/path", "nats://u:s3cret@h#s3cret", "nats://u:s3cret %@h", "nats://h,",
		"nats://u:s3cret@h,http://h", "nats://h?s3cret=1", "nats://h?creds=", "tls://h?cert=s3cret", "tls://h?key=s3cret", "nats://h?ca=s3cret",
		"nats://u:s3cret@h?creds=s3cret", "nats://u:s3\ncret@h",
	} {
		err := CheckAddress(text)
		if err == nil || strings.Contains(err.Error(), "s3") {
			t.Errorf("%q: %v", text, err)
		}
		if tr, err := Open(Options{Address: text, Key: newKey(t)}); err == nil {
			tr.Close()
			t.Errorf("%q: opened", text)
		}
	}
}

// A file that is named and cannot be used is noticed at the start.
func TestFilesThatAreNotThere(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"nats://h?creds=%s/x", "tls://h?ca=%s/x", "tls://h?ca=%s", "tls://h?cert=%[1]s&key=%[1]s", "tls://h?cert=%[1]s/x&key=%[1]s/x"} {
		if tr, err := Open(Options{Address: fmt.Sprintf(text, empty), Key: newKey(t)}); err == nil {
			tr.Close()
			t.Errorf("%s: opened", text)
		}
	}
}

// Whoever has the password, the token or the certificate gets in, whoever has not is
// deaf; neither is written into the log.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	pair := certificate(t, dir)
	for _, c := range []struct {
		name        string
		server      func(*server.Options)
		right       string
		wrong       []string
		alsoUnnamed bool // the second server of the address names no user
	}{
		{"password", func(o *server.Options) { o.Username, o.Password = "ada", "s3cret" }, "nats://ada:s3cret@%s",
			[]string{"nats://ada:s3cret2@%s", "nats://%s", "nats://s3cret@%s"}, true},
		{"token", func(o *server.Options) { o.Authorization = "s3cret" }, "nats://s3cret@%s",
			[]string{"nats://s3cret2@%s", "nats://%s", "nats://ada:s3cret@%s"}, true},
		{"certificate", func(o *server.Options) {
			o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
			o.TLS = true
		}, "tls://%s?ca=" + dir + "/cert.pem", []string{"tls://%s"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.server)
			with := func(address string) func(*Options) {
				return func(o *Options) { o.Address = strings.ReplaceAll(address, "%s", w.Addr()) }
			}
			n1, n2 := w.join(t, "n1", with(c.right)), w.join(t, "n2", with(c.right))
			if c.alsoUnnamed {
				n2 = w.join(t, "n2", with(strings.Replace(c.right, "%s", "127.0.0.1:1", 1)+",nats://%s"))
			}
			n1.SendAll(t, feedtest.Events("n1", 0, 1)...)
			n2.All(t, 1)
			for _, address := range c.wrong {
				o := w.opts
				with(address)(&o)
				n := feedtest.Join(t, open(t, o, "wrong"), "wrong", nil)
				testwait.Until(t, address+" is told that it hears nothing", func() bool { return n.Deafened() > 0 })
				if err := n.Send(t.Context(), feedtest.Events("wrong", 0, 1)); err == nil || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%s: %v", address, err)
				}
			}
			for _, line := range w.logs.All() {
				if text := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(text, "s3cret") {
					t.Errorf("logged: %s", text)
				}
			}
		})
	}
}

// What the server does not allow is an error of whoever tried.
func TestPermissions(t *testing.T) {
	deny := &server.SubjectPermission{Deny: []string{">"}}
	w := newWorld(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "all", Password: "p"}, {Username: "mute", Password: "p", Permissions: &server.Permissions{Publish: deny}},
			{Username: "deaf", Password: "p", Permissions: &server.Permissions{Subscribe: deny}},
			{Username: "narrow", Password: "p", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{"ddpserver.*.*.topic.>"}}}}}
	})
	as := func(user string) func(*Options) {
		return func(o *Options) { o.Address = "nats://" + user + ":p@" + w.Addr() }
	}
	all, mute := w.join(t, "all", as("all")), w.join(t, "mute", as("mute"))
	o := w.opts
	as("deaf")(&o)
	deaf := feedtest.Join(t, open(t, o, "deaf"), "deaf", nil)
	testwait.Until(t, "deaf is told", func() bool { return deaf.Deafened() > 0 })
	for i := range 3 {
		if err := mute.Send(t.Context(), feedtest.Events("mute", i, 3)); err == nil {
			t.Error("sent what nobody may send")
		}
	}
	deaf.SendAll(t, feedtest.Events("deaf", 0, 1)...)
	mute.All(t, 1)
	if got := all.All(t, 1); len(got) != 1 || got[0].Node != "deaf" {
		t.Errorf("came: %+v", got)
	}
	if deaf.Listens() {
		t.Error("deaf believes that it listens")
	}
	narrow := w.join(t, "narrow", as("narrow")).Transport.(*Transport)
	for range 3 {
		if err := narrow.Follow(t.Context(), []string{"a", "b"}); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("followed what it may not hear: %v", err)
		}
	}
}

// certificate makes one for this machine, which is its own authority.
func certificate(t *testing.T, dir string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
