package twofactor

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
)

// fixed are settings that do not change.
type fixed map[string]int

func (f fixed) Int(id string) int    { return f[id] }
func (f fixed) Bool(id string) bool  { return f[id] != 0 }
func (f fixed) String(string) string { return "" }

// at is a service whose clock stands still and whose window is one step.
func at(t time.Time) *Service { return &Service{config: fixed{}, clock: func() time.Time { return t }} }

// rfcSecret is the seed of the SHA-1 vectors of RFC 4226 appendix D and RFC 6238
// appendix B.
var rfcSecret = base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))

// S013: the vectors of RFC 4226: counter by counter.
func TestS013HOTPVectors(t *testing.T) {
	for counter, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		now := time.Unix(int64(counter)*step, 0)
		if got := at(now).matches(rfcSecret, want); len(got) != 1 || got[0] != int64(counter) {
			t.Errorf("counter %d: %s matches %v", counter, want, got)
		}
	}
}

// S013: the vectors of RFC 6238, of whose eight digits the last six are ours.
func TestS013TOTPVectors(t *testing.T) {
	for seconds, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		if got := at(time.Unix(seconds, 0)).matches(rfcSecret, want[2:]); len(got) != 1 || got[0] != seconds/step {
			t.Errorf("time %d: %s matches %v", seconds, want[2:], got)
		}
	}
}

// S013: 10,000 random pairs of secret and time against an independent
// implementation. Where DDPSERVER_CI=true says that this is the project's own check, it
// must be there; everybody else's CI sets CI and has none.
func TestS013Oathtool(t *testing.T) {
	path, err := exec.LookPath("oathtool")
	if err != nil {
		if strings.EqualFold(os.Getenv("DDPSERVER_CI"), "true") {
			t.Fatal("oathtool is not installed")
		}
		t.Log("oathtool is not installed: nothing compared, the RFC vectors have to do")
		return
	}
	const secrets, steps = 250, 40
	for range secrets {
		raw := make([]byte, 20+mathrand.IntN(13))
		rand.Read(raw)
		secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
		start := time.Unix(mathrand.Int64N(4_000_000_000), 0).UTC()
		// The secret goes over standard input: arguments are for everybody to see.
		cmd := exec.Command(path, "--totp", "--base32", "--now", start.Format("2006-01-02 15:04:05 UTC"), "--window", fmt.Sprint(steps-1), "-")
		cmd.Stdin = strings.NewReader(secret + "\n")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Fields(string(out))
		if len(lines) != steps {
			t.Fatalf("oathtool wrote %d codes", len(lines))
		}
		for i, want := range lines {
			now := start.Add(time.Duration(i*step) * time.Second)
			if got := at(now).matches(secret, want); len(got) != 1 || got[0] != now.Unix()/step {
				t.Fatalf("%s at %d: oathtool says %s, matches %v", secret, now.Unix(), want, got)
			}
		}
	}
}

// S009: codes come from crypto/rand and every digit is as likely as the others.
func TestS009Uniform(t *testing.T) {
	const n, alphabet = 30_000, "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz" // Rocket.Chat's
	key, err := secret.NewKey(secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{key: key}
	counts := map[byte]int{}
	seen := map[string]bool{}
	for range n / backupCount {
		codes, _, _ := s.newBackupCodes("ann")
		for _, c := range codes {
			if len(c) != backupLength || seen[c] || strings.Trim(c, alphabet) != "" {
				t.Fatalf("code %q", c)
			}
			seen[c] = true
			for _, b := range []byte(c) {
				counts[b]++
			}
		}
	}
	if len(counts) != len(alphabet) {
		t.Fatalf("%d letters", len(counts))
	}
	expected := float64(n*backupLength) / float64(len(alphabet))
	chi := 0.0
	for _, c := range counts {
		chi += (float64(c) - expected) * (float64(c) - expected) / expected
	}
	if limit := 130.0; chi > limit { // 54 degrees of freedom: p < 10⁻⁷
		t.Errorf("chi-square %.1f", chi)
	}
}

// S053: different clients have different fingerprints, however they are split.
func TestS053Fingerprints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(1, 20, 40)
		a, b := peer(text.Draw(t, "agent"), text.Draw(t, "address")), peer(text.Draw(t, "agent"), text.Draw(t, "address"))
		pa, _ := fingerprint(a)
		pb, _ := fingerprint(b)
		same := a.UserAgent == b.UserAgent && a.Address == b.Address
		if same != (pa == pb) {
			t.Fatalf("%+v %+v", a, b)
		}
		whole := a.UserAgent + a.Address
		cut := rapid.IntRange(0, len(whole)-1).Draw(t, "cut")
		if cut == len(a.UserAgent) {
			return
		}
		if pc, _ := fingerprint(peer(whole[:cut], whole[cut:])); pc == pa {
			t.Fatalf("%q split at %d", whole, cut)
		}
	})
}

// S003: what is read of a typed text is its characters in their order, without those
// that stand between them, and reading it again changes nothing.
func FuzzTypedCode(f *testing.F) {
	for _, s := range []string{"123456", "123-456", " 12 34 56 ", "１２３４５６", "", "1-2-3456", "123456789", "12345\x00", "12\n3456", "\u00a012\u200b3\u2013456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := rpc.TextProof("", text).Typed()
		if again := rpc.TextProof("", got).Typed(); again != got {
			t.Fatalf("%q became %q", got, again)
		}
		if visible := strings.Map(func(r rune) rune {
			if r > ' ' && r <= '~' && r != '-' {
				return r
			}
			return -1
		}, got); len(text) <= 256 && visible != strings.Map(func(r rune) rune {
			if r > ' ' && r <= '~' && r != '-' {
				return r
			}
			return -1
		}, text) {
			t.Fatalf("%q became %q", text, got)
		}
		if rpc.TextProof("", text).Given() != (got != "") {
			t.Fatalf("%q is given or not", text)
		}
	})
}

// S003: an authenticator's code is exactly what sixDigits accepts.
func TestS003OneSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9 \-+.eE]{4,9}`), rapid.StringMatching(`[0-9]{6}`)).Draw(t, "s")
		want := len(s) == 6 && bytes.Trim([]byte(s), "0123456789") == nil
		if sixDigits(s) != want {
			t.Fatalf("%q: %v", s, !want)
		}
	})
}

// Fuzz: a password's answer is 64 hex digits and nothing else.
func FuzzPasswordDigest(f *testing.F) {
	f.Add(strings.Repeat("aF", 32))
	f.Add("password")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := passwordDigest(s)
		if ok != (len(s) == 64 && strings.Trim(s, "0123456789abcdefABCDEF") == "") || ok && got != strings.ToLower(s) {
			t.Fatalf("%q: %q %v", s, got, ok)
		}
	})
}

func peer(agent, address string) *rpc.Peer {
	return &rpc.Peer{UserAgent: agent, AgentDigest: rpc.DigestAgent([]string{agent}), Address: address}
}
