package md

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

const localhost = "localhost"

// hostRun remembers the host that was looked for last: whoever looks from a later place
// in it finds the same end.
type hostRun struct {
	from, end int
	dot       int // the last one in it, or -1
}

// hostChar is the length of the character at i, 0 when hosts have none such. A hyphen and
// an underscore take the character behind them along, even a dot.
func (p *parser) hostChar(i int) int {
	n := 0
	if p.at(i, '-') || p.at(i, '_') {
		n = 1
	} else if i < len(p.s) && unnamed.has(p.s[i]) {
		return 0
	}
	if i+n >= len(p.s) || ended.has(p.s[i+n]) {
		return 0
	}
	return n + p.size(i+n)
}

// host is the index behind the host at i: "localhost", or names with a dot between them.
func (p *parser) host(i int) int {
	if p.has(i, localhost) {
		return i + len(localhost)
	}
	if p.at(i, '_') || p.hostChar(i) == 0 {
		return 0
	}
	r := &p.hostRun
	if i > r.from && i < r.end && (p.s[i-1] == '-' || p.s[i-1] == '_') {
		// What hyphens take along depends on where one begins.
		if p.patience <= 0 {
			return 0
		}
		other := p.scanHost(i)
		p.patience -= other.end - i
		r = &other
	} else if i < r.from || i >= r.end {
		*r = p.scanHost(i)
	}
	if r.dot <= i {
		return 0
	}
	return r.end
}

func (p *parser) scanHost(i int) hostRun {
	r := hostRun{i, i, -1}
	for {
		n := p.hostChar(r.end)
		if n == 0 && p.at(r.end, '.') {
			if n = p.hostChar(r.end + 1); n > 0 {
				r.dot = r.end
				n++
			}
		}
		if n == 0 {
			return r
		}
		r.end += n
	}
}

// hostPort is the index behind a host and, maybe, a port.
func (p *parser) hostPort(i int) int {
	end := p.host(i)
	if end > 0 && p.at(end, ':') {
		if port := p.digits(end + 1); port > end+1 {
			return port
		}
	}
	return end
}

func (p *parser) digits(i int) int {
	return p.digitRun.of(i, func(j int) int {
		if j < len(p.s) && p.s[j] >= '0' && p.s[j] <= '9' {
			return j + 1
		}
		return j
	})
}

// scheme is the index behind a scheme and its colon.
func (p *parser) scheme(i int) int {
	const longest = 32
	end := p.schemeRun.of(i, func(j int) int {
		if j < len(p.s) && schemed.has(p.s[j]) {
			return j + 1
		}
		return j
	})
	if end == i || end-i > longest || !p.at(end, ':') {
		return 0
	}
	return end + 1
}

// address is the index behind the address at i, with or without a scheme. body is the
// index behind what follows its host.
func (p *parser) address(i int, body func(int) int) int {
	if i >= len(p.s) {
		return 0
	}
	if slashes := p.scheme(i); slashes > 0 && p.has(slashes, "//") {
		begin := slashes + 2
		user := p.many(begin, &userInfo)
		if user > begin && p.at(user, ':') {
			if password := p.many(user+1, &userInfo); password > user+1 {
				user = password
			}
		}
		if user > begin && p.at(user, '@') {
			if end := p.hostPort(user + 1); end > 0 {
				return body(end)
			}
		} else if end := p.hostPort(begin); end > 0 {
			return body(end)
		}
	}
	if end := p.hostPort(i); end > 0 {
		return body(end)
	}
	return 0
}

// word is the index behind the characters at i that are no blank and no end of a line.
func (p *parser) word(i int) int {
	return p.wordRun.of(i, func(j int) int {
		if j >= len(p.s) || strings.IndexByte(" \t\r\n", p.s[j]) >= 0 {
			return j
		}
		return j + 1
	})
}

// restOfWord is the body of an address in the text: all but the punctuation at the end.
func (p *parser) restOfWord(i int) int {
	end := p.word(i)
	for end > i && trailing.has(p.s[end-1]) {
		end--
	}
	return max(end, i)
}

// textBody is the body of an address that is no link, and of one in angle brackets. It
// ends before ")", "\" and "|".
func (p *parser) textBody(i int) int {
	end := p.bodyRun.of(i, func(j int) int {
		if j >= len(p.s) || p.s[j] <= ' ' || strings.IndexByte(")\\|\x7f", p.s[j]) >= 0 {
			return j
		}
		return j + 1
	})
	// The punctuation before a blank or the end of the text does not belong to it.
	return min(end, p.restOfWord(i))
}

// bracketBody is the body of an address in parentheses, in which others may stand.
func (p *parser) bracketBody(i int) int {
	for i < len(p.s) {
		c := p.s[i]
		switch {
		case c <= ' ', c == ')', c == '\\', c == '|', c == 0x7f:
			return i
		case c == '(':
			end := i + 1
			for end < len(p.s) && p.s[end] > ' ' && strings.IndexByte(")\\|\x7f", p.s[end]) < 0 {
				end++
			}
			p.steps += end - i
			if !p.at(end, ')') {
				return i
			}
			i = end + 1
			continue
		case closers.has(c):
			end := p.many(i, &closers)
			if end < len(p.s) && strings.IndexByte(" \t\r\n", p.s[end]) >= 0 {
				return i
			}
			i = end
			continue
		}
		i++
	}
	return i
}

// target reads the address of a link or an image at i: one with a host, one with a scheme
// alone, or a telephone number.
func (p *parser) target(i int, body func(int) int) (src string, end int) {
	if end = p.address(i, body); end > 0 {
		return p.s[i:end], end
	}
	if begin := p.scheme(i); begin > 0 {
		if end = body(begin); end > begin {
			return p.s[i:end], end
		}
	}
	if number, end := p.phone(i); end > 0 {
		return "tel:" + number, end
	}
	return "", 0
}

// link takes "[label](address)" and "<address|label>".
func (p *parser) link(i int, l *list) int {
	if p.inLink {
		return 0
	}
	ok, failed := p.attempt()
	if !ok {
		return 0
	}
	p.inLink = true
	defer func() { p.inLink = false }()
	var src string
	var label []Node
	end := 0
	if p.s[i] == '<' {
		src, label, end = p.angled(i + 1)
	} else {
		inner := list{p: p}
		if bracket := p.label(i+1, &inner); bracket > 0 {
			if src, end = p.target(bracket+2, p.bracketBody); end > 0 && p.at(end, ')') {
				label, end = inner.done(), end+1
			} else {
				p.steps += max(end-i, 0)
				end = 0
			}
		}
	}
	href, safe := linked(src)
	if end == 0 || !safe {
		failed()
		return 0
	}
	if len(label) == 0 {
		label = plain(src)
	}
	return p.emit(l, Node{Kind: Link, Text: href, Kids: label}, end)
}

// label collects the label at i and is the index of the "](" behind it. Emphasis may hold
// one; what looks like another label that begins is none.
func (p *parser) label(i int, l *list) int {
	for i < len(p.s) {
		p.steps++
		if c := p.s[i]; c == ' ' || c == '\t' {
			end := p.blanks(i)
			l.text(i, end)
			i = end
			continue
		}
		if end := p.emphasis(i, l); end > 0 {
			i = end
			continue
		}
		if p.s[i] == ']' {
			if p.has(i, "](") && i+2 < len(p.s) {
				return i
			}
			if p.has(i, "] [") {
				next := strings.IndexByte(p.s[i+3:], ']')
				p.steps += max(next, 0)
				if next >= 0 && p.has(i+3+next, "](") {
					return 0
				}
			}
		}
		end := i + p.size(i)
		l.text(i, end)
		i = end
	}
	return 0
}

// angled reads what is between "<" and ">".
func (p *parser) angled(i int) (src string, label []Node, end int) {
	src, bar := p.target(i, p.textBody)
	if bar == 0 || !p.at(bar, '|') {
		return "", nil, 0
	}
	end = bar + 1
	for end < len(p.s) && p.s[end] >= ' ' && p.s[end] != '<' && p.s[end] != '>' && p.s[end] != '|' {
		end++
	}
	p.steps += end - i
	if end == bar+1 || !p.at(end, '>') {
		return "", nil, 0
	}
	return src, plain(p.s[bar+1 : end]), end + 1
}

// image takes "![label](address)".
func (p *parser) image(i int, l *list) int {
	ok, failed := p.attempt()
	if !ok || !p.has(i, "![") {
		return 0
	}
	begin := i + len("![")
	shut := p.blanks(begin)
	for shut < len(p.s) && wordly(p.s[shut]) {
		shut++
	}
	shut = p.blanks(shut)
	p.steps += shut - i
	label := ""
	if strings.Trim(p.s[begin:shut], " \t") != "" {
		label = p.s[begin:shut]
	} else if shut > begin {
		shut = begin // blanks alone are no label
	}
	if p.has(shut, "](") {
		src, end := p.target(shut+2, p.bracketBody)
		p.steps += max(end-i, 0)
		if href, safe := linked(src); end > 0 && p.at(end, ')') && safe {
			if label == "" {
				label = src
			}
			return p.emit(l, Node{Kind: Image, Text: href, Kids: plain(label)}, end+1)
		}
	}
	failed()
	return 0
}

// phone reads a telephone number: "+", digits, one pair of parentheses in front of some
// and one hyphen before the last. number has the digits alone.
func (p *parser) phone(i int) (number string, end int) {
	if !p.at(i, '+') {
		return "", 0
	}
	begin := i + 1
	var prefix string
	next := begin
	if p.at(begin, '(') {
		inner := p.digits(begin + 1)
		if inner == begin+1 || !p.at(inner, ')') {
			return "", 0
		}
		prefix, next = p.s[begin+1:inner], inner+1
	} else {
		next = p.digits(begin)
		if next == begin {
			return "", 0
		}
		prefix = p.s[begin:next]
	}
	hyphened := func(at int) (string, int) {
		if p.at(at, '-') {
			if last := p.digits(at + 1); last > at+1 {
				return p.s[at+1 : last], last
			}
		}
		return "", 0
	}
	if d, end := hyphened(next); end > 0 {
		return prefix + d, end
	}
	if !p.at(begin, '(') {
		return prefix, next
	}
	more := p.digits(next)
	if more == next {
		return "", 0
	}
	if d, end := hyphened(more); end > 0 {
		return prefix + p.s[next:more] + d, end
	}
	return prefix + p.s[next:more], more
}

// mail takes an address of a mailbox.
func (p *parser) mail(i int, l *list) int {
	begin := i
	if p.has(i, "mailto:") {
		begin += len("mailto:")
	}
	if begin >= len(p.s) {
		return 0
	}
	if r, _ := p.rune(begin); !mailChar(r) {
		return 0
	}
	at := p.mailRun.of(begin, func(j int) int {
		if j >= len(p.s) {
			return j
		}
		r, n := p.rune(j)
		switch {
		case mailChar(r), r < utf8.RuneSelf && mailed[r]:
			return j + n
		case r == '.' && j+1 < len(p.s):
			if next, m := p.rune(j + 1); mailChar(next) {
				return j + 1 + m
			}
		}
		return j
	})
	if !p.at(at, '@') {
		return 0
	}
	end := p.host(at + 1)
	if end == 0 {
		return 0
	}
	href, safe := linked("mailto:" + p.s[begin:end])
	if p.left <= 0 || strings.ContainsAny(p.s[begin:at], "/?#") || !registered(p.s[at+1:end]) || !safe {
		l.text(i, end)
		return end
	}
	return p.emit(l, Node{Kind: Link, Text: href, Kids: plain(p.s[begin:end])}, end)
}

// autolink takes an address that stands in the text by itself. One that leads nowhere is
// text, with all that follows its host.
func (p *parser) autolink(i int, l *list) int {
	end := p.address(i, p.restOfWord)
	if end == 0 {
		return 0
	}
	src := p.s[i:end]
	host, isAddress := hostOf(src)
	if p.left <= 0 || !(isAddress || public(host)) {
		l.text(i, end)
		return end
	}
	if _, ok := ReadAddress(src); !ok && !strings.HasPrefix(src, "//") {
		src = "//" + src
	}
	href, ok := linked(src)
	if !ok {
		l.text(i, end)
		return end
	}
	return p.emit(l, Node{Kind: Link, Text: href, Kids: plain(p.s[i:end])}, end)
}

// hostOf is the host of an address in the text, in lower case, and whether it is an address itself (IPv4).
func hostOf(s string) (host string, isAddress bool) {
	if scheme := strings.Index(s, "://"); scheme >= 0 {
		s = strings.TrimLeft(s[scheme+3:], "/")
	}
	s = authority(s)
	if at := strings.LastIndexByte(s, '@'); at > 0 {
		s = s[at+1:]
	}
	if colon := strings.LastIndexByte(s, ':'); colon > 0 {
		s = s[:colon]
	}
	s = strings.ToLower(s)
	dots := strings.Count(s, ".")
	return s, dots == 3 && len(s) >= 7 && len(s) <= 15 && strings.Trim(s, "0123456789.") == "" && s[0] != '.' && s[len(s)-1] != '.'
}

// public tells whether a host is one that the Internet may have, or this very machine.
func public(host string) bool {
	if host == localhost || strings.HasSuffix(host, "."+localhost) {
		return hostname(host)
	}
	return registered(host)
}

// registered tells whether the end of a host is a top-level domain, or a name under which
// people have their own.
func registered(host string) bool {
	host = strings.ToLower(host)
	if !hostname(host) {
		return false
	}
	if strings.IndexFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		var err error
		if host, err = idna.Punycode.ToASCII(host); err != nil {
			return false
		}
	}
	suffix, icann := publicsuffix.PublicSuffix(strings.TrimSuffix(host, "."))
	return icann || strings.Contains(suffix, ".")
}

// hostname tells whether a host is written as hosts are: names of 1 to 63 characters, which
// end with no hyphen or underscore, and 255 in all.
func hostname(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	names := strings.Split(s, ".")
	for i, name := range names {
		if name == "" && i > 0 && i < len(names)-1 || len(name) > 63 || strings.HasSuffix(name, "-") {
			return false
		}
		if strings.HasSuffix(name, "_") && i < len(names)-1 {
			return false
		}
		if i == 0 && strings.HasPrefix(name, "-") {
			return false
		}
		for k := range len(name) {
			if c := name[k]; !alnum.has(c) && c != '-' && c != '_' && c < utf8.RuneSelf {
				return false
			}
		}
	}
	return true
}

// spoiler takes what is between "||" and "||", which may hold every mark but another one.
func (p *parser) spoiler(i int, l *list) int {
	ok, failed := p.attempt()
	if !ok || !p.has(i, "||") {
		return 0
	}
	inner := list{p: p}
	p.plainBefore = false
	begin := i + 2
	end := begin
	for end < len(p.s) && !p.has(end, "||") && p.lineEnd(end) == 0 {
		p.steps++
		p.plainBefore = false
		next := p.mark(end, &inner)
		if next == 0 {
			next = p.any(end, &inner)
		}
		end = next
	}
	if end == begin || !p.has(end, "||") {
		failed()
		return 0
	}
	return p.emit(l, Node{Kind: Spoiler, Kids: inner.done()}, end+2)
}

// maxAddress bounds an address in bytes.
const maxAddress = 2048

// linked gives an address as a client may put it into a link: one that leads to a server over
// http or https, to a mailbox or to a telephone. One without a scheme gets that of the page; where
// its port would make browsers take its host for a scheme, slashes are put in front.
func linked(src string) (href string, ok bool) {
	if a, ok := ReadAddress(src); ok {
		return src, !a.Local() && (a.Host == "" || host(src[len(a.Scheme)+len("://"):]))
	}
	bare, slashes := strings.CutPrefix(src, "//")
	if _, ok := ReadAddress("https://" + bare); !ok || !host(bare) {
		return "", false
	}
	name, port, found := strings.Cut(authority(bare), ":")
	switch {
	case found && port == "", strings.IndexByte(name, '.') <= 0 && !strings.EqualFold(name, localhost):
		return "", false
	case found && !slashes:
		return "//" + src, true
	}
	return src, true
}

// authority is the part before the path, query or fragment.
func authority(s string) string {
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		s = s[:i]
	}
	return s
}

// host tells whether s starts with something like a host and, maybe, a port.
// A scheme ("javascript:alert(1)") does not pass: behind a colon only digits may stand.
func host(s string) bool {
	a := authority(s)
	if i := strings.LastIndexByte(a, '@'); i >= 0 {
		a = a[i+1:]
	}
	name, port, _ := strings.Cut(a, ":")
	if name == "" || strings.Trim(port, digits) != "" && !strings.HasPrefix(a, "[") {
		return false
	}
	if _, err := url.Parse("//" + a); err != nil {
		return false
	}
	return alnum.has(name[0]) || name[0] >= utf8.RuneSelf || name[0] == '['
}
