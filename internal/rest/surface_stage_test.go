package rest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// walk calls the whole surface as one kind of caller. Every call has a stage of
// its own, so that no call spoils another.
type walk struct {
	*world
	rec *recorder
	// mail switches codes by mail on for the administrators; else their password
	// is all that they can prove themselves with.
	mail bool
	n    int
}

func newWalk(t *testing.T, overrides map[string]string) *walk {
	all := map[string]string{
		settings.LimitIPEnabled: "false", settings.LimitUserEnabled: "false", settings.LimitConnectionEnabled: "false", settings.LimitUserByMethodEnabled: "false",
		settings.LimitConnectionMethodEnabled: "false", settings.BlockLogins: "false", settings.TwoFactorMailsPerAddress: "10000",
		settings.AllowDeleteOwnAccount: "true",
		settings.AmbiguousErrors:       "false", // links are mailed before the answer
	}
	for k, v := range overrides {
		all[k] = v
	}
	rec := &recorder{}
	w := &walk{rec: rec}
	rec.Store = testkit.OpenStore(t)
	w.world = testkit.NewAPI(t, testkit.Options{Store: rec, Overrides: all})
	return w
}

// stage is what one call finds: an administrator who calls, somebody else, rooms
// of both, messages of both.
type stage struct {
	*walk
	n            int // the number in the names of this stage
	admin, other *user.User
	third        *user.User // of theirRole
	// session and bypass are the administrator's tokens; hash is that of session.
	session, bypass client
	hash            string
	// own and theirs are channels, private a group of the administrator's; other
	// is in own and private, the administrator in own, private and theirs.
	own, theirs, private, direct string
	mine, hers                   string // messages in own
	// caller is who calls, proven whether with the proof.
	caller client
	proven bool
	// inUse makes passkeys a second factor of whoever is given one.
	inUse  bool
	secret string // of an authenticator app
	token  string // of a mailed link
}

func (w *walk) stage(proven, rooms bool) *stage {
	t := w.T
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.n++
	ctx := t.Context()
	account := func(name string, mail bool, roles ...string) *user.User {
		name = fmt.Sprintf("%s%d", name, w.n)
		u, err := w.Accounts.CreateByOperator(ctx, accounts.OperatorAccount{Username: name, Email: name + "@example.org",
			Name: strings.ToUpper(name[:1]) + name[1:], Password: secret.String(testkit.Password), Verified: true, Email2FA: mail, Roles: []string{"user"}})
		must(err)
		if len(roles) > 0 { // behind the service, which would tell every administrator of every stage
			roles = append(roles, u.Roles...)
			u, err = w.Store.UpdateUser(ctx, u.ID, user.Change{Roles: &roles, At: time.Now()})
			must(err)
		}
		return u
	}
	s := &stage{walk: w, n: w.n, admin: account("root", w.mail, "admin"), other: account("ann", false), proven: proven}
	peer := &rpc.Peer{Conn: "test", Door: rpc.REST, Address: "127.0.0.1", UserAgent: "rest-test"}
	issued, err := w.Accounts.IssueToken(ctx, peer, s.admin, "password")
	must(err)
	s.hash = issued.Hash
	s.session = client{API: w.world, ID: s.admin.ID, Token: issued.Token}
	pat, err := w.Accounts.GenerateToken(ctx, peer, s.admin, "bot", true)
	must(err)
	s.bypass = client{API: w.world, ID: s.admin.ID, Token: pat}
	s.caller = s.session
	if rooms {
		s.furnish()
	}
	return s
}

// code is what proves the administrator: a mailed code, or the password.
func (s *stage) code() (code, factor string) {
	if !s.mail {
		return testkit.Proof(), "password"
	}
	s.T.Helper()
	if a := s.session.Do("POST", "users.2fa.sendEmailCode", map[string]any{"emailOrUsername": "x"}); a.Status != 200 {
		s.T.Fatalf("no code: %s", a.Raw)
	}
	return s.LastCode(), "email"
}

// proof is the session with the proof in its headers.
func (s *stage) proof() *client {
	code, factor := s.code()
	return s.session.With("x-2fa-method", factor).With("x-2fa-code", code)
}

// trust makes the session remembered: it passes one ordinary check.
func (s *stage) trust() {
	s.T.Helper()
	if a := s.proof().Do("POST", "settings/Site_Name", map[string]any{"value": fmt.Sprint("site ", s.n)}); a.Status != 200 {
		s.T.Fatalf("no trust: %s", a.Raw)
	}
	if a := s.session.Do("POST", "settings/Site_Name", map[string]any{"value": fmt.Sprint("trusted ", s.n)}); a.Status != 200 {
		s.T.Fatalf("trust is not remembered: %s", a.Raw)
	}
}

// app begins to enrol an authenticator app, and finishes unless half.
func (s *stage) app(half bool) {
	s.T.Helper()
	a := s.proof().Do("POST", "users.enableTotp", nil)
	if s.secret = a.Text("secret"); a.Status != 200 {
		s.T.Fatalf("enrolment: %s", a.Raw)
	}
	if half {
		return
	}
	if a := s.session.Do("POST", "users.validateTotp", map[string]any{"code": s.TOTPCode(s.secret)}); a.Status != 200 {
		s.T.Fatalf("enrolment: %s", a.Raw)
	}
}

// newKey is a new passkey for whoever may add one, and nothing for the rest.
func (s *stage) newKey() map[string]any {
	s.T.Helper()
	if !s.proven {
		return map[string]any{"id": "x"}
	}
	a := s.proof().Do("POST", "users.webauthn.registrationOptions", map[string]any{"mode": "addCredential"})
	if a.Status != 200 {
		s.T.Fatalf("no options: %s", a.Raw)
	}
	text, err := s.Device().Create(a.Body["publicKey"])
	if err != nil {
		s.T.Fatal(err)
	}
	var key map[string]any
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		s.T.Fatal(err)
	}
	return key
}

// signUps lets strangers make accounts with a passkey.
func signUps(s *stage) { s.Set(settings.WebAuthnSignUp, true) }

// joiningKey is the passkey of a stranger who makes an account.
func (s *stage) joiningKey() map[string]any {
	s.T.Helper()
	o, err := s.Factors.SignUpOptions(twofactor.Joining{Username: fmt.Sprint("newcomer", s.n)})
	if errors.Is(err, twofactor.ErrPasskeysOff) { // with second factors off
		return map[string]any{"id": "x"}
	}
	if err != nil {
		s.T.Fatal(err)
	}
	text, err := s.Device().Create(s.json(o))
	if err != nil {
		s.T.Fatal(err)
	}
	return testkit.Unmarshal[map[string]any](s.T, []byte(text))
}

func (s *stage) json(d ejson.Doc) []byte {
	raw, err := ejson.Append(nil, d)
	if err != nil {
		s.T.Fatal(err)
	}
	return raw
}

// hasKey gives the administrator a passkey, which nobody is asked for unless inUse, and names it.
func (s *stage) hasKey() string { return s.keyOf(s.admin).ID }

// theirKey gives somebody else one, and names the account.
func (s *stage) theirKey() string { s.keyOf(s.other); return s.other.ID }

func (s *stage) keyOf(u *user.User) user.Passkey {
	s.T.Helper()
	keys := s.Passkeys(u.Username, s.inUse)
	change := user.Change{Factor: func(v *user.Services) { v.WebAuthn = keys }, At: time.Now()}
	if _, err := s.rec.Store.UpdateUser(s.T.Context(), u.ID, change); err != nil { // behind the recorder
		s.T.Fatal(err)
	}
	return keys.Keys[0]
}

// appCode is a right code for whoever may have it, and a wrong one for the rest.
func (s *stage) appCode() string {
	if s.proven {
		return s.TOTPCode(s.secret)
	}
	return s.WrongCode(s.secret)
}

// link is the token of the last mail with that template.
func (w *walk) link(template string) string {
	url := w.Mails.Link(template)
	return url[strings.LastIndex(url, "/")+1:]
}

// state is what a stage's accounts are guarded by, taken apart by effects.
type state struct {
	parts map[methods.Effects]string
	// sessions and tokens are the hashes of login tokens, by account.
	sessions, tokens []string
	total            int
	// whole is everything that is kept of the accounts, with their counters, codes and
	// trust; not when a token was used.
	whole string
}

func (s *stage) state() state {
	s.T.Helper()
	ctx := context.Background()
	out := state{parts: map[methods.Effects]string{}}
	put := func(e methods.Effects, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			s.T.Fatal(err)
		}
		out.parts[e] += string(b) + "\n"
	}
	for _, id := range []string{s.admin.ID, s.other.ID} {
		u, err := s.Store.UserByID(ctx, id)
		if errors.Is(err, dberr.NotFound) {
			put(methods.Accounts, "gone")
			continue
		}
		if err != nil {
			s.T.Fatal(err)
		}
		out.whole += s.whole(u)
		name := u.Username
		if id == s.admin.ID {
			name = "" // one's own user name is part of one's profile
		}
		put(methods.Accounts, []any{u.Active, u.Emails, u.PasswordHash(), name})
		put(methods.Rights, u.Roles)
		totp := ""
		if t := u.Services.TOTP; t != nil {
			totp = t.Secret + t.TempSecret + strings.Join(t.HashedBackup, " ")
		}
		put(methods.Factors, []any{totp, u.Services.Email2FA})
		if p := u.Services.Password; p != nil {
			put(methods.Tokens, []any{p.Reset, p.Enroll})
		}
		put(methods.Tokens, u.Services.Email)
		if u.Services.Resume != nil {
			for _, t := range u.Services.Resume.LoginTokens {
				if key := id + " " + t.HashedToken; t.IsPAT() {
					out.tokens = append(out.tokens, key)
				} else {
					out.sessions = append(out.sessions, key)
				}
			}
		}
	}
	for _, set := range s.Settings.All() {
		if set.Guards() {
			put(methods.Guards, []any{set.ID, set.Value})
		}
	}
	_, total, err := s.Store.ListUsers(ctx, 0, 1)
	if err != nil {
		s.T.Fatal(err)
	}
	out.total = total
	return out
}

// guarded is what the accounts are guarded by, as a text.
func (s *stage) guarded() string {
	s.T.Helper()
	now := s.state()
	now.whole = "" // parameters may be made of a passkey that is made for them
	return fmt.Sprint(now)
}

// whole is everything that is kept of an account, but when its tokens were used.
func (s *stage) whole(u *user.User) string {
	s.T.Helper()
	u = u.Clone()
	if r := u.Services.Resume; r != nil {
		for i := range r.LoginTokens {
			r.LoginTokens[i].LastUsedAt, r.LoginTokens[i].UsedFrom = time.Time{}, nil
		}
	}
	guard, err := s.Store.Guard(s.T.Context(), u.ID)
	if err != nil && !errors.Is(err, dberr.NotFound) {
		s.T.Fatal(err)
	}
	out, err := json.Marshal([]any{u, guard})
	if err != nil {
		s.T.Fatal(err)
	}
	return string(out)
}

// effects are those of a change from one state to another.
func (s *stage) effects(before, after state) (e methods.Effects) {
	for part, was := range before.parts {
		if after.parts[part] != was {
			e |= part
		}
	}
	gone := func(of, from []string) (out []string) {
		for _, k := range of {
			if !slices.Contains(from, k) {
				out = append(out, k)
			}
		}
		return out
	}
	if before.total != after.total {
		e |= methods.Accounts
	}
	if e&methods.Accounts != 0 && strings.Contains(after.parts[methods.Accounts], "gone") {
		return methods.Accounts // everything of theirs went with the account
	}
	if len(gone(after.sessions, before.sessions))+len(gone(after.tokens, before.tokens))+len(gone(before.tokens, after.tokens)) > 0 {
		e |= methods.Tokens
	}
	for _, key := range gone(before.sessions, after.sessions) {
		if strings.HasPrefix(key, s.admin.ID) {
			e |= methods.Ends
		} else {
			e |= methods.Others
		}
	}
	return e
}

// mute is the connection of a call that no socket carries.
type mute struct{}

func (mute) SetLogin(context.Context, rpc.Login) error { return nil }
func (mute) Unblock()                                  {}

// ddp calls a method as a frame of a socket would.
func (s *stage) ddp(method string, params []byte) error {
	headers := http.Header{}
	for name, value := range s.caller.Header {
		headers.Set(name, value)
	}
	peer := &rpc.Peer{Conn: "socket", Door: rpc.DDP, Address: "127.0.0.1", UserAgent: "rest-test",
		Proof: rpc.HeaderProof(headers)}
	login := rpc.Login{}
	if s.caller.Token != "" {
		login = rpc.Login{UserID: s.caller.ID, Token: accounts.HashToken(s.caller.Token)}
	}
	_, err := s.Router.Method(context.Background(), &rpc.Call{Method: method, Params: params, Peer: peer, Login: login, Session: mute{}})
	return err
}

// envelope calls a method with method.call; the code of its refusal is in the frame.
func (s *stage) envelope(route, method string, params []byte) string {
	s.T.Helper()
	frame, err := ejson.Append(nil, ejson.Doc{{Key: "msg", Value: "method"}, {Key: "id", Value: "1"}, {Key: "method", Value: method},
		{Key: "params", Value: ejson.Raw(params)}})
	if err != nil {
		s.T.Fatal(err)
	}
	a := s.caller.Do("POST", route+strings.ReplaceAll(method, "/", ":"), map[string]any{"message": string(frame)})
	var out struct {
		Error *struct {
			Error any `json:"error"`
		} `json:"error"`
	}
	if text := a.Text("message"); text == "" || json.Unmarshal([]byte(text), &out) != nil {
		return cmp.Or(a.ErrorType(), a.Text("error"), a.Raw)
	}
	if out.Error == nil {
		return ""
	}
	return fmt.Sprint(out.Error.Error)
}

// refusal is the code of a refusal, "" for none.
func refusal(err error) string {
	if err == nil {
		return ""
	}
	f, _ := fault.From(err)
	return f.ID()
}
