package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// load reads a configuration outside the repository, so that no file is found by chance.
func load(t *testing.T, env []string, args ...string) (*Config, []string, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	return loadHere(t, env, args...)
}

func loadHere(t *testing.T, env []string, args ...string) (*Config, []string, error) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(Source{Environ: env, Flags: fs})
}

func mustLoad(t *testing.T, env []string, args ...string) *Config {
	t.Helper()
	c, _, err := load(t, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaultsAreValid(t *testing.T) {
	c := mustLoad(t, nil)
	if c.RootURL != "http://localhost:3000" || c.MailFrom != "ddpserver@localhost" || c.AuditFile != filepath.Join("data", "audit.log") {
		t.Errorf("derived values: %q %q %q", c.RootURL, c.MailFrom, c.AuditFile)
	}
}

// The committed file must say the truth: every key, each equal to the default.
func TestExampleFileEqualsDefaults(t *testing.T) {
	want := mustLoad(t, nil)
	name := repo(t, "configs/ddpserver.yaml")
	got := mustLoad(t, nil, "--config", name)
	if got.File != name {
		t.Errorf("File = %q", got.File)
	}
	got.File = ""
	if d := cmp.Diff(fmt.Sprintf("%+v", *want), fmt.Sprintf("%+v", *got)); d != "" {
		t.Errorf("configs/ddpserver.yaml differs from the defaults:\n%s", d)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields(want) {
		at := strings.Index(string(text), "\n"+f.key+":")
		if at < 0 {
			t.Errorf("%s is missing in configs/ddpserver.yaml", f.key)
			continue
		}
		if !strings.Contains(string(text[:at]), "#") {
			t.Errorf("%s is not explained", f.key)
		}
	}
}

func TestHardenedFile(t *testing.T) {
	c := mustLoad(t, nil, "--config", repo(t, "configs/hardened.yaml"))
	if got := c.Settings["Accounts_TwoFactorAuthentication_Email_Private_Answers"]; got != "true" {
		t.Errorf("private answers = %q, want true", got)
	}
	if len(c.AllowedOrigins) != 0 {
		t.Errorf("allowed origins = %v, want none besides the own one", c.AllowedOrigins)
	}
}

func TestOrderOfSources(t *testing.T) {
	file := write(t, "port: 4001\nlog_level: debug\ndata_dir: /from/file\nsettings:\n  A: 1\n  B: two\n")
	env := []string{"DDPSERVER_CONFIG=" + file, "PORT=4002", "LOG_LEVEL=", "DATA_DIR=/from/env", "OVERWRITE_SETTING_B=three", "OVERWRITE_SETTING_C=x=y"}
	c := mustLoad(t, env, "--data-dir", "/from/flag", "--settings", "C=z", "--settings", "D=true")
	if c.Port != 4002 || c.LogLevel != "debug" || c.DataDir != "/from/flag" {
		t.Errorf("port %d, level %s, dir %s", c.Port, c.LogLevel, c.DataDir)
	}
	want := map[string]string{"A": "1", "B": "three", "C": "z", "D": "true"}
	if d := cmp.Diff(want, c.Settings); d != "" {
		t.Error(d)
	}
	if v, ok := c.Environ("OVERWRITE_SETTING_C"); !ok || v != "x=y" {
		t.Errorf("Environ = %q, %v", v, ok)
	}
}

// Every key must be settable under its three spellings, and mean the same.
func TestEveryKeyHasThreeSpellings(t *testing.T) {
	samples := map[reflect.Type]string{
		reflect.TypeFor[int]():           "24",
		reflect.TypeFor[bool]():          "true",
		reflect.TypeFor[Bytes]():         "512KiB",
		reflect.TypeFor[time.Duration](): "9s",
		reflect.TypeFor[[]string]():      "10.0.0.1",
	}
	special := map[string]string{
		"bind_ip": "127.0.0.2", "root_url": "https://x.example/p", "mongo_url": "mongodb://u:p@h/d", "admin_email": "a@b.c",
		"encryption_key": strings.Repeat("ab", 32), "encryption_key_old": strings.Repeat("cd", 32), "mail_url": "smtp://h", "mail_from": "a@b.c",
		"metrics_addr": "127.0.0.1:1", "api_level": "9.10.11", "transporter": "nats://u:p@h", "files_url": "file:///srv/files",
		"log_level": "warn", "max_depth": "48", "log_format": "json", "allowed_origins": "https://a.example",
	}
	d := Default()
	for _, f := range fields(&d) {
		value := special[f.key]
		if value == "" {
			value = samples[f.v.Type()]
		}
		if value == "" {
			value = "some-text"
		}
		extra := []string{"ENCRYPTION_KEY=" + special["encryption_key"]}
		var shown []string
		for _, how := range []struct {
			env  []string
			args []string
		}{
			{env: []string{f.env() + "=" + value}},
			{args: []string{"--" + f.flag() + "=" + value}},
			{args: []string{"--config", write(t, f.key+": \""+value+"\"\n")}},
		} {
			env := append(how.env, extra...)
			if f.key == "encryption_key" {
				env = how.env
			}
			if f.key == "transporter" {
				env = append(env, "MONGO_URL="+special["mongo_url"])
			}
			c, _, err := load(t, env, how.args...)
			if err != nil {
				t.Errorf("%s: %v", f.key, err)
				continue
			}
			if equal := mustLoad(t, extra); cmp.Equal(valueOf(c, f.key), valueOf(equal, f.key)) && f.key != "encryption_key" {
				t.Errorf("%s = %q had no effect through %v", f.key, value, how)
			}
			shown = append(shown, fmt.Sprint(valueOf(c, f.key)))
		}
		if len(shown) == 3 && (shown[0] != shown[1] || shown[1] != shown[2]) {
			t.Errorf("%s: spellings differ: %q", f.key, shown)
		}
	}
}

func TestSecretsFromFilesAndNeverShown(t *testing.T) {
	pass := write(t, "tr0ub4dor&3\n")
	c := mustLoad(t, []string{"ADMIN_PASS=older"}, "--admin-pass-file", pass)
	if got := c.AdminPass.Reveal(); got != "tr0ub4dor&3" {
		t.Errorf("AdminPass = %q: the flag must win and the line break go", got)
	}
	if s := fmt.Sprintf("%v %+v %#v", c.AdminPass, c.Admin, c.AdminPass); strings.Contains(s, "tr0ub4dor") {
		t.Errorf("the password is printed: %s", s)
	}
	_, _, err := load(t, []string{"ADMIN_PASS=a", "ADMIN_PASS_FILE=" + pass})
	if err == nil || !strings.Contains(err.Error(), "ADMIN_PASS and ADMIN_PASS_FILE are both set") {
		t.Errorf("both spellings in one place: %v", err)
	}
	for _, bad := range []string{
		"MAIL_URL=smtp://user:hunter2%zz@h", "MONGO_URL=postgres://u:hunter2@h", "ENCRYPTION_KEY=hunter2", "TRANSPORTER=redis://u:hunter2@h",
	} {
		if _, _, err := load(t, []string{bad}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v must exist and hide the secret", bad, err)
		}
	}
}

func TestEachProblemNamesTheKeyAndTheCure(t *testing.T) {
	for _, tc := range []struct{ env, want string }{
		{"PORT=70000", "PORT in the environment: 70000 is out of range; write a whole number from 0 to 65535"},
		{"PORT=http", `PORT in the environment: "http" is not a whole number`},
		{"BIND_IP=everywhere", "BIND_IP: \"everywhere\" is no address"},
		{"ROOT_URL=chat.example.com", "ROOT_URL: its scheme is"},
		{"API_LEVEL=8.5", `API_LEVEL: "8.5" is no version; write three numbers`},
		{"API_LEVEL=v8.5.0", "API_LEVEL: "},
		{"API_LEVEL=8.5.0-rc.1", "API_LEVEL: "},
		{"API_LEVEL=08.5.0", "API_LEVEL: "},
		{"ROOT_URL=ftp://x", "ROOT_URL: its scheme is \"ftp\""},
		{"ROOT_URL=https://u:p@x", "ROOT_URL: it has a user, query or fragment"},
		{"ROOT_URL=https:///x", "ROOT_URL: it names no host"},
		{"MONGO_URL=mongodb://h/d", "ENCRYPTION_KEY: it is missing"},
		{"TRANSPORTER=nats://h", "TRANSPORTER: it is set, and the embedded store serves one node, which has nobody to tell; set MONGO_URL"},
		{"TRANSPORTER=polling", "TRANSPORTER: it is set, and the embedded store serves one node, which has nobody to tell; set MONGO_URL"},
		{"TRANSPORTER=TCP", "TRANSPORTER: it names something that is no NATS server; write nats://host:4222"},
		{"TRANSPORTER=monolith+nats://h", "TRANSPORTER: it names something that is no NATS server; write nats://host:4222"},
		{"TRANSPORTER=nats://h,h2", "TRANSPORTER: it names something that is no NATS server; write nats://host:4222"},
		{"MONGO_URL=localhost:27017", "MONGO_URL: it is no MongoDB connection string"},
		{"ENCRYPTION_KEY=short", "ENCRYPTION_KEY: the server key must be 32 bytes"},
		{"ENCRYPTION_KEY_FILE=/does/not/exist", "ENCRYPTION_KEY_FILE: /does/not/exist cannot be read (no such file or directory)"},
		{"MAIL_URL=http://h", "MAIL_URL: its scheme is \"http\"; write smtp://"},
		{"MAIL_URL=smtp://", "MAIL_URL: it names no host"},
		{"MAIL_FROM=nobody", "MAIL_FROM: \"nobody\" is no mail address"},
		{"ADMIN_USERNAME=a b", "ADMIN_USERNAME: \"a b\" is no user name"},
		{"ADMIN_EMAIL=Bob <b@c.d>", "ADMIN_EMAIL:"},
		{"TRUSTED_PROXIES=10.0.0.0/8,proxy", "TRUSTED_PROXIES: \"proxy\" is no address or network"},
		{"ALLOWED_ORIGINS=app.example.com", "ALLOWED_ORIGINS: \"app.example.com\" is no origin"},
		{"ALLOWED_ORIGINS=android:apk-key-hash:AAAA", "ALLOWED_ORIGINS: \"android:apk-key-hash:AAAA\" is no origin"},
		{"METRICS_ADDR=9464", "METRICS_ADDR: \"9464\" is no address"},
		{"LOG_LEVEL=loud", "LOG_LEVEL in the environment: \"loud\" is none of the words it may be; write one of debug, info, warn, error"},
		{"CONNECT_TIMEOUT=45", "CONNECT_TIMEOUT in the environment: \"45\" is not a time; write a time such as"},
		{"MAX_MESSAGE_BYTES=1Mb", "MAX_MESSAGE_BYTES in the environment: \"1Mb\" is not a size"},
		{"MAX_MESSAGE_BYTES=1023", "is out of range; write a size such as 512KiB, 1MiB or a number of bytes from 1KiB to"},
		{"MAX_DEPTH=20", "MAX_DEPTH_LOGGED_OUT: 32 is more than MAX_DEPTH (20)"},
		{"DDPSERVER_CONFIG=/does/not/exist.yaml", "/does/not/exist.yaml cannot be read"},
		{"ADMIN_NAME=a\nb", "ADMIN_NAME in the environment: write it on one line"},
	} {
		_, _, err := load(t, []string{tc.env})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\n got %v\nwant … %s …", tc.env, err, tc.want)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	file := write(t, "prot: 1\nPORT: 3\nlog_level: [a]\nsettings:\n  X: [1]\n")
	_, _, err := load(t, []string{"GOGC=1", "BIND_IP=x"}, "--config", file, "--settings", "oops")
	p, ok := err.(Problems)
	if !ok || len(p) != 7 {
		t.Fatalf("want seven problems, got %d:\n%v", len(p), err)
	}
	if !strings.Contains(err.Error(), "PORT in "+file+" is no known key: remove it, or write port") {
		t.Errorf("no suggestion for a misspelt key:\n%v", err)
	}
	_, _, err = load(t, []string{"BIND_IP=x", "ROOT_URL=y", "MAIL_URL=z", "METRICS_ADDR=w", "ADMIN_EMAIL=v"})
	if p, _ := err.(Problems); len(p) != 5 {
		t.Errorf("want five problems, got:\n%v", err)
	}
}

func TestBrokenFiles(t *testing.T) {
	for _, text := range []string{"port: 1\nport: 2\n", "- a\n- b\n", "port: {", "a: \x00"} {
		if _, _, err := load(t, nil, "--config", write(t, text)); err == nil || !strings.Contains(err.Error(), "is not valid YAML") {
			t.Errorf("%q: %v", text, err)
		}
	}
	c := mustLoad(t, nil, "--config", write(t, "# nothing\n"))
	if c.Port != 3000 {
		t.Errorf("an empty file must change nothing: port %d", c.Port)
	}
}

func TestDefaultFileIsFound(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("configs", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(DefaultFile, []byte("port: 4321\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := loadHere(t, nil)
	if err != nil || c.Port != 4321 || c.File != DefaultFile {
		t.Errorf("port and file = %+v, error %v", c, err)
	}
}

func TestWordsAndWarnings(t *testing.T) {
	c := mustLoad(t, []string{"GOGC=off", "GOMEMLIMIT=512MiB", "TRUSTED_PROXIES=10.0.0.1, 10.1.0.0/16", "LOG_FORMAT=JSON", "ROOT_URL=https://x.example/chat/"})
	if c.GOGC != -1 || c.GOMemLimit != 512<<20 || len(c.TrustedProxies) != 2 || c.LogFormat != "json" || c.RootURL != "https://x.example/chat" {
		t.Errorf("%+v", c)
	}
	for env, want := range map[string]string{
		"HTTP_FORWARDED_COUNT=1":                          "TRUSTED_PROXIES names nobody",
		"TRUSTED_PROXIES=10.0.0.1":                        "HTTP_FORWARDED_COUNT is 0",
		"METRICS_ADDR=0.0.0.0:9464":                       "beyond this machine",
		"HTTP_FORWARDED_COUNT=2 TRUSTED_PROXIES=10.0.0.1": "the address of every proxy belongs there",
	} {
		if _, w, err := load(t, strings.Fields(env)); err != nil || len(w) != 1 || !strings.Contains(w[0], want) {
			t.Errorf("%s: warnings %q, error %v", env, w, err)
		}
	}
}

func TestRootURLFollowsATakenPort(t *testing.T) {
	c := mustLoad(t, []string{"PORT=0"})
	c.UsePort(40123)
	if c.RootURL != "http://localhost:40123" {
		t.Errorf("RootURL = %q", c.RootURL)
	}
	c = mustLoad(t, []string{"PORT=0", "ROOT_URL=https://x.example"})
	c.UsePort(40123)
	if c.RootURL != "https://x.example" {
		t.Errorf("a RootURL that was set must stay, got %q", c.RootURL)
	}
}

func valueOf(c *Config, key string) any {
	for _, f := range fields(c) {
		if f.key == key {
			v := f.v.Interface()
			if s, ok := v.(interface{ Reveal() string }); ok {
				return s.Reveal()
			}
			return v
		}
	}
	return nil
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// source is the directory of this package; tests change the working directory.
var source, _ = os.Getwd()

func repo(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(source, "..", "..", name)
}
