package ddptest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"ddpserver/internal/ddp"
	"ddpserver/internal/rpc"
)

// Patience is how long an S line waits for its frame. In a bubble it is fake time.
const Patience = 2 * time.Minute

// Section is one conversation of a file.
type Section struct {
	Name string
	Text string
}

// Load reads the conversations of a file. A file without a reason on top is an
// error.
func Load(t testing.TB, file string) []Section {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := txtar.Parse(data)
	if len(bytes.TrimSpace(a.Comment)) == 0 {
		t.Fatalf("%s: the comment on top must say why the conversation exists", file)
	}
	var all []Section
	for _, f := range a.Files {
		all = append(all, Section{f.Name, string(f.Data)})
	}
	if len(all) == 0 {
		t.Fatalf("%s: no conversation", file)
	}
	return all
}

// Player plays conversations against a server. All calls come from one goroutine.
type Player struct {
	Server *ddp.Server
	// Peer makes the connection's facts; nil gives an address of 127.0.0.1.
	Peer func(number int) *rpc.Peer
	// Vars are values of placeholders; what a conversation remembers is added.
	Vars map[string]string
	// Do are the functions of do lines. They may change Vars.
	Do map[string]func(arguments string) error
	// Ask makes the request of an R line as that caller and gives the answer in one
	// line, which the A line after it expects; nil where there is no such door.
	Ask func(caller int, request string) (answer string, err error)

	t       testing.TB
	clients map[int]*Client
	served  []chan struct{}
	answers map[int]string // of R lines, until the A line
}

// Play runs one conversation, then lets all its clients leave and waits until
// the server has let them go. The first wrong line fails the test.
func (p *Player) Play(t testing.TB, s Section) {
	t.Helper()
	p.t, p.clients, p.served, p.answers = t, make(map[int]*Client), nil, make(map[int]string)
	if p.Vars == nil {
		p.Vars = make(map[string]string)
	}
	defer p.leave()
	lines := strings.Split(s.Text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || line[0] == '#' {
			continue
		}
		where := fmt.Sprintf("%s, line %d: %s", s.Name, i+1, line)
		if line == "any order" {
			from := i + 1
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "end"; i++ {
			}
			p.anyOrder(where, lines[from:min(i, len(lines))])
			continue
		}
		p.line(where, line)
	}
	for n, answer := range p.answers {
		t.Fatalf("%s: no A line for what caller %d was answered: %s", s.Name, n, answer)
	}
}

func (p *Player) leave() {
	for _, c := range p.clients {
		c.Close()
	}
	for _, done := range p.served {
		<-done
	}
}

var command = regexp.MustCompile(`^(C|S|R|A|connect|close|wait|do)(\d*)(?:: ?| +|$)(.*)$`)

func (p *Player) line(where, line string) {
	p.t.Helper()
	m := command.FindStringSubmatch(line)
	if m == nil {
		p.t.Fatalf("%s: not a line of a conversation", where)
	}
	n, _ := strconv.Atoi(m[2])
	n = max(n, 1)
	switch rest := m[3]; m[1] {
	case "C":
		p.client(n).Send(p.fill(rest))
	case "connect":
		p.client(n).Send(`{"msg":"connect","version":"1","support":["1","pre2","pre1"]}`)
		p.expect(where, n, `{"msg":"connected","session":"<17>"}`)
	case "close":
		p.client(n).Close()
	case "wait":
		p.pause(where, rest)
	case "do":
		name, arguments, _ := strings.Cut(rest, " ")
		do := p.Do[name]
		if do == nil {
			p.t.Fatalf("%s: the player has no such function", where)
		}
		if err := do(p.fill(arguments)); err != nil {
			p.t.Fatalf("%s: %v", where, err)
		}
	case "S":
		p.answer(where, n, rest)
	case "R":
		p.ask(where, n, rest)
	case "A":
		answer, asked := p.answers[n]
		delete(p.answers, n)
		if !asked {
			p.t.Fatalf("%s: caller %d asked nothing", where, n)
		}
		if !p.match(where, rest, answer) {
			p.t.Fatalf("%s:\n got %s", where, answer)
		}
	}
}

// ask deals with an R line.
func (p *Player) ask(where string, n int, request string) {
	p.t.Helper()
	if answer, open := p.answers[n]; open || p.Ask == nil {
		p.t.Fatalf("%s: nobody answers, or no A line took the answer before: %s", where, answer)
	}
	answer, err := p.Ask(n, p.fill(request))
	if err != nil {
		p.t.Fatalf("%s: %v", where, err)
	}
	p.answers[n] = answer
}

// answer deals with an S line.
func (p *Player) answer(where string, n int, rest string) {
	p.t.Helper()
	switch word, arg, _ := strings.Cut(rest, " "); word {
	case "nothing":
		d, err := time.ParseDuration(arg)
		if err != nil {
			p.t.Fatalf("%s: %v", where, err)
		}
		if frame, ok, code := p.next(n, d); ok || code != 0 {
			p.t.Fatalf("%s: got %s (close %d)", where, frame, code)
		}
	case "close":
		frame, ok, code := p.next(n, Patience)
		if ok || strconv.Itoa(code) != arg {
			p.t.Fatalf("%s: got %s (close %d)", where, frame, code)
		}
	default:
		p.expect(where, n, rest)
	}
}

func (p *Player) pause(where, d string) {
	p.t.Helper()
	span, err := time.ParseDuration(d)
	if err != nil {
		p.t.Fatalf("%s: %v", where, err)
	}
	<-time.After(span)
}

// client is connection number n, opened when there is none.
func (p *Player) client(n int) *Client {
	if c := p.clients[n]; c != nil {
		return c
	}
	conn, client := Pipe()
	peer := &rpc.Peer{Address: "127.0.0.1", AgentDigest: rpc.DigestAgent(nil)}
	if p.Peer != nil {
		peer = p.Peer(n)
	}
	done := make(chan struct{})
	go func() {
		p.Server.Serve(conn, peer)
		close(done)
	}()
	p.clients[n], p.served = client, append(p.served, done)
	return client
}

func (p *Player) next(n int, patience time.Duration) (string, bool, int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.client(n).Next(ctx.Done())
}

func (p *Player) expect(where string, n int, want string) {
	p.t.Helper()
	frame, ok, code := p.next(n, Patience)
	if !ok {
		p.t.Fatalf("%s: got no frame (close %d)", where, code)
	}
	if !p.match(where, want, frame) {
		p.t.Fatalf("%s:\n got %s", where, frame)
	}
}

// anyOrder expects the frames of some S lines of one connection, in whatever order.
func (p *Player) anyOrder(where string, lines []string) {
	p.t.Helper()
	wanted := make(map[int][]string)
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		m := command.FindStringSubmatch(l)
		if m == nil || m[1] != "S" {
			p.t.Fatalf("%s: only S lines can be in any order: %s", where, l)
		}
		n, _ := strconv.Atoi(m[2])
		wanted[max(n, 1)] = append(wanted[max(n, 1)], m[3])
	}
	for n, want := range wanted {
		for len(want) > 0 {
			frame, ok, code := p.next(n, Patience)
			if !ok {
				p.t.Fatalf("%s: no frame for any of %q (close %d)", where, want, code)
			}
			found := false
			for i, w := range want {
				if found = p.match(where, w, frame); found {
					want = append(want[:i:i], want[i+1:]...)
					break
				}
			}
			if !found {
				p.t.Fatalf("%s:\n got %s\nwant one of\n %s", where, frame, strings.Join(want, "\n "))
			}
		}
	}
}

var placeholder = regexp.MustCompile(`<([a-zA-Z][a-zA-Z0-9]*:)?([a-zA-Z0-9]+)>`)

// kinds are what a placeholder may stand for.
var kinds = map[string]string{
	"17": `[2-9A-HJ-NP-TW-Za-km-z]{17}`, "22": `[a-zA-Z0-9_-]{22}`, "43": `[a-zA-Z0-9_-]{43}`, "hex": `[0-9a-f]+`, "digits": `[0-9]+`,
	"date": `-?[0-9]+`, "iso": `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`, "any": `.*?`,
}

// fill puts remembered values in.
func (p *Player) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(m string) string {
		if v, ok := p.Vars[m[1:len(m)-1]]; ok {
			return v
		}
		return m
	})
}

// match compares a frame with an S line and remembers what the line wants.
func (p *Player) match(where, want, frame string) bool {
	p.t.Helper()
	want = squeeze(want)
	var pattern strings.Builder
	var names []string
	pattern.WriteString(`^`)
	last := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(want, -1) {
		pattern.WriteString(regexp.QuoteMeta(want[last:at[0]]))
		last = at[1]
		kind := want[at[4]:at[5]]
		value, known := p.Vars[kind]
		re, isKind := kinds[kind]
		switch {
		case known && at[2] < 0:
			pattern.WriteString(regexp.QuoteMeta(value))
		case !isKind:
			p.t.Fatalf("%s: nothing is known of <%s>", where, kind)
		case at[2] >= 0:
			names = append(names, want[at[2]:at[3]-1])
			pattern.WriteString(`(` + re + `)`)
		default:
			pattern.WriteString(re)
		}
	}
	pattern.WriteString(regexp.QuoteMeta(want[last:]) + `$`)
	m := regexp.MustCompile(pattern.String()).FindStringSubmatch(frame)
	if m == nil {
		return false
	}
	for i, name := range names {
		p.Vars[name] = m[i+1]
	}
	return true
}

// squeeze takes the blanks between the tokens out; a text that is not JSON
// because of its placeholders stays as it is.
func squeeze(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}
