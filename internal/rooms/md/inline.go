package md

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// parser holds what is shared by the lines of one text.
type parser struct {
	left int // marks that may still be made
}

// line is the state of parsing one line (or one label of a link).
type line struct {
	*parser
	s     string
	links bool // false inside a label
	out   []Node
	start int // of the plain text that is not in out yet
	// open holds, for '*', '_' and '~', the index in out of the one delimiter
	// run that may still be closed, or -1.
	open [3]int
	// brackets[i] is the index of the next ']' at or after i, made on demand.
	brackets []int32
	angles   []int32 // likewise of '>'
	// hrefs remembers where the address behind a "](" ends, by its index.
	hrefs map[int]address
	// run is where the text without blanks ends in which autolink looked last,
	// tried how often it found nothing there.
	run, tried int
}

type address struct {
	src string
	end int // behind the closing parenthesis; 0 for no address
}

const marks = "*_~"

var kinds = [3]Kind{Bold, Italic, Strike}

// inline parses one line without its end.
func (p *parser) inline(s string, links bool) []Node {
	l := line{parser: p, s: s, links: links, open: [3]int{-1, -1, -1}}
	for i := 0; i < len(s); {
		if l.left <= 0 {
			break
		}
		if n := l.step(i); n > i {
			i = n
		} else {
			i++
		}
	}
	l.flush(len(s))
	return merge(l.out)
}

// step handles the mark at i, if there is one, and returns the index behind it;
// otherwise i.
func (l *line) step(i int) int {
	switch c := l.s[i]; c {
	case '\\':
		if i+1 < len(l.s) && strings.IndexByte("*_~`#.", l.s[i+1]) >= 0 {
			l.flush(i)
			l.start = i + 1
			return i + 2
		}
	case '*', '_', '~':
		return l.delimiter(i, strings.IndexByte(marks, c))
	case '`':
		return l.inlineCode(i)
	case '[':
		return l.reference(i)
	case '<':
		return l.angle(i)
	case '@':
		return l.mention(i, MentionUser)
	case '#':
		return l.mention(i, MentionChannel)
	case ':':
		return l.emojis(i)
	case 'h', 'H', 'w', 'W':
		return l.autolink(i)
	}
	return i
}

// flush moves the plain text before end into out.
func (l *line) flush(end int) {
	if end > l.start {
		l.out = append(l.out, Node{Kind: Plain, Text: l.s[l.start:end]})
	}
	l.start = end
}

// emit puts a mark that spans s[i:end] into out.
func (l *line) emit(i, end int, n Node) int {
	l.flush(i)
	l.out = append(l.out, n)
	l.start = end
	l.left--
	return end
}

// delimiter handles a run of one of the emphasis marks: it closes what is open,
// else opens. An underscore inside a word does neither.
func (l *line) delimiter(i, kind int) int {
	end := i
	for end < len(l.s) && l.s[end] == l.s[i] {
		end++
	}
	canOpen, canClose := true, true
	if l.s[i] == '_' {
		canOpen = i == 0 || !isAlnum(l.s[i-1])
		canClose = end == len(l.s) || !isAlnum(l.s[end])
	}
	if at := l.open[kind]; canClose && at >= 0 {
		if l.wrap(at, i, end, kind) {
			return end
		}
	}
	l.flush(i)
	l.out = append(l.out, Node{Kind: delimiter, Text: l.s[i:end]})
	l.start = end
	if canOpen {
		l.open[kind] = len(l.out) - 1
	} else {
		l.open[kind] = -1
	}
	return end
}

// wrap makes an emphasis of everything between the opening run at out[at] and
// the closing run s[i:end]. Each run gives one or two marks; what is left of
// it is plain text. It refuses to emphasise nothing or blanks.
func (l *line) wrap(at, i, end, kind int) bool {
	l.flush(i)
	inner := l.out[at+1:]
	if blank(inner) {
		return false
	}
	opening := l.out[at].Text
	use := min(len(opening), end-i, 2)
	kids := merge(append([]Node(nil), inner...))
	l.out = l.out[:at]
	if rest := len(opening) - use; rest > 0 {
		l.out = append(l.out, Node{Kind: Plain, Text: opening[:rest]})
	}
	l.out = append(l.out, Node{Kind: kinds[kind], Kids: kids})
	l.left--
	l.start = i + use
	for k := range l.open {
		if l.open[k] >= at {
			l.open[k] = -1
		}
	}
	return true
}

func blank(nodes []Node) bool {
	for i := range nodes {
		if nodes[i].Kind != Plain || strings.Trim(nodes[i].Text, " \t") != "" {
			return false
		}
	}
	return true
}

// inlineCode handles a back quote.
func (l *line) inlineCode(i int) int {
	run := i + 1
	for run < len(l.s) && l.s[run] == '`' {
		run++
	}
	if run-i > 1 { // an empty span or a fence inside a line is text
		return run
	}
	n := strings.IndexByte(l.s[run:], '`')
	if n < 0 {
		return len(l.s[:run])
	}
	return l.emit(i, run+n+1, Node{Kind: InlineCode, Text: l.s[run : run+n]})
}

// mention handles '@' and '#': a name must follow, and no word may precede.
func (l *line) mention(i int, kind Kind) int {
	if wordBefore(l.s, i) {
		return i
	}
	end := i + 1
	for end < len(l.s) {
		r, size := utf8.DecodeRuneInString(l.s[end:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' && r != '.' {
			break
		}
		end += size
	}
	end = i + 1 + len(strings.TrimRight(l.s[i+1:end], ".-"))
	if end == i+1 {
		return i
	}
	return l.emit(i, end, Node{Kind: kind, Text: l.s[i+1 : end]})
}

func wordBefore(s string, i int) bool {
	r, _ := utf8.DecodeLastRuneInString(s[:i])
	return i > 0 && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// emojis handles a chain of short codes. It stands between blanks, emphasis
// marks or the ends of the line; otherwise the whole chain is text, so that
// "10:20:30:" and ":a:b" stay as they are.
func (l *line) emojis(i int) int {
	end := i
	for n := shortCode(l.s[end:]); n > 0; n = shortCode(l.s[end:]) {
		end += n
	}
	if end == i {
		return i
	}
	if !emojiNeighbour(l.s, i-1) || !emojiNeighbour(l.s, end) {
		return end - 1 // the last colon may open another one
	}
	for i < end && l.left > 0 {
		n := shortCode(l.s[i:])
		i = l.emit(i, i+n, Node{Kind: Emoji, Text: l.s[i+1 : i+n-1]})
	}
	return i
}

func emojiNeighbour(s string, i int) bool {
	return i < 0 || i >= len(s) || strings.IndexByte(" \t*_~", s[i]) >= 0
}

// merge joins neighbouring plain texts and turns delimiters that matched
// nothing into plain text. It reuses nodes.
func merge(nodes []Node) []Node {
	out := nodes[:0]
	for i := 0; i < len(nodes); {
		if k := nodes[i].Kind; k != Plain && k != delimiter {
			out = append(out, nodes[i])
			i++
			continue
		}
		j, size := i, 0
		for j < len(nodes) && (nodes[j].Kind == Plain || nodes[j].Kind == delimiter) {
			size += len(nodes[j].Text)
			j++
		}
		text := nodes[i].Text
		if j > i+1 {
			var b strings.Builder
			b.Grow(size)
			for k := i; k < j; k++ {
				b.WriteString(nodes[k].Text)
			}
			text = b.String()
		}
		out = append(out, Node{Kind: Plain, Text: text})
		i = j
	}
	return out
}
