package ejson

import (
	"strings"
	"time"
)

// maxDateText bounds the text of a date in bytes; longer ones are invalid dates.
const maxDateText = 64

// parseDate reads a text as JavaScript's Date does, for the formats that people
// and programs write; a time without a zone is UTC. Anything else is invalid.
// A frame may hold a hundred thousand of them, so the shape of the text chooses
// the one layout that is tried.
func parseDate(s string) any {
	if len(s) > maxDateText || len(s) < 4 {
		return InvalidDate{}
	}
	if layout := dateLayout(s); layout != "" {
		if t, err := time.Parse(layout, s); err == nil {
			return dateOf(float64(t.UnixMilli()))
		}
	}
	return InvalidDate{}
}

// ParseDate reads a date as the value of $date is read, for doors that have no EJSON:
// what JavaScript's Date takes that people and programs write.
func ParseDate(s string) (time.Time, bool) {
	t, ok := parseDate(s).(time.Time)
	return t, ok
}

// dateLayout is the layout that s can have if it is a date, or "".
func dateLayout(s string) string {
	clock := ""
	if strings.IndexByte(s, ':') >= 0 {
		clock = " 15:04:05"
	}
	switch {
	case s[0] < '0' || s[0] > '9':
		return namedLayout(s, clock)
	case len(s) == 4 || s[4] == '-':
		return isoLayout(s)
	case s[4] == '/':
		return "2006/1/2" + clock
	case strings.IndexByte(s[:4], '/') > 0:
		return "1/2/2006" + clock
	case clock != "":
		return "2 Jan 2006 15:04:05 MST"
	}
	return "2 Jan 2006"
}

// isoLayout is the layout of a text that begins with a year and a dash. A
// fraction of a second is read without standing in the layout.
func isoLayout(s string) string {
	const day = "2006-01-02"
	if len(s) <= len(day) {
		switch len(s) {
		case len("2006"), len("2006-01"), len(day):
			return day[:len(s)]
		}
		return ""
	}
	clock, zone := "15:04", ""
	if len(s) > 16 && s[16] == ':' {
		clock = "15:04:05"
	}
	if i := strings.LastIndexAny(s[len(day):], "Z+-"); i >= 0 {
		if zone = "Z07:00"; i+len("+0100") == len(s)-len(day) && s[len(day)+i] != 'Z' {
			zone = "Z0700"
		}
	}
	switch s[len(day)] {
	case 'T', ' ':
		return day + s[len(day):len(day)+1] + clock + zone
	}
	return ""
}

// namedLayout is the layout of a text that begins with the name of a weekday or
// a month.
func namedLayout(s, clock string) string {
	comma, space := strings.IndexByte(s, ','), strings.IndexByte(s, ' ')
	switch {
	case comma == 3 && strings.ContainsAny(s[4:], "+-"):
		return "Mon, 2 Jan 2006 15:04:05 -0700"
	case comma == 3:
		return "Mon, 2 Jan 2006 15:04:05 MST"
	case comma > 0 && space == 3:
		return "Jan 2, 2006" + clock
	case comma > 0:
		return "January 2, 2006" + clock
	case clock != "":
		return "Mon Jan 02 2006 15:04:05 GMT-0700"
	}
	return "Mon Jan 02 2006"
}
