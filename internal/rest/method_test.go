package rest_test

import (
	"slices"
	"testing"

	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// alone are the routes that no method does under another name.
var alone = []string{
	"GET me", "POST method.call/:method", "POST method.callAnon/:method",
	"POST users.update", "POST users.create", "GET users.info", "GET users.list", "GET users.checkUsernameAvailability",
	"GET settings/:_id", "GET service.configurations", "GET settings.oauth", "GET roles.list", "GET roles.sync", "GET pw.getPolicy",
	"GET moderation.reportsByUsers", "GET moderation.userReports", "GET moderation.reports", "GET moderation.reportInfo",
	"GET moderation.user.reportedMessages", "GET moderation.user.reportsByUserId", "POST moderation.dismissReports", "POST moderation.dismissUserReports",
	"GET rooms.isMember", "GET groups.listAll", "GET rooms.adminRooms", "GET rooms.adminRooms.getRoom", "GET rooms.autocomplete.adminRooms",
	"GET rooms.autocomplete.channelAndPrivate", "GET rooms.autocomplete.channelAndPrivate.withPagination", "GET channels.online", "GET groups.online",
	"GET im.list.everyone", "GET dm.list.everyone",
	"GET rooms.info", "GET subscriptions.getOne", "GET channels.info", "GET groups.info",
	"GET channels.list", "GET channels.list.joined", "GET groups.list", "GET im.list", "GET dm.list",
	"GET channels.messages", "GET groups.messages", "GET im.messages", "GET dm.messages",
	"GET channels.moderators", "GET groups.moderators", "GET rooms.membersOrderedByRole",
	"GET channels.counters", "GET groups.counters", "GET im.counters", "GET dm.counters",
	"GET chat.getThreadMessages", "GET chat.syncThreadsList", "GET chat.syncThreadMessages", "GET chat.getDeletedMessages",
	"GET chat.search", "GET chat.syncMessages", "GET chat.getPinnedMessages", "GET chat.getStarredMessages",
	"POST rooms.media/:rid", "GET rooms.images", "GET channels.images", "GET channels.files", "GET groups.files", "GET im.files", "GET dm.files",
	"GET users.presence", "GET users.getPresence", "GET users.getStatus", "GET users.getAvatar", "GET commands.list", "GET commands.get",
	"GET integrations.get", "GET integrations.list", "GET channels.getIntegrations", "GET groups.getIntegrations",
}

// Whoever puts a method under a second factor means its route as well, so every
// route says which method it stands for, or is listed here because none does
// the same.
func TestEveryRouteNamesItsMethod(t *testing.T) {
	w := newWorld(t, nil)
	for _, rt := range w.REST.Routes() {
		name := rt.Verb + " " + rt.Path
		method := rt.Method
		if _, known := w.Router.Spec(method); method != "" && !known {
			t.Errorf("%s stands for %q, which is no method", name, method)
		}
		if (method == "") != slices.Contains(alone, name) {
			t.Errorf("%s stands for method %q; listed as standing alone: %v", name, method, slices.Contains(alone, name))
		}
	}
}

// The errors of a route are those of its method and its own, each said once; what the
// route leaves out is one that the method has.
func TestErrorsOfRoutesAgreeWithTheirMethods(t *testing.T) {
	w := newWorld(t, nil)
	for _, rt := range w.REST.Routes() {
		name := rt.Verb + " " + rt.Path
		said := map[string]bool{}
		for _, code := range rt.Errors {
			if said[code] {
				t.Errorf("%s says %s twice: its method %s has it", name, code, rt.Method)
			}
			said[code] = true
		}
		m, _ := w.Router.Spec(rt.Method)
		for _, code := range rest.ErrorsOf(m) {
			if code == "too-many-requests" {
				code = "error-too-many-requests"
			}
			if never := slices.Contains(rt.Never, code); said[code] == never {
				t.Errorf("%s: %s of method %s is published: %v; it is said never to be answered: %v", name, code, rt.Method, said[code], never)
			}
		}
		for _, code := range rt.Never {
			if !slices.Contains(rest.ErrorsOf(m), code) {
				t.Errorf("%s never answers %s, which its method %s does not answer either", name, code, rt.Method)
			}
		}
	}
}

// A10: what is open to somebody who must set up a factor first is open by its route
// as well: an application built on REST alone has no other way out.
func TestA10RoutesAreAsOpenAsTheirMethods(t *testing.T) {
	w := newWorld(t, nil)
	for _, rt := range w.REST.Routes() {
		m, ok := w.Router.Spec(rt.Method)
		if ok && m.Enrolment != rt.Enrolment && rt.Auth != rest.NoLogin {
			t.Errorf("%s %s is open to whoever must set up a factor: %v, its method %v", rt.Verb, rt.Path, rt.Enrolment, m.Enrolment)
		}
	}
}

// The administrator names the method; the side door must not stay open.
func TestProtectedAccounts(t *testing.T) {
	for _, c := range []struct {
		method, verb, path string
		body               map[string]any
	}{
		{"saveUserProfile", "POST", "users.updateOwnBasicInfo", map[string]any{"data": map[string]any{"name": "Somebody"}}},
		{"removeOtherTokens", "POST", "users.removeOtherTokens", nil},
		{"deleteUserOwnAccount", "POST", "users.deleteOwnAccount", map[string]any{"password": testkit.Proof()}},
		{"deleteUser", "POST", "users.delete", map[string]any{"username": "bob"}},
		{"setUserActiveStatus", "POST", "users.setActiveStatus", map[string]any{"userId": "x", "activeStatus": false}},
		{"getUsernameSuggestion", "GET", "users.getUsernameSuggestion", nil},
		{"permissions/get", "GET", "permissions.listAll", nil},
		{"private-settings/get", "GET", "settings", nil},
	} {
		for _, list := range []string{c.method, c.path} {
			w := newWorld(t, map[string]string{settings.TwoFactorProtectedCalls: list})
			w.Account("root1", "admin")
			w.Account("bob")
			var body any
			if c.body != nil {
				body = c.body
			}
			root := w.Login("root1")
			if a := root.Do(c.verb, c.path, body); a.Status != 400 || a.ErrorType() != "totp-required" || a.Details()["method"] != "password" {
				t.Errorf("%s with %q protected: %d %s", c.path, list, a.Status, a.Raw)
			}
			if a := root.Proven().Do(c.verb, c.path, body); a.ErrorType() == "totp-required" || a.ErrorType() == "totp-invalid" {
				t.Errorf("%s with %q protected and the proof: %d %s", c.path, list, a.Status, a.Raw)
			}
		}
	}
}
