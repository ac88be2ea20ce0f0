package accounts

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"ddpserver/internal/fault"
	"ddpserver/internal/user"
)

func TestValidEmail(t *testing.T) { // S099
	label := strings.Repeat("a", 63)
	for addr, want := range map[string]bool{
		"ada@x.com": true, "admin@localhost": true, "a.b+c@x-y.co.uk": true, "o'neil@x.com": true, "1@2.3": true, "a_b=c@x.com": true,
		strings.Repeat("a", 64) + "@x.com": true, "a@" + label + ".com": true,
		"": false, "@": false, "a@": false, "@x.com": false, "a": false, "a@b@c": false, "a b@x.com": false, "a@x .com": false,
		`"a b"@x.com`: false, `"a"@x.com`: false, "<a@x.com>": false, "a>@x.com": false, "a@x.com> ORCPT=rfc822;b@x.com": false,
		"a@x.com\r\nRCPT TO:<b@x.com>": false, "a@x.com\n": false, "a\x00@x.com": false, "a@x.com,b@x.com": false, "a@[127.0.0.1]": false,
		".a@x.com": false, "a.@x.com": false, "a..b@x.com": false, "a@-x.com": false, "a@x-.com": false, "a@x..com": false, "a@.com": false, "a@x.com.": false,
		"ä@x.com": false, "a@münchen.de": false, "а@x.com": false, "a@x\u3002com": false, "a@x_y.com": false, "a(b)@x.com": false, "a;b@x.com": false,
		`a\@x.com`: false, "a:b@x.com": false,
		strings.Repeat("a", 65) + "@x.com": false, "a@a" + label + ".com": false, "a@" + strings.Repeat("a.", 130) + "com": false, strings.Repeat("a", 10<<10) +
			"@x.com": false,
	} {
		if ValidEmail(addr) != want {
			t.Errorf("%.60q: want %v", addr, want)
		}
	}
}

func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "  Ada  ": "Ada", "Ada Lovelace": "Ada Lovelace", "Ада": "Ада", "李": "李", "👩\u200d🔬": "👩\u200d🔬", "O’Neil": "O’Neil", "a\u0301": "a\u0301",
	} {
		if got, err := cleanName(name); err != nil || got != want {
			t.Errorf("%q: %q %v", name, got, err)
		}
	}
	for _, name := range []string{"a\x00b", "a\nb", "a\u202eb", "a\u200bb", "\ufeffa\ufeffb", "a\u2028b", "\xff", "a\ufffdb", "a\U000e0001b",
		strings.Repeat("é", 129)} {
		if got, err := cleanName(name); !errors.Is(err, ErrName) {
			t.Errorf("%.20q gave %q %v", name, got, err)
		}
	}
}

func TestPasswordOnTheWire(t *testing.T) {
	good := strings.Repeat("0a", 32)
	for _, c := range []struct{ digest, algorithm string }{
		{good[1:], "sha-256"}, {good + "0", "sha-256"}, {strings.ToUpper(good), "sha-256"}, {good, "SHA-256"}, {good, "md5"}, {good, ""}, {"", "sha-256"},
		{strings.Repeat("g", 64), "sha-256"}, {strings.Repeat("é", 32), "sha-256"},
	} {
		if _, err := Digest(c.digest, c.algorithm); !errors.Is(err, fault.MatchFailed) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if p, err := Digest(good, "sha-256"); err != nil || p.IsZero() {
		t.Error(err)
	}
	for text, ok := range map[string]bool{"": false, "a": true, strings.Repeat("é", 256): true, strings.Repeat("a", 257): false} {
		if _, err := Plain(text); (err == nil) != ok {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
	p, _ := Plain("secret")
	if p.digest != "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" {
		t.Error(p.digest)
	}
	if s := strings.Join([]string{p.String(), p.GoString()}, ""); strings.Contains(s, p.digest) || strings.Contains(s, "secret") {
		t.Error("a password prints itself")
	}
}

func TestS115HashingQueueIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := newHasher(4)
		if err != nil {
			t.Fatal(err)
		}
		leave, err := h.gate.enter(t.Context(), newAccounts)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, hashQueue)
		for range hashQueue {
			go func() { _, err := h.hash(ctx, Password{digest: emptyDigest}); done <- err }()
		}
		synctest.Wait() // all of them stand in the queue
		_, err = h.matches(t.Context(), newAccounts, "", Password{})
		f, _ := fault.From(err)
		details, _ := f.Details.(map[string]any)
		if f.Code != "too-many-requests" || details["timeToReset"] != int64(2000) {
			t.Error("the 52nd:", err)
		}
		// Whoever hangs up leaves the queue; the rest go on.
		cancel()
		for range hashQueue {
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		leave()
		if ok, err := h.matches(t.Context(), newAccounts, "", Password{}); ok || err != nil {
			t.Error("after the flood:", ok, err)
		}
		if h.gate.queue() != 0 || h.gate.inside != 0 || len(h.turn) != 0 {
			t.Error("places are not given back")
		}
	})
}

func TestNotesAreBounded(t *testing.T) {
	n, now := newNotes(), time.Now()
	n.done("first", now)
	n.done("kept", now)
	for i := range maxNotes - 1 {
		n.due("kept", now, time.Hour)
		n.done(strconv.Itoa(i), now)
	}
	if n.last.Len() != maxNotes || !n.due("first", now, time.Hour) || n.due("kept", now, time.Hour) {
		t.Errorf("%d notes; the one not asked for longest must go, and no other", n.last.Len())
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"Ada", "ada@x.com", "a\u202eb", "ａｄａ", `"a b"@x`, "а", "\xff", "..", "a@b.c\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkUsername(s) == nil {
			for _, r := range s {
				if r >= utf8.RuneSelf || unicode.IsControl(r) || unicode.IsSpace(r) || r == '@' {
					t.Fatalf("user name %q", s)
				}
			}
			// Two names that look alike have one key.
			if user.Key(strings.ToUpper(s)) != user.Key(s) {
				t.Fatalf("keys of %q", s)
			}
		}
		if addr, err := newEmail(s); err == nil {
			if strings.Count(addr, "@") != 1 || strings.ContainsAny(addr, " \t\r\n<>\"\\,;:()[]\x00") || len(addr) > 254 || !ValidEmail(addr) ||
				user.Key(addr) != strings.ToLower(addr) {
				t.Fatalf("address %q from %q", addr, s)
			}
		}
		if name, err := cleanName(s); err == nil {
			if again, err := cleanName(name); err != nil || again != name || utf8.RuneCountInString(name) > maxName {
				t.Fatalf("name %q: %q %v", s, again, err)
			}
		}
		if k := lookupKey(s); len(s) > maxSelector && k != "" {
			t.Fatal("a huge text is looked up")
		}
		for _, c := range suggestions(s, s) {
			if checkUsername(c) != nil {
				t.Fatalf("suggestion %q", c)
			}
		}
	})
}
