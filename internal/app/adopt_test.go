//go:build !norooms

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"ddpserver/internal/store/mongotest"
)

// adoptDumps are databases of other programs, made by hand: each collection a list of
// documents in MongoDB's extended JSON. Every account has the password of dumpPassword.
var adoptDumps = filepath.Join("..", "adopt", "testdata")

const dumpPassword = "correct horse"

// loadDump fills a database on an in-process server and returns its configuration.
func loadDump(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(adoptDumps, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var collections map[string]json.RawMessage
	if err := json.Unmarshal(text, &collections); err != nil {
		t.Fatal(err)
	}
	uri := mongotest.Start(t)
	client, err := driver.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	at, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	for collection, raw := range collections {
		var list struct{ Docs []any }
		if err := bson.UnmarshalExtJSON([]byte(`{"docs":`+string(raw)+`}`), false, &list); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Database(strings.TrimPrefix(at.Path, "/")).Collection(collection).InsertMany(t.Context(), list.Docs); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"MONGO_URL=" + uri, "ENCRYPTION_KEY=" + strings.Repeat("ab", 32), "OVERWRITE_SETTING_API_Enable_Rate_Limiter=false"}
}

// checkReport compares the report of a database with the one that is kept.
func checkReport(t *testing.T, name string, env []string) {
	t.Helper()
	r, err := CheckAdoption(t.Context(), load(t, append(env, "DATA_DIR="+t.TempDir())...))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(adoptDumps, name+".report")
	if *update {
		if err := os.WriteFile(path, []byte(r.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.String(); got != string(want) {
		t.Errorf("the report is\n%s, want\n%s", got, want)
	}
	lines := strings.Split(strings.TrimSpace(r.String()), "\n")
	for _, l := range lines {
		if len(l) > 100 {
			t.Errorf("%q is longer than a terminal is wide", l)
		}
	}
	if len(lines) > 24 {
		t.Errorf("the report has %d lines: more than a screen", len(lines))
	}
}

// adoptAnswer is what a client learns of a login or a call over REST.
type adoptAnswer struct {
	Status, Error, ErrorType string
	Success                  bool
	Data                     struct{ UserID, AuthToken string }
	Details                  struct{ Method string }
}

func (n *node) post(t *testing.T, path string, body any, header ...string) (a adoptAnswer) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+n.addr()+"/api/v1/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

// enter logs in with the password of the dumps, and a code where one is given.
func (n *node) enter(t *testing.T, name, code string) adoptAnswer {
	t.Helper()
	body := map[string]any{"user": name, "password": dumpPassword}
	if code != "" {
		body["code"] = code
	}
	return n.post(t, "login", body)
}

// codeOf is the code of an authenticator app now.
func codeOf(t *testing.T, secret string) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// The database of a Meteor app: every second factor is asked for, passwords of both
// kinds open their accounts, and what cannot be honoured stays shut.
func TestAdoptMeteor(t *testing.T) {
	env := loadDump(t, "meteor")
	checkReport(t, "meteor", env)
	n := start(t, t.TempDir(), env...)
	const secret = "XDQXYCP5AC6FA32FQXDGJSPBIDYNKK5W"
	for name, want := range map[string]string{
		"ann": "success", "bob": "totp-required", "cat": "totp-required", "dan": "success", "eve": "Unauthorized", "fay": "success", "gus": "Unauthorized",
		"hal": "totp-required",
	} {
		a := n.enter(t, name, "")
		if got := strings.TrimPrefix(a.Status, "error") + a.Error; got != want || a.Error == "totp-required" && a.Details.Method != "totp" {
			t.Errorf("login of %s: %+v, want %s", name, a, want)
		}
	}
	for name, works := range map[string]bool{"bob": true, "cat": true, "hal": false} {
		if a := n.enter(t, name, "000000"); a.Error != "totp-invalid" {
			t.Errorf("%s with a wrong code: %+v", name, a)
		}
		code := codeOf(t, secret)
		if a := n.enter(t, name, code); (a.Status == "success") != works {
			t.Errorf("%s with a right code: %+v", name, a)
		}
		if a := n.enter(t, name, code); a.Status == "success" {
			t.Errorf("%s passed twice with one code", name)
		}
	}
	if logs := n.logs.String(); strings.Count(logs, `"authenticator apps of Meteor`) != 1 || strings.Contains(logs, secret) {
		t.Error("the first start does not tell what it adopted, or tells a secret")
	}
	again := start(t, t.TempDir(), env...)
	if strings.Contains(again.logs.String(), "authenticator apps of Meteor") {
		t.Error("the second start tells it again")
	}
	if a := again.enter(t, "bob", ""); a.Error != "totp-required" {
		t.Errorf("after a login the factor is gone: %+v", a)
	}
}

// Ids that no part of the server can name are told before anything is changed.
func TestAdoptObjectIDs(t *testing.T) {
	env := loadDump(t, "objectid")
	checkReport(t, "objectid", env)
	n := &node{logs: &output{}, out: &output{}}
	_, err := New(t.Context(), Options{Config: load(t, append(env, "DATA_DIR="+t.TempDir())...), Logger: zap.NewNop(), Out: n.out})
	if err == nil || !strings.Contains(err.Error(), "ObjectIDs as _id") || !strings.Contains(err.Error(), "adopt --check") {
		t.Errorf("the start: %v", err)
	}
}

// The database of Rocket.Chat: factors are asked for, roles that must have one cannot
// act without, forced changes of passwords and closed doors stay, and rooms are as
// closed as they were.
func TestAdoptRocketChat(t *testing.T) {
	env := loadDump(t, "rocketchat")
	checkReport(t, "rocketchat", env)
	n := start(t, t.TempDir(), env...)
	if strings.Contains(n.out.String(), "Administrator:") {
		t.Error("an administrator was made beside the one that is there")
	}
	logged := map[string][]string{}
	for name, want := range map[string]string{
		"root": "totp-required", "tom": "totp-required", "mia": "totp-required", "lea": "success", "ben": "success", "uma": "success",
		"pat": "error-password-change-required", "ida": "Unauthorized", "lis": "Unauthorized",
	} {
		a := n.enter(t, name, "")
		if got := strings.TrimPrefix(a.Status, "error") + a.Error; got != want {
			t.Errorf("login of %s: %+v, want %s", name, a, want)
		}
		logged[name] = []string{"X-User-Id", a.Data.UserID, "X-Auth-Token", a.Data.AuthToken}
	}
	if a := n.enter(t, "root", codeOf(t, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")); a.Status != "success" {
		t.Errorf("root with a code: %+v", a)
	}
	for _, c := range []struct {
		who, path string
		body      map[string]any
		want      string
	}{
		{"lea", "channels.join", map[string]any{"roomId": "GENERAL"}, "error-two-factor-setup-required"},
		{"ben", "channels.join", map[string]any{"roomId": "locked"}, "error-code-required"},
		{"ben", "channels.join", map[string]any{"roomId": "locked", "joinCode": "guess"}, "error-code-invalid"},
		{"ben", "channels.join", map[string]any{"roomId": "locked", "joinCode": "sesame"}, ""},
		{"uma", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "quiet", "msg": "x"}}, "error-not-allowed"},
		{"uma", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "sealed", "msg": "x"}}, "error-not-allowed"},
		{"uma", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "benIdumaId", "msg": "x"}}, "error-not-allowed"},
		{"ben", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "benIdumaId", "msg": "x"}}, "error-not-allowed"},
		{"ben", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "notices", "msg": "x"}}, ""},
		{"uma", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "council", "msg": "x"}}, "error-not-allowed"},
		{"uma", "chat.sendMessage", map[string]any{"message": map[string]any{"rid": "GENERAL", "msg": "x"}}, ""},
		{"", "users.register", map[string]any{"username": "zoe", "email": "zoe@example.org", "pass": "secret zoe", "name": "Zoe"}, "error-user-registration-secret"},
		{"", "users.register", map[string]any{"username": "zoe", "email": "zoe@example.org", "pass": "secret zoe", "name": "Zoe", "secretURL": "kQ3Sesame"}, ""},
	} {
		a := n.post(t, c.path, c.body, logged[c.who]...)
		if a.ErrorType != c.want || a.Success != (c.want == "") {
			t.Errorf("%s of %q with %v: %+v, want %q", c.path, c.who, c.body, a, c.want)
		}
	}
}
