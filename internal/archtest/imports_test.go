package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "ddpserver"

// allowed says what each package may import of ours, besides what those imports
// may (docs/architecture.md draws it). A package that is not listed fails: a new
// package needs a place in the picture. Test files may import what they like.
var allowed = map[string][]string{
	"internal/fault": {}, "internal/dberr": {}, "internal/random": {}, "internal/user": {"internal/feed"}, "internal/feed": {}, "internal/secret": {},
	"internal/netkey": {}, "internal/budget": {}, "internal/lines": {},
	"internal/audit":  {"internal/secret", "internal/lines"},
	"internal/ejson":  {},
	"internal/config": {"internal/secret"},

	"internal/rpc":        {"internal/fault", "internal/ejson", "internal/random", "internal/user"},
	"internal/permission": {"internal/user"},
	"internal/ratelimit":  {"internal/fault", "internal/netkey"},
	"internal/settings":   {"internal/fault", "internal/feed", "internal/permission"},
	"internal/passkey":    {"internal/ejson", "internal/user"}, "internal/passkey/passkeytest": {},
	"internal/telemetry": {"internal/secret", "internal/lines"},

	"internal/ddp/wire":    {},
	"internal/ddp/ws":      {"internal/ddp", "internal/ddp/wire", "internal/rpc"},
	"internal/ddp":         {"internal/ddp/wire", "internal/rpc", "internal/fault", "internal/ejson", "internal/random", "internal/netkey", "internal/budget"},
	"internal/ddp/ddptest": {"internal/ddp", "internal/ddp/wire", "internal/rpc", "internal/ejson", "internal/fault"},
	"internal/sockjs": {"internal/ddp", "internal/ddp/wire", "internal/ddp/ws", "internal/rpc", "internal/random", "internal/ejson", "internal/netkey",
		"internal/budget"},
	"internal/feed/feedtest": {"internal/feed", "internal/testwait"},
	"internal/feed/natsfeed": {"internal/feed", "internal/secret"},
	"internal/feed/natstest": {"internal/testwait"},
	"internal/accounts":      domain,
	"internal/twofactor":     append([]string{"internal/passkey"}, domain...),
	"internal/mail":          domain,
	"internal/serverkey":     {"internal/secret", "internal/dberr"},
	"internal/adopt":         {"internal/accounts", "internal/twofactor", "internal/settings", "internal/user"},
	"internal/mail/mailtest": {"internal/testwait"},
	"internal/rooms":         append([]string{"internal/rooms/md", "internal/rooms/blob"}, domain...),
	"internal/rooms/md":      {"internal/ejson"},
	"internal/rooms/blob":    {"internal/dberr", "internal/random"},
	"internal/sessions":      domain,
	"internal/sessions/calls": {"internal/sessions", "internal/methods", "internal/rest", "internal/rest/schema", "internal/rpc", "internal/twofactor",
		"internal/permission", "internal/fault", "internal/ejson", "internal/user"},

	"internal/rooms/sqlite": {"internal/rooms", "internal/store/sqlite", "internal/store/document", "internal/dberr", "internal/user"},
	"internal/rooms/mongo":  {"internal/rooms", "internal/store/mongo", "internal/store/document", "internal/dberr", "internal/random", "internal/user"},
	"internal/rooms/calls": {"internal/rooms", "internal/methods", "internal/rest", "internal/rest/schema", "internal/rpc", "internal/settings",
		"internal/ratelimit", "internal/audit",
		"internal/twofactor", "internal/permission", "internal/fault", "internal/ejson", "internal/user", "internal/dberr"},
	"internal/rooms/streams":   {"internal/rooms", "internal/dberr", "internal/realtime", "internal/ddp", "internal/feed", "internal/ejson", "internal/rpc"},
	"internal/rooms/storetest": {"internal/rooms", "internal/rooms/sqlite", "internal/store", "internal/store/storetest", "internal/dberr", "internal/user"},

	"internal/admin": {"internal/accounts", "internal/methods", "internal/ratelimit", "internal/mail", "internal/telemetry", "internal/rest",
		"internal/rest/schema", "internal/realtime", "internal/rpc", "internal/settings", "internal/twofactor", "internal/permission", "internal/fault",
		"internal/ejson", "internal/user", "internal/feed", "internal/dberr", "internal/ddp"},
	"internal/trail":        domain,
	"internal/trail/sqlite": {"internal/trail", "internal/store/sqlite", "internal/store/document", "internal/dberr"},
	"internal/trail/mongo":  {"internal/trail", "internal/store/mongo", "internal/store/document"},
	"internal/trail/calls": {"internal/trail", "internal/methods", "internal/rest", "internal/rest/schema", "internal/rpc", "internal/settings",
		"internal/ratelimit", "internal/permission", "internal/audit", "internal/fault", "internal/ejson", "internal/user", "internal/dberr"},
	"internal/trail/streams":   {"internal/trail", "internal/realtime", "internal/permission", "internal/rpc", "internal/user"},
	"internal/trail/storetest": {"internal/trail"},

	"internal/store":          stored,
	"internal/store/document": append([]string{"internal/store"}, stored...),
	"internal/store/rule":     append([]string{"internal/store", "internal/store/document"}, stored...),
	"internal/store/sqlite":   append([]string{"internal/store", "internal/store/document", "internal/store/rule"}, stored...),
	"internal/store/mongo":    append([]string{"internal/store", "internal/store/document", "internal/store/rule", "internal/adopt"}, stored...),
	"internal/store/storetest": append([]string{"internal/secret", "internal/store", "internal/store/document", "internal/store/rule", "internal/store/sqlite",
		"internal/store/mongo", "internal/store/mongotest"}, stored...),
	"internal/store/mongotest": {"internal/testwait", "internal/store/mongotest/engine"}, "internal/store/mongotest/engine": {},

	"internal/realtime": {"internal/ddp", "internal/feed", "internal/fault", "internal/rpc", "internal/settings", "internal/user",
		"internal/ejson", "internal/random", "internal/dberr", "internal/permission", "internal/ratelimit"},
	"internal/methods": {"internal/rpc", "internal/accounts", "internal/twofactor", "internal/settings", "internal/ratelimit",
		"internal/audit", "internal/permission", "internal/fault", "internal/ejson", "internal/user", "internal/netkey"},
	"internal/rest": {"internal/rest/schema", "internal/ddp", "internal/methods", "internal/rpc", "internal/accounts", "internal/twofactor",
		"internal/settings", "internal/ratelimit",
		"internal/audit", "internal/permission", "internal/fault", "internal/ejson", "internal/user", "internal/dberr", "internal/netkey", "internal/budget"},
	"internal/rest/schema": {},
	"internal/web":         {"internal/rpc"},
	"internal/console":     {},
	"internal/app":         nil, // everything below
	"cmd/ddpserver":        {"internal/app", "internal/config", "internal/telemetry", "internal/secret"},

	// Tools of the project, no part of the server, may use whatever they need.
	"internal/soak":     {},
	"internal/proctest": {}, "cmd/ddpcat": nil,
	"tools/benchratio": nil, "tools/ddpload": nil, "tools/fill": nil, "tools/load": nil, "tools/wsecho": nil,
	"internal/store/mongotest/wired": {"internal/store/mongotest"},

	"internal/archtest": {}, "internal/growthtest": {}, "internal/testwait": {}, "internal/wiretest": {},
	"internal/testkit": nil, // wires whatever there is
}

// domain is what the packages with rules about people, mail and rooms may use:
// never each other, never a store or a door.
var domain = []string{"internal/fault", "internal/dberr", "internal/random", "internal/ejson", "internal/user", "internal/feed", "internal/secret",
	"internal/audit",
	"internal/rpc", "internal/settings", "internal/ratelimit", "internal/permission", "internal/netkey"}

// stored is what stores may use: the interfaces and types of the packages whose
// documents they keep, never a door, the hub or the methods.
var stored = []string{"internal/serverkey", "internal/accounts", "internal/twofactor", "internal/settings", "internal/mail", "internal/feed",
	"internal/user", "internal/dberr", "internal/random"}

// never lists what must not be reachable at all, not even through others.
var never = map[string][]string{
	"internal/ddp": {"internal/ddp/ws", "internal/accounts", "internal/twofactor", "internal/store", "internal/methods", "internal/config",
		"internal/settings"},
	"internal/store":     {"internal/ddp", "internal/realtime", "internal/methods", "internal/rest", "internal/web", "internal/config"},
	"internal/accounts":  {"internal/ddp", "internal/store", "internal/config", "internal/twofactor", "internal/mail", "internal/rooms"},
	"internal/twofactor": {"internal/ddp", "internal/store", "internal/config", "internal/accounts", "internal/mail", "internal/rooms"},
	"internal/rooms":     {"internal/ddp", "internal/store", "internal/config", "internal/accounts", "internal/twofactor", "internal/mail"},
	"internal/trail":     {"internal/ddp", "internal/store", "internal/config", "internal/accounts", "internal/twofactor", "internal/mail", "internal/rooms"},
	"internal/sessions":  {"internal/ddp", "internal/store", "internal/config", "internal/accounts", "internal/twofactor", "internal/mail"},
	"internal/adopt":     {"internal/ddp", "internal/store", "internal/config", "internal/mail", "internal/rooms", "internal/methods"},
	"internal/mail":      {"internal/ddp", "internal/store", "internal/config", "internal/accounts", "internal/twofactor", "internal/rooms"},
	"internal/realtime": {"internal/store", "internal/methods", "internal/rest", "internal/web", "internal/config", "internal/mail", "internal/accounts",
		"internal/twofactor"},
	"internal/methods": {"internal/ddp", "internal/realtime", "internal/store", "internal/config", "internal/mail", "internal/web"},
	"internal/rest":    {"internal/realtime", "internal/store", "internal/config", "internal/mail", "internal/web"},
	"internal/web":     {"internal/accounts", "internal/twofactor", "internal/store", "internal/methods", "internal/config", "internal/ddp"},
}

// onlyTests are modules that no released binary may contain.
var onlyTests = []string{"github.com/256dpi/lungo", "github.com/tidwall/btree",
	"github.com/Shopify/toxiproxy", "github.com/emersion/go-smtp", "github.com/nats-io/nats-server",
	"go.uber.org/goleak", "pgregory.net/rapid", "github.com/rogpeppe/go-internal", "github.com/anishathalye/porcupine", "github.com/google/go-cmp", "testing",
	"github.com/johannesboyne/gofakes3"}

type goPackage struct {
	ImportPath   string
	Dir          string
	Doc          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	Deps         []string
}

func (p goPackage) rel() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// packages asks the go tool for every package of the program's module and of the tools' one.
func packages(t *testing.T) []goPackage {
	t.Helper()
	return append(modulePackages(t, top(t)), modulePackages(t, filepath.Join(top(t), "tools"))...)
}

func modulePackages(t *testing.T, dir string, flags ...string) (all []goPackage) {
	t.Helper()
	args := append([]string{"list", "-json=ImportPath,Dir,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports,Deps"}, flags...)
	cmd := exec.Command("go", append(args, "./...")...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func top(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestImportsPointDownwards(t *testing.T) {
	for _, p := range packages(t) {
		may, listed := allowed[p.rel()]
		if !listed {
			t.Errorf("%s has no place in the picture: list it in internal/archtest and docs/architecture.md", p.rel())
			continue
		}
		for _, imp := range p.Imports {
			ours, ok := strings.CutPrefix(imp, module+"/")
			if ok && may != nil && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s, which is not below it", p.rel(), ours)
			}
		}
		for _, bad := range never[p.rel()] {
			for _, dep := range p.Deps {
				if ours, ok := strings.CutPrefix(dep, module+"/"); ok && (ours == bad || strings.HasPrefix(ours, bad+"/")) {
					t.Errorf("%s reaches %s", p.rel(), ours)
				}
			}
		}
	}
}

// A map entry for a package that is gone is a picture that lies.
func TestThePictureIsCurrent(t *testing.T) {
	there := map[string]bool{}
	for _, p := range packages(t) {
		there[p.rel()] = true
	}
	for name := range allowed {
		if !there[name] {
			t.Errorf("%s is listed and does not exist", name)
		}
	}
}

// The tools are a module of their own, which "go build ./..." at the top leaves out.
func TestImportsOfTheToolsStillBuild(t *testing.T) {
	cmd := exec.Command("go", "vet", "./...")
	cmd.Dir = filepath.Join(top(t), "tools")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestConfigIsReadAtTheTopOnly(t *testing.T) {
	for _, p := range packages(t) {
		if slices.Contains(p.Imports, module+"/internal/config") && p.rel() != "internal/app" && p.rel() != "cmd/ddpserver" {
			t.Errorf("%s reads the configuration; give it Options instead", p.rel())
		}
	}
}

func TestNoTestCodeInTheProgram(t *testing.T) {
	for _, p := range packages(t) {
		if p.rel() != "cmd/ddpserver" {
			continue
		}
		for _, dep := range p.Deps {
			if ours, ok := strings.CutPrefix(dep, module+"/"); ok && support.MatchString(ours) {
				t.Errorf("the program contains %s", ours)
			}
			for _, bad := range onlyTests {
				if dep == bad || strings.HasPrefix(dep, bad+"/") {
					t.Errorf("the program contains %s", dep)
				}
			}
		}
	}
}
