package rest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Schema is a JSON Schema (2020-12, as OpenAPI 3.1 has it). The same value
// checks requests and is published.
type Schema map[string]any

// property is one member of an object schema.
type property struct {
	name     string
	schema   Schema
	required bool
}

// must makes a property that has to be there; may one that can be left out.
func must(name string, s Schema) property { return property{name, s, true} }
func may(name string, s Schema) property  { return property{name, s, false} }

// object is an object with these properties; others are allowed and ignored,
// because published clients send more than any server reads.
func object(props ...property) Schema {
	properties, required := map[string]any{}, []any{}
	for _, p := range props {
		properties[p.name] = map[string]any(p.schema)
		if p.required {
			required = append(required, p.name)
		}
	}
	s := Schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func text() Schema            { return Schema{"type": "string"} }
func boolean() Schema         { return Schema{"type": "boolean"} }
func integer() Schema         { return Schema{"type": "integer"} }
func dateTime() Schema        { return Schema{"type": "string", "format": "date-time"} }
func anything() Schema        { return Schema{} }
func list(item Schema) Schema { return Schema{"type": "array", "items": map[string]any(item)} }

// nonEmpty is a text of at least one character.
func nonEmpty() Schema { return Schema{"type": "string", "minLength": 1} }

// oneOf is a text out of a list.
func oneOf(values ...string) Schema {
	e := make([]any, len(values))
	for i, v := range values {
		e[i] = v
	}
	return Schema{"type": "string", "enum": e}
}

// either accepts what any of the schemas accepts.
func either(schemas ...Schema) Schema {
	a := make([]any, len(schemas))
	for i, s := range schemas {
		a[i] = map[string]any(s)
	}
	return Schema{"anyOf": a}
}

// about adds a description.
func (s Schema) about(d string) Schema {
	c := Schema{"description": d}
	for k, v := range s {
		c[k] = v
	}
	return c
}

// success is the schema of an answer: these members beside "success": true.
func success(props ...property) Schema {
	return object(append([]property{must("success", Schema{"const": true})}, props...)...)
}

// checker validates values against one schema.
type checker struct{ compiled *jsonschema.Schema }

func newChecker(name string, s Schema) (*checker, error) {
	if s == nil {
		return nil, nil
	}
	c := jsonschema.NewCompiler()
	url := "mem:///" + name
	if err := c.AddResource(url, plain(s)); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", name, err)
	}
	compiled, err := c.Compile(url)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", name, err)
	}
	return &checker{compiled}, nil
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
	err := c.compiled.Validate(v)
	if err == nil {
		return ""
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return "must match the schema"
	}
	var out []string
	collect(ve, &out)
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "\n")
}

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
