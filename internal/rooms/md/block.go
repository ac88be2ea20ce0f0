package md

import "strings"

// Parse parses a text. It never fails: what is no mark is plain text. The empty
// text gives an empty document.
func Parse(text string) Document {
	if text == "" {
		return nil
	}
	if strings.IndexByte(text, '\r') >= 0 {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	if d := bigEmoji(text); d != nil {
		return d
	}
	p := parser{left: MaxMarks}
	lines := strings.Split(text, "\n")
	closing := closings(lines)
	doc := make(Document, 0, len(lines))
	for i := 0; i < len(lines); i++ {
		line, last := lines[i], i == len(lines)-1
		if end := closing[i]; end > 0 && p.left > 0 {
			doc = append(doc, p.code(lines[i:end]))
			i = end
			continue
		}
		switch {
		case last && line == "":
		case !last && strings.Trim(line, " \t") == "":
			doc = append(doc, Node{Kind: LineBreak})
		default:
			doc = append(doc, Node{Kind: Paragraph, Kids: p.inline(line, true)})
		}
	}
	return doc
}

const fence = "```"

// closings says, for each line that opens a code block, which line closes it.
// It looks at every line once, from the end.
func closings(lines []string) []int {
	out := make([]int, len(lines))
	next := 0
	for i := len(lines) - 1; i >= 0; i-- {
		if !strings.HasPrefix(lines[i], fence) {
			continue
		}
		if next > i+1 && isLanguage(lines[i][len(fence):]) {
			out[i] = next
		}
		if strings.TrimRight(lines[i], " \t") == fence {
			next = i
		}
	}
	return out
}

func isLanguage(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isAlnum(c) && c != ' ' && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// code makes a code block of the opening line and the lines inside.
func (p *parser) code(lines []string) Node {
	p.left--
	n := Node{Kind: Code, Text: lines[0][len(fence):], Kids: make([]Node, 0, len(lines)-1)}
	if strings.TrimSpace(n.Text) == "" {
		n.Text = "none"
	}
	for _, l := range lines[1:] {
		n.Kids = append(n.Kids, Node{Kind: Plain, Text: l})
	}
	return n
}

// bigEmoji recognises a text of one to three short codes and nothing else.
func bigEmoji(text string) Document {
	rest := strings.TrimSpace(text)
	if !strings.HasPrefix(rest, ":") {
		return nil
	}
	var kids []Node
	for rest != "" {
		end := shortCode(rest)
		if end == 0 || len(kids) == 3 {
			return nil
		}
		kids = append(kids, Node{Kind: Emoji, Text: rest[1 : end-1]})
		rest = strings.TrimLeft(rest[end:], " \t\r\n")
	}
	return Document{{Kind: BigEmoji, Kids: kids}}
}

// maxShortCode bounds the search for the second colon.
const maxShortCode = 64

// shortCode gives the length of the short code at the start of s, colons
// included, or 0.
func shortCode(s string) int {
	if len(s) < 3 || s[0] != ':' {
		return 0
	}
	for i := 1; i < len(s) && i <= maxShortCode+1; i++ {
		switch c := s[i]; {
		case c == ':' && i > 1:
			return i + 1
		case !isAlnum(c) && c != '_' && c != '+' && c != '-':
			return 0
		}
	}
	return 0
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
