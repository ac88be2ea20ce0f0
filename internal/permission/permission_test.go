package permission

import (
	"slices"
	"testing"

	"ddpserver/internal/user"
)

func TestHas(t *testing.T) {
	off := false
	for _, c := range []struct {
		name string
		u    *user.User
		id   string
		want bool
	}{
		{"nobody", nil, CreateChannels, false},
		{"no role", &user.User{}, CreateChannels, false},
		{"user", &user.User{Roles: []string{User}}, CreatePersonalAccessTokens, true},
		{"bot", &user.User{Roles: []string{Bot}}, CreatePersonalAccessTokens, false},
		{"user, administrator's right", &user.User{Roles: []string{User}}, EditPrivilegedSetting, false},
		{"administrator", &user.User{Roles: []string{User, Admin}}, EditPrivilegedSetting, true},
		{"administrator, switched off", &user.User{Roles: []string{Admin}, Active: &off}, EditPrivilegedSetting, false},
		{"unknown right", &user.User{Roles: []string{Admin}}, "fly", false},
		{"room's role", &user.User{Roles: []string{"owner"}}, AddUserToRoom, false},
	} {
		if got := Has(c.u, c.id); got != c.want {
			t.Errorf("%s: %s = %v", c.name, c.id, got)
		}
	}
}

// Every permission stands once in the table, and administrators have all but
// those that are made for programs.
func TestTable(t *testing.T) {
	if len(byID) != len(table) {
		t.Error("a permission stands twice in the table")
	}
	roles := []string{Admin, User, Bot, "owner", "moderator"}
	for _, p := range All() {
		if len(p.Roles) == 0 {
			t.Errorf("nobody has %s", p.ID)
		}
		for _, r := range p.Roles {
			if !slices.Contains(roles, r) {
				t.Errorf("%s names role %s, which does not exist", p.ID, r)
			}
		}
	}
	for _, id := range []string{
		"create-personal-access-tokens", "edit-privileged-setting", "view-privileged-setting", "manage-selected-settings",
		"edit-other-user-totp", "logout-other-user", "view-full-other-user-info", "create-user", "edit-other-user-info",
		"edit-other-user-active-status", "delete-user", "api-bypass-rate-limit",
	} {
		if !Known(id) || !Has(&user.User{Roles: []string{Admin}}, id) {
			t.Errorf("administrators lack %s", id)
		}
	}
}

// A role counts where it belongs, whatever an account or a membership bears that another
// program has written: those of the server everywhere, those of members in their room.
func TestRolesCountInTheirScope(t *testing.T) {
	for _, role := range Roles() {
		for _, p := range All() {
			named, room := slices.Contains(p.Roles, role.ID), role.Scope == "Subscriptions"
			if got := Has(&user.User{Roles: []string{role.ID}}, p.ID); got != (named && !room) {
				t.Errorf("an account with the role %s: %s = %v", role.ID, p.ID, got)
			}
			if got := InRoom([]string{role.ID}, p.ID); got != (named && room) {
				t.Errorf("a member with the role %s: %s = %v", role.ID, p.ID, got)
			}
		}
	}
}
