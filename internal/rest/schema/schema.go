// Package schema describes what routes take and answer: JSON Schema (2020-12, as
// OpenAPI 3.1 has it), made of Go types. Its words are for types that say themselves
// what they are. It checks nothing.
package schema

import "maps"

// Schema is a JSON Schema. The same value checks requests and is published.
type Schema map[string]any

// Text is any text.
func Text() Schema { return Schema{"type": "string"} }

// Integer is a whole number.
func Integer() Schema { return Schema{"type": "integer"} }

// List is a list of such values.
func List(item Schema) Schema { return Schema{"type": "array", "items": map[string]any(item)} }

// OneOf is a text out of a list.
func OneOf(values ...string) Schema {
	e := make([]any, len(values))
	for i, v := range values {
		e[i] = v
	}
	return Schema{"type": "string", "enum": e}
}

// Either accepts what any of the schemas accepts.
func Either(schemas ...Schema) Schema {
	a := make([]any, len(schemas))
	for i, s := range schemas {
		a[i] = map[string]any(s)
	}
	return Schema{"anyOf": a}
}

// About is the schema with a description.
func (s Schema) About(text string) Schema {
	c := maps.Clone(s)
	c["description"] = text
	return c
}

// Named is the schema under a name, by which the document refers to it. Two schemas
// of one name are the same.
func (s Schema) Named(name string) Schema {
	c := maps.Clone(s)
	c["title"] = name
	return c
}

// Answered is the schema of an answer: the members of an object beside
// "success": true, under its name.
func (s Schema) Answered() Schema {
	properties := map[string]any{"success": map[string]any{"const": true}}
	own, _ := s["properties"].(map[string]any)
	maps.Copy(properties, own)
	required, _ := s["required"].([]any)
	c := maps.Clone(s)
	c["properties"], c["required"] = properties, append([]any{"success"}, required...)
	return c
}
