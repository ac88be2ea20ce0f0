package admin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// surfaces tells what the server offers. The lines are those that docs/protocol.md is
// made of: nothing of them is secret. What an administrator put under a second factor
// is, to those who may not see the settings.
type surfaces struct{ *Slice }

func (g *surfaces) Specs() []methods.Spec {
	return []methods.Spec{{
		Name: "server:surface", Do: g.surface, Effects: methods.Reads,
		Doc: "Lists every method, route and stream with what it asks for, changes and may answer; to those who may see settings also which calls each entry of " +
			"the list of protected calls covers, or each entry of the list in the parameter.",
		Params: "{protectedCalls?}?", Errors: "error-not-allowed; 400 Match failed",
		Result: "{methods: [{name, login, permission?, limit, factor, whenNeeded?, onlyFactors?, notFactors?, effects, actions, …}], " +
			"routes: [{verb, path, parameters, …}], " +
			"streams: [{name, events, …}], protection?: {setting, value, forced, entries: [{entry, known, methods, routes}]}}",
	}}
}

type (
	surface struct {
		Methods    []methodLine `json:"methods"`
		Routes     []routeLine  `json:"routes"`
		Streams    []streamLine `json:"streams"`
		Protection *protection  `json:"protection,omitempty"`
	}
	// asked is what both doors say of a call.
	asked struct {
		Permission string   `json:"permission,omitempty"`
		Limit      string   `json:"limit"`
		Factor     string   `json:"factor" enum:"none,ordinary,fresh,login"`
		WhenNeeded string   `json:"whenNeeded,omitempty" about:"the most that the call itself may ask for"`
		Only       []string `json:"onlyFactors,omitempty" about:"no other factor is a proof for the call"`
		Not        []string `json:"notFactors,omitempty" about:"these factors are no proof for the call"`
		Effects    []string `json:"effects"`
		Actions    []string `json:"actions"`
		Instead    string   `json:"instead,omitempty" about:"what proves the caller in place of a factor"`
		Enrolment  bool     `json:"enrolment" about:"open to those who must set up a factor first"`
		Passage    bool     `json:"passage" about:"no list of protected calls covers it"`
		Errors     []string `json:"errors"`
	}
	methodLine struct {
		Name   string `json:"name"`
		Login  string `json:"login" enum:"yes,no"`
		Doc    string `json:"doc"`
		Params string `json:"params"`
		Result string `json:"result"`
		asked
	}
	routeLine struct {
		Verb       string      `json:"verb"`
		Path       string      `json:"path"`
		Tag        string      `json:"tag"`
		Summary    string      `json:"summary"`
		Login      string      `json:"login" enum:"yes,optional,no"`
		Method     string      `json:"method,omitempty"`
		Parameters []parameter `json:"parameters"`
		asked
	}
	parameter struct {
		Name     string   `json:"name"`
		In       string   `json:"in" enum:"path,query,body"`
		Required bool     `json:"required"`
		Type     string   `json:"type,omitempty"`
		About    string   `json:"about,omitempty"`
		Values   []string `json:"values,omitempty"`
	}
	streamLine struct {
		Name   string   `json:"name"`
		Login  string   `json:"login" enum:"yes,no"`
		Doc    string   `json:"doc"`
		Events []string `json:"events"`
	}
	protection struct {
		Setting string           `json:"setting"`
		Value   string           `json:"value"`
		Forced  bool             `json:"forced"`
		Entries []protectedEntry `json:"entries"`
	}
	protectedEntry struct {
		Entry   string   `json:"entry"`
		Known   bool     `json:"known" about:"it fits something there is"`
		Methods []string `json:"methods"`
		Routes  []string `json:"routes"`
	}
)

func (g *surfaces) surface(_ context.Context, c *rpc.Call) (any, error) {
	var q *struct {
		Protected *string  `ejson:"protectedCalls,omitempty"`
		_         struct{} `ejson:",ignore"`
	}
	if err := c.Bind(&q); err != nil {
		return nil, err
	}
	all := g.lines()
	set, _ := g.o.Settings.Get(settings.TwoFactorProtectedCalls)
	list, given := set.Value.(string), q != nil && q.Protected != nil
	switch {
	case permission.CanViewSettings(c.User):
		if given {
			list = *q.Protected
		}
		if len(list) > set.MaxLen {
			return nil, settings.ErrValue
		}
		all.Protection = &protection{Setting: set.ID, Value: list, Forced: set.Forced, Entries: g.entries(list)}
	case given:
		return nil, methods.ErrPermission
	}
	return all, nil
}

// lines is everything but the protection; it is made once, and never changed.
func (s *Slice) lines() surface {
	s.once.Do(func() {
		for _, m := range s.o.Router().Specs() {
			s.made.Methods = append(s.made.Methods, lineOfMethod(m))
		}
		for _, rt := range s.o.Routes() {
			s.made.Routes = append(s.made.Routes, lineOfRoute(rt))
		}
		list := s.o.Publications()
		for _, p := range list.List() {
			events := list.Events(p.Name)
			if events == nil {
				events = []string{}
			}
			s.made.Streams = append(s.made.Streams, streamLine{Name: p.Name, Login: loginOf(p.Anonymous), Doc: p.Doc, Events: events})
		}
	})
	return s.made
}

func loginOf(anonymous bool) string {
	if anonymous {
		return "no"
	}
	return "yes"
}

func lineOfMethod(m methods.Spec) methodLine {
	a := asks(m.Factor, m.Inside, m.Proofs, m.Effects)
	a.Permission, a.Limit, a.Actions, a.Instead = m.Permission, m.Limit.String(), m.Actions(), m.Instead
	a.Enrolment, a.Passage, a.Errors = m.Enrolment, m.Passage, codes(rest.ErrorsOf(m))
	return methodLine{Name: m.Name, Login: loginOf(m.Anonymous), Doc: m.Doc, Params: m.Params, Result: m.Result, asked: a}
}

func lineOfRoute(rt rest.Route) routeLine {
	a := asks(rt.Factor, rt.Inside, rt.Proofs, rt.Effects)
	a.Permission, a.Limit, a.Actions, a.Instead = rt.Permission, limitOf(rt.Limit), rt.Actions(), rt.Instead
	a.Enrolment, a.Passage, a.Errors = rt.Enrolment, rt.Passage, codes(rt.Errors)
	l := routeLine{Verb: rt.Verb, Path: rt.Path, Tag: rt.Tag, Summary: rt.Summary, Method: rt.Method, Parameters: []parameter{}, asked: a}
	l.Login = map[rest.Auth]string{rest.LoginRequired: "yes", rest.LoginOptional: "optional", rest.NoLogin: "no"}[rt.Auth]
	for _, part := range strings.Split(rt.Path, "/") {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			l.Parameters = append(l.Parameters, parameter{Name: name, In: "path", Required: true, Type: "string"})
		}
	}
	l.Parameters = append(append(l.Parameters, parameters("query", rt.Query)...), parameters("body", rt.Body)...)
	return l
}

func asks(factor, inside twofactor.Policy, p rpc.Proofs, e methods.Effects) asked {
	a := asked{Factor: factor.String(), Only: p.Only, Not: p.Not, Effects: strings.Split(e.String(), "+")}
	if inside > factor {
		a.WhenNeeded = inside.String()
	}
	return a
}

func codes(list []string) []string { return append([]string{}, list...) }

func limitOf(r ratelimit.Rule) string {
	switch {
	case r.Count < 0:
		return "methods"
	case r.Count == 0:
		return "default"
	}
	return fmt.Sprintf("%d / %v", r.Count, r.Window)
}

// parameters are the members of a schema, by name.
func parameters(in string, s rest.Schema) (list []parameter) {
	properties, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p, _ := properties[name].(map[string]any)
		one := parameter{Name: name, In: in, Required: slices.Contains(required, any(name))}
		one.Type, _ = p["type"].(string)
		one.About, _ = p["description"].(string)
		values, _ := p["enum"].([]any)
		for _, v := range values {
			one.Values = append(one.Values, fmt.Sprint(v))
		}
		list = append(list, one)
	}
	return list
}

// entries tells what each entry of a list of protected calls covers.
func (s *Slice) entries(list string) []protectedEntry {
	router, out := s.o.Router(), []protectedEntry{}
	for _, p := range router.Protection(list) {
		e := protectedEntry{Entry: p.Entry, Known: p.Known, Methods: []string{}, Routes: []string{}}
		for _, m := range router.Specs() {
			if !m.Passage && p.Covers(append([]string{m.Action}, m.Also...)...) {
				e.Methods = append(e.Methods, m.Name)
			}
		}
		for _, rt := range s.o.Routes() {
			if !rt.Passage && p.Covers(rt.Always()...) {
				e.Routes = append(e.Routes, rt.Verb+" "+rt.Path)
			}
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b protectedEntry) int { return cmp.Compare(a.Entry, b.Entry) })
	return slices.CompactFunc(out, func(a, b protectedEntry) bool { return a.Entry == b.Entry })
}

// surfaceRoutes is the same over REST.
type surfaceRoutes struct{ *Slice }

type surfaceQuery struct {
	ProtectedCalls string `json:"protectedCalls,omitempty" about:"shows what this list would cover, not the one that is saved"`
}

// Routes lists it.
func (g *surfaceRoutes) Routes() []rest.Route {
	return []rest.Route{{
		Verb: "GET", Path: "server.surface", Tag: "server", Summary: "Every method, route and stream, with what it asks for", Method: "server:surface",
		Query: schema.Of[surfaceQuery](), Result: schema.Of[surface]().Answered(), Shape: rest.AsDoc,
		Params: func(_ context.Context, r *rest.Request) ([]any, error) {
			if list := r.Query.Get("protectedCalls"); list != "" {
				return []any{map[string]any{"protectedCalls": list}}, nil
			}
			return nil, nil
		},
	}}
}
