package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// DefaultFile is read when no file is named and it is there.
const DefaultFile = "configs/ddpserver.yaml"

const (
	settingsKey     = "settings"
	overwritePrefix = "OVERWRITE_SETTING_"
	fileSuffix      = "_file"
	// delim never occurs in a key, so koanf takes every key as it is written.
	delim = "\x00"
)

// Source is what a configuration is read from.
type Source struct {
	// Environ is in the form of os.Environ.
	Environ []string
	// Flags are parsed flags made by AddFlags, or nil.
	Flags *pflag.FlagSet
}

// AddFlags declares a flag for every key, and --config.
func AddFlags(fs *pflag.FlagSet) {
	fs.String("config", "", "YAML file with the keys below (default $DDPSERVER_CONFIG, else "+DefaultFile+" if present)")
	d := Default()
	for _, f := range fields(&d) {
		fs.String(f.flag(), "", f.doc+f.defaultNote())
		if f.secret() {
			fs.String(f.flag()+"-file", "", "file that holds "+f.flag())
		}
	}
	fs.StringArray(settingsKey, nil, "forces a runtime setting, as Accounts_RegistrationForm=Disabled; may be repeated")
}

// Load reads defaults, file, environment and flags, later ones over earlier
// ones, and checks the outcome. The error is a Problems with everything that is
// wrong at once; warnings are worth a log line and stop nothing.
func Load(src Source) (cfg *Config, warnings []string, err error) {
	l := loader{cfg: Default(), k: koanf.New(delim), from: map[string]string{}}
	l.cfg.environ = environ(src.Environ)
	l.file(src)
	l.env()
	l.flags(src.Flags)
	l.decode()
	l.cfg.derive()
	l.problems = append(l.problems, l.cfg.validate()...)
	if len(l.problems) > 0 {
		return nil, nil, l.problems
	}
	return &l.cfg, l.cfg.warnings(), nil
}

// Problems is everything that is wrong with a configuration, a line for each.
type Problems []string

// Error implements error; the lines are joined with line breaks.
func (p Problems) Error() string { return strings.Join(p, "\n") }

type loader struct {
	cfg      Config
	k        *koanf.Koanf
	from     map[string]string // key → where its value came from
	problems Problems
}

func (l *loader) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// file reads the YAML file, if there is one.
func (l *loader) file(src Source) {
	name, must := l.cfg.environ["DDPSERVER_CONFIG"], true
	if src.Flags != nil && src.Flags.Changed("config") {
		name, _ = src.Flags.GetString("config")
	}
	if name == "" {
		name, must = DefaultFile, false
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) && !must {
		return
	}
	if err != nil {
		l.problem("configuration file %s cannot be read (%v): name an existing file with --config or DDPSERVER_CONFIG", name, reason(err))
		return
	}
	values, err := yaml.Parser().Unmarshal(text)
	if err != nil {
		l.problem("configuration file %s is not valid YAML: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	l.cfg.File = name
	known := map[string]bool{settingsKey: true}
	for _, f := range fields(&l.cfg) {
		known[f.key] = true
		known[f.key+fileSuffix] = f.secret()
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !known[key] {
			l.problem("%s in %s is no known key: remove it%s", key, name, nearest(key, known))
			delete(values, key)
		} else if values[key] == nil {
			delete(values, key) // "key:" with nothing behind it keeps the default
		}
	}
	l.layer("in "+name, values)
}

// env reads the variables named like the keys, and OVERWRITE_SETTING_*.
func (l *loader) env() {
	values, forced := map[string]any{}, map[string]any{}
	for _, f := range fields(&l.cfg) {
		for _, key := range f.spellings() {
			// An empty variable counts as unset, as compose files leave it.
			if v := l.cfg.environ[strings.ToUpper(key)]; v != "" {
				values[key] = v
			}
		}
	}
	for name, v := range l.cfg.environ {
		if id, ok := strings.CutPrefix(name, overwritePrefix); ok && id != "" {
			forced[id] = v
		}
	}
	if len(forced) > 0 {
		values[settingsKey] = forced
	}
	l.layer("in the environment", values)
}

// flags reads the flags that were given.
func (l *loader) flags(fs *pflag.FlagSet) {
	if fs == nil {
		return
	}
	values := map[string]any{}
	for _, f := range fields(&l.cfg) {
		for _, key := range f.spellings() {
			if name := strings.ReplaceAll(key, "_", "-"); fs.Changed(name) {
				values[key], _ = fs.GetString(name)
			}
		}
	}
	if fs.Changed(settingsKey) {
		forced := map[string]any{}
		list, _ := fs.GetStringArray(settingsKey)
		for _, item := range list {
			id, v, ok := strings.Cut(item, "=")
			if !ok || id == "" {
				l.problem("--settings %s: write it as --settings Id=value", item)
				continue
			}
			forced[id] = v
		}
		values[settingsKey] = forced
	}
	l.layer("on the command line", values)
}

// layer puts values over what was loaded before. A secret named by file is read
// here, so that whichever spelling comes last wins.
func (l *loader) layer(where string, values map[string]any) {
	for _, f := range fields(&l.cfg) {
		path, ok := values[f.key+fileSuffix]
		if !ok {
			continue
		}
		delete(values, f.key+fileSuffix)
		if _, both := values[f.key]; both {
			l.problem("%s and %s_FILE are both set %s: keep one", f.env(), f.env(), where)
			continue
		}
		text, err := os.ReadFile(fmt.Sprint(path))
		if err != nil {
			l.problem("%s_FILE: %v cannot be read (%v): name a readable file", f.env(), path, reason(err))
			continue
		}
		values[f.key] = strings.TrimRight(string(text), "\r\n")
	}
	for key := range values {
		l.from[key] = where
	}
	if err := l.k.Load(layer(values), nil); err != nil {
		l.problem("settings %s: %v", where, err)
	}
}

// layer is a koanf.Provider of values that are already there.
type layer map[string]any

func (v layer) ReadBytes() ([]byte, error)    { return nil, errors.New("not a file") }
func (v layer) Read() (map[string]any, error) { return v, nil }

// decode moves the merged values into the typed configuration.
func (l *loader) decode() {
	for _, f := range fields(&l.cfg) {
		v := l.k.Get(f.key)
		if v == nil {
			continue
		}
		if err := f.set(v); err != nil {
			l.problem("%s %s: %v", f.env(), l.from[f.key], err)
		}
	}
	l.cfg.Settings = map[string]string{}
	switch forced := l.k.Get(settingsKey).(type) {
	case nil:
	case map[string]any:
		for id, v := range forced {
			switch v.(type) {
			case string, bool, int, int64, uint64, float64:
				l.cfg.Settings[id] = fmt.Sprint(v)
			default:
				l.problem("settings: %s %s: write a text, a number, true or false", id, l.from[settingsKey])
			}
		}
	default:
		l.problem("settings %s: write a map of setting ids and values", l.from[settingsKey])
	}
}

func environ(list []string) map[string]string {
	m := make(map[string]string, len(list))
	for _, kv := range list {
		if name, v, ok := strings.Cut(kv, "="); ok {
			m[name] = v
		}
	}
	return m
}

// reason is the cause of a file error without the path, which the caller names.
func reason(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// nearest suggests a known key for a misspelt one.
func nearest(key string, known map[string]bool) string {
	flat := func(s string) string {
		return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s))
	}
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if known[k] && (flat(k) == flat(key) || len(key) > 3 && strings.HasPrefix(flat(k), flat(key))) {
			return fmt.Sprintf(", or write %s", k)
		}
	}
	return ""
}

// fields lists the keys of c in the order of declaration.
func fields(c *Config) []field {
	var out []field
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			sf := v.Type().Field(i)
			if key := sf.Tag.Get("key"); key != "" {
				out = append(out, field{key: key, doc: sf.Tag.Get("doc"), tag: sf.Tag, v: v.Field(i)})
			} else if sf.Anonymous {
				walk(v.Field(i))
			}
		}
	}
	walk(reflect.ValueOf(c).Elem())
	return out
}
