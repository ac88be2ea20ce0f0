package ejson

// Plain makes of a decoded value one of maps and lists, for whoever keeps it as data.
func Plain(v any) any {
	switch v := v.(type) {
	case Doc:
		m := make(map[string]any, len(v))
		for _, f := range v {
			m[f.Key] = Plain(f.Value)
		}
		return m
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = Plain(v[i])
		}
		return out
	}
	return v
}
