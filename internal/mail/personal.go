package mail

import "strings"

// What people write (their names, what their programs call themselves, what their
// tokens are called) goes only to addresses that their owners proved. Everybody may
// register with anybody's address, and this server must not carry a stranger's words
// into a mailbox.

// personal are the keys of Message.Data that hold what people wrote. The "text" of a
// notice is the caller's to keep free of it.
var personal = []string{"name", "agent"}

// clean makes the values of a mail fit for its recipients.
func clean(proved bool, data map[string]string) map[string]string {
	values := make(map[string]string, len(data)+1)
	for k, v := range data {
		values[k] = v
	}
	if !proved {
		for _, k := range personal {
			delete(values, k)
		}
	}
	if agent, ok := values["agent"]; ok {
		values["agent"] = shortAgent(agent)
	}
	return values
}

// maxAgent bounds what a mail shows of a program's name, characters.
const maxAgent = 80

// shortAgent is what a program calls itself, so that a mail may show it: plain
// characters on one line, and nothing that a mail program makes a link of. Dots
// stay between digits, slashes in front of one ("Firefox/145.0").
func shortAgent(s string) string {
	var b strings.Builder
	digit := func(i int) bool { return i >= 0 && i < len(s) && s[i] >= '0' && s[i] <= '9' }
	for i := 0; i < len(s) && b.Len() < 4*maxAgent; i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', digit(i), strings.IndexByte("();,+-_", c) >= 0,
			c == '.' && digit(i-1) && digit(i+1), c == '/' && digit(i+1):
			b.WriteByte(c)
		default:
			b.WriteByte(' ')
		}
	}
	out := strings.Join(strings.Fields(b.String()), " ")
	if len(out) > maxAgent {
		out = strings.TrimSpace(out[:maxAgent])
	}
	return out
}
