package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"ddpserver/internal/secret"
)

// field is one key of the configuration and the place of its value.
type field struct {
	key, doc string
	tag      reflect.StructTag
	v        reflect.Value
}

func (f field) env() string  { return strings.ToUpper(f.key) }
func (f field) flag() string { return strings.ReplaceAll(f.key, "_", "-") }

func (f field) secret() bool { return f.v.Type() == reflect.TypeFor[secret.String]() }

// spellings are the key itself and, for a secret, the one that names a file.
func (f field) spellings() []string {
	if f.secret() {
		return []string{f.key, f.key + fileSuffix}
	}
	return []string{f.key}
}

// defaultNote is the end of a flag's help line.
func (f field) defaultNote() string {
	text := ""
	switch v := f.v.Interface().(type) {
	case secret.String:
	case []string:
		text = strings.Join(v, ",")
	case Bytes:
		text = v.String()
	default:
		text = fmt.Sprint(v)
	}
	if text == "" || strings.Contains(f.doc, "(default") {
		return ""
	}
	return " (default " + text + ")"
}

// set parses a value of the file, the environment or a flag. Errors say what to write.
func (f field) set(raw any) error {
	switch p := f.v.Addr().Interface().(type) {
	case *string:
		return f.setText(raw, func(s string) { *p = s })
	case *secret.String:
		return f.setText(raw, func(s string) { *p = secret.String(s) })
	case *[]string:
		list, err := texts(raw)
		if err == nil {
			*p = list
		}
		return err
	case *bool:
		return setBool(raw, p)
	case *int:
		n, err := f.number(raw, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }, "a whole number")
		if err == nil {
			*p = int(n)
		}
		return err
	case *Bytes:
		n, err := f.number(raw, parseBytes, "a size such as 512KiB, 1MiB or a number of bytes")
		if err == nil {
			*p = Bytes(n)
		}
		return err
	case *time.Duration:
		d, err := f.number(raw, func(s string) (int64, error) {
			d, err := time.ParseDuration(s)
			return int64(d), err
		}, "a time such as 500ms, 45s or 2m")
		if err == nil {
			*p = time.Duration(d)
		}
		return err
	}
	panic("config: no parser for " + f.key)
}

func (f field) setText(raw any, put func(string)) error {
	var s string
	switch v := raw.(type) {
	case string:
		s = v
	case int, int64, uint64, float64, bool:
		s = fmt.Sprint(v) // a number or "off" written without quotes
	default:
		return errors.New("write one text")
	}
	if strings.ContainsAny(s, "\x00\r\n") {
		return errors.New("write it on one line")
	}
	if words := f.tag.Get("oneof"); words != "" {
		s = strings.ToLower(s)
		for _, w := range strings.Fields(words) {
			if w == s {
				put(s)
				return nil
			}
		}
		return fmt.Errorf("%q is none of the words it may be; write one of %s", s, strings.Join(strings.Fields(words), ", "))
	}
	put(s)
	return nil
}

func setBool(raw any, p *bool) error {
	b, ok := raw.(bool)
	if !ok {
		s, _ := raw.(string)
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "true", "1", "yes", "on":
			b = true
		case "false", "0", "no", "off":
		default:
			return errors.New("write true or false")
		}
	}
	*p = b
	return nil
}

// number parses and checks the bounds of anything counted.
func (f field) number(raw any, parse func(string) (int64, error), want string) (int64, error) {
	var s string
	switch v := raw.(type) {
	case string:
		s = strings.TrimSpace(v)
	case int, int64, uint64:
		s = fmt.Sprint(v)
	default:
		return 0, fmt.Errorf("write %s", want)
	}
	if off := f.tag.Get("off"); off != "" && strings.EqualFold(s, "off") {
		return strconv.ParseInt(off, 10, 64)
	}
	n, err := parse(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not %s; write %s", s, strings.SplitN(want, " such", 2)[0], want)
	}
	lo, errLo := parse(f.tag.Get("min"))
	hi, errHi := parse(f.tag.Get("max"))
	if errLo != nil || errHi != nil {
		panic("config: bad bounds of " + f.key)
	}
	if n < lo || n > hi {
		return 0, fmt.Errorf("%s is out of range; write %s from %s to %s", s, want, f.show(lo), f.show(hi))
	}
	return n, nil
}

func (f field) show(n int64) string {
	switch f.v.Interface().(type) {
	case time.Duration:
		return time.Duration(n).String()
	case Bytes:
		return Bytes(n).String()
	}
	return strconv.FormatInt(n, 10)
}

// texts reads a list: a YAML sequence, or words separated by commas or blanks.
func texts(raw any) ([]string, error) {
	switch v := raw.(type) {
	case string:
		return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }), nil
	case []any:
		out := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, errors.New("write a list of texts")
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, errors.New("write a list of texts, or one text with commas")
}

var units = []struct {
	name string
	size int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func parseBytes(s string) (int64, error) {
	size := int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, size = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > math.MaxInt64/size {
		return 0, strconv.ErrRange
	}
	return n * size, nil
}

// String writes the size with the largest unit that loses nothing.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && int64(b)%u.size == 0 && u.size > 1 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
