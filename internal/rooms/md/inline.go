package md

import (
	"strings"
	"unicode/utf8"
)

// inline parses the line at i, which is not empty; end is behind the end of the line.
func (p *parser) inline(i int) (nodes []Node, end int) {
	l := list{p: p}
	p.plainBefore = false
	for i < len(p.s) && p.lineEnd(i) == 0 {
		if p.left <= 0 {
			eol := i
			for eol < len(p.s) && p.lineEnd(eol) == 0 {
				eol++
			}
			l.text(i, eol)
			i = eol
			break
		}
		p.steps++
		if next := p.mark(i, &l); next > 0 {
			p.plainBefore, i = false, next
			continue
		}
		i = p.any(i, &l)
		p.plainBefore = true
	}
	p.plainBefore = false
	return l.done(), i + p.lineEnd(i)
}

// any takes the character at i as text, and a telephone number or an address right behind
// it. A word that can begin nothing is taken as a whole.
func (p *parser) any(i int, l *list) int {
	end := i + p.size(i)
	if alnum.has(p.s[i]) {
		if word := p.alnums(i); word > end && p.unremarkable(i, word) {
			end = word
		}
	}
	if end-i == utf8.UTFMax {
		// Half of such a character is what "@" and "#" are attached to.
		if word := p.attached(end); word > 0 {
			end = word
		}
	}
	if _, n := p.phone(end); n > 0 {
		end = n
	}
	if n := p.address(end, p.textBody); n > 0 {
		end = n
	}
	l.text(i, end)
	return end
}

// unremarkable tells whether no mark and no address begins inside the word s[i:end],
// when none begins at i.
func (p *parser) unremarkable(i, end int) bool {
	if end < len(p.s) && strings.IndexByte(":_@#+", p.s[end]) >= 0 {
		return false
	}
	return !strings.Contains(p.s[i:end], localhost)
}

// mark adds the mark that begins at i, and returns the index behind it, or 0. Short codes
// are none behind a character that is no mark.
func (p *parser) mark(i int, l *list) int {
	c := p.s[i]
	switch c {
	case ' ', '\t':
		end := p.blanks(i)
		l.text(i, end)
		return end
	case '<':
		if n, end := p.timestamp(i); end > 0 {
			return p.emit(l, n, end)
		}
		if end := p.link(i, l); end > 0 {
			return end
		}
	case '[':
		return p.link(i, l)
	case '+':
		if n, end := p.phone(i); end > 0 {
			if len(n) < 5 {
				l.text(i, end)
				return end
			}
			return p.emit(l, Node{Kind: Link, Text: "tel:" + n, Kids: plain(p.s[i:end])}, end)
		}
	}
	if end := p.mail(i, l); end > 0 {
		return end
	}
	if end := p.autolink(i, l); end > 0 {
		return end
	}
	switch c {
	case '|':
		return p.spoiler(i, l)
	case '*', '_', '~':
		if end := p.emptyEmphasis(i); end > 0 {
			l.text(i, end)
			return end
		}
	}
	if end := p.emphasis(i, l); end > 0 {
		return end
	}
	if end := p.mention(i, l); end > 0 {
		return end
	}
	switch {
	case c == ':' || c >= 0x80:
		if !p.plainBefore {
			return p.emoji(i, l)
		}
	case c == '`':
		return p.inlineCode(i, l)
	case c == '!':
		return p.image(i, l)
	case c == '\\' && i+1 < len(p.s) && escaped.has(p.s[i+1]):
		l.text(i+1, i+2)
		return i + 2
	}
	return 0
}

// emit adds a node that is a mark.
func (p *parser) emit(l *list, n Node, end int) int {
	p.left--
	l.node(n)
	return end
}

func plain(s string) []Node { return []Node{{Kind: Plain, Text: s}} }

// inlineCode takes what is between two back quotes of one line.
func (p *parser) inlineCode(i int, l *list) int {
	if p.left <= 0 {
		return 0
	}
	end := p.codeRun.of(i+1, func(j int) int {
		if j < len(p.s) && p.s[j] != '`' && p.s[j] != '\n' {
			return j + 1
		}
		return j
	})
	if end == i+1 || !p.at(end, '`') {
		return 0
	}
	return p.emit(l, Node{Kind: InlineCode, Text: p.s[i+1 : end]}, end+1)
}

// attached is the index behind "@" or "#" and the letter that follows, which are behind a
// character of a word, or 0.
func (p *parser) attached(i int) int {
	at := p.repeated(i, '@')
	if at == i && p.at(at, '#') {
		at++
	}
	if at > i {
		if r, n := p.rune(at); letter(r) {
			return at + n
		}
	}
	return 0
}

// mention handles "@" and "#". Behind a character of a word they are text, with the
// character that follows.
func (p *parser) mention(i int, l *list) int {
	if n := p.size(i); wordly(p.s[i]) && n < utf8.UTFMax {
		if end := p.attached(i + n); end > 0 {
			l.text(i, end)
			return end
		}
	}
	if p.left <= 0 {
		return 0
	}
	switch p.s[i] {
	case '@':
		begin := p.repeated(i, '@')
		end := p.names(begin)
		if end == begin {
			return 0
		}
		if p.at(end, ':') || p.at(end, '@') {
			if host := p.names(end + 1); host > end+1 {
				end = host
			}
		}
		return p.emit(l, Node{Kind: MentionUser, Text: p.s[begin:end]}, end)
	case '#':
		if end := p.names(i + 1); end > i+1 {
			return p.emit(l, Node{Kind: MentionChannel, Text: p.s[i+1 : end]}, end)
		}
	}
	return 0
}
