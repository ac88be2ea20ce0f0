package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// stranger is somebody who calls what is not for him. roles decide what is; active is
// false for a login that counts for nothing.
type stranger struct {
	client
	roles  []string
	active bool
}

// strangers are everybody who is no administrator: each role there is, each kind of
// token, and logins of administrators that are over in each way. All of them prove
// themselves with a password, so that no factor stands before what is asked here.
func (w *walk) strangers() map[string]stranger {
	w.T.Helper()
	ctx := w.T.Context()
	must := func(err error) {
		w.T.Helper()
		if err != nil {
			w.T.Fatal(err)
		}
	}
	peer := &rpc.Peer{Conn: "test", Door: rpc.REST, Address: "127.0.0.1", UserAgent: "rest-test"}
	n := 0
	account := func(roles ...string) *user.User {
		n++
		u, err := w.Accounts.CreateByOperator(ctx, accounts.OperatorAccount{Username: fmt.Sprint("stranger", n), Password: testkit.Password, Roles: []string{"user"}})
		must(err)
		u, err = w.Store.UpdateUser(ctx, u.ID, user.Change{Roles: &roles, At: time.Now()})
		must(err)
		return u
	}
	session := func(u *user.User) client {
		issued, err := w.Accounts.IssueToken(ctx, peer, u, "password")
		must(err)
		return client{API: w.world, ID: u.ID, Token: issued.Token, Header: map[string]string{"x-2fa-method": "password", "x-2fa-code": testkit.Proof()}}
	}
	account(permission.Admin) // one who stays, for the last administrator cannot go
	all := map[string]stranger{"nobody": {client: client{API: w.world}}}
	for _, role := range permission.Roles() {
		if role.ID != permission.Admin {
			all["a "+role.ID] = stranger{session(account(role.ID)), []string{role.ID}, true}
		}
	}
	for name, bypass := range map[string]bool{"a token": false, "a bypass token": true} {
		u := account(permission.User)
		token, err := w.Accounts.GenerateToken(ctx, peer, u, "bot", bypass)
		must(err)
		c := session(u)
		c.Token = token
		all[name] = stranger{c, u.Roles, true}
	}
	office := []string{permission.Admin, permission.User}
	no := false
	for name, change := range map[string]user.Change{
		"one who was an administrator":    {Roles: &[]string{permission.User}},
		"a deactivated administrator":     {Active: &no},
		"an administrator's ended login":  {RemoveTokens: true},
		"one without a role":              {Roles: &[]string{}},
		"one with the roles of all rooms": {Roles: &[]string{"owner", "moderator"}},
	} {
		u := account(office...)
		c := session(u)
		change.At = time.Now()
		after, err := w.Store.UpdateUser(ctx, u.ID, change)
		must(err)
		all[name] = stranger{c, after.Roles, after.IsActive() && after.LoginToken(accounts.HashToken(c.Token)) != nil}
	}
	mixed := session(account(permission.User))
	mixed.ID = session(account(office...)).ID
	all["another's id beside the own token"] = stranger{client: mixed}
	return all
}

// A23: whoever lacks the permission of a call is refused at every door, whatever the
// parameters; nothing is written, and no word of an account is in the answer. So it is
// with calls that act on others without naming a permission in their line.
func TestA23NobodyWithoutRightsGetsAnything(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{settings.PersonalAccessTokens: "true"})
	refusals := map[bool][]string{
		true: {"not-allowed", "error-not-allowed", "error-action-not-allowed", "not-authorized", "error-unauthorized", "unauthorized",
			"User does not have the permissions required for this action [error-unauthorized]"},
		// Without a living login everybody is told to log in, or no more than the others.
		false: {"error-not-authorized", "You must be logged in to do this.", "403"},
	}
	all, cells := w.strangers(), 0
	unprepared := w.stage(true, false) // nobody writes anything: that is the test
	for _, l := range w.lines() {
		office := l.permission != "" && !permission.Has(&user.User{Roles: []string{permission.User}}, l.permission)
		if !office && l.effects&methods.Others == 0 || l.effects&(methods.Rooms|methods.Messages) != 0 || l.public {
			continue
		}
		for _, c := range l.scenes {
			if c.does == "oneself" || c.proven != "" {
				continue
			}
			s := unprepared
			if c.prep != nil {
				s = w.stage(true, false)
				c.prep(s)
			}
			before := s.guarded()
			for name, who := range all {
				if who.active && l.permission != "" && permission.Has(&user.User{Roles: who.roles}, l.permission) {
					continue
				}
				s.caller = who.client
				for door, do := range l.doors {
					cells++
					w.rec.take()
					code, ops := do(s, c), w.rec.take()
					if !slices.Contains(refusals[true], code) && (who.active || !slices.Contains(refusals[false], code)) {
						t.Errorf("%s %s by %s, %s: %q", l.name, c.does, door, name, code)
					}
					if len(ops) > 0 {
						t.Errorf("%s %s by %s, %s: wrote %v", l.name, c.does, door, name, ops)
					}
				}
			}
			if after := s.guarded(); after != before {
				t.Errorf("%s %s left\n%s, not\n%s", l.name, c.does, after, before)
			}
		}
	}
	if cells < 500 {
		t.Errorf("only %d calls were tried", cells)
	}
}

// A23: what administrators are told is in no answer to anybody else, whatever the table
// says of permissions: every call that reads, over REST and in the envelope of a method ×
// everybody who is no administrator.
func TestA23NoWordOfOthersInAnswers(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{settings.FromEmail: "marked@example.org"})
	w.mark("marked-program")
	all, cells := w.strangers(), 0
	unprepared := w.stage(true, true)
	try := func(what string, s *stage, call func(who stranger) testkit.Answer) {
		for name, who := range all {
			cells++
			a := call(who)
			for _, word := range []string{s.admin.Emails[0].Address, s.other.Emails[0].Address, s.admin.ID + ".", s.other.ID + ".", s.hash, "marked@example.org",
				"marked-program",
				`neverLoggedIn":`, `neverLoggedIn\":`, `goroutines":`, `goroutines\":`, `"mails":`, `\"mails\":`, "$2a$", "$2b$", "hashedToken", "otpauth"} {
				if strings.Contains(a.Raw, word) {
					t.Errorf("%s for %s has %q: %d %.300s", what, name, word, a.Status, a.Raw)
				}
			}
		}
	}
	for _, rt := range w.REST.Routes() {
		if rt.Effects&^(methods.Reads|methods.Others) != 0 {
			continue
		}
		for _, c := range scenesOfRoutes[rt.Verb+" "+rt.Path] {
			s := w.staged(c, unprepared)
			path, body := rt.Path, any(nil)
			if c.path != nil {
				path = c.path(s)
			}
			if c.body != nil {
				body = c.body(s)
			}
			try(rt.Verb+" "+path, s, func(who stranger) testkit.Answer { return who.Do(rt.Verb, path, body) })
			if all, _, query := strings.Cut(path, "?"); query { // the whole of a list
				try(rt.Verb+" "+all, s, func(who stranger) testkit.Answer { return who.Do(rt.Verb, all, body) })
			}
		}
	}
	for _, spec := range w.Router.Specs() {
		if spec.Effects&^(methods.Reads|methods.Others) != 0 {
			continue
		}
		for _, c := range append([]scene{list()}, scenesOfMethods[spec.Name]...) {
			s := w.staged(c, unprepared)
			frame, err := ejson.Append(nil, ejson.Doc{{Key: "msg", Value: "method"}, {Key: "id", Value: "1"}, {Key: "method", Value: spec.Name},
				{Key: "params", Value: append([]any{}, c.params(s)...)}})
			if err != nil {
				t.Fatal(err)
			}
			for _, envelope := range []string{"method.call/", "method.callAnon/"} {
				try(envelope+spec.Name, s, func(who stranger) testkit.Answer {
					return who.Do("POST", envelope+strings.ReplaceAll(spec.Name, "/", ":"), map[string]any{"message": string(frame)})
				})
			}
		}
	}
	if cells < 500 {
		t.Errorf("only %d requests were tried", cells)
	}
}

// staged is the stage of one scene, which is unprepared if nothing has to happen before.
func (w *walk) staged(c scene, unprepared *stage) *stage {
	if c.prep == nil {
		return unprepared
	}
	s := w.stage(true, true)
	c.prep(s)
	return s
}

// mark logs somebody in with a program that no stranger has: its name is in the audit, and
// in the list of all sessions.
func (w *walk) mark(program string) {
	w.T.Helper()
	u := w.Account("marked")
	peer := &rpc.Peer{Conn: "test", Door: rpc.REST, Address: "127.0.0.1", UserAgent: program}
	if _, err := w.Accounts.IssueToken(w.T.Context(), peer, u, "password"); err != nil {
		w.T.Fatal(err)
	}
	if err := w.FlushTrail(); err != nil {
		w.T.Fatal(err)
	}
}
