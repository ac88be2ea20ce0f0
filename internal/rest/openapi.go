package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"ddpserver/internal/rest/schema"
	"ddpserver/internal/twofactor"
)

// document makes the OpenAPI 3.1 description of the route table.
func document(routes []Route, server, version string) ([]byte, error) {
	paths := map[string]map[string]any{}
	for i := range routes {
		r := &routes[i]
		path := openPath(r.Path)
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(r.Verb)] = operation(r)
	}
	named := map[string]any{
		"Error":        plain(fits[generalRefusal]().Named("Error")),
		"LoginError":   plain(fits[refusedLogin]().Named("LoginError")),
		"Unauthorized": plain(fits[missingLogin]().Named("Unauthorized")),
	}
	shown := map[string]any{}
	for path, operations := range paths {
		var err error
		if shown[path], err = refer(map[string]any(operations), named); err != nil {
			return nil, err
		}
	}
	doc := map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "ddpserver", "version": version,
			"description": "The REST door of ddpserver, in the shapes of Rocket.Chat's API. Any call may answer 400 with errorType " +
				"totp-required or totp-invalid: repeat it with the headers x-2fa-code and x-2fa-method.",
		},
		"servers": []any{map[string]any{"url": strings.TrimSuffix(server, "/") + "/api/v1"}},
		"paths":   shown,
		"components": map[string]any{
			"securitySchemes": map[string]any{
				"token": map[string]any{"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "login token or personal access token"},
				"user":  map[string]any{"type": "apiKey", "in": "header", "name": "X-User-Id", "description": "id of the token's owner"},
			},
			"schemas": named,
		},
	}
	return json.Marshal(doc)
}

// refer replaces schemas that have a name by references to it, and puts them under
// their names. Two schemas of one name are a programming error.
func refer(v any, named map[string]any) (any, error) {
	var err error
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			if out[i], err = refer(x, named); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			if out[k], err = refer(x, named); err != nil {
				return nil, err
			}
		}
		name, ok := out["title"].(string)
		if !ok {
			return out, nil
		}
		if other, taken := named[name]; taken && !reflect.DeepEqual(other, any(out)) {
			return nil, fmt.Errorf("rest: two schemas are named %s", name)
		}
		named[name] = out
		return map[string]any{"$ref": "#/components/schemas/" + name}, nil
	}
	return v, nil
}

// openPath writes ":id" segments the OpenAPI way.
func openPath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, ":") {
			parts[i] = "{" + p[1:] + "}"
		}
	}
	return "/" + strings.Join(parts, "/")
}

func operation(r *Route) map[string]any {
	op := map[string]any{
		"operationId": strings.ToLower(r.Verb) + "_" + strings.NewReplacer("/", "_", ":", "", ".", "_").Replace(r.Path),
		"summary":     r.Summary,
		"tags":        []string{r.Tag},
		"responses":   responses(r),
	}
	var notes []string
	if r.Permission != "" {
		notes = append(notes, "Needs the permission `"+r.Permission+"`.")
	}
	if r.Factor != twofactor.None {
		notes = append(notes, "Second factor: "+r.Factor.String()+".")
	}
	if r.Inside > r.Factor {
		notes = append(notes, "Second factor when needed: "+r.Inside.String()+".")
	}
	if text := r.Proofs.String(); text != "" {
		notes = append(notes, "Factors that count: "+text+".")
	}
	if len(r.Errors) > 0 {
		notes = append(notes, "Errors: `"+strings.Join(r.Errors, "`, `")+"`.")
	}
	if len(notes) > 0 {
		op["description"] = strings.Join(notes, " ")
	}
	both := map[string]any{"token": []string{}, "user": []string{}}
	switch r.Auth {
	case LoginRequired:
		op["security"] = []any{both}
	case LoginOptional:
		op["security"] = []any{both, map[string]any{}}
	}
	if params := parameters(r); len(params) > 0 {
		op["parameters"] = params
	}
	if r.Upload {
		op["requestBody"] = map[string]any{"required": true, "content": map[string]any{"multipart/form-data": map[string]any{"schema": plain(r.Parts)}}}
	}
	if r.Body != nil {
		content := map[string]any{"application/json": map[string]any{"schema": plain(r.Body)}}
		if r.Form {
			content["application/x-www-form-urlencoded"] = map[string]any{"schema": plain(r.Body)}
		}
		_, needed := r.Body["required"]
		op["requestBody"] = map[string]any{"required": needed, "content": content}
	}
	return op
}

func parameters(r *Route) []any {
	var out []any
	for _, p := range strings.Split(r.Path, "/") {
		if strings.HasPrefix(p, ":") {
			out = append(out, map[string]any{"name": p[1:], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	if r.Query != nil {
		properties, _ := r.Query["properties"].(map[string]any)
		required, _ := r.Query["required"].([]any)
		names := make([]string, 0, len(properties))
		for name := range properties {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			out = append(out, map[string]any{"name": name, "in": "query", "required": slices.Contains(required, any(name)), "schema": plain(properties[name])})
		}
	}
	if max(r.Factor, r.Inside) != twofactor.None || strings.HasPrefix(r.Path, "method.call") {
		for _, h := range []string{"x-2fa-code", "x-2fa-method"} {
			out = append(out, map[string]any{"name": h, "in": "header", "required": false, "schema": map[string]any{"type": "string"}})
		}
	}
	return out
}

func responses(r *Route) map[string]any {
	ref := func(name, description string) map[string]any {
		return map[string]any{"description": description,
			"content": map[string]any{"application/json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/" + name}}}}
	}
	result := r.Result
	if result == nil {
		result = answers[done]().Named("Success")
	}
	out := map[string]any{
		strconv.Itoa(http.StatusOK): map[string]any{"description": "done",
			"content": map[string]any{"application/json": map[string]any{"schema": plain(result)}}},
		strconv.Itoa(http.StatusBadRequest):          ref("Error", "refused"),
		strconv.Itoa(http.StatusTooManyRequests):     ref("Error", "too many requests"),
		strconv.Itoa(http.StatusInternalServerError): ref("Error", "the server failed"),
	}
	if len(r.Files) > 0 {
		content := map[string]any{}
		for _, t := range r.Files {
			content[t] = map[string]any{"schema": plain(schema.Text().Named("File"))}
		}
		out[strconv.Itoa(http.StatusOK)] = map[string]any{"description": "a file", "content": content}
	}
	if r.Redirects {
		delete(out, strconv.Itoa(http.StatusOK))
		out[strconv.Itoa(http.StatusTemporaryRedirect)] = map[string]any{"description": "it is at the address in Location"}
	}
	if r.BadRequest != nil {
		out[strconv.Itoa(http.StatusBadRequest)] = map[string]any{"description": "refused",
			"content": map[string]any{"application/json": map[string]any{"schema": plain(r.BadRequest)}}}
	}
	switch {
	case r.LoginShape:
		out[strconv.Itoa(http.StatusUnauthorized)] = ref("LoginError", "not logged in")
	case r.Auth == LoginRequired:
		out[strconv.Itoa(http.StatusUnauthorized)] = ref("Unauthorized", "not logged in")
	}
	if r.Verb != http.MethodGet {
		out[strconv.Itoa(http.StatusRequestEntityTooLarge)] = ref("Error", "the body is too large")
		out[strconv.Itoa(http.StatusUnsupportedMediaType)] = ref("Error", "the body is of another type")
	}
	if r.Permission != "" || r.Auth == LoginRequired {
		out[strconv.Itoa(http.StatusForbidden)] = ref("Error", "no permission")
	}
	return out
}
