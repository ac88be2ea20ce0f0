package md

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// bigEmoji recognises a text of one to three emoji and nothing else.
func (p *parser) bigEmoji() Document {
	i := p.gap(0)
	var kids []Node
	for i < len(p.s) {
		if len(kids) == 3 {
			return nil
		}
		if end := p.shortCodeEnd(i); end > 0 {
			kids = append(kids, Node{Kind: Emoji, Text: p.s[i+1 : end-1]})
			i = p.gap(end)
		} else if end := p.unicode(i); end > 0 {
			kids = append(kids, Node{Kind: Emoji, Text: p.s[i:end], Mark: unicodeEmoji})
			i = p.gap(end)
		} else {
			return nil
		}
	}
	if kids == nil {
		return nil
	}
	return Document{{Kind: BigEmoji, Kids: kids}}
}

// gap is the index behind blanks and ends of lines.
func (p *parser) gap(i int) int {
	for i < len(p.s) && (p.s[i] == ' ' || p.s[i] == '\t' || p.s[i] == '\n' || p.s[i] == '\r') {
		i++
	}
	return i
}

// unicodeEmoji marks an emoji that stands for itself.
const unicodeEmoji = "unicode"

// emoji adds the short code or the Unicode emoji at i.
func (p *parser) emoji(i int, l *list) int {
	if p.left <= 0 {
		return 0
	}
	if end := p.shortCodeEnd(i); end > 0 {
		p.left--
		l.shortCode(i, end)
		return end
	}
	if end := p.unicode(i); end > 0 {
		return p.emit(l, Node{Kind: Emoji, Text: p.s[i:end], Mark: unicodeEmoji}, end)
	}
	return 0
}

// shortCodeEnd is the index behind the short code at i, colons included, or 0.
func (p *parser) shortCodeEnd(i int) int {
	if !p.at(i, ':') {
		return 0
	}
	end := p.shortRun.of(i+1, func(j int) int {
		if j < len(p.s) && shortCode.has(p.s[j]) {
			return j + 1
		}
		return j
	})
	if end == i+1 || !p.at(end, ':') {
		return 0
	}
	return end + 1
}

const joiner = 0x200D

// unicode is the index behind the Unicode emoji at i, or 0. The ranges are those of the
// published parser, which leaves out a few.
func (p *parser) unicode(i int) int {
	r, n := p.rune(i)
	switch {
	case r < 0x2300:
		return 0
	case r >= 0x1F600 && r <= 0x1F64F, r >= 0x1F680 && r <= 0x1F6FA:
		return i + n
	case r >= 0x1F900 && r <= 0x1F9FF:
		end := i + n
		for next := p.pictograph(end); next > 0; next = p.pictograph(next) {
			end = next
			r, n := p.rune(end)
			if r != joiner {
				break
			}
			next += n
		}
		return end
	case r >= 0x2300 && r <= 0x23FF, r >= 0x2600 && r <= 0x27BF:
		return p.selector(i + n)
	case r >= 0x1F100 && r <= 0x1F1FF:
		if next, m := p.rune(i + n); next >= 0x1F100 && next <= 0x1F1FF {
			return i + n + m
		}
		return 0
	}
	for end := p.pictograph(i); end > 0; end = p.pictograph(end) {
		if r, n := p.rune(end); r >= 0x1F3FB && r <= 0x1F3FF {
			end += n
		}
		r, n := p.rune(end)
		if r != joiner {
			return end
		}
		end += n // another one must follow
	}
	return 0
}

// pictograph is the index behind one of the pictographs that are joined to others, or 0.
func (p *parser) pictograph(i int) int {
	if r, n := p.rune(i); r >= 0x1F300 && r <= 0x1F5FF {
		return p.selector(i + n)
	}
	return 0
}

// selector is the index behind a variation selector.
func (p *parser) selector(i int) int {
	if r, n := p.rune(i); r >= 0xFE00 && r <= 0xFE0F {
		return i + n
	}
	return i
}

func (p *parser) rune(i int) (rune, int) {
	if i >= len(p.s) {
		return 0, 0
	}
	return utf8.DecodeRuneInString(p.s[i:])
}

// timestamp takes "<t:1630360800:R>", a date or a time of the day between "<t:" and the format.
func (p *parser) timestamp(i int) (Node, int) {
	if p.left <= 0 || !p.has(i, "<t:") {
		return Node{}, 0
	}
	begin := i + len("<t:")
	seconds, end := p.moment(begin)
	if end == 0 {
		return Node{}, 0
	}
	n := Node{Kind: Timestamp, Text: seconds, Mark: "t"}
	if p.at(end, ':') && end+1 < len(p.s) {
		switch p.s[end+1] {
		case 't', 'T', 'd', 'D', 'f', 'F', 'R':
			n.Mark = p.s[end+1 : end+2]
			end += 2
		}
	}
	if !p.at(end, '>') {
		return Node{}, 0
	}
	return n, end + 1
}

// moment reads the seconds since 1970 at i: ten digits, a date with a time, or a time of
// the day on which the text was written. What has no zone is UTC.
func (p *parser) moment(i int) (seconds string, end int) {
	if p.shape(i, "dddddddddd") {
		return p.s[i : i+10], i + 10
	}
	day := p.written.UTC()
	valid := true
	dated := p.shape(i, "dddd-dd-ddT")
	if dated {
		month, date := p.value(i+5, 2), p.value(i+8, 2)
		valid = month >= 1 && month <= 12 && date >= 1 && date <= 31
		day = time.Date(p.value(i, 4), time.Month(month), date, 0, 0, 0, 0, time.UTC)
		i += len("yyyy-mm-ddT")
	}
	after, end, known := p.clock(i, dated)
	switch {
	case end == 0:
		return "", 0
	case !valid || !known:
		return "0", end
	}
	return whole(time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC).Add(after)), end
}

// whole is a time in seconds, in the 32 bits that the published parser gives it.
func whole(t time.Time) string { return strconv.Itoa(int(int32(t.Unix()))) }

// clock reads "hh:mm", ":ss", which a date must have, thousandths behind those of a date, and
// a zone. after is how long after midnight in UTC it is, below 0 for a zone ahead; known
// tells whether there is such a time.
func (p *parser) clock(i int, dated bool) (after time.Duration, end int, known bool) {
	if !p.shape(i, "dd:dd") {
		return 0, 0, false
	}
	hours, minutes, seconds := p.value(i, 2), p.value(i+3, 2), 0
	end = i + len("hh:mm")
	switch {
	case p.shape(end, ":dd"):
		seconds = p.value(end+1, 2)
		end += len(":ss")
		if dated && p.shape(end, ".ddd") {
			end += len(".mmm")
		}
	case dated:
		return 0, 0, false
	}
	known = hours < 24 && minutes < 60 && seconds < 60
	after = time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second
	if p.shape(end, "+dd:dd") || p.shape(end, "-dd:dd") {
		zone := time.Duration(p.value(end+1, 2))*time.Hour + time.Duration(p.value(end+4, 2))*time.Minute
		if p.at(end, '+') {
			zone = -zone
		}
		after += zone
		end += len("+hh:mm")
	}
	return after, end, known
}

// shape tells whether s goes on like the pattern at i, in which d is a digit.
func (p *parser) shape(i int, pattern string) bool {
	if len(p.s)-i < len(pattern) {
		return false
	}
	for k := range len(pattern) {
		c := p.s[i+k]
		if pattern[k] == 'd' && (c < '0' || c > '9') || pattern[k] != 'd' && c != pattern[k] {
			return false
		}
	}
	return true
}

// value is the number of n digits at i.
func (p *parser) value(i, n int) int {
	v, _ := strconv.Atoi(p.s[i : i+n])
	return v
}
