//go:build !norooms

package rest_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"ddpserver/internal/ejson"
	"ddpserver/internal/settings"
)

// wordScene is a slash command with parameters that mean something.
type wordScene struct {
	prep   func(s *stage)
	params func(s *stage) string
	// acts are the actions of what it carries, in the walks.
	acts []string
	// theirs has it given in a room where the caller has no role of the room.
	theirs bool
}

func fixed(text string) func(*stage) string { return func(*stage) string { return text } }

func otherName(s *stage) string { return "@" + s.other.Username }

func thirdName(s *stage) string { return "@" + s.third.Username }

// nameOf is the name of a room of the stage.
func nameOf(room func(s *stage) any) func(*stage) string {
	return func(s *stage) string {
		r, err := s.rec.Store.RoomByID(s.T.Context(), room(s).(string))
		if err != nil {
			s.T.Fatal(err)
		}
		return "#" + r.Name
	}
}

func theirs(s *stage) any { return s.theirs }

// wordScenes has every slash command.
var wordScenes = map[string]wordScene{
	"archive":         {params: fixed(""), acts: []string{"archiveRoom"}},
	"create":          {params: func(s *stage) string { return fmt.Sprint("made", s.n, " --private") }, acts: []string{"createChannel", "createPrivateGroup"}},
	"gimme":           {params: fixed("tea")},
	"help":            {params: fixed("")},
	"hide":            {params: nameOf(own), acts: []string{"hideRoom"}},
	"invite":          {params: thirdName, prep: theirRole(""), theirs: true, acts: []string{"addUsersToRoom"}},
	"invite-all-from": {params: nameOf(theirs), prep: theirRole(""), acts: []string{"addUsersToRoom"}},
	"invite-all-to":   {params: nameOf(own), prep: theirRole(""), theirs: true},
	"join":            {params: nameOf(theirs), prep: gone, acts: []string{"joinRoom"}},
	"kick":            {params: otherName, acts: []string{"removeUserFromRoom"}},
	"leave":           {params: fixed(""), theirs: true, acts: []string{"leaveRoom"}},
	"lenny":           {params: fixed("hm")},
	"me":              {params: fixed("waves"), acts: []string{"sendMessage"}},
	"msg": {params: func(s *stage) string { return thirdName(s) + " hello" }, prep: theirRole(""),
		acts: []string{"createDirectMessage", "sendMessage"}},
	"mute":      {params: otherName, theirs: true, acts: []string{"muteUserInRoom"}},
	"open":      {params: nameOf(own), prep: hidden},
	"part":      {params: fixed(""), theirs: true},
	"shrug":     {params: fixed("who knows")},
	"status":    {params: fixed("at lunch"), acts: []string{"setUserStatus"}},
	"tableflip": {params: fixed("no")},
	"topic":     {params: fixed("tea"), theirs: true, acts: []string{"saveRoomSettings"}},
	"unarchive": {params: fixed(""), prep: archived},
	"unflip":    {params: fixed("yes")},
	"unmute":    {params: otherName, prep: muted},
}

func (c wordScene) room(s *stage) string {
	if c.theirs {
		return s.theirs
	}
	return s.own
}

// ofMethod and ofRoute are the scene at the two doors.
func (c wordScene) ofMethod(name string) scene {
	x := with(func(s *stage) []any {
		return []any{object{"cmd": name, "params": c.params(s), "msg": object{"rid": c.room(s)}}}
	}).named("/" + name).after(c.prep)
	x.acts = c.acts
	return x
}

func (c wordScene) ofRoute(name string) scene {
	x := req(func(s *stage) any {
		return object{"command": name, "params": c.params(s), "roomId": c.room(s)}
	}).named("/" + name).after(c.prep)
	x.acts = c.acts
	return x
}

func init() {
	var methods, routes []scene // of the walks, which take one for each thing that is done
	for _, name := range []string{"archive", "create", "hide", "invite", "invite-all-from", "join", "kick", "leave", "me", "msg", "mute", "status", "topic"} {
		methods = append(methods, wordScenes[name].ofMethod(name))
	}
	for _, name := range []string{"help", "invite-all-from", "me"} {
		routes = append(routes, wordScenes[name].ofRoute(name))
	}
	maps.Copy(scenesOfRoomMethods, map[string][]scene{"slashCommand": methods})
	maps.Copy(scenesOfRoomRoutes, map[string][]scene{"POST commands.run": routes})
	maps.Copy(scenesOfMethods, scenesOfRoomMethods)
	maps.Copy(scenesOfRoutes, scenesOfRoomRoutes)
}

// TestWordsAreThoseThatRun: every command that is offered runs and does something, over
// both doors, and nothing else runs.
func TestWordsAreThoseThatRun(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	s := w.stage(true, true)
	var offered []string
	for _, c := range s.session.Do("GET", "commands.list?count=100", nil).Body["commands"].([]any) {
		shown := c.(map[string]any)
		name := shown["command"].(string)
		offered = append(offered, name)
		one := s.session.Do("GET", "commands.get?command="+name, nil)
		if alone, _ := one.Body["command"].(map[string]any); alone["description"] != shown["description"] {
			t.Errorf("/%s is listed, and not shown alone: %s", name, one.Raw)
		}
	}
	if want := slices.Sorted(maps.Keys(wordScenes)); !slices.Equal(offered, want) {
		t.Errorf("offered are %v, and there are scenes for %v", offered, want)
	}
	for _, name := range offered {
		for _, route := range []bool{false, true} {
			s := w.stage(true, true)
			s.caller = *s.proof()
			c := wordScenes[name]
			if c.prep != nil {
				c.prep(s)
			}
			w.rec.take()
			if err := s.word(name, route); err != nil {
				t.Errorf("/%s (over REST: %v) is refused: %v", name, route, err)
			}
			if done := w.rec.take(); len(done) == 0 && name != "help" { // which tells the caller alone
				t.Errorf("/%s (over REST: %v) does nothing", name, route)
			}
		}
	}
	for _, name := range []string{"", "nothing", "me ", "/me", "invite-all", "constructor", "__proto__"} {
		for _, route := range []bool{false, true} {
			wordScenes["x"] = wordScene{params: fixed("")}
			if err := s.wordAs("x", name, route); err == nil {
				t.Errorf("/%s runs", name)
			}
			delete(wordScenes, "x")
		}
	}
	if ops := w.rec.take(); len(ops) > 0 {
		t.Errorf("what is no command does %v", ops)
	}
}

// word runs a command of wordScenes at one door, and returns how it was refused.
func (s *stage) word(name string, route bool) error { return s.wordAs(name, name, route) }

func (s *stage) wordAs(scene, name string, route bool) error {
	s.T.Helper()
	c := wordScenes[scene]
	if route {
		a := s.caller.Do("POST", "commands.run", c.ofRoute(name).body(s))
		if a.Status != 200 {
			return fmt.Errorf("%s", a.ErrorType())
		}
		return nil
	}
	raw, err := ejson.Append(nil, c.ofMethod(name).params(s))
	if err != nil {
		s.T.Fatal(err)
	}
	if err := s.ddp("slashCommand", raw); err != nil {
		return fmt.Errorf("%s", refusal(err))
	}
	return nil
}

// TestNoWordIsAWayAroundAFactor: each command, with each call put under a second factor that
// there is, in each of the three ways to give it. What a command carries is asked for as it is
// asked by itself: nothing is written before the proof came, and with the proof it runs.
func TestNoWordIsAWayAroundAFactor(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{settings.TwoFactorRememberFor: "0"})
	line, _ := w.Router.Spec("slashCommand") // which says what each carries
	entries := append([]string{"slashCommand", "POST commands.run", "*"}, line.Carries...)
	if len(entries) < 15 {
		t.Fatalf("a command carries only %v", line.Carries)
	}
	stages := map[string]*stage{}
	for name, c := range wordScenes {
		stages[name] = w.stage(true, true)
		if c.prep != nil {
			c.prep(stages[name])
		}
	}
	asked := map[string]int{}
	for _, entry := range entries {
		w.Set(settings.TwoFactorProtectedCalls, entry)
		for name, s := range stages {
			var got []string
			for _, route := range []bool{false, true} {
				w.rec.take()
				err := s.word(name, route)
				got = append(got, fmt.Sprint(err))
				ops := w.rec.take()
				if err == nil {
					s.undo(name)
				} else if len(ops) > 0 && !(name == "msg" && entry == "sendMessage") { // the room was opened by another call
					t.Errorf("with %q listed, /%s is refused, %v, and has written %v", entry, name, err, ops)
				}
			}
			if got[0] != got[1] {
				t.Errorf("with %q listed, /%s answers %q by a method and %q by a route", entry, name, got[0], got[1])
			}
			if got[0] == "totp-required" {
				asked[name]++
				asked[entry]++
			}
		}
	}
	for _, entry := range entries {
		if asked[entry] == 0 {
			t.Errorf("with %q listed, no command asks", entry)
		}
	}
	for name := range wordScenes {
		if asked[name] < 2 || name != "help" && asked[name] < 4 {
			t.Errorf("/%s is asked for %d of %d entries", name, asked[name], len(entries))
		}
	}
}

// undo puts back what a command may have changed that the next would find.
func (s *stage) undo(name string) {
	s.T.Helper()
	ctx := s.T.Context()
	var err error
	switch name {
	case "archive", "unarchive":
		err = s.Chat.Archive(ctx, s.admin, s.own, name == "unarchive")
	case "join":
		err = s.Chat.Leave(ctx, s.admin, s.theirs)
	case "leave", "part":
		_, err = s.Chat.Join(ctx, s.admin, s.theirs, "")
	case "kick":
		err = s.Chat.Invite(ctx, s.admin, s.own, []string{s.other.Username})
	case "invite-all-from", "invite-all-to":
		err = s.Chat.Remove(ctx, s.admin, s.own, s.third.Username)
	}
	if err != nil {
		s.T.Fatal(name, err)
	}
}
