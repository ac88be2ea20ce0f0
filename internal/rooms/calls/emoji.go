package calls

import (
	"context"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rpc"
)

// emojis says that there are no custom emojis, which clients ask for at their start. The
// pictures of an adopted database are in a store of another program.
type emojis struct{}

func (g *emojis) Specs() []methods.Spec {
	return []methods.Spec{{
		Name: "listEmojiCustom", Do: g.list, Effects: methods.Reads, Limit: ratelimit.Wide,
		Doc: "Lists custom emojis; there are none.", Params: "options?", Result: "[]",
	}}
}

func (g *emojis) list(_ context.Context, c *rpc.Call) (any, error) {
	var options *any
	return []any{}, c.Bind(&options)
}

// Routes lists the same over REST.
func (g *emojis) Routes() []rest.Route {
	return []rest.Route{{
		Verb: "GET", Path: "emoji-custom.list", Tag: "chat", Summary: "Custom emojis (none)", Limit: chatLimit, Method: "listEmojiCustom",
		Query: schema.Of[emojiQuery](), Result: schema.Answer[emojiList](), Params: emojiParams, Shape: emojiShape,
	}}
}

// emojiParams has the time read as in every list, though nothing changed since any.
func emojiParams(_ context.Context, r *rest.Request) ([]any, error) {
	_, err := r.Date("updatedSince")
	return nil, err
}

func emojiShape(list any) (ejson.Doc, error) {
	return field("emojis", ejson.Doc{{Key: "update", Value: list}, {Key: "remove", Value: []any{}}}), nil
}

type (
	emojiQuery struct {
		ID           string `json:"_id,omitempty"`
		UpdatedSince string `json:"updatedSince,omitempty"`
	}
	emojiList struct {
		Emojis emojiChanges `json:"emojis"`
	}
	emojiChanges struct {
		Update []map[string]any `json:"update"`
		Remove []map[string]any `json:"remove"`
	}
)
