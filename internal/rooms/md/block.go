package md

import (
	"strings"
	"time"
)

// parser holds what is shared by all of one text.
type parser struct {
	s       string
	written time.Time
	left    int // marks that may still be made
	// steps counts the pieces that were looked at. Those of attempts that failed are
	// taken from patience; without it marks that enclose something are no longer tried.
	steps, patience int
	// Inside bold there is no bold, and so on.
	inBold, inItalic, inStrike, inLink bool
	// A short code is none behind a character that is no mark: in the line, in bold and
	// in italic.
	plainBefore, plainInBold, plainInItalic bool

	nameRun, alnumRun, schemeRun, mailRun, wordRun, bodyRun, digitRun, codeRun, shortRun, sameRun, blankRun run
	hostRun                                                                                                 hostRun
}

// An attempt that failed may have looked at so many pieces for each byte of the text, and
// at so many whatever its length.
const (
	patienceTimes = 2
	patienceBase  = 4 << 10
)

// attempt tells whether marks that enclose something may be tried, and what fails gives back.
func (p *parser) attempt() (ok bool, give func()) {
	left, steps := p.left, p.steps
	return p.left > 0 && p.patience > 0, func() {
		p.left = left
		p.patience -= p.steps - steps
	}
}

// blocks parses a text of blocks.
func (p *parser) blocks() Document {
	doc := make(Document, 0, strings.Count(p.s, "\n")+1)
	for i := 0; i < len(p.s); {
		n, end := p.block(i)
		doc = append(doc, n)
		i = end
	}
	return doc
}

// block parses the block at i.
func (p *parser) block(i int) (n Node, end int) {
	if p.left > 0 {
		before := p.left
		switch p.s[i] {
		case '>':
			n, end = p.quote(i)
		case '|':
			n, end = p.spoilerBlock(i)
		case '`':
			n, end = p.code(i)
		case '#':
			n, end = p.heading(i)
		case '-':
			if n, end = p.items(i, Tasks, p.task); end == 0 {
				n, end = p.items(i, UnorderedList, p.hyphen)
			}
		case '*':
			n, end = p.items(i, UnorderedList, p.asterisk)
		default:
			if p.s[i] >= '0' && p.s[i] <= '9' {
				n, end = p.items(i, OrderedList, p.numbered)
			}
		}
		if end > 0 {
			return n, end
		}
		p.left = before
	}
	if j := p.blanks(i); p.lineEnd(j) > 0 {
		return Node{Kind: LineBreak}, j + p.lineEnd(j)
	}
	kids, end := p.inline(i)
	return Node{Kind: Paragraph, Kids: kids}, end
}

// quote takes the lines that begin with ">".
func (p *parser) quote(i int) (Node, int) {
	n := Node{Kind: Quote}
	end := 0
	for p.at(i, '>') && p.left > 0 {
		i = p.blanks(i + 1)
		line := Node{Kind: Paragraph}
		if eol := p.lineEnd(i); eol > 0 {
			line.Kids, i = []Node{{Kind: Plain}}, i+eol
		} else if i == len(p.s) {
			break // with nothing behind it, not even the end of a line, it is text
		} else {
			line.Kids, i = p.inline(i)
		}
		p.left--
		n.Kids = append(n.Kids, line)
		end = i
	}
	return n, end
}

// spoilerBlock takes the paragraphs between lines of "||".
func (p *parser) spoilerBlock(i int) (Node, int) {
	ok, failed := p.attempt()
	if !ok || !p.has(i, "||") || p.lineEnd(i+2) == 0 {
		return Node{}, 0
	}
	n := Node{Kind: SpoilerBlock}
	p.left--
	i += 2 + p.lineEnd(i+2)
	for i < len(p.s) && !p.has(i, "||") && p.lineEnd(i) == 0 {
		var line Node
		line.Kind = Paragraph
		line.Kids, i = p.inline(i)
		n.Kids = append(n.Kids, line)
	}
	i += p.lineEnd(i)
	if len(n.Kids) == 0 || !p.has(i, "||") {
		failed()
		return Node{}, 0
	}
	return n, i + 2
}

const fence = "```"

// code takes the lines between fences. A fence inside a line ends nothing, and is none.
func (p *parser) code(i int) (Node, int) {
	if !p.has(i, fence) {
		return Node{}, 0
	}
	n := Node{Kind: Code, Text: "none"}
	begin := i + len(fence)
	eol := p.many(begin, &language)
	if eol > begin {
		n.Text = p.s[begin:eol]
	}
	if p.lineEnd(eol) == 0 {
		return Node{}, 0
	}
	body := eol + p.lineEnd(eol)
	closing := strings.Index(p.s[body:], fence)
	if closing <= 0 {
		return Node{}, 0
	}
	end := body + closing
	inner := p.s[body:end]
	// The last line end belongs to the fence, the others to the lines, which end with "\n".
	switch {
	case strings.HasSuffix(inner, "\r\n"):
		inner = inner[:len(inner)-2]
	case strings.HasSuffix(inner, "\n"), strings.HasSuffix(inner, "\r"):
		inner = inner[:len(inner)-1]
	default:
		return Node{}, 0
	}
	if inner == "" || strings.Contains(inner, "\r") {
		return Node{}, 0
	}
	lines := strings.Split(inner, "\n")
	if lines[0] == "" {
		lines = lines[1:] // that line end is the beginning of the next line
	}
	n.Kids = make([]Node, 0, len(lines))
	for _, l := range lines {
		n.Kids = append(n.Kids, Node{Kind: Plain, Text: l})
	}
	p.left--
	return n, end + len(fence)
}

// heading takes a line that begins with one to four "#". Its text has no marks.
func (p *parser) heading(i int) (Node, int) {
	level := 0
	for level < 4 && p.at(i+level, '#') {
		level++
	}
	begin := p.blanks(i + level)
	end := begin
	for end < len(p.s) && p.lineEnd(end) == 0 {
		end++
	}
	if begin == i+level || begin == end {
		return Node{}, 0
	}
	p.left--
	return Node{Kind: Heading, Number: level, Kids: []Node{{Kind: Plain, Text: p.s[begin:end]}}}, end
}

// items takes as many items of one kind as follow each other.
func (p *parser) items(i int, kind Kind, item func(int) (Node, int)) (Node, int) {
	n := Node{Kind: kind}
	end := 0
	for i < len(p.s) && p.left > 0 {
		it, next := item(i)
		if next == 0 {
			break
		}
		p.left--
		n.Kids = append(n.Kids, it)
		i, end = next, next
	}
	return n, end
}

func (p *parser) task(i int) (Node, int) {
	if !p.has(i, "- [x]") && !p.has(i, "- [ ]") {
		return Node{}, 0
	}
	n, end := p.item(i+len("- [x]"), Task)
	if p.s[i+3] == 'x' {
		n.Number = 1
	}
	return n, end
}

func (p *parser) numbered(i int) (Node, int) {
	dot := i
	for dot < len(p.s) && p.s[dot] >= '0' && p.s[dot] <= '9' {
		dot++
	}
	if dot == i || !p.at(dot, '.') {
		return Node{}, 0
	}
	n, end := p.item(dot+1, ListItem)
	n.Mark = p.s[i:dot]
	return n, end
}

func (p *parser) hyphen(i int) (Node, int) {
	if !p.at(i, '-') {
		return Node{}, 0
	}
	return p.item(i+1, ListItem)
}

// item takes the blanks and the line behind the mark of an item.
func (p *parser) item(i int, kind Kind) (Node, int) {
	begin := p.blanks(i)
	if begin == i || begin == len(p.s) || p.lineEnd(begin) > 0 {
		return Node{}, 0
	}
	kids, end := p.inline(begin)
	return Node{Kind: kind, Kids: kids}, end
}

// asterisk takes an item that begins with "*". An asterisk in it that is no mark makes it none.
func (p *parser) asterisk(i int) (Node, int) {
	ok, failed := p.attempt()
	if !ok || !p.at(i, '*') {
		return Node{}, 0
	}
	begin := p.blanks(i + 1)
	if begin == i+1 {
		return Node{}, 0
	}
	l := list{p: p}
	i = begin
	for i < len(p.s) && p.lineEnd(i) == 0 {
		p.plainBefore = false
		next := p.mark(i, &l)
		if next == 0 {
			if p.s[i] == '*' {
				failed()
				return Node{}, 0
			}
			next = p.any(i, &l)
		}
		p.steps++
		i = next
	}
	p.plainBefore = false
	if i == begin {
		return Node{}, 0
	}
	return Node{Kind: ListItem, Kids: l.done()}, i + p.lineEnd(i)
}
