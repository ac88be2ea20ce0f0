package twofactor

import "strings"

// sentences say what a call does that no factor brings, in the words of the mail with
// its code: "It is asked for … ". A test holds that every call has one that asks for a
// factor without the administrator's list of protected calls.
var sentences = map[string]string{
	"login":                                "to log in",
	"saveUserProfile":                      "to change the profile, the e-mail address or the password",
	"changePassword":                       "to change the password",
	"deleteUserOwnAccount":                 "to delete your account",
	"personalAccessTokens:generateToken":   "to make a personal access token",
	"personalAccessTokens:regenerateToken": "to replace a personal access token",
	"personalAccessTokens:removeToken":     "to remove a personal access token",
	"deleteUser":                           "to delete an account",
	"setUserActiveStatus":                  "to switch an account on or off",
	"users.create":                         "to make an account",
	"users.update":                         "to change an account",
	"users:create":                         "to make an account",
	"users:update":                         "to change an account",
	"users:sendPasswordLink":               "to mail somebody a link to choose a password",
	"users.logout":                         "to end the sessions of an account",
	"users:logout":                         "to end the sessions of an account",
	"saveSetting":                          "to change a setting of the server",
	"saveSettings":                         "to change settings of the server",
	"outbox:list":                          "to read the mails of others",
	"settings:reset":                       "to change settings of the server",
	"addRoomModerator":                     "to make somebody a moderator of a room",
	"addRoomOwner":                         "to make somebody an owner of a room",
	"moderation.dismissReports":            "to dismiss what people reported",
	"findOrCreateInvite":                   "to make a link that lets people into a room",
	"removeInvite":                         "to take back a link that lets people into a room",
	"addAllUserToRoom":                     "to add everybody to a room",
	"addRoomLeader":                        "to make somebody a leader of a room",
	"removeRoomLeader":                     "to take a leader's role in a room",
	"muteUserInRoom":                       "to keep somebody from writing in a room",
	"unmuteUserInRoom":                     "to let somebody write in a room again",
	"removeRoomModerator":                  "to take a moderator's role in a room",
	"removeRoomOwner":                      "to take an owner's role in a room",
	"addUserToRoom":                        "to add somebody to a room",
	"addUsersToRoom":                       "to add people to a room",
	"removeUserFromRoom":                   "to remove somebody from a room",
	"saveRoomSettings":                     "to change a room",
	"archiveRoom":                          "to archive a room",
	"unarchiveRoom":                        "to take a room out of the archive",
	"eraseRoom":                            "to delete a room",
	"sendMessage":                          "to send a message",
	"updateMessage":                        "to change a message",
	"deleteMessage":                        "to delete a message",
	"deleteFileMessage":                    "to delete a file and its message",
	"pinMessage":                           "to pin a message",
	"unpinMessage":                         "to unpin a message",
	"createChannel":                        "to make a channel",
	"createPrivateGroup":                   "to make a private group",
	"createDirectMessage":                  "to start a direct conversation",
	"joinRoom":                             "to join a room",
	"leaveRoom":                            "to leave a room",
	"slashCommand":                         "to run a slash command",
	"addIncomingIntegration":               "to make an incoming webhook",
	"updateIncomingIntegration":            "to change an incoming webhook",
	"regenerateToken":                      "to give an incoming webhook another address",
	"deleteIncomingIntegration":            "to remove an incoming webhook",
	"setUserStatus":                        "to set a status",
	"setAvatarFromService":                 "to change a picture",
	"resetAvatar":                          "to take a picture away",
	"setUsername":                          "to change the user name",
	"removeOtherTokens":                    "to end your other sessions",
	"logoutOtherClients":                   "to end your other sessions",
	"sessions:endAny":                      "to end a session of an account",
}

// Sentence says what a code of that purpose is asked for, as in "to log in"; empty
// when nobody said. known is false for a call of which only the name is told.
func (s *Service) Sentence(purpose string) (text string, known bool) {
	if text, known = sentences[purpose]; known || purpose == "" {
		return text, known
	}
	for _, c := range s.FactorCalls() {
		if c.Sentence != "" && (c.Method == purpose || strings.HasSuffix(c.Route, " "+purpose)) {
			return c.Sentence, true
		}
	}
	return "to carry out the call “" + purpose + "”", false
}
