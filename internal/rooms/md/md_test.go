package md

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// written is when the texts of the tests were.
var written = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// show writes a tree in a short form: kinds in lower case, kids in brackets.
func show(nodes []Node) string {
	var b strings.Builder
	for i := range nodes {
		if i > 0 {
			b.WriteByte(' ')
		}
		n := &nodes[i]
		switch n.Kind {
		case Plain:
			b.WriteString("'" + n.Text + "'")
		case LineBreak:
			b.WriteString("br")
		case Link:
			b.WriteString("link<" + n.Text + ">[" + show(n.Kids) + "]")
		case Code:
			b.WriteString("code(" + n.Text + ")[" + show(n.Kids) + "]")
		case InlineCode, MentionUser, MentionChannel, Emoji:
			short := map[Kind]string{InlineCode: "`", MentionUser: "@", MentionChannel: "#", Emoji: ":"}
			b.WriteString(short[n.Kind] + n.Text)
		case Paragraph:
			b.WriteString("p[" + show(n.Kids) + "]")
		default:
			b.WriteString(strings.ToLower(string(n.Kind)) + "[" + show(n.Kids) + "]")
		}
	}
	return b.String()
}

// What the published parser gives for many more texts is in TestPublished; these say what is
// so, for whoever reads.
func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"hello", "p['hello']"},
		{"test\n\ntest2", "p['test'] br p['test2']"},
		{"test\n\n\n\ntest2\n", "p['test'] br br br p['test2']"},
		{"a\r\nb", "p['a'] p['b']"},
		{"*test:*", "p[bold['test:']]"},
		{"**bold** x", "p[bold['bold'] ' x']"},
		{"*bold ending with colon :*and more", "p[bold['bold ending with colon :'] 'and more']"},
		{"__italic__", "p[italic['italic']]"},
		{"__italic__non", "p['__italic__non']"},
		{"__test__test__", "p['__test__test__']"},
		{"pre__italic__post", "p['pre__italic__post']"},
		{" pre__**~~boldstrikeitalic~~**__post ", "p[' pre__' bold[strike['boldstrikeitalic']] '__post ']"},
		{"__", "p['__']"},
		{"_ _", "p['_ _']"},
		{"__ _", "p['__ _']"},
		{"****", "p['****']"},
		{"_ Hello_", "p[italic[' Hello']]"},
		{"_Hello _", "p[italic['Hello ']]"},
		{"__Hello_", "p['_' italic['Hello']]"},
		{"_Hello__", "p[italic['Hello'] '_']"},
		{"___Hello___", "p['_' italic['Hello'] '_']"},
		{"___Hello__", "p['_' italic['Hello']]"},
		{"_Hello", "p['_Hello']"},
		{"He_llo", "p['He_llo']"},
		{"text_hello_text", "p['text_hello_text']"},
		{"text_hello_", "p['text_hello_']"},
		{"_ouch_ouch", "p['_ouch_ouch']"},
		{"something__ __and italic__", "p['something__ ' italic['and italic']]"},
		{"_@mention _gone", "p['_' @mention ' _gone']"},
		{"_ @guilherme.gazzo _", "p[italic[' ' @guilherme.gazzo ' ']]"},
		{"_nothing `should` be _gone", "p['_nothing ' `should ' be _gone']"},
		{"paragraph@test__", "p['paragraph@test__']"},
		{"**bold ~~and strike~~**", "p[bold['bold ' strike['and strike']]]"},
		{"~~strike~~ ~one~", "p[strike['strike'] ' ' strike['one']]"},
		{"a*b*c", "p['a' bold['b'] 'c']"},
		{`\*not bold\*`, "p['*not bold*']"},
		{"`code *x*` y", "p[`code *x* ' y']"},
		{"``", "p['``']"},
		{"`open", "p['`open']"},
		{":smile:", "big_emoji[:smile]"},
		{" :smile::smile::smile: ", "big_emoji[:smile :smile :smile]"},
		{":smile:\n  :smile:\n  ", "big_emoji[:smile :smile]"},
		{":a: :b: :c: :d:", "p[:a ' ' :b ' ' :c ' ' :d]"},
		{":smile: asd", "p[:smile ' asd']"},
		{":smile:asd", "p[':smile:asd']"},
		{":smile:a:smile:", "p[':smile:a:smile:']"},
		{"text:inner:outer", "p['text:inner:outer']"},
		{"10:20:30:", "p['10:20:30:']"},
		{`":smile:"`, `p['":smile:"']`},
		{"Hi :+1_tone4:", "p['Hi ' :+1_tone4]"},
		{"_test :smile: test_", "p[italic['test ' :smile ' test']]"},
		{"hi @bob, see #general.", "p['hi ' @bob ', see ' #general.]"},
		{"@all (@here)", "p[@all ' (' @here ')']"},
		{"mail a@b.com", "p['mail ' link<mailto:a@b.com>['a@b.com']]"},
		{"@ #", "p['@ #']"},
		{"[Gist](https://gist.github.com/24)", "p[link<https://gist.github.com/24>['Gist']]"},
		{"[](https://x.org)", "p[link<https://x.org>['https://x.org']]"},
		{"[**b** c](x.org/a(b))", "p[link<x.org/a(b)>[bold['b'] ' c']]"},
		{"**in [emphasis with more [references](https://rocket.chat)](https://rocket.chat)**",
			"p[bold['in ' link<https://rocket.chat>['emphasis with more [references'] '](https://rocket.chat)']]"},
		{"[ ] [x](https://y.org)", "p['[ ] ' link<https://y.org>['x']]"},
		{"<https://x.org|site>", "p[link<https://x.org>['site']]"},
		{"see https://x.org/a_b?c=d.", "p['see ' link<https://x.org/a_b?c=d>['https://x.org/a_b?c=d'] '.']"},
		{"(http://x.org/a(b))", "p['(http://x.org/a(b))']"},
		{"*https://x.org*", "p[bold['https://x.org']]"},
		{"www.x.org", "p[link<//www.x.org>['www.x.org']]"},
		{"[x](javascript:alert(1))", "p['[x](javascript:alert(1))']"},
		{"[x](JaVaScRiPt://x.org/%0aalert(1))", "p['[x](JaVaScRiPt://x.org/%0aalert(1))']"},
		{"[x](data:text/html;base64,PHM=)", "p['[x](data:text/html;base64,PHM=)']"},
		{"[x](mailto:a@b.org) [y](tel:+49123)", "p[link<mailto:a@b.org>['x'] ' ' link<tel:+49123>['y']]"},
		{"[x](https://)", "p['[x](https://)']"},
		{"# heading", "heading['heading']"},
		{"- item\n> quote", "unordered_list[list_item['item']] quote[p['quote']]"},
		{"```\ncode\n\n\ncode\n```", "code(none)['code' '' '' 'code']"},
		{"```bash c\n**code**\n```\nafter", "code(bash c)['**code**'] br p['after']"},
		{"  ```\ncode\n```", "p['  ```'] p['code'] p['```']"},
		{"```\nopen", "p['```'] p['open']"},
		{"```\n```", "p['```'] p['```']"},
		{"", ""},
	} {
		if got := show(Parse(c.in, written)); got != c.want {
			t.Errorf("Parse(%q)\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a\n\nb", `[{"type":"PARAGRAPH","value":[{"type":"PLAIN_TEXT","value":"a"}]},{"type":"LINE_BREAK"},{"type":"PARAGRAPH","value":[{"type":"PLAIN_TEXT","value":"b"}]}]`},
		{"*x* `y`", `[{"type":"PARAGRAPH","value":[{"type":"BOLD","value":[{"type":"PLAIN_TEXT","value":"x"}]},{"type":"PLAIN_TEXT","value":" "},{"type":"INLINE_CODE","value":{"type":"PLAIN_TEXT","value":"y"}}]}]`},
		{":a:", `[{"type":"BIG_EMOJI","value":[{"type":"EMOJI","value":{"type":"PLAIN_TEXT","value":"a"},"shortCode":"a"}]}]`},
		{"[l](https://x.org)", `[{"type":"PARAGRAPH","value":[{"type":"LINK","value":{"src":{"type":"PLAIN_TEXT","value":"https://x.org"},"label":[{"type":"PLAIN_TEXT","value":"l"}]}}]}]`},
		{"@u", `[{"type":"PARAGRAPH","value":[{"type":"MENTION_USER","value":{"type":"PLAIN_TEXT","value":"u"}}]}]`},
		{"```go\nx\n```", `[{"type":"CODE","language":"go","value":[{"type":"CODE_LINE","value":{"type":"PLAIN_TEXT","value":"x"}}]}]`},
		{"</script>\x01\"\\\xff", `[{"type":"PARAGRAPH","value":[{"type":"PLAIN_TEXT","value":"</script>\u0001\"\\` + "\ufffd" + `"}]}]`},
	} {
		if got := string(Parse(c.in, written).AppendJSON(nil)); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestTexts(t *testing.T) {
	d := Parse("@a **@b** [@c](https://x.org) @a `@d` #r\n```\n@e\n```", written)
	if got := strings.Join(d.Texts(MentionUser, 10), ","); got != "a,b" {
		t.Errorf("mentions %q", got)
	}
	if got := d.Texts(MentionUser, 2); len(got) != 2 {
		t.Errorf("limit: %q", got)
	}
	if got := strings.Join(d.Texts(Link, 10), ","); got != "https://x.org" {
		t.Errorf("links %q", got)
	}
}

// hostile are texts made to cost more than their length.
var hostile = []string{
	strings.Repeat("[", 5000), strings.Repeat("[a](", 1250), strings.Repeat("](", 2500),
	strings.Repeat("<", 5000), strings.Repeat("<a|", 1600), strings.Repeat("*_~", 1600),
	strings.Repeat("*_~ ", 600) + strings.Repeat(" ~_*", 600), strings.Repeat("`a`", 1600),
	strings.Repeat("`", 5000), strings.Repeat(":a:", 1600), strings.Repeat(":a", 2500),
	strings.Repeat("@a ", 1600), strings.Repeat("http://a ", 550), strings.Repeat("http://!", 600),
	strings.Repeat("```\n", 1250), strings.Repeat("\n", 5000), strings.Repeat(`\*`, 2500),
	strings.Repeat("__a__b", 800), strings.Repeat("[*a*](http://x.y(", 300), strings.Repeat("www.", 1250),
}

func check(t *testing.T, text string) {
	d := Parse(text, written)
	raw := d.AppendJSON(nil)
	if !json.Valid(raw) || !utf8.Valid(raw) {
		t.Fatalf("invalid JSON for %q: %s", text, raw)
	}
	if n := depth(d); n > MaxDepth {
		t.Fatalf("depth %d for %q", n, text)
	}
	count, size := 0, 0
	d.Walk(func(n *Node) {
		switch n.Kind {
		case Plain:
			size += len(n.Text)
		case Link, Image:
			low := strings.ToLower(n.Text)
			if !strings.HasPrefix(low, "http://") && !strings.HasPrefix(low, "https://") && !strings.HasPrefix(low, "//") &&
				!strings.HasPrefix(low, "mailto:") && !strings.HasPrefix(low, "tel:") {
				t.Fatalf("link to %q in %q", n.Text, text)
			}
			count++
		case Paragraph, LineBreak, UnorderedList, OrderedList, Tasks, Quote:
		default:
			count++
		}
	})
	if count > MaxMarks+3 {
		t.Fatalf("%d marks in %q", count, text)
	}
	if size > 2*len(text)+8*count { // a link without a label shows its address, "//" may be added
		t.Fatalf("%d bytes of text from %d: %q", size, len(text), text)
	}
}

func depth(nodes []Node) int {
	deepest := 0
	for i := range nodes {
		deepest = max(deepest, 1+depth(nodes[i].Kids))
	}
	return deepest
}

func TestHostile(t *testing.T) {
	for _, text := range hostile {
		check(t, text)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Add("*a* _b_ ~c~ `d` [e](https://f.g) @h #i :j: <https://k.l|m>\n```n\no\n```\n\np")
	f.Fuzz(check)
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"chat":    "hi @bob, did you see https://example.org/page? *very* nice :smile: `go test`",
		"hostile": strings.Repeat("*_~ ", 600) + strings.Repeat(" ~_*", 600),
		"plain":   strings.Repeat("just a long plain text, ", 200),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = Parse(text, written).AppendJSON(buf[:0])
			}
		})
	}
}
