package rest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"ddpserver/internal/rest/schema"
)

// Schema is a JSON Schema.
type Schema = schema.Schema

// checker validates values against one schema. It is compiled when it is first
// needed: all of them together are a third of what the server allocates at its start,
// and a server has many routes that nobody asks for. A test compiles every one.
type checker struct {
	compiled func() (*jsonschema.Schema, error)
}

func newChecker(name string, s Schema) *checker {
	if s == nil {
		return nil
	}
	return &checker{sync.OnceValues(func() (*jsonschema.Schema, error) {
		c := jsonschema.NewCompiler()
		url := "mem:///" + name
		if err := c.AddResource(url, plain(s)); err != nil {
			return nil, fmt.Errorf("schema of %s: %w", name, err)
		}
		compiled, err := c.Compile(url)
		if err != nil {
			return nil, fmt.Errorf("schema of %s: %w", name, err)
		}
		return compiled, nil
	})}
}

// plain turns nested Schema values into the maps the compiler knows.
func plain(v any) any {
	switch v := v.(type) {
	case Schema:
		return plain(map[string]any(v))
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = plain(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x)
		}
		return out
	case int:
		return float64(v)
	}
	return v
}

// check returns one sentence for each thing that is wrong, joined by line
// breaks, naming fields but never showing values; "" when nothing is.
func (c *checker) check(v any) string {
	if c == nil {
		return ""
	}
	compiled, err := c.compiled()
	if err != nil {
		return "cannot be checked: the schema is broken"
	}
	if err = compiled.Validate(v); err == nil {
		return ""
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return "must match the schema"
	}
	var out []string
	collect(ve, &out)
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > maxTold {
		out = append(out[:maxTold], "…")
	}
	return strings.Join(out, "\n")
}

// maxTold is how many mistakes of one request are told: a list may hold thousands.
const maxTold = 50

func collect(e *jsonschema.ValidationError, out *[]string) {
	field := strings.Join(e.InstanceLocation, "/")
	at := "must"
	if field != "" {
		at = "'" + field + "' must"
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, m := range k.Missing {
			*out = append(*out, at+" have required property '"+m+"'")
		}
		return
	case *kind.Type:
		*out = append(*out, at+" be "+strings.Join(k.Want, " or "))
		return
	case *kind.AdditionalProperties:
		*out = append(*out, at+" NOT have additional properties")
		return
	case *kind.Enum, *kind.Const:
		*out = append(*out, at+" be equal to one of the allowed values")
		return
	case *kind.Minimum:
		*out = append(*out, at+" be >= "+k.Want.RatString())
		return
	case *kind.MinLength:
		*out = append(*out, at+fmt.Sprintf(" NOT have fewer than %d characters", k.Want))
		return
	case *kind.MaxLength:
		*out = append(*out, at+fmt.Sprintf(" NOT have more than %d characters", k.Want))
		return
	}
	if len(e.Causes) == 0 {
		*out = append(*out, at+" match the schema")
	}
	for _, c := range e.Causes {
		collect(c, out)
	}
}
