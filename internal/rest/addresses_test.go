package rest_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"ddpserver/internal/rest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
)

// spellings of one address, as somebody writes it who looks for a way around.
func spellings(address string) []string {
	local, domain, _ := strings.Cut(address, "@")
	return []string{
		address, strings.ToUpper(address), " " + address + " ", "@" + address,
		local + "＠" + domain, "＠" + address, local + "﹫" + domain, strings.ToUpper(local) + "＠" + domain,
	}
}

// naming is one call with a parameter that names an account.
type naming struct {
	name string
	call func(c *client, who string) answer
}

// namings are all routes with a member that names somebody, and every method with
// the usual shapes of such parameters.
func namings(w *world, room string) []naming {
	w.T.Helper()
	var out []naming
	properties := func(s rest.Schema) map[string]any { p, _ := s["properties"].(map[string]any); return p }
	for _, rt := range w.REST.Routes() {
		if rt.Auth != rest.LoginRequired || strings.Contains(rt.Path, ":") {
			continue
		}
		for _, member := range []string{"username", "user", "usernames", "email"} {
			query, body := properties(rt.Query), properties(rt.Body)
			if _, ok := query[member]; ok || rt.Verb == "GET" && (strings.Contains(rt.Path, "users.get") || rt.Path == "users.info") {
				out = append(out, naming{rt.Verb + " " + rt.Path + "?" + member, func(c *client, who string) answer {
					q := url.Values{member: {who}}
					if _, ok := query["roomId"]; ok && member != "username" {
						q.Set("roomId", room)
					}
					return c.Do(rt.Verb, rt.Path+"?"+q.Encode(), nil)
				}})
			}
			if _, ok := body[member]; ok {
				out = append(out, naming{rt.Verb + " " + rt.Path + " " + member, func(c *client, who string) answer {
					b := map[string]any{member: who}
					if member == "usernames" && strings.HasSuffix(rt.Path, ".invite") {
						b[member] = []string{who}
					}
					if _, ok := body["roomId"]; ok {
						b["roomId"] = room
					}
					return c.Do(rt.Verb, rt.Path, b)
				}})
			}
		}
	}
	for _, spec := range w.Router.Specs() {
		if spec.Anonymous {
			continue // login and the calls that mail, which have tests of their own
		}
		for _, shape := range []string{`[%[1]q]`, `[%[2]q,%[1]q]`, `[{"rid":%[2]q,"users":[%[1]q]}]`, `[{"rid":%[2]q,"username":%[1]q}]`, `[%[1]q,%[2]q]`,
			`["x",[%[1]q]]`} {
			out = append(out, naming{"method.call/" + spec.Name + shape, func(c *client, who string) answer {
				frame, _ := json.Marshal(map[string]any{"msg": "method", "id": "1", "method": spec.Name, "params": json.RawMessage(fmt.Sprintf(shape, who, room))})
				return c.Do("POST", "method.call/"+url.PathEscape(spec.Name), map[string]any{"message": string(frame)})
			}})
		}
	}
	return out
}

var changing = regexp.MustCompile(`\{\\*"\$date\\*":\d+\}|"\d{4}-\d\d-\d\dT[^"]*"|\\*"(_id|id|rid|token|tokenExpires|secret|url|qr)\\*":\\*"[^"]*"|\d{6,}`)

// A18: to a caller who may not see addresses, an address in any spelling is
// everywhere a name that nobody has.
func TestA18AnAddressNamesNobody(t *testing.T) {
	w := newWorld(t, map[string]string{
		settings.LimitUserEnabled: "false", settings.LimitConnectionEnabled: "false", settings.LimitUserByMethodEnabled: "false",
		settings.LimitConnectionMethodEnabled: "false",
	})
	w.Account("root1", "admin")
	w.Account("victim")
	w.Account("eve")
	room := lobby(w.Login("eve"))
	calls := namings(w, room)
	if len(calls) < atLeast(200, 100) {
		t.Fatalf("only %d calls name somebody", len(calls))
	}
	eve, err := w.Store.UserByUsername(t.Context(), "eve")
	if err != nil {
		t.Fatal(err)
	}
	c := w.Caller()
	c.ID = eve.ID
	fresh := func() { // some calls end the session
		got, err := w.Accounts.IssueToken(t.Context(), &rpc.Peer{}, eve, "password")
		if err != nil {
			t.Fatal(err)
		}
		c.Token = got.Token
	}
	fresh()
	seen := func(n naming, who string) string {
		a := n.call(c, who)
		if a.Status == 401 || strings.Contains(n.name, "log") || strings.Contains(n.name, "oken") {
			fresh()
		}
		if strings.Contains(n.name, "setRealName") { // or the caller's own name would tell what was asked last
			c.OK("POST", "users.updateOwnBasicInfo", map[string]any{"data": map[string]any{"name": "Eve"}})
		}
		text := a.Raw
		for _, form := range []string{who, strings.TrimPrefix(who, "@"), strings.TrimSpace(who)} {
			text = strings.ReplaceAll(text, form, "<who>")
		}
		return fmt.Sprint(a.Status, " ", changing.ReplaceAllString(text, "<v>"))
	}
	known, unknown := spellings("victim@example.org"), spellings("nobody@example.org")
	for _, n := range calls {
		for i := range known {
			if strings.HasPrefix(n.name, "method") && i != 0 && i != 4 {
				continue // methods take values as they are; REST may trim and join them
			}
			a, b := seen(n, unknown[i]), seen(n, known[i])
			if a != b {
				t.Errorf("%s tells whose address %q is:\n%.300s\n%.300s", n.name, known[i], a, b)
			}
			if strings.Contains(b, "victim") && !strings.Contains(known[i], "VICTIM") {
				t.Errorf("%s: %q leads to the account: %.300s", n.name, known[i], b)
			}
		}
	}
	// Whoever may see addresses still finds accounts by them.
	if a := w.Login("root1").Do("GET", "users.info?email=victim@example.org", nil); a.Status != 200 {
		t.Errorf("an administrator: %d %s", a.Status, a.Raw)
	}
}

// A18: what a stranger gets from users.2fa.sendEmailCode is the same for a name
// that exists and for one that does not, up to and beyond the end of the budgets.
func TestA18CodesForStrangersTellNothing(t *testing.T) {
	var answers [2][]string
	for i, name := range []string{"victim", "nobody"} {
		w := newWorld(t, nil)
		w.Account("root1", "admin")
		w.Account("victim")
		for n := range 60 {
			c := w.Caller().With("Test-Address", "198.51.100.7")
			if n%2 == 1 {
				c = w.Caller().With("Test-Address", fmt.Sprintf("198.51.100.%d", n+8)) // the account's budget, not the asker's
			}
			a := c.Do("POST", "users.2fa.sendEmailCode", map[string]any{"emailOrUsername": name})
			answers[i] = append(answers[i], fmt.Sprint(a.Status, " ", a.ErrorType()))
		}
	}
	if fmt.Sprint(answers[0]) != fmt.Sprint(answers[1]) {
		t.Errorf("known\n%v\nunknown\n%v", answers[0], answers[1])
	}
	if !strings.Contains(fmt.Sprint(answers[0]), "too-many-requests") {
		t.Error("no budget ended")
	}
}
