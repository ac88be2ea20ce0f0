package ddp_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
)

// become logs a client in as somebody ("null" for nobody) and tells whether it was let.
func (r *rig) become(c *ddptest.Client, id, user string) bool {
	r.t.Helper()
	r.method(c, id, "setU", "["+user+"]")
	result := r.frame(c)
	r.want(c, `{"msg":"updated","methods":["`+id+`"]}`)
	return result == `{"msg":"result","id":"`+id+`"}`
}

// A user has as many sessions as are allowed; who is refused stays who it was, and
// whoever goes, logs out or becomes somebody else leaves a place.
func TestSessionsOfOneUserAreBounded(t *testing.T) {
	inBubble(t, ddp.Options{Limits: ddp.Limits{PerUser: 2}}, func(r *rig) {
		a, b, c := r.dial(true), r.dial(true), r.dial(true)
		for _, x := range []*ddptest.Client{a, b} {
			if !r.become(x, "1", `"ada"`) {
				t.Error("two are allowed")
			}
		}
		r.method(c, "1", "setU", `["ada"]`)
		if got := r.frame(c); !strings.Contains(got, `"error":"too-many-connections"`) {
			t.Errorf("a third session: %s", got)
		}
		r.want(c, `{"msg":"updated","methods":["1"]}`)
		r.method(c, "2", "whoami", `[]`)
		r.want(c, `{"msg":"result","id":"2","result":null}`, `{"msg":"updated","methods":["2"]}`)
		steps := []struct {
			name string
			free func()
		}{
			{"logs out", func() { r.become(a, "2", "null") }},
			{"becomes another", func() { r.become(b, "2", `"bob"`) }},
			{"goes", func() { c.Close(); synctest.Wait() }},
		}
		for i, next := range []*ddptest.Client{c, a, b} {
			id := fmt.Sprint("s", i)
			if i == 0 && !r.become(a, id, `"ada"`) {
				t.Error("who is ada already takes no other place")
			}
			steps[i].free()
			if !r.become(next, "n"+id, `"ada"`) {
				t.Errorf("no place when one %s", steps[i].name)
			}
		}
	})
}

// The registry has every connected session under the user it is logged in as, whatever
// they become and whichever of them ends; a visit ends when the visitor has enough.
func TestRegistryFollowsSessions(t *testing.T) {
	registry := ddp.NewRegistry()
	inBubble(t, ddp.Options{Registry: registry}, func(r *rig) {
		random := rand.New(rand.NewPCG(3, 9))
		users := []string{"", "ada", "bob"}
		var clients []*ddptest.Client
		var is []string // who each client is
		check := func(step int) {
			t.Helper()
			synctest.Wait()
			for _, u := range users {
				want := 0
				for _, x := range is {
					if x == u {
						want++
					}
				}
				seen := map[*ddp.Session]bool{}
				registry.Sessions(u, func(s *ddp.Session) bool {
					if s.Login().UserID != u || seen[s] {
						t.Fatalf("step %d: %q is listed under %q, or twice", step, s.Login().UserID, u)
					}
					seen[s] = true
					return true
				})
				if len(seen) != want {
					t.Fatalf("step %d: %d sessions of %q, want %d", step, len(seen), u, want)
				}
				visits := 0
				registry.Sessions(u, func(*ddp.Session) bool { visits++; return false })
				if visits != min(want, 1) {
					t.Fatalf("step %d: %d visits of somebody who has enough", step, visits)
				}
			}
		}
		for step := range 200 {
			before, moved := registry.Moves(), false
			switch act := random.IntN(4); {
			case act == 0 || len(clients) == 0:
				clients, is = append(clients, r.dial(true)), append(is, "")
			case act == 1:
				i := random.IntN(len(clients))
				moved = is[i] != ""
				clients[i].Close()
				clients, is = slices.Delete(clients, i, i+1), slices.Delete(is, i, i+1)
			default:
				i, u := random.IntN(len(clients)), users[random.IntN(len(users))]
				param := `"` + u + `"`
				if u == "" {
					param = "null"
				}
				if !r.become(clients[i], fmt.Sprint(step), param) {
					t.Fatal("refused")
				}
				moved = is[i] != u
				is[i] = u
			}
			check(step)
			if got := registry.Moves() != before; got != moved {
				t.Fatalf("step %d: told a move: %t, want %t", step, got, moved)
			}
		}
	})
}

// stock is what a stock client keeps of its frames: documents by collection and id.
type stock struct {
	docs   map[string]map[string]string
	active map[string]bool // subscriptions that were not refused
}

// take applies a frame, and tells what is wrong with it.
func (s *stock) take(frame string) error {
	var f struct {
		Msg, Collection, ID string
		Fields              map[string]json.RawMessage
		Cleared             []string
	}
	if err := json.Unmarshal([]byte(frame), &f); err != nil {
		return err
	}
	key := f.Collection + "/" + f.ID
	doc, known := s.docs[key]
	switch f.Msg {
	case "added", "changed":
		if known == (f.Msg == "added") {
			return fmt.Errorf("%s: known %v", frame, known)
		}
		if doc == nil {
			doc = map[string]string{}
			s.docs[key] = doc
		}
		for name, value := range f.Fields {
			doc[name] = string(value)
		}
		for _, name := range f.Cleared {
			delete(doc, name)
		}
	case "removed":
		if !known {
			return fmt.Errorf("%s: not there", frame)
		}
		delete(s.docs, key)
	case "nosub":
		delete(s.active, f.ID)
	}
	return nil
}

// whole is all that the client sees.
func (s *stock) whole() string {
	var lines []string
	for key, doc := range s.docs {
		line := key
		for _, name := range slices.Sorted(maps.Keys(doc)) {
			line += " " + name + "=" + doc[name]
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Whatever a client subscribes to, gives up and becomes, in whatever order, at the end it
// sees what somebody sees who comes anew, is the same user and subscribes to the same,
// in the order in which it did (docs/wire/ddp.md A12, A15).
func TestLongSessionsSeeWhatFreshOnesSee(t *testing.T) {
	pubs := []string{
		`"name":"one","params":[1]`, `"name":"one","params":[2]`, `"name":"chg"`, `"name":"byUser"`, `"name":"onlyOut"`, `"name":"tenDocs"`,
		`"name":"throws"`, `"name":"stopper"`, `"name":"none"`, `"name":"nope"`,
	}
	inBubble(t, ddp.Options{}, func(r *rig) {
		read := func(c *ddptest.Client, s *stock) {
			t.Helper()
			synctest.Wait()
			stop := make(chan struct{})
			close(stop)
			for {
				f, ok, _ := c.Next(stop)
				if !ok {
					return
				}
				if err := s.take(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		for run := range 150 {
			random := rand.New(rand.NewPCG(uint64(run), 1))
			c, s := r.dial(true), &stock{map[string]map[string]string{}, map[string]bool{}}
			user := "null"
			var order []string // of the ids that were subscribed, with what
			var script []string
			for step := range 20 {
				id := fmt.Sprint(random.IntN(5))
				frame := ""
				switch random.IntN(5) {
				case 0:
					frame = `{"msg":"unsub","id":"` + id + `"}`
				case 1:
					user = []string{"null", `"u1"`, `"u2"`}[random.IntN(3)]
					frame = fmt.Sprintf(`{"msg":"method","id":"m%d","method":"setU","params":[%s]}`, step, user)
				default:
					what := pubs[random.IntN(len(pubs))]
					frame = `{"msg":"sub","id":"` + id + `",` + what + `}`
					if !s.active[id] {
						s.active[id] = true
						order = slices.DeleteFunc(order, func(x string) bool { return strings.HasPrefix(x, `"id":"`+id+`"`) })
						order = append(order, `"id":"`+id+`",`+what)
					}
				}
				script = append(script, frame)
				c.Send(frame)
				read(c, s)
			}
			fresh, f := r.dial(true), &stock{map[string]map[string]string{}, map[string]bool{}}
			fresh.Send(`{"msg":"method","id":"u","method":"setU","params":[` + user + `]}`)
			for _, sub := range order {
				if id := strings.Split(sub, `"`)[3]; s.active[id] {
					fresh.Send(`{"msg":"sub",` + sub + `}`)
				}
			}
			read(fresh, f)
			if s.whole() != f.whole() {
				t.Fatalf("run %d sees\n%s\na fresh session\n%s\nafter\n%s", run, s.whole(), f.whole(), strings.Join(script, "\n"))
			}
			c.Close()
			fresh.Close()
		}
	})
}
