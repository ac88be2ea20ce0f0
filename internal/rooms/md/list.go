package md

import "strings"

// list collects inline nodes. Plain texts that follow each other become one, and a
// short code that touches a word or another emoji becomes the text it was.
type list struct {
	p   *parser
	out []Node
	// The plain text at the end of out is s[start:end] as long as buf is empty, else buf.
	start, end int
	buf        []byte
	// last is the kind of what was added last, blank whether that was a text of blanks, and
	// pending tells that it was a short code, whose right neighbour is not known yet.
	last           Kind
	blank, pending bool
	from, to       int    // where the pending short code is in s, -1 when it is not
	code           string // the same without colons
	crowded        bool   // its left neighbour makes it text
}

// text adds s[from:to] as plain text.
func (l *list) text(from, to int) {
	if from == to {
		return
	}
	s := l.p.s[from:to]
	l.settle(Plain, s)
	l.join(s, from, to)
	l.last, l.blank = Plain, strings.TrimSpace(s) == ""
}

// words adds a plain text that is not in s as it stands.
func (l *list) words(s string) {
	l.settle(Plain, s)
	l.join(s, -1, -1)
	l.last, l.blank = Plain, strings.TrimSpace(s) == ""
}

// node adds anything but plain text.
func (l *list) node(n Node) {
	l.settle(n.Kind, "")
	l.close()
	l.out = append(l.out, n)
	l.last = n.Kind
}

// shortCode adds the emoji s[from:to], colons included.
func (l *list) shortCode(from, to int) {
	l.added(l.p.s[from+1 : to-1])
	l.from, l.to = from, to
}

func (l *list) added(code string) {
	l.settle(Emoji, "")
	l.crowded = l.last == Emoji || l.last == Plain && !l.blank
	l.pending, l.code, l.from, l.to, l.last = true, code, -1, -1, Emoji
}

// nodes adds what another list made.
func (l *list) nodes(nodes []Node) {
	for _, n := range nodes {
		switch {
		case n.Kind == Plain:
			l.words(n.Text)
		case n.Kind == Emoji && n.Mark == "":
			l.added(n.Text)
		default:
			l.node(n)
		}
	}
}

// settle decides on the pending short code when its right neighbour comes.
func (l *list) settle(next Kind, s string) {
	if !l.pending {
		return
	}
	l.crowded = l.crowded || next == Emoji || next == Plain && strings.TrimSpace(s) != ""
	l.decide()
}

// decide makes an emoji or a text of the pending short code.
func (l *list) decide() {
	l.pending = false
	if l.crowded {
		l.join(":"+l.code+":", l.from, l.to)
		return
	}
	l.close()
	l.out = append(l.out, Node{Kind: Emoji, Text: l.code})
}

// join puts a text behind the plain text at the end of out. from is its place in s, or -1.
func (l *list) join(s string, from, to int) {
	open := len(l.out) > 0 && l.out[len(l.out)-1].Kind == Plain
	switch {
	case !open:
		l.out = append(l.out, Node{Kind: Plain, Text: s})
		l.start, l.end = from, to
	case len(l.buf) == 0 && from >= 0 && l.end == from && l.start >= 0:
		l.end = to
	default:
		if len(l.buf) == 0 {
			l.buf = append(l.buf, l.plain()...)
		}
		l.buf = append(l.buf, s...)
	}
}

// plain is the plain text at the end of out, which is not in its node yet.
func (l *list) plain() string {
	switch {
	case len(l.buf) > 0:
		return string(l.buf)
	case l.start >= 0:
		return l.p.s[l.start:l.end]
	}
	return l.out[len(l.out)-1].Text
}

// close ends the plain text at the end of out.
func (l *list) close() {
	if n := len(l.out); n > 0 && l.out[n-1].Kind == Plain {
		l.out[n-1].Text = l.plain()
		l.buf = nil
	}
}

// done is what was collected.
func (l *list) done() []Node {
	if l.pending {
		l.decide()
	}
	l.close()
	return l.out
}
