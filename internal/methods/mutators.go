package methods

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"ddpserver/internal/accounts"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/rpc"
)

// mutators are the methods that Meteor registers for its users collection, and
// configureLoginService, with Meteor's refusals (docs/wire/ddp.md A18, D2). One
// thing is allowed: changing the "profile" object of one's own account.
type mutators struct{ accounts *accounts.Service }

func (g *mutators) Specs() []Spec {
	specs := []Spec{{
		Name: "configureLoginService", Do: g.configureLoginService, Effects: Reads, Anonymous: true,
		Doc:    "Meteor's set-up of foreign login services; there are none here.",
		Params: "{service, …}", Result: "-", Errors: "400 Match failed; 403 Service unknown",
	}}
	for _, async := range []string{"", "Async"} {
		specs = append(specs,
			Spec{
				Name: "/users/insert" + async, Do: g.noRule("insert" + async), Effects: Reads, Anonymous: true,
				Doc: "Refused.", Params: "document", Result: "-", Errors: "403 Access denied…",
			},
			Spec{
				Name: "/users/update" + async, Action: "/users/update", Do: g.update("update" + async), Effects: Profile, Anonymous: true,
				Doc: "Changes the profile object of one's own account.", Params: "id, {$set, $unset}, options?", Result: "1",
				Errors: "400 Match failed; 403 Not permitted…; 403 Access denied…",
			},
			Spec{
				Name: "/users/remove" + async, Do: g.noRule("remove" + async), Effects: Reads, Anonymous: true,
				Doc: "Refused.", Params: "id", Result: "-", Errors: "403 Not permitted…; 403 Access denied…",
			},
		)
	}
	return specs
}

var (
	errDenied  = fault.Num(403, "Access denied")
	errUpsert  = fault.Num(403, "Access denied. Upserts not allowed in a restricted collection.")
	errReplace = fault.Num(403, "Access denied. In a restricted collection you can only update documents, not replace them. Use a Mongo update operator, "+
		"such as '$set'.")
	errService = fault.Num(403, "Service unknown")
)

func (g *mutators) configureLoginService(_ context.Context, c *rpc.Call) (any, error) {
	var o struct {
		Service string   `ejson:"service"`
		_       struct{} `ejson:",ignore"`
	}
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	return nil, errService
}

// noRule refuses an operation for which the collection has no allow rule.
func (g *mutators) noRule(name string) Handler {
	refusal := fault.Num(403, "Access denied. No allow validators set on restricted collection for method '"+name+"'.")
	return func(_ context.Context, c *rpc.Call) (any, error) {
		var first any
		var rest ejson.Rest
		if err := c.Bind(&first, &rest); err != nil {
			return nil, err
		}
		if _, ok := idOf(first); !ok && strings.HasPrefix(name, "remove") {
			return nil, errSelector(name)
		}
		return nil, refusal
	}
}

func errSelector(name string) *fault.Error {
	return fault.Num(403, "Not permitted. Untrusted code may only "+name+" documents by ID.")
}

func (g *mutators) update(name string) Handler {
	return func(ctx context.Context, c *rpc.Call) (any, error) {
		var selector any
		var modifier ejson.Doc
		var options *ejson.Doc
		if err := c.Bind(&selector, &modifier, &options); err != nil {
			return nil, err
		}
		id, ok := idOf(selector)
		if !ok {
			return nil, errSelector(name)
		}
		if options != nil {
			if up, _ := options.Get("upsert"); up != nil && up != false {
				return nil, errUpsert
			}
		}
		if err := checkOperators(modifier); err != nil {
			return nil, err
		}
		// Meteor answers 0 for a document that does not exist; that would tell
		// strangers which ids do.
		if c.User == nil || id != c.User.ID {
			return nil, errDenied
		}
		profile, err := modifyProfile(c.User.Profile, modifier)
		if err != nil {
			return nil, err
		}
		if err := g.accounts.SaveProfileObject(ctx, c.Peer, c.User, profile); err != nil {
			return nil, err
		}
		return 1, nil
	}
}

// idOf reads a selector that names one document: its id, or an object with
// nothing but the id. Nothing else of a selector ever reaches the database.
func idOf(selector any) (string, bool) {
	switch s := selector.(type) {
	case string:
		return s, true
	case ejson.ObjectID:
		return string(s), true
	case ejson.Doc:
		if len(s) == 1 && s[0].Key == "_id" {
			if _, nested := s[0].Value.(ejson.Doc); !nested {
				return idOf(s[0].Value)
			}
		}
	}
	return "", false
}

func checkOperators(modifier ejson.Doc) error {
	if len(modifier) == 0 {
		return errReplace
	}
	for _, f := range modifier {
		if !strings.HasPrefix(f.Key, "$") {
			return errReplace
		}
		if f.Key != "$set" && f.Key != "$unset" {
			return fault.Num(403, "Access denied. Operator "+clip(f.Key)+" not allowed in a restricted collection.")
		}
		if _, ok := f.Value.(ejson.Doc); !ok {
			return fault.MatchFailed.Because(fmt.Errorf("operator %s takes an object", f.Key))
		}
	}
	return nil
}

// modifyProfile applies $set and $unset to a copy of a profile object. Fields
// outside of it are refused as Meteor's rule for one's own document does.
func modifyProfile(profile map[string]any, modifier ejson.Doc) (map[string]any, error) {
	root := map[string]any{"profile": cloned(profile)}
	for _, op := range modifier {
		for _, f := range op.Value.(ejson.Doc) {
			path := strings.Split(f.Key, ".")
			if path[0] != "profile" {
				return nil, errDenied
			}
			if len(path) > maxPath {
				return nil, fault.MatchFailed
			}
			if !change(root, path, ejson.Plain(f.Value), op.Key == "$unset") {
				return nil, fault.MatchFailed
			}
		}
	}
	switch p := root["profile"].(type) {
	case nil:
		return map[string]any{}, nil
	case map[string]any:
		return p, nil
	}
	return nil, fault.MatchFailed // a profile is an object
}

// maxPath bounds the depth of a dotted field name.
const maxPath = 8

func change(at map[string]any, path []string, value any, unset bool) bool {
	key := path[0]
	if len(path) == 1 {
		if unset {
			delete(at, key)
		} else {
			at[key] = value
		}
		return true
	}
	next, ok := at[key].(map[string]any)
	if !ok {
		if at[key] != nil {
			return unset // nothing to remove inside a plain value
		}
		if unset {
			return true
		}
		next = map[string]any{}
		at[key] = next
	}
	return change(next, path[1:], value, unset)
}

func cloned(m map[string]any) map[string]any {
	out := maps.Clone(m)
	if out == nil {
		return map[string]any{}
	}
	for k, v := range out {
		if inner, ok := v.(map[string]any); ok {
			out[k] = cloned(inner)
		}
	}
	return out
}
