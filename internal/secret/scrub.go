package secret

import "strings"

// Scrub masks what must not stand whole in a log record or audit line although
// it got into a text by accident, such as the error of a driver: the password
// of a URL ("scheme://user:…@host" becomes "scheme://[redacted]@host") and mail
// addresses ("alice@example.com" becomes "a***@example.com"). It runs in linear
// time and returns s itself when there is nothing to mask.
func Scrub(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '@')
		if at < 0 {
			b.WriteString(s)
			return b.String()
		}
		head := s[:at]
		if i := strings.LastIndex(head, "://"); i >= 0 && !strings.ContainsAny(head[i+3:], "/ \t\r\n\"'") {
			b.WriteString(head[:i+3] + "[redacted]")
		} else {
			start := len(head)
			for start > 0 && isLocal(head[start-1]) {
				start--
			}
			b.WriteString(head[:start])
			if start < len(head) {
				b.WriteString(head[start:start+1] + "***")
			}
		}
		b.WriteByte('@')
		s = s[at+1:]
	}
}

// isLocal tells the bytes that an unquoted local part may have. Bytes above
// ASCII count, so a letter of several bytes may be cut; the text is for people
// who must not know it.
func isLocal(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c >= 0x80:
		return true
	}
	return strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", c) >= 0
}
