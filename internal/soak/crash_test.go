package soak

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/mail/mailtest"
	"ddpserver/internal/random"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/testwait"
	"ddpserver/internal/twofactor"
)

// An actor is one client with a model of what the server must know. It has at
// most one call under way, so after a crash at most one thing is in doubt.
type actor interface {
	// act makes one call and books what was acknowledged. An error ends the
	// actor's cycle: errLost is the crash, anything else is a failure.
	act(addr string, c *conn) error
	// check compares the model with a restarted server and settles the doubt.
	check(t *testing.T, addr string, c *conn)
	owner() *account
}

// TestSoakCrash (docs/security-tests.md S105): clients of seven kinds change things at random,
// the server is killed 5–500 ms later, and the restarted server must know every
// acknowledged change; what was not acknowledged is there as a whole or not at all.
func TestSoakCrash(t *testing.T) {
	together(t)
	var (
		dir    = t.TempDir()
		box    = mailtest.Start(t, mailtest.Options{})
		env    = calmBut("MAIL_URL=" + box.URL())
		cycles = rounds(4, 300)
		chance = dice(t)
		actors []actor
		gone   []*guesser
		mailed []*mailer
		starts []time.Duration
	)
	for cycle := range cycles {
		if cycle%15 == 0 { // new accounts: budgets of an hour end
			actors, gone, mailed = crew(t, dir, box, cycle, chance, gone, mailed)
		}
		s := launch(t, dir, env)
		starts = append(starts, s.took)
		conns := make([]*conn, len(actors))
		for i, a := range actors {
			c, err := connect(s.addr, a.owner().token)
			if err != nil {
				t.Fatal(err)
			}
			conns[i] = c
			if cycle%15 > 0 {
				a.check(t, s.addr, c)
			}
		}
		if t.Failed() {
			t.Fatalf("after %d crashes: %s", cycle, s.log)
		}
		var wg sync.WaitGroup
		for i, a := range actors {
			wg.Go(func() {
				for {
					if err := a.act(s.addr, conns[i]); code(err) == "lost" {
						return
					} else if err != nil {
						t.Errorf("cycle %d: %T: %v", cycle, a, err)
						return
					}
				}
			})
		}
		pause(time.Duration(5+chance.IntN(496)) * time.Millisecond)
		s.kill()
		wg.Wait()
		for _, c := range conns {
			c.close()
		}
		integrity(t, dir)
		codes := mailed[len(mailed)-1].who.mailedCodes(box)
		scan(t, dir, codes[max(0, len(codes)-10):])
		inside(t, dir, func(st *sqlite.Store) { checkGuards(t, st, gone) })
	}
	report(t, dir, env, box, cycles, mailed, starts)
}

// totals are what the actors of a test did, over all their accounts.
var totals struct {
	sync.Mutex
	n map[string]int
}

func did(what string) {
	totals.Lock()
	defer totals.Unlock()
	if totals.n == nil {
		totals.n = map[string]int{}
	}
	totals.n[what]++
}

func report(t *testing.T, dir string, env []string, box *mailtest.Server, cycles int, mailed []*mailer, starts []time.Duration) {
	t.Helper()
	s := launch(t, dir, env) // the mails that still wait
	notices, copies := 0, 0
	for _, m := range mailed {
		testwait.Until(t, "the notices of "+m.who.name, func() bool { n, _ := m.notices(box); return n >= m.changes })
		n, again := m.notices(box)
		if n > m.changes+m.doubts {
			t.Errorf("%s: %d notices of %d changes and %d in doubt", m.who.name, n, m.changes, m.doubts)
		}
		notices, copies = notices+n, copies+again
	}
	if copies > cycles*4 { // a crash can hit as many deliveries as there are workers
		t.Errorf("%d second copies after %d crashes", copies, cycles)
	}
	if exit := s.terminate(); exit != 0 {
		t.Errorf("the server ended with %d", exit)
	}
	totals.Lock()
	defer totals.Unlock()
	t.Logf("%d crashes, acknowledged: %v; %d notices of changes of factors, each once, and %d second copies; start %v median, %v worst",
		cycles, totals.n, notices, copies, median(starts), worst(starts))
	totals.n = nil
}

// crew makes one actor of each kind.
func crew(t *testing.T, dir string, box *mailtest.Server, cycle int, chance *rand.Rand, gone []*guesser, mailed []*mailer) ([]actor, []*guesser, []*mailer) {
	name := fmt.Sprintf("c%dx", cycle)
	who := seed(t, dir, name, 4, nil)
	admin := seed(t, dir, name+"admin", 1, asAdmin)[0]
	guess := &guesser{who: seed(t, dir, name+"guess", 1, withTOTP)[0]}
	m := &mailer{who: who[0], box: box, on: false, changes: 0}
	roll := func() *rand.Rand { return rand.New(rand.NewPCG(chance.Uint64(), chance.Uint64())) }
	return []actor{
		&tokens{who: who[1], chance: roll(), have: map[string]string{}}, m, &device{who: who[2], chance: roll()},
		&writer{who: who[3], chance: roll(), text: map[string]string{}},
		&settler{who: admin, chance: roll()}, guess,
	}, append(gone, guess), append(mailed, m)
}

// integrity has SQLite look at every page.
func integrity(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("the database after a crash: %q %v", verdict, err)
	}
}

// settler changes two settings at once.
type settler struct {
	who           *account
	chance        *rand.Rand
	sure, perhaps int // value that was acknowledged, and one in doubt
}

const (
	settingA = "Accounts_LoginExpiration"
	settingB = "Block_Multiple_Failed_Logins_Attempts_Until_Block_By_Ip"
)

func (a *settler) owner() *account { return a.who }

func (a *settler) act(_ string, c *conn) error {
	a.perhaps = 1 + a.chance.IntN(30000)
	_, err := c.call("saveSettings", []any{map[string]any{"_id": settingA, "value": a.perhaps}, map[string]any{"_id": settingB, "value": a.perhaps}},
		proof("password", digest(accountPassword)))
	if err == nil {
		a.sure, a.perhaps = a.perhaps, 0
		did("settings")
	}
	return err
}

func (a *settler) check(t *testing.T, addr string, _ *conn) {
	read := func(id string) int {
		out, err := rest(addr, a.who, "GET", "settings/"+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := out["value"].(float64)
		return int(n)
	}
	x, y := read(settingA), read(settingB)
	if a.sure != 0 && x != y || a.sure != 0 && x != a.sure && x != a.perhaps {
		t.Errorf("settings %d and %d, acknowledged %d, in doubt %d", x, y, a.sure, a.perhaps)
	}
	if x == y {
		a.sure = x
	}
	a.perhaps = 0
}

// tokens makes and removes personal access tokens.
type tokens struct {
	who     *account
	chance  *rand.Rand
	have    map[string]string // by name
	dead    []string
	perhaps string // name in doubt
	n       int
}

func (a *tokens) owner() *account { return a.who }

func (a *tokens) act(addr string, c *conn) error {
	pw := proof("password", digest(accountPassword))
	if len(a.have) < 3 || len(a.have) < 8 && a.chance.IntN(2) == 0 {
		a.n++
		a.perhaps = fmt.Sprint("token", a.n)
		raw, err := c.call("personalAccessTokens:generateToken", map[string]any{"tokenName": a.perhaps, "bypassTwoFactor": true}, pw)
		if err != nil {
			return err
		}
		var token string
		if err := json.Unmarshal(raw, &token); err != nil {
			return err
		}
		a.have[a.perhaps], a.perhaps = token, ""
		did("tokens made")
		return nil
	}
	for name, token := range a.have {
		a.perhaps = name
		var err error
		if a.chance.IntN(2) == 0 {
			_, err = c.call("personalAccessTokens:removeToken", map[string]any{"tokenName": name}, pw)
		} else {
			_, err = rest(addr, a.who, "POST", "users.removePersonalAccessToken", map[string]any{"tokenName": name},
				"x-2fa-method", "password", "x-2fa-code", digest(accountPassword))
		}
		if err == nil {
			delete(a.have, name)
			a.dead, a.perhaps = append(a.dead, token), ""
			did("tokens removed")
		}
		return err
	}
	return nil
}

func (a *tokens) check(t *testing.T, addr string, _ *conn) {
	out, err := rest(addr, a.who, "GET", "users.getPersonalAccessTokens", nil)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, e := range out["tokens"].([]any) {
		there[e.(map[string]any)["name"].(string)] = true
	}
	for name, token := range a.have {
		if name == a.perhaps && !there[name] { // the removal that was not acknowledged happened
			a.dead = append(a.dead, token)
			delete(a.have, name)
			continue
		}
		if _, err := rest(addr, &account{id: a.who.id, token: token}, "GET", "me", nil); err != nil || !there[name] {
			t.Errorf("token %s was acknowledged and is lost: %v", name, err)
		}
	}
	for name := range there {
		if a.have[name] == "" {
			if name != a.perhaps {
				t.Errorf("token %s came back", name)
			}
			a.have[name] = "unknown" // it is there; its text is lost with the answer
		}
	}
	for _, token := range a.dead[max(0, len(a.dead)-3):] {
		if _, err := rest(addr, &account{id: a.who.id, token: token}, "GET", "me", nil); err == nil {
			t.Error("a removed token logs in again")
		}
	}
	for name, token := range a.have {
		if token == "unknown" {
			if _, err := rest(addr, a.who, "POST", "users.removePersonalAccessToken", map[string]any{"tokenName": name},
				"x-2fa-method", "password", "x-2fa-code", digest(accountPassword)); err != nil {
				t.Fatal(err)
			}
			delete(a.have, name)
		}
	}
	a.perhaps = ""
}

// mailer switches codes by mail on and off.
type mailer struct {
	who     *account
	box     *mailtest.Server
	on      bool
	doubt   bool
	spent   string // the last code whose use was acknowledged
	changes int    // acknowledged ones, each of which mails a notice
	doubts  int
}

func (a *mailer) owner() *account { return a.who }

func (a *mailer) act(_ string, c *conn) error {
	if !a.on {
		a.doubt = true
		_, err := c.call("2fa:enable-email")
		if err == nil {
			a.on, a.doubt = true, false
			a.changes++
			did("mail factor on")
		}
		return err
	}
	if _, err := c.call("2fa:disable-email"); code(err) != "totp-required" {
		return err
	}
	text := a.next(c)
	if text == "" {
		return errLost
	}
	a.doubt = true
	_, err := c.call("2fa:disable-email", proof("email", text))
	if err == nil {
		a.on, a.doubt, a.spent = false, false, text
		a.changes++
		did("mail factor off with a mailed code")
	}
	return err
}

// next waits for a code that was not used, or for the crash.
func (a *mailer) next(c *conn) string {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if codes := a.who.mailedCodes(a.box); len(codes) > 0 && !slices.Contains(a.who.used, codes[len(codes)-1]) {
			a.who.used = append(a.who.used, codes[len(codes)-1])
			return codes[len(codes)-1]
		}
		select {
		case <-c.dead:
			return ""
		case <-tick.C:
		}
	}
}

func (a *mailer) check(t *testing.T, addr string, c *conn) {
	on := switched(t, addr, a.who, "email2fa")
	if on != a.on && !a.doubt {
		t.Errorf("the mail factor is %v and was acknowledged as %v", on, a.on)
	}
	if a.doubt {
		a.doubts++
	}
	a.on, a.doubt = on, false
	// Asked with the call that act makes too: a wrong answer has a code mailed, and
	// a code is good for the action it was mailed for alone.
	if on && a.spent != "" && len(a.who.used)%5 == 0 { // budgets of wrong answers: not every time
		if got := code(second(c.call("2fa:disable-email", proof("email", a.spent)))); !refused(got) {
			t.Errorf("an old code was answered with %s", got)
		}
	}
}

// notices counts the mails without a code, and their second copies.
func (a *mailer) notices(box *mailtest.Server) (n, again int) {
	seen := map[string]bool{}
	for _, m := range box.To(a.who.email) {
		if m.Code() != "" {
			continue
		}
		if id := m.Header.Get("Message-Id"); seen[id] {
			again++
		} else {
			seen[id] = true
			n++
		}
	}
	return n, again
}

func second[T any](_ T, err error) error { return err }

// switched reads a flag of the own account.
func switched(t *testing.T, addr string, a *account, factor string) bool {
	t.Helper()
	out, err := rest(addr, a, "GET", "me", nil)
	if err != nil {
		t.Fatal(err)
	}
	services, _ := out["services"].(map[string]any)
	f, _ := services[factor].(map[string]any)
	on, _ := f["enabled"].(bool)
	return on
}

// device switches an authenticator app on and off and spends its backup codes.
type device struct {
	who     *account
	chance  *rand.Rand
	on      bool
	doubt   string // what the call under way was: on, off, or a backup code
	last    string // the code that was to switch off
	spent   []string
	unknown bool // the backup codes went down with the answer
}

func (a *device) owner() *account { return a.who }

func (a *device) act(_ string, c *conn) error {
	switch {
	case !a.on:
		a.who.step = 0
		a.doubt = "on"
		if err := a.who.enrol(c); err != nil {
			return err
		}
		a.on, a.doubt, a.spent, a.unknown = true, "", nil, false
		did("app on")
	case a.unknown || len(a.who.backup) == 0:
		return a.off(c, a.who.nextStep())
	case len(a.who.backup) <= 2:
		return a.off(c, a.who.backup[0])
	default:
		a.doubt = a.who.backup[0]
		a.who.backup = a.who.backup[1:]
		if _, err := c.call(guarded, proof("totp", a.doubt)); err != nil {
			return err
		}
		a.spent, a.doubt = append(a.spent, a.doubt), ""
		did("backup codes")
	}
	return nil
}

func (a *device) off(c *conn, text string) error {
	if text == "" { // no step within reach: the next one comes in seconds
		pause(50 * time.Millisecond)
		return c.ping()
	}
	a.doubt, a.last = "off", text
	raw, err := c.call("2fa:disable", text)
	if err == nil && string(raw) != "true" {
		return fmt.Errorf("2fa:disable = %s", raw)
	}
	if err == nil {
		a.on, a.doubt = false, ""
		did("app off")
	}
	return err
}

func (a *device) check(t *testing.T, addr string, c *conn) {
	on := switched(t, addr, a.who, "totp")
	if on != a.on && a.doubt != "on" && a.doubt != "off" {
		t.Errorf("the app is %v and was acknowledged as %v", on, a.on)
	}
	if on && !a.on {
		a.unknown = true // on, and its backup codes were never shown
	}
	if on && a.on && !a.unknown {
		raw, err := c.call("2fa:checkCodesRemaining")
		if err != nil {
			t.Fatal(err)
		}
		var left struct{ Remaining int }
		if err := json.Unmarshal(raw, &left); err != nil {
			t.Fatal(err)
		}
		// A code is spent before its call takes effect: a crash between the two costs
		// the code and changes nothing.
		sure, perhaps := 12-len(a.spent), a.doubt
		if perhaps == "off" {
			perhaps = a.last
		}
		switch {
		case left.Remaining == sure && len(a.doubt) > 3:
			a.who.backup = append(a.who.backup, a.doubt)
		case left.Remaining == sure-1 && len(perhaps) > 6:
			a.spent = append(a.spent, perhaps)
			a.who.backup = slices.DeleteFunc(a.who.backup, func(c string) bool { return c == perhaps })
		case left.Remaining != sure:
			t.Errorf("%d backup codes are left of 12, %d were acknowledged as spent (in doubt: %q)", left.Remaining, len(a.spent), a.doubt)
		}
		if len(a.spent) > 0 && a.chance.IntN(4) == 0 {
			if got := code(second(c.call(guarded, proof("totp", a.spent[a.chance.IntN(len(a.spent))])))); got != "totp-invalid" {
				t.Errorf("a spent backup code was answered with %q", got)
			}
		}
	}
	a.on, a.doubt = on, ""
}

// writer posts, edits and deletes messages in a room of its own.
type writer struct {
	who     *account
	chance  *rand.Rand
	room    string
	text    map[string]string // by id; "" is deleted
	ids     []string
	perhaps string // id in doubt
	maybe   string // its text, "" for deleted
	checked int
}

func (a *writer) owner() *account { return a.who }

func (a *writer) act(_ string, c *conn) error {
	if a.room == "" {
		raw, err := c.call("createChannel", "room"+a.who.name+random.ID()[:4], []string{})
		if err != nil {
			return err
		}
		var room struct{ Rid string }
		if err := json.Unmarshal(raw, &room); err != nil {
			return err
		}
		a.room = room.Rid
		did("rooms")
		return nil
	}
	a.maybe = random.ID()
	var err error
	switch dice := a.chance.IntN(6); {
	case dice == 0 && len(a.ids) > 0:
		a.perhaps = a.ids[a.chance.IntN(len(a.ids))]
		if a.text[a.perhaps] == "" {
			return nil
		}
		_, err = c.call("updateMessage", map[string]any{"_id": a.perhaps, "rid": a.room, "msg": a.maybe})
	case dice == 1 && len(a.ids) > 0:
		a.perhaps, a.maybe = a.ids[a.chance.IntN(len(a.ids))], ""
		if a.text[a.perhaps] == "" {
			return nil
		}
		_, err = c.call("deleteMessage", map[string]any{"_id": a.perhaps})
	default:
		a.perhaps = random.ID()
		a.ids = append(a.ids, a.perhaps)
		_, err = c.call("sendMessage", map[string]any{"_id": a.perhaps, "rid": a.room, "msg": a.maybe})
	}
	if err == nil {
		a.text[a.perhaps], a.perhaps = a.maybe, ""
		did("messages")
	}
	return err
}

func (a *writer) check(t *testing.T, _ string, c *conn) {
	alive := 0
	recent := slices.Clone(a.ids[max(0, min(a.checked, len(a.ids)-40)):])
	if a.perhaps != "" && !slices.Contains(recent, a.perhaps) {
		recent = append(recent, a.perhaps)
	}
	a.checked = len(a.ids)
	for _, id := range recent {
		raw, err := c.call("getSingleMessage", id)
		if err != nil && code(err) != "error-not-allowed" {
			t.Fatal(err)
		}
		var m struct{ Msg string }
		_ = json.Unmarshal(raw, &m)
		if m.Msg != a.text[id] && !(id == a.perhaps && m.Msg == a.maybe) {
			t.Errorf("message %s is %q, acknowledged %q, in doubt %q %q", id, m.Msg, a.text[id], a.perhaps, a.maybe)
		}
		a.text[id] = m.Msg
		if m.Msg != "" {
			alive++
		}
	}
	a.perhaps = ""
}

// guesser gives wrong answers and counts them.
type guesser struct {
	who         *account
	sent, acked int64
	floor       int64 // Received as it was seen last
}

func (a *guesser) owner() *account { return a.who }

func (a *guesser) act(_ string, c *conn) error {
	a.sent++
	_, err := c.call(guarded, proof("totp", a.who.wrongCode()))
	if got := code(err); !refused(got) {
		if err == nil {
			err = fmt.Errorf("a wrong code was accepted")
		}
		return err
	}
	a.acked++
	did("wrong answers")
	return nil
}

func (a *guesser) check(*testing.T, string, *conn) {}

// checkGuards looks at the counters themselves: every answer that was received
// is counted, none is counted for nothing, and no counter ever goes back.
func checkGuards(t *testing.T, st twofactor.Store, all []*guesser) {
	t.Helper()
	for _, a := range all {
		g, err := st.Guard(context.Background(), a.who.id)
		if err != nil {
			t.Fatal(err)
		}
		if g.Received < a.acked || g.Received > a.sent || g.Received < a.floor {
			t.Errorf("%d answers counted, %d were refused, %d sent, %d counted before", g.Received, a.acked, a.sent, a.floor)
		}
		row := int64(0) // whatever the guesser's address is to the account
		for _, n := range g.InRow {
			row += int64(n)
		}
		if row < min(a.acked, 100) || row > a.sent {
			t.Errorf("%d wrong answers in a row, %d were refused", row, a.acked)
		}
		a.floor = g.Received
	}
}

// post sends message number n, which is the same message every time.
func (a *writer) post(c *conn, n int) error {
	if a.room == "" {
		raw, err := c.call("createChannel", "room"+a.who.name, []string{})
		if code(err) == "error-duplicate-channel-name" { // the answer was lost, not the room
			raw, err = c.call("getRoomByTypeAndName", "c", "room"+a.who.name)
		}
		if err != nil {
			return err
		}
		var room struct {
			Rid string
			ID  string `json:"_id"`
		}
		if err := json.Unmarshal(raw, &room); err != nil {
			return err
		}
		a.room = room.Rid + room.ID
		if room.Rid != "" {
			a.room = room.Rid
		}
		return nil
	}
	id := fmt.Sprintf("%s%08d", a.who.id[:9], n)
	_, err := c.call("sendMessage", map[string]any{"_id": id, "rid": a.room, "msg": fmt.Sprint("number ", n)})
	if err == nil {
		a.ids = append(a.ids, id)
	}
	return err
}

// verify reads the whole room: every message once, and no other.
func (a *writer) verify(t *testing.T, c *conn) {
	t.Helper()
	if c == nil {
		t.Error("not connected at the end")
		return
	}
	for _, id := range a.ids {
		raw, err := c.call("getSingleMessage", id)
		if err != nil || string(raw) == "null" {
			t.Errorf("message %s is lost: %v", id, err)
		}
	}
	raw, err := c.call("getRoomByTypeAndName", "c", "room"+a.who.name)
	if err != nil {
		t.Error(err)
		return
	}
	var room struct{ Msgs int }
	if err := json.Unmarshal(raw, &room); err != nil || room.Msgs != len(a.ids) {
		t.Errorf("the room counts %d messages, %d were acknowledged (%v)", room.Msgs, len(a.ids), err)
	}
}
