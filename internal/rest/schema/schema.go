// Package schema has the words in which routes describe what they take and
// answer: JSON Schema (2020-12, as OpenAPI 3.1 has it). It checks nothing.
package schema

import "maps"

// Schema is a JSON Schema. The same value checks requests and is published.
type Schema map[string]any

// Property is one member of an object.
type Property struct {
	Name     string
	Schema   Schema
	Required bool
}

// Must makes a property that has to be there; May one that can be left out.
func Must(name string, s Schema) Property { return Property{name, s, true} }

// May makes a property that can be left out.
func May(name string, s Schema) Property { return Property{name, s, false} }

// Object is an object with these properties; others are allowed and ignored,
// because published clients send more than any server reads.
func Object(props ...Property) Schema {
	properties, required := map[string]any{}, []any{}
	for _, p := range props {
		properties[p.Name] = map[string]any(p.Schema)
		if p.Required {
			required = append(required, p.Name)
		}
	}
	s := Schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// Success is an answer: these members beside "success": true.
func Success(props ...Property) Schema { return Object(props...).Answered() }

// Paged is the query of a list; Request.Page reads it.
func Paged(props ...Property) Schema {
	count := Count().About("0 asks for as many as the setting API_Upper_Count_Limit allows")
	return Object(append(props, May("count", count), May("offset", Count()))...)
}

// Count is a whole number that is not negative.
func Count() Schema { return Schema{"type": "integer", "minimum": 0} }

// Text is any text.
func Text() Schema { return Schema{"type": "string"} }

// NonEmpty is a text of at least one character.
func NonEmpty() Schema { return Schema{"type": "string", "minLength": 1} }

// Boolean is true or false.
func Boolean() Schema { return Schema{"type": "boolean"} }

// Integer is a whole number.
func Integer() Schema { return Schema{"type": "integer"} }

// DateTime is a moment as ISO 8601 has it.
func DateTime() Schema { return Schema{"type": "string", "format": "date-time"} }

// Anything is any value.
func Anything() Schema { return Schema{} }

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
