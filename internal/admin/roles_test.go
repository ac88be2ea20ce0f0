package admin_test

import (
	"strings"
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// Roles are listed with who has them, by those who see accounts; what a new password must be like, by anybody.
func TestRolesAndPasswordPolicy(t *testing.T) {
	w := testkit.NewAPI(t, testkit.Options{})
	w.Account("root", "admin")
	w.Account("ann")
	w.Account("bob", "bot")
	root, ann := w.Login("root"), w.Login("ann")
	a := root.OK("GET", "roles.getUsersInRole?role=bot", nil)
	if a.Column("users", "username") != "bob" || a.Body["total"] != 1.0 {
		t.Error(a.Raw)
	}
	if a := root.OK("GET", "roles.getUsersInRole?role=user&count=2&offset=1", nil); a.Column("users", "username") != "bob root" || a.Body["total"] != 3.0 {
		t.Error(a.Raw)
	}
	for _, role := range []string{"owner", "none"} {
		root.Refused("error-invalid-role", "GET", "roles.getUsersInRole?role="+role, nil)
	}
	root.Refused("error-invalid-params", "GET", "roles.getUsersInRole?role=user&roomId=GENERAL", nil)
	if a := ann.Do("GET", "roles.getUsersInRole?role=bot", nil); a.Status != 403 || strings.Contains(a.Raw, "bob") {
		t.Error(a.Raw)
	}
	all, none := ann.OK("GET", "roles.sync", nil), ann.OK("GET", "roles.sync?updatedSince=2100-01-01T00:00:00Z", nil)
	if !strings.Contains(all.Raw, `"_id":"admin"`) || !strings.Contains(none.Raw, `{"update":[],"remove":[]}`) {
		t.Error(all.Raw, none.Raw)
	}
	w.Set(settings.PasswordMinLength, 9)
	stranger := &testkit.Caller{API: w}
	want := `[["get-password-policy-minLength",{"minLength":9}],["get-password-policy-maxLength",{"maxLength":256}]]`
	if a := stranger.OK("GET", "pw.getPolicy", nil); !strings.Contains(a.Raw, want) {
		t.Error(a.Raw)
	}
}
