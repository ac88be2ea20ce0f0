package md

// emptyEmphasis takes marks of emphasis with nothing but blanks between them, which are text.
func (p *parser) emptyEmphasis(i int) int {
	c := p.s[i]
	end := p.repeated(i, c)
	closing := p.blanks(end)
	if closing == end || !p.at(closing, c) {
		return 0
	}
	return p.repeated(closing, c)
}

// repeated is the index behind the run of c at i.
func (p *parser) repeated(i int, c byte) int {
	if !p.at(i, c) {
		return i
	}
	return p.sameRun.of(i, func(j int) int {
		if p.at(j, c) {
			return j + 1
		}
		return j
	})
}

// emphasis takes bold, italic or struck text at i.
func (p *parser) emphasis(i int, l *list) int {
	switch c := p.s[i]; {
	case c == '*':
		return p.bold(i, l)
	case c == '~':
		return p.strike(i, l)
	case c == '_' || alnum.has(c):
		return p.italic(i, l)
	}
	return 0
}

func (p *parser) bold(i int, l *list) int {
	if p.inBold {
		return 0
	}
	p.inBold = true
	defer func() { p.inBold = false }()
	return p.enclosed(i, l, '*', Bold, p.boldItem)
}

func (p *parser) strike(i int, l *list) int {
	if p.inStrike {
		return 0
	}
	p.inStrike = true
	defer func() { p.inStrike = false }()
	return p.enclosed(i, l, '~', Strike, p.strikeItem)
}

// enclosed takes what is between two or one of a mark.
func (p *parser) enclosed(i int, l *list, mark byte, kind Kind, item func(int, *list) int) int {
	for size := 2; size > 0; size-- {
		if p.repeated(i, mark)-i < size {
			continue
		}
		ok, failed := p.attempt()
		if !ok {
			return 0
		}
		if kind == Bold {
			p.plainInBold = false
		}
		inner := list{p: p}
		end := p.content(i+size, &inner, item)
		if end > i+size && p.repeated(end, mark)-end >= size {
			if kind == Bold {
				p.plainInBold = false
			}
			return p.emit(l, Node{Kind: kind, Kids: inner.done()}, end+size)
		}
		failed()
	}
	return 0
}

// content takes as many items as there are.
func (p *parser) content(i int, l *list, item func(int, *list) int) int {
	for i < len(p.s) {
		p.steps++
		next := item(i, l)
		if next == 0 {
			break
		}
		i = next
	}
	return i
}

// either takes the character at i as text unless it is the closing mark, a blank or the end of the line.
func (p *parser) either(i int, l *list, closing byte) int {
	if c := p.s[i]; c == '\n' || c == ' ' || c == closing {
		return 0
	}
	end := i + p.size(i)
	if alnum.has(p.s[i]) { // inside a word nothing begins, but what its last character is part of
		if word := p.alnums(i); word > end+1 && p.unremarkable(i, word) {
			end = word
		}
	}
	l.text(i, end)
	return end
}

func (p *parser) boldItem(i int, l *list) int {
	end := p.inside(i, l)
	if end == 0 {
		end = p.italic(i, l)
	}
	if end == 0 {
		end = p.strikeAt(i, l)
	}
	if end == 0 && !p.plainInBold {
		end = p.emojiAt(i, l)
	}
	if end > 0 {
		p.plainInBold = false
		return end
	}
	if end = p.either(i, l, '*'); end > 0 {
		p.plainInBold = true
	}
	return end
}

func (p *parser) italicItem(i int, l *list) int {
	end := p.inside(i, l)
	if end == 0 && p.s[i] == '*' {
		end = p.bold(i, l)
	}
	if end == 0 {
		end = p.strikeAt(i, l)
	}
	if end == 0 && !p.plainInItalic {
		end = p.emojiAt(i, l)
	}
	if end > 0 {
		p.plainInItalic = false
		return end
	}
	if end = p.either(i, l, '_'); end > 0 {
		p.plainInItalic = true
	}
	return end
}

func (p *parser) strikeItem(i int, l *list) int {
	if p.s[i] == '<' {
		if n, end := p.timestamp(i); end > 0 {
			return p.emit(l, n, end)
		}
	}
	end := p.inside(i, l)
	if end == 0 {
		end = p.italic(i, l)
	}
	if end == 0 && p.s[i] == '*' {
		end = p.bold(i, l)
	}
	if end == 0 {
		end = p.emojiAt(i, l)
	}
	if end == 0 {
		end = p.either(i, l, '~')
	}
	return end
}

func (p *parser) strikeAt(i int, l *list) int {
	if p.s[i] == '~' {
		return p.strike(i, l)
	}
	return 0
}

func (p *parser) emojiAt(i int, l *list) int {
	if c := p.s[i]; c == ':' || c >= 0x80 {
		return p.emoji(i, l)
	}
	return 0
}

// inside takes what every emphasis may hold.
func (p *parser) inside(i int, l *list) int {
	switch p.s[i] {
	case ' ', '\t':
		end := p.blanks(i)
		l.text(i, end)
		return end
	case '`':
		return p.inlineCode(i, l)
	case '[':
		return p.link(i, l)
	case '<':
		if end := p.link(i, l); end > 0 {
			return end
		}
	}
	return p.mention(i, l)
}

// italic takes a text between two or one underscores. Letters and digits right in front
// of them or right behind make them text.
func (p *parser) italic(i int, l *list) int {
	if p.inItalic {
		return 0
	}
	if alnum.has(p.s[i]) {
		end := p.alnums(i)
		if !p.at(end, '_') {
			return 0
		}
		end = min(p.repeated(end, '_'), end+2)
		l.text(i, end)
		return end
	}
	if p.s[i] != '_' {
		return 0
	}
	p.inItalic = true
	defer func() { p.inItalic = false }()
	size := min(p.repeated(i, '_')-i, 2)
	stale := p.plainInItalic
	inner, end := p.underscored(i, size)
	if end > 0 {
		word := end + size
		for word < len(p.s) && alnum.has(p.s[word]) && (size == 2 || p.s[word] > '9') {
			word++
		}
		if word > end+size {
			l.words(p.s[i : i+size])
			l.nodes(inner)
			l.words(p.s[end:word])
			return word
		}
	}
	if stale { // what is italic begins anew, what is text did not
		p.plainInItalic = false
		inner, end = p.underscored(i, size)
	}
	if end == 0 {
		return 0
	}
	p.plainInItalic = false
	return p.emit(l, Node{Kind: Italic, Kids: inner}, end+size)
}

// underscored takes what is between size underscores at i and as many others at end, 0 for none.
func (p *parser) underscored(i, size int) (nodes []Node, end int) {
	ok, failed := p.attempt()
	if !ok {
		return nil, 0
	}
	inner := list{p: p}
	end = p.content(i+size, &inner, p.italicItem)
	if end == i+size || p.repeated(end, '_')-end < size {
		failed()
		return nil, 0
	}
	return inner.done(), end
}
