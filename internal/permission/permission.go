// Package permission is the table of roles and of what they may do, with the
// names of Rocket.Chat.
//
// Roles and permissions are fixed in code; users carry roles, nothing else. The
// package loads no users and refuses no calls: routers and services ask it.
package permission

import (
	"slices"

	"ddpserver/internal/user"
)

// The roles there are.
const (
	Admin = "admin"
	User  = "user"
	Bot   = "bot"
)

// The permissions that calls ask for.
const (
	CreatePersonalAccessTokens = "create-personal-access-tokens"
	ViewPrivilegedSetting      = "view-privileged-setting"
	EditPrivilegedSetting      = "edit-privileged-setting"
	ManageSelectedSettings     = "manage-selected-settings"
	EditOtherUserTOTP          = "edit-other-user-totp"
	LogoutOtherUser            = "logout-other-user"
	ViewFullOtherUserInfo      = "view-full-other-user-info"
	CreateUser                 = "create-user"
	EditOtherUserInfo          = "edit-other-user-info"
	EditOtherUserPassword      = "edit-other-user-password"
	EditOtherUserAvatar        = "edit-other-user-avatar"
	EditOtherUserActiveStatus  = "edit-other-user-active-status"
	DeleteUser                 = "delete-user"
	AssignRoles                = "assign-roles"
	BypassRateLimit            = "api-bypass-rate-limit"
	ViewUserAdministration     = "view-user-administration"
	AccessPermissions          = "access-permissions"
	// ViewLogs is what Rocket.Chat asks of those who read its log; here of those who read the audit stream.
	ViewLogs = "view-logs"
	// ViewSessions and LogoutSessions are about other people's sessions.
	ViewSessions   = "view-device-management"
	LogoutSessions = "logout-device-management"

	// ViewRoomAdministration is what Rocket.Chat asks of those who make a room one that everybody joins.
	ViewRoomAdministration = "view-room-administration"

	ViewOutsideRoom = "view-outside-room"
	ViewChannels    = "view-c-room"
	ViewGroups      = "view-p-room"
	ViewDirect      = "view-d-room"
	ViewJoined      = "view-joined-room"
	CreateChannels  = "create-c"
	CreateGroups    = "create-p"
	CreateDirect    = "create-d"
	DeleteChannels  = "delete-c"
	DeleteGroups    = "delete-p"
	DeleteDirect    = "delete-d"
	DeleteMessage   = "delete-message"
	EditMessage     = "edit-message"
	EditRoom        = "edit-room"
	PinMessage      = "pin-message"
	PostReadOnly    = "post-readonly"
	SetOwner        = "set-owner"
	SetModerator    = "set-moderator"
	SetLeader       = "set-leader"
	SetReadOnly     = "set-readonly"
	ArchiveRoom     = "archive-room"
	RemoveUser      = "remove-user"
	AddUserToRoom   = "add-user-to-joined-room"
	AddAllToRoom    = "add-all-to-room"
	AddUserToAnyC   = "add-user-to-any-c-room"
	AddUserToAnyP   = "add-user-to-any-p-room"
	MuteUser        = "mute-user"
	MentionAll      = "mention-all"
	MentionHere     = "mention-here"

	CreateInviteLinks = "create-invite-links"
	// ViewModeration is for those who are told what people report.
	ViewModeration = "view-moderation-console"

	DeleteOwnMessage = "delete-own-message"
	ForceDelete      = "force-delete-message"
	// BypassTimeLimit lets messages be edited and deleted however old they are.
	BypassTimeLimit = "bypass-time-limit-edit-and-delete"
	// Impersonate lets messages be shown under another name and picture.
	Impersonate      = "message-impersonate"
	SendManyMessages = "send-many-messages"
	// ManageHooks lets incoming webhooks be made that write as anybody, ManageOwnHooks as oneself.
	ManageHooks    = "manage-incoming-integrations"
	ManageOwnHooks = "manage-own-incoming-integrations"
	LeaveChannels  = "leave-c"
	LeaveGroups    = "leave-p"
)

// Permission says which roles may do something. Roles of a room (owner,
// moderator) count inside that room only.
type Permission struct {
	ID    string
	Roles []string
}

var (
	admins   = []string{Admin}
	members  = []string{Admin, User}
	everyone = []string{Admin, User, Bot}
)

// table is the only place where roles get their rights, ordered by id.
var table = []Permission{
	{AccessPermissions, admins},
	{AddAllToRoom, admins},
	{AddUserToAnyC, admins},
	{AddUserToAnyP, admins},
	{AddUserToRoom, []string{Admin, "owner", "moderator"}},
	{BypassRateLimit, []string{Admin, Bot}},
	{ArchiveRoom, []string{Admin, "owner"}},
	{AssignRoles, admins},
	{BypassTimeLimit, []string{Bot}},
	{CreateChannels, everyone},
	{CreateDirect, everyone},
	{CreateGroups, everyone},
	{CreateInviteLinks, []string{Admin, "owner", "moderator"}},
	{CreatePersonalAccessTokens, members},
	{CreateUser, admins},
	{DeleteChannels, []string{Admin, "owner"}},
	{DeleteDirect, admins},
	{DeleteMessage, []string{Admin, "owner", "moderator"}},
	{DeleteGroups, []string{Admin, "owner"}},
	{DeleteOwnMessage, everyone},
	{DeleteUser, admins},
	{EditMessage, []string{Admin, "owner", "moderator"}},
	{EditOtherUserActiveStatus, admins},
	{EditOtherUserAvatar, admins},
	{EditOtherUserInfo, admins},
	{EditOtherUserPassword, admins},
	{EditOtherUserTOTP, admins},
	{EditPrivilegedSetting, admins},
	{EditRoom, []string{Admin, "owner", "moderator"}},
	{ForceDelete, []string{Admin, "owner"}},
	{LeaveChannels, everyone},
	{LeaveGroups, everyone},
	{LogoutSessions, admins},
	{LogoutOtherUser, admins},
	{ManageHooks, admins},
	{ManageOwnHooks, admins},
	{ManageSelectedSettings, admins},
	{MentionAll, []string{Admin, "owner", "moderator", User}},
	{MentionHere, []string{Admin, "owner", "moderator", User}},
	{Impersonate, []string{Bot}},
	{MuteUser, []string{Admin, "owner", "moderator"}},
	{PinMessage, []string{Admin, "owner", "moderator"}},
	{PostReadOnly, []string{Admin, "owner", "moderator"}},
	{RemoveUser, []string{Admin, "owner", "moderator"}},
	{SendManyMessages, []string{Bot}},
	{SetLeader, []string{Admin, "owner"}},
	{SetModerator, []string{Admin, "owner"}},
	{SetOwner, []string{Admin, "owner"}},
	{SetReadOnly, []string{Admin, "owner"}},
	{ViewChannels, everyone},
	{ViewSessions, admins},
	{ViewDirect, everyone},
	{ViewFullOtherUserInfo, admins},
	{ViewJoined, everyone},
	{ViewModeration, admins},
	{ViewLogs, admins},
	{ViewOutsideRoom, everyone},
	{ViewGroups, everyone},
	{ViewPrivilegedSetting, admins},
	{ViewRoomAdministration, admins},
	{ViewUserAdministration, admins},
}

var byID = func() map[string][]string {
	m := make(map[string][]string, len(table))
	for _, p := range table {
		m[p.ID] = p.Roles
	}
	return m
}()

// ofRooms are the roles that members have in a room.
var ofRooms = func() map[string]bool {
	m := map[string]bool{}
	for _, r := range Roles() {
		m[r.ID] = r.Scope == "Subscriptions"
	}
	return m
}()

// All lists the permissions. The list and its elements must not be changed.
func All() []Permission { return table }

// Known tells whether there is such a permission.
func Known(id string) bool { _, ok := byID[id]; return ok }

// Has tells whether the account, if it is active, may do that. Nobody has a
// permission that does not exist. Roles that members have in a room count there
// only: an account that bears one of their names, as in a database that another
// program has filled, has no rights from it.
func Has(u *user.User, id string) bool {
	return u != nil && u.IsActive() && granted(u.Roles, id, false)
}

// InRoom tells whether one of the roles that a member has in a room may do that
// there. Roles of the server count for nothing here: Has asks the account for them.
func InRoom(roles []string, id string) bool { return granted(roles, id, true) }

func granted(roles []string, id string, room bool) bool {
	for _, r := range byID[id] {
		if ofRooms[r] == room && slices.Contains(roles, r) {
			return true
		}
	}
	return false
}

// CanViewSettings tells whether the account may see settings that are not public.
func CanViewSettings(u *user.User) bool {
	return Has(u, ViewPrivilegedSetting) || Has(u, EditPrivilegedSetting) || Has(u, ManageSelectedSettings)
}

// RoleInfo describes a role for those who list them.
type RoleInfo struct {
	ID, Description string
	// Scope is "Users" for roles of the server and "Subscriptions" for those that
	// members have in a room.
	Scope string
}

// Roles lists the roles of the server and of rooms.
func Roles() []RoleInfo {
	return []RoleInfo{
		{Admin, "Administers the server", "Users"},
		{Bot, "A program that talks by itself", "Users"},
		{"leader", "Is named before the others in a room", "Subscriptions"},
		{"moderator", "Keeps order in a room", "Subscriptions"},
		{"owner", "Runs a room", "Subscriptions"},
		{User, "An ordinary account", "Users"},
	}
}
