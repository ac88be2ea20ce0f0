package growthtest

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// family makes texts of one kind. It gives about n bytes.
type family struct {
	name string
	text func(n int) string
}

// tokens are what means something in EJSON, markup, addresses, forms, headers,
// mails and names, and what grows or shrinks when it is normalised.
var tokens = []string{
	"(", ")", "[", "]", "{", "}", "<", ">", "\"", "'", "`", "\\", "/", "|", "&", "=", ";", ",", ":", ".", "-", "_", "~", "*", "#", "@", "%", "+", "?", "!", "$",
	" ", "\t", "\n", "\r\n", "\x00", "0", "9", "a", "A", "e",
	"[a](", "](", "<a|", "*_~", "~_*", "```", "```\n", "`a`", "@a ", "#a ", ":a", ":a:", "http://", "http://a ", "www.", "mailto:", "(?<", "(?<a>)", `\k<a>`,
	`\u0041`, `\ud83d`, `{"a":`, `{"$date":`, `{"$date":"x"},`, `{"$escape":`, `{"$x":`, `[[],`, `{},`, "0,", "1e400,", `"\u0024`, `{"twoFactorCode":`,
	"%41", "%", "a=1&", "a[]=1&", "a[b]=", "&&", "a.", "a@", "a-", ":1", "10.0.0.1, ", "[::1], ", "for=a;", "--a\r\n", "a: b\r\n", "{{", "{{.", "2020-01-02T",
	"é", "＠", "İ", "ﷺ", "\u0301", "\u0344", "👩‍👧", "\u202e", "\ufeff", "\xff", "\xed\xa0\x80",
}

// repeated fills n bytes with a token.
func repeated(token string, n int) string { return strings.Repeat(token, n/len(token)+1) }

// numbered fills n bytes with a token and a number that is never the same.
func numbered(token string, n int) string { return named(token, "", n) }

// named is numbered with something behind each number.
func named(head, tail string, n int) string {
	b := make([]byte, 0, n+64)
	for i := 0; len(b) < n; i++ {
		b = append(b, head...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, tail...)
	}
	return string(b)
}

// families lists the generated ones. The mixtures depend on nothing but the seed.
func families(seed uint64, mixtures int) []family {
	var out []family
	add := func(name string, text func(n int) string) { out = append(out, family{name, text}) }
	for _, token := range tokens {
		name := strconv.Quote(token)
		add(name, func(n int) string { return repeated(token, n) })
		add(name+" numbered", func(n int) string { return numbered(token, n) })
		add("a word and "+name, func(n int) string { return "word " + repeated(token, n) + "end" })
	}
	for _, pair := range [][2]string{{"(", ")"}, {"[", "]"}, {"{", "}"}, {"<", ">"}, {`{"a":`, "}"}, {`{"$x":`, "}"}, {`{"$escape":`, "}"}, {"*_~ ", " ~_*"}, {"[a](", ")"}, {"/*", "*/"}} {
		add(pair[0]+"…"+pair[1], func(n int) string { return repeated(pair[0], n/2) + repeated(pair[1], n/2) })
	}
	names := [][2]string{{"(?<a", ">)"}, {`\k<a`, ">"}, {"a", "=1&"}, {"@u", " "}, {"#r", " "}, {":e", ": "}, {"[a](http://h", ".x) "}, {"<http://h", ".x|a> "}, {"x", ": y\r\n"}, {"u", "@h.x, "}, {"10.0.0.", ", "}}
	for i, a := range names {
		b := names[(i+1)%len(names)]
		add(a[0]+"0"+a[1], func(n int) string { return named(a[0], a[1], n) })
		add(a[0]+"0"+a[1]+" and "+b[0]+"0"+b[1], func(n int) string { return named(a[0], a[1], n/2) + named(b[0], b[1], n/2) })
	}
	for _, list := range [][3]string{
		{`["`, `","`, `"]`}, {`[{"a":"`, `"},{"a":"`, `"}]`}, {`{"a":"`, `","b":"`, `"}`},
	} {
		add(list[0]+" numbered", func(n int) string { return list[0] + numbered(list[1], n) + list[2] })
	}
	add("keys", func(n int) string { return `{"k` + numbered(`":0,"k`, n) + `":0}` })
	add("escaped keys", func(n int) string { return `{"k` + numbered(`":0,"\u006b`, n) + `":0}` })
	rng := rand.New(rand.NewPCG(seed, 11))
	for i := range mixtures {
		first, second := mixture(rng), mixture(rng)
		add("mixture "+strconv.Itoa(i), func(n int) string { return repeated(first, n/2) + numbered(second, n/2) })
	}
	return out
}

// mixture is a few tokens in a row.
func mixture(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(4) {
		b.WriteString(tokens[rng.IntN(len(tokens))])
	}
	return b.String()
}
