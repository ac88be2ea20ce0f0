package methods_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/bcrypt"

	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/ejson"
	"ddpserver/internal/random"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// factorPlay plays conversations about second factors in a world, with accounts
// whose secrets and tokens the conversation knows.
type factorPlay struct{ *world }

// player plays conversations against the world. Its functions:
//
//	do user NAME [email] [totp] [webauthn] [admin] [unverified] [nopassword]
//	    makes an account with the password "password" and two sessions and two
//	    personal access tokens; sets <NAME>, <NAME1>, <NAME2>, <NAMEpat>, <NAMEbypass>
//	do code NAME [steps]      sets <code> to the authenticator's code
//	do secret NAME TEXT       says that NAME's authenticator has this secret
//	do wrong NAME             sets <wrong> to a code that is not right
//	do mailed [N]             sets <mailed> to the last, or N-th, mailed code
//	do make OPTIONS           sets <key> to a new passkey, as its device answers
//	do answer OPTIONS         sets <object> to what a device answers, <answer> to its text as JSON
//	do mails N                expects that so many codes were mailed
//	do notices WORD…          expects these notices, and forgets them
//	do audit ACT OUTCOME N    expects so many events
//	do set ID VALUE           changes a setting
func (s factorPlay) player() *ddptest.Player {
	p := &ddptest.Player{Server: s.Engine, Vars: map[string]string{"digest": factorDigest}, Peer: func(n int) *rpc.Peer {
		return &rpc.Peer{Address: fmt.Sprintf("127.0.0.%d", n), UserAgent: "player", AgentDigest: rpc.DigestAgent([]string{"player"})}
	}}
	secrets := map[string]string{}
	words := func(f func(w []string) error) func(string) error {
		return func(arguments string) error { return f(strings.Fields(arguments)) }
	}
	p.Do = map[string]func(string) error{
		"user": words(func(w []string) error {
			secrets[w[0]] = factorSecret
			return s.account(p.Vars, w[0], w[1:]...)
		}),
		"secret": words(func(w []string) error { secrets[w[0]] = w[1]; return nil }),
		"code": words(func(w []string) error {
			shift := 0
			if len(w) > 1 {
				shift, _ = strconv.Atoi(w[1])
			}
			var err error
			p.Vars["code"], err = totp.GenerateCode(secrets[w[0]], time.Now().Add(time.Duration(shift)*30*time.Second))
			return err
		}),
		"wrong": words(func(w []string) error { p.Vars["wrong"] = s.wrong(secrets[w[0]]); return nil }),
		"mailed": words(func(w []string) error {
			n := s.Mails.Count()
			if len(w) > 0 {
				n, _ = strconv.Atoi(w[0])
			}
			if n < 1 || n > s.Mails.Count() {
				return fmt.Errorf("%d codes were mailed", s.Mails.Count())
			}
			p.Vars["mailed"] = s.Mails.Code(n - 1)
			return nil
		}),
		"make": func(options string) (err error) {
			p.Vars["key"], err = s.Device().Create([]byte(options))
			return err
		},
		"answer": func(options string) (err error) {
			if p.Vars["object"], err = s.Device().Get([]byte(options)); err == nil {
				p.Vars["answer"] = string(ejson.AppendString(nil, p.Vars["object"]))
			}
			return err
		},
		"mails":   words(func(w []string) error { return s.expectMails(w[0]) }),
		"notices": words(func(w []string) error { return s.expectNotices(w) }),
		"audit":   words(func(w []string) error { return s.expectAudit(w) }),
		"set":     words(func(w []string) error { s.Set(w[0], setting(strings.Join(w[1:], " "))); return nil }),
	}
	return p
}

const (
	factorDigest = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8" // of "password"
	factorSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
)

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// account makes an account.
func (s factorPlay) account(vars map[string]string, name string, traits ...string) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(factorDigest), bcrypt.MinCost)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	u := &user.User{
		ID: random.ID(), CreatedAt: now, Username: name, Roles: []string{"user"},
		Emails:   []user.Email{{Address: name + "@example.org", Verified: true}},
		Services: user.Services{Password: &user.Password{Bcrypt: string(hash)}, Resume: &user.Resume{}},
	}
	for _, trait := range traits {
		switch trait {
		case "email":
			u.Services.Email2FA = &user.Email2FA{Enabled: true}
		case "totp":
			u.Services.TOTP = &user.TOTP{Enabled: true, Secret: factorSecret}
		case "webauthn":
			u.Services.WebAuthn = s.Passkeys(name, true)
		case "admin":
			u.Roles = append(u.Roles, "admin")
		case "unverified":
			u.Emails[0].Verified = false
		case "nopassword":
			u.Services.Password = nil
		default:
			return fmt.Errorf("no such trait: %s", trait)
		}
	}
	vars[name] = u.ID
	for _, kind := range []string{"1", "2", "pat", "bypass"} {
		clear := random.Secret()
		vars[name+kind] = clear
		t := user.LoginToken{HashedToken: hashOf(clear)}
		if len(kind) == 1 {
			t.When = now
		} else {
			t.Type, t.Name, t.CreatedAt, t.BypassTwoFactor = user.PersonalAccessToken, kind, now, kind == "bypass"
		}
		u.Services.Resume.LoginTokens = append(u.Services.Resume.LoginTokens, t)
	}
	u.FillKeys()
	return s.Store.CreateUser(context.Background(), u)
}

// wrong is six digits that are no code of that secret near now, and were not mailed.
func (s factorPlay) wrong(secret string) string {
	for n := 0; ; n++ {
		c, right := fmt.Sprintf("%06d", n), false
		for shift := -3; shift <= 3; shift++ {
			code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(shift)*30*time.Second))
			right = right || err == nil && code == c
		}
		for _, m := range s.Mails.Codes() {
			right = right || m.Code.Reveal() == c
		}
		if !right {
			return c
		}
	}
}

func (s factorPlay) expectMails(n string) error {
	if got := s.Mails.Count(); n != strconv.Itoa(got) {
		return fmt.Errorf("%d codes were mailed", got)
	}
	return nil
}

func (s factorPlay) expectNotices(want []string) error {
	var got []string
	for _, n := range s.Mails.TakeNotices() {
		got = append(got, n.Change.Name)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		return fmt.Errorf("notices %v", got)
	}
	return nil
}

func (s factorPlay) expectAudit(w []string) error {
	n := 0
	for _, e := range s.Trail.Of(w[0]) {
		if e.Outcome == w[1] {
			n++
		}
	}
	if strconv.Itoa(n) != w[2] {
		return fmt.Errorf("%d such events", n)
	}
	return nil
}

// setting reads a value as a person writes it.
func setting(text string) any {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	if b, err := strconv.ParseBool(text); err == nil {
		return b
	}
	return text
}

var (
	shorthand = regexp.MustCompile(`(?m)^(login|call|answer|refused)(\d*) (.*)$`)
	refusal   = regexp.MustCompile(`^(\S+) (\S+) ("[^"]*"|-) ?(.*)$`)
)

// unfold writes out the short lines of these conversations; N is a connection:
//
//	loginN NAME [KIND]              connects and resumes a token of NAME
//	callN ID METHOD PARAMETERS      a method call
//	answerN ID RESULT               its result ("-" for none) and updated
//	refusedN ID CODE "REASON" [DETAILS]  its error and updated
func unfold(t *testing.T, text string) string {
	return shorthand.ReplaceAllStringFunc(text, func(line string) string {
		m := shorthand.FindStringSubmatch(line)
		n, rest := m[2], m[3]
		word, more, _ := strings.Cut(rest, " ")
		updated := func(id string) string { return "\nS" + n + `: {"msg":"updated","methods":["` + id + `"]}` }
		switch m[1] {
		case "login":
			if more == "" {
				more = "1"
			}
			return "connect" + n + "\nC" + n + `: {"msg":"method","id":"in","method":"login","params":[{"resume":"<` + word + more + ">\"}]}\n" +
				"S" + n + `: {"msg":"added","collection":"users","id":"<` + word + ">\",\"fields\":<any>}\n" +
				"S" + n + `: {"msg":"result","id":"in","result":<any>}` + updated("in")
		case "call":
			name, params, _ := strings.Cut(more, " ")
			return "C" + n + `: {"msg":"method","id":"` + word + `","method":"` + name + `","params":` + params + "}"
		case "answer":
			if more == "-" {
				return "S" + n + `: {"msg":"result","id":"` + word + `"}` + updated(word)
			}
			return "S" + n + `: {"msg":"result","id":"` + word + `","result":` + more + "}" + updated(word)
		}
		f := refusal.FindStringSubmatch(rest)
		if f == nil {
			t.Fatalf("not a refusal: %s", line)
		}
		code, reason, details := f[2], strings.Trim(f[3], `"`), f[4]
		if details != "" {
			details = `"details":` + details + ","
		}
		return "S" + n + `: {"msg":"result","id":"` + f[1] + `","error":{"isClientSafe":true,"error":"` + code + `","reason":"` + reason + `",` + details +
			`"message":"` + reason + " [" + code + `]","errorType":"Meteor.Error"}}` + updated(f[1])
	})
}

// playFactors plays every conversation of a file, each in a world of its own.
func playFactors(t *testing.T, file string) {
	t.Helper()
	for _, c := range ddptest.Load(t, "testdata/conversations/"+file) {
		t.Run(c.Name, func(t *testing.T) {
			c.Text = unfold(t, c.Text)
			bubble(t, func(t *testing.T, w *world) { factorPlay{w}.player().Play(t, c) })
		})
	}
}
