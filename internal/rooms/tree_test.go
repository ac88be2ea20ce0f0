package rooms

import (
	"strings"
	"testing"
	"time"

	"ddpserver/internal/rooms/md"
)

// The parsed text never outgrows the text by much (docs/security-tests.md A13), and what people
// write keeps its marks.
func TestTreeIsBounded(t *testing.T) {
	for _, unit := range []string{"*a*", "`a`", " :a:", "@a ", "[a](b.c)", "www.a ", "\n", "*_~a~_*", "<b.c|*_~a~_*>", "```\na\n```\n", "\x01"} {
		for _, n := range []int{1, 10, 100, 1000, 5000} {
			text := strings.Repeat(unit, n/len(unit)+1)
			plain := md.Document{{Kind: md.Paragraph, Kids: []md.Node{{Kind: md.Plain, Text: text}}}}.AppendJSON(nil)
			if got := (&Message{Text: text}).tree(); len(got) > treeTimes*len(plain)+treeBase {
				t.Errorf("%d bytes of %q became %d", len(text), unit, len(got))
			}
		}
	}
	for _, text := range []string{
		"*hi* :smile: see [this](https://x.org) @ada", strings.Repeat(":smile: ", 60),
		strings.Repeat("a *word* and then some more of `what` people write to @ada, ", 40),
		strings.Repeat("what people write to each other is *mostly* words, ", 90),
	} {
		if got := string((&Message{Text: text}).tree()); got != string(md.Parse(text, time.Time{}).AppendJSON(nil)) {
			t.Errorf("%.40q lost its marks", text)
		}
	}
}
