package settings

import (
	"context"
	"fmt"
)

// The facts that are not the same everywhere.
const (
	// SiteURL is the address of the server.
	SiteURL = "Site_Url"
	// UniqueID names the database; applications remember with it which server they know.
	UniqueID = "uniqueID"
)

// Facts are what Rocket.Chat has settings for, what its applications read at their start,
// and what can only be one thing here: most say that something is not there, so that no
// application shows a button for it. They are listed and read as public settings are, are
// no part of an editor, and nobody saves or forces them. Rocket.Chat's own values of them
// in an adopted database count for nothing, UniqueID excepted.
func Facts(siteURL string) []Definition {
	facts := []Definition{{ID: SiteURL, Default: siteURL}, {ID: UniqueID, Default: "", kept: true}}
	for _, f := range constants {
		facts = append(facts, Definition{ID: f.id, Default: f.value})
	}
	for i, f := range facts {
		facts[i].Fixed, facts[i].Public = true, true
		switch f.Default.(type) {
		case bool:
			facts[i].Type = Boolean
		case int:
			facts[i].Type = Int
		case string:
			facts[i].Type = Text
		default:
			facts[i].Type = "multiSelect"
		}
	}
	return facts
}

// constants are the facts that are the same on every server of this release. Texts are
// empty where Rocket.Chat's mean "as the application has it".
var constants = []struct {
	id    string
	value any
}{
	// Logging in: with a name or an address and a password, and with passkeys.
	{"Accounts_ShowFormLogin", true},
	{"Accounts_EmailOrUsernamePlaceholder", ""},
	{"Accounts_NamePlaceholder", ""},
	{"Accounts_PasswordPlaceholder", ""},
	{"Accounts_ConfirmPasswordPlaceholder", ""},
	{"Accounts_RequirePasswordConfirmation", true},
	{"Accounts_RegistrationForm_LinkReplacementText", ""},
	{"Accounts_iframe_enabled", false},
	{"Accounts_Iframe_api_url", ""},
	{"Accounts_Iframe_api_method", ""},
	{"CAS_enabled", false},
	{"CAS_login_url", ""},
	{"CROWD_Enable", false},
	{"LDAP_Enable", false},
	{"API_Gitlab_URL", ""},

	// What a new password must be like, beside Accounts_Password_Policy_MinLength.
	{"Accounts_Password_Policy_Enabled", true},
	{"Accounts_Password_Policy_MaxLength", 256},
	{"Accounts_Password_Policy_ForbidRepeatingCharacters", false},
	{"Accounts_Password_Policy_ForbidRepeatingCharactersCount", 3},
	{"Accounts_Password_Policy_AtLeastOneLowercase", false},
	{"Accounts_Password_Policy_AtLeastOneUppercase", false},
	{"Accounts_Password_Policy_AtLeastOneNumber", false},
	{"Accounts_Password_Policy_AtLeastOneSpecialCharacter", false},

	// Accounts: a name, no fields of one's own, pictures from nowhere else.
	{"Accounts_AvatarExternalProviderUrl", ""},
	{"Accounts_RoomAvatarExternalProviderUrl", ""},
	{"Accounts_CustomFields", ""},
	{"Accounts_Directory_DefaultView", "channels"},
	{"Number_of_users_autocomplete_suggestions", 5},
	{"UI_Use_Real_Name", false},
	{"UTF8_User_Names_Validation", "[0-9a-zA-Z-_.]+"},

	// Rooms and messages.
	{"UI_Allow_room_names_with_special_chars", false},
	{"Store_Last_Message", true},
	{"Hide_System_Messages", []any{}},
	{"Message_GroupingPeriod", 300},
	{"Message_TimeFormat", "LT"},
	{"Message_TimeAndDateFormat", "LLL"},
	{"API_Embed", false},
	{"AutoTranslate_Enabled", false},
	{"Message_Read_Receipt_Enabled", false},
	{"Message_Read_Receipt_Store_Users", false},
	{"Message_AudioRecorderEnabled", false},
	{"E2E_Enable", false},
	{"E2E_Enabled_Default_PrivateRooms", false},
	{"E2E_Enabled_Mentions", false},
	{"E2E_Enable_Encrypt_Files", false},

	// Files, beside the settings about them.
	{"FileUpload_Restrict_to_room_members", true},
	{"Allow_Save_Media_to_Gallery", true},
	{"CDN_PREFIX", ""},

	// Calls.
	{"VideoConf_Enable_DMs", false},
	{"VideoConf_Enable_Channels", false},
	{"VideoConf_Enable_Groups", false},
	{"VideoConf_Enable_Teams", false},
	{"VoIP_TeamCollab_Ice_Servers", ""},
	{"VoIP_TeamCollab_Ice_Gathering_Timeout", 5000},
	{"Jitsi_Enabled", false},
	{"Jitsi_Domain", ""},
	{"Jitsi_SSL", false},
	{"Jitsi_Enable_Channels", false},
	{"Jitsi_Enable_Teams", false},
	{"Jitsi_Enabled_TokenAuth", false},
	{"Jitsi_URL_Room_Hash", false},
	{"Jitsi_URL_Room_Prefix", ""},

	// What this is not for.
	{"Canned_Responses_Enable", false},
	{"Livechat_allow_manual_on_hold", false},
	{"Livechat_request_comment_when_closing_conversation", false},
	{"Omnichannel_call_provider", ""},
	{"FEDERATION_Enabled", false},
	{"Cloud_Workspace_AirGapped_Restrictions_Remaining_Days", -1},

	// How applications behave. Calls go over the connection, which costs less and is not
	// limited by routes.
	{"API_Use_REST_For_DDP_Calls", false},
	{"Force_Screen_Lock", false},
	{"Force_Screen_Lock_After", 1800},
}

// same tells whether two values of a setting are equal. The fixed ones that are no
// simple values never change.
func (d *Definition) same(a, b any) bool { return d.Fixed && !d.kept || a == b }

// Identify gives the database a name, UniqueID, when it has none
// yet. Of several nodes that do so at once the last one is right, and all of them find it
// as any change of a setting.
func (s *Service) Identify(ctx context.Context, name string) error {
	set, ok := s.current.Load().byID[UniqueID]
	if !ok || set.Stored {
		return nil
	}
	if err := s.opts.Store.SaveSettings(ctx, []Stored{{ID: UniqueID, Value: name, UpdatedAt: stamp(s.opts.Now())}}); err != nil {
		return fmt.Errorf("save %s: %w", UniqueID, err)
	}
	return s.Refresh(ctx)
}
