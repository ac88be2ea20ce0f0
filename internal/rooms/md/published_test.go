package md

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestPublished: the tree is the one that the published parser makes of the same text. Where
// it is not, the published one has a link that none may follow, or has lost a part of the text.
// clients/support/markdown.mjs writes the file, clients/test/markdown.test.mjs checks it.
func TestPublished(t *testing.T) {
	raw, err := os.ReadFile("testdata/published.json")
	if err != nil {
		t.Fatal(err)
	}
	var pairs []struct {
		Text string
		MD   any
	}
	if err := json.Unmarshal(raw, &pairs); err != nil {
		t.Fatal(err)
	}
	different := 0
	for _, pair := range pairs {
		var got any
		tree := Parse(pair.Text, written).AppendJSON(nil)
		if err := json.Unmarshal(tree, &got); err != nil {
			t.Fatal(err)
		}
		if reflect.DeepEqual(got, pair.MD) {
			continue
		}
		different++
		lost := strings.Contains(pair.Text, "@@") || strings.Contains(pair.Text, "mailto:")
		if !lost && !unsafeLink(pair.MD) {
			want, _ := json.Marshal(pair.MD)
			t.Errorf("%q\n got %s\nwant %s", pair.Text, tree, want)
		}
	}
	if len(pairs) < 1000 || different > len(pairs)/50 {
		t.Errorf("%d of %d texts give another tree", different, len(pairs))
	}
}

// followed tells whether a link may lead there as it is written.
func followed(s string) bool {
	href, ok := linked(s)
	return ok && href == s
}

// unsafeLink tells whether a published tree has a link or an image that leads where none may.
func unsafeLink(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, kid := range v {
			if unsafeLink(kid) {
				return true
			}
		}
	case map[string]any:
		if src, ok := v["src"].(map[string]any); ok {
			if s, _ := src["value"].(string); !followed(s) {
				return true
			}
		}
		for _, kid := range v {
			if unsafeLink(kid) {
				return true
			}
		}
	}
	return false
}
