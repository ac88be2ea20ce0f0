package rest_test

import (
	"testing"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// U5: what clients send with null in it does what it says without.
func TestCallsWithNulls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{settings.TwoFactorRememberFor: "300"})
	w.Account("root1", "admin")
	w.Account("bob")
	for _, body := range []map[string]any{
		{"user": "root1", "password": testkit.Password, "code": nil},
		{"user": nil, "username": "root1", "password": testkit.Password, "resume": nil, "totp": nil},
		{"user": map[string]any{"username": "root1"}, "password": testkit.Password, "totp": nil},
		{"totp": map[string]any{"login": map[string]any{"user": map[string]any{"username": "root1"}, "password": testkit.Password}, "code": nil}},
	} {
		if a := w.Caller().Do("POST", "login", body); a.Status != 200 || a.Doc("data")["authToken"] == nil {
			t.Errorf("login %v: %d %s", body, a.Status, a.Raw)
		}
	}
	root := w.Login("root1")
	made := root.Proven().OK("POST", "users.create", map[string]any{"name": "New", "username": "new1", "email": "new1@example.org", "password": "correct horse",
		"roles": nil, "verified": nil, "active": nil, "customFields": nil, "setRandomPassword": nil}).Doc("user")
	if roles, _ := made["roles"].([]any); len(roles) != 1 || roles[0] != "user" || made["active"] != true {
		t.Errorf("users.create: %v", made)
	}
	changed := root.Proven().OK("POST", "users.update", map[string]any{"userId": made["_id"], "data": map[string]any{"name": "Other", "roles": nil, "email": nil,
		"active": nil, "username": nil}}).Doc("user")
	if changed["name"] != "Other" || changed["username"] != "new1" || changed["active"] != true {
		t.Errorf("users.update: %v", changed)
	}
	own := root.OK("POST", "users.updateOwnBasicInfo", map[string]any{"data": map[string]any{"name": "Root", "email": nil, "newPassword": nil, "username": nil},
		"customFields": nil}).Doc("user")
	if own["name"] != "Root" || own["username"] != "root1" {
		t.Errorf("users.updateOwnBasicInfo: %v", own)
	}
	token := root.Proven().OK("POST", "users.generatePersonalAccessToken", map[string]any{"tokenName": "t", "bypassTwoFactor": nil, "expiresInDays": nil,
		"allowedAddresses": nil}).Text("token")
	if list := root.OK("GET", "users.getPersonalAccessTokens", nil).Column("tokens", "bypassTwoFactor"); token == "" || list != "false" {
		t.Errorf("tokens: %s", list)
	}
	if !testkit.WithRooms {
		return
	}
	lobby := root.OK("POST", "channels.create", map[string]any{"name": "lobby", "members": nil, "readOnly": nil, "extraData": nil}).Doc("channel")
	if lobby["name"] != "lobby" || lobby["ro"] != false || lobby["usersCount"] != 1.0 {
		t.Errorf("channels.create: %v", lobby)
	}
	sent := root.OK("POST", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": lobby["_id"], "msg": "sent", "tmid": nil, "_id": nil, "alias": nil,
		"emoji": nil, "avatar": nil, "attachments": nil, "ts": nil, "groupable": nil, "bot": nil, "drid": nil}, "previewUrls": nil}).Doc("message")
	posted := root.OK("POST", "chat.postMessage", map[string]any{"roomId": nil, "channel": "#lobby", "text": "posted", "msg": nil, "alias": nil, "emoji": nil,
		"avatar": nil, "attachments": nil, "bot": nil, "groupable": nil}).Doc("message")
	for want, m := range map[string]map[string]any{"sent": sent, "posted": posted} {
		if m["msg"] != want || m["_id"] == "" || m["alias"] != nil || m["attachments"] != nil || m["rid"] != lobby["_id"] {
			t.Errorf("%s: %v", want, m)
		}
	}
	number := root.OK("POST", "chat.postMessage", map[string]any{"roomId": lobby["_id"], "text": 42}).Doc("message")
	if number["msg"] != "42" {
		t.Errorf("a number as text: %v", number)
	}
	root.OK("POST", "users.setStatus", map[string]any{"status": "busy", "message": "here"})
	root.OK("POST", "users.setStatus", map[string]any{"status": "away", "message": nil})
	if a := root.OK("GET", "users.getStatus", nil); a.Text("message") != "here" {
		t.Errorf("a status without a sentence took it: %s", a.Raw)
	}
	root.OK("POST", "chat.react", map[string]any{"messageId": sent["_id"], "emoji": ":smile:", "shouldReact": nil, "reaction": nil})
	shown := root.OK("GET", "chat.getMessage?msgId="+sent["_id"].(string), nil).Doc("message")
	if reactions, _ := shown["reactions"].(map[string]any); reactions[":smile:"] == nil {
		t.Errorf("chat.react toggles: %v", shown)
	}
	root.OK("POST", "channels.invite", map[string]any{"roomId": lobby["_id"], "roomName": nil, "userId": nil, "username": "bob", "usernames": nil, "userIds": nil})
}
