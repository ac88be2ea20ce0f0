package rest_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/rest"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// line is one line of the surface, whichever table it stands in, with its scenes
// and the doors that lead to it.
type line struct {
	name    string
	effects methods.Effects
	actions []string
	// permission is what the line asks for, "" for nothing.
	permission string
	asks       bool // a factor of its own, whatever the administrator lists
	instead    string
	public     bool
	// enrolment and passage are those of methods.Spec; a call that knows no caller, or asks
	// for the factor of a login, is a passage.
	enrolment, passage bool
	scenes             []scene
	doors              map[string]func(s *stage, c scene) string
}

// lines is the whole surface. A line without a scene is an error: whoever adds a
// method or a route says how it is called.
func (w *walk) lines() []line {
	var out []line
	for _, spec := range w.Router.Specs() {
		scenes := scenesOfMethods[spec.Name]
		if len(scenes) == 0 {
			w.T.Errorf("%s has no scene: say in scenesOfMethods how it is called", spec.Name)
		}
		params := func(s *stage, c scene) []byte {
			raw, err := ejson.Append(nil, append([]any{}, c.params(s)...))
			if err != nil {
				w.T.Fatal(spec.Name, err)
			}
			return raw
		}
		l := line{name: spec.Name, effects: spec.Effects, permission: spec.Permission, actions: spec.Actions(), asks: spec.Factor != twofactor.None,
			instead: spec.Instead,
			public:  spec.Anonymous, scenes: scenes, enrolment: spec.Enrolment, passage: spec.Passage || spec.Factor == twofactor.Login,
			doors: map[string]func(s *stage, c scene) string{
				"ddp":         func(s *stage, c scene) string { return refusal(s.ddp(spec.Name, params(s, c))) },
				"method.call": func(s *stage, c scene) string { return s.envelope("method.call/", spec.Name, params(s, c)) },
			}}
		out = append(out, l)
	}
	for _, rt := range w.REST.Routes() {
		name := rt.Verb + " " + rt.Path
		scenes := scenesOfRoutes[name]
		if kind, rest, ok := strings.Cut(rt.Path, "."); len(scenes) == 0 && ok && slices.Contains([]string{"channels", "groups", "im", "dm"}, kind) {
			scenes = scenesOfRooms(kind, rt.Verb, rest)
		}
		if len(scenes) == 0 {
			w.T.Errorf("%s has no scene: say in scenesOfRoutes how it is called", name)
		}
		out = append(out, line{name: name, effects: rt.Effects, permission: rt.Permission, actions: rt.Actions(), asks: rt.Factor != twofactor.None,
			instead: rt.Instead,
			public:  rt.Auth != rest.LoginRequired, scenes: scenes, enrolment: rt.Enrolment, passage: rt.Passage || rt.Auth == rest.NoLogin,
			doors: map[string]func(s *stage, c scene) string{"rest": func(s *stage, c scene) string {
				path, body := rt.Path, any(nil)
				if c.path != nil {
					path = c.path(s)
				}
				if c.body != nil {
					body = c.body(s)
				}
				a := s.caller.Do(rt.Verb, path, body)
				if a.Status == 200 {
					return ""
				}
				return cmp.Or(a.ErrorType(), a.Text("error"), a.Raw)
			}}})
	}
	return out
}

// each calls every scene of the surface through every door, on a stage that no call
// before it left a trace on: most attacks leave none, and the stages are most of the
// work. Those that say they only read share one, whatever they do.
func (w *walk) each(proven bool, enter func(s *stage), f func(s *stage, l line, c scene, what, refusal string, before, after state)) {
	entered := func(rooms bool, prep func(s *stage)) *stage {
		s := w.stage(proven, rooms)
		if prep != nil {
			prep(s)
		}
		enter(s)
		return s
	}
	shared := entered(true, nil)
	clean := map[bool]*stage{} // with rooms, and without
	cells := 0
	for _, l := range w.lines() {
		rooms := l.effects&(methods.Rooms|methods.Messages) != 0
		for _, c := range l.scenes {
			mine := clean // a scene that is prepared has no other's stage
			if c.prep != nil {
				mine = map[bool]*stage{}
			}
			for door, do := range l.doors {
				cells++
				s, keeps := shared, l.effects == methods.Reads && c.prep == nil
				if !keeps {
					if s = mine[rooms]; s == nil {
						s = entered(rooms, c.prep)
					}
				}
				before := s.state()
				w.rec.take()
				refusal := do(s, c)
				after := s.state()
				if !keeps {
					mine[rooms] = s
					if len(w.rec.seen()) > 0 || before.whole != after.whole {
						mine[rooms] = nil
					}
				}
				f(s, l, c, strings.TrimSpace(l.name+" "+c.does+" by "+door), refusal, before, after)
			}
		}
	}
	w.T.Logf("%d calls on %d stages", cells, w.n)
}

// attackers are the callers who hold something of an administrator's, but no proof.
var attackers = map[string]struct {
	overrides map[string]string
	mail      bool
	enter     func(s *stage)
}{
	"a bypass token":                       {enter: func(s *stage) { s.caller = s.bypass }},
	"a bypass token, codes by mail on":     {mail: true, enter: func(s *stage) { s.caller = s.bypass }},
	"remembered trust":                     {enter: func(s *stage) { s.trust() }},
	"remembered trust, codes by mail on":   {mail: true, enter: func(s *stage) { s.trust() }},
	"a session, second factors off":        {overrides: map[string]string{settings.TwoFactorEnabled: "false"}, enter: func(*stage) {}},
	"a bypass token, second factors off":   {overrides: map[string]string{settings.TwoFactorEnabled: "false"}, enter: func(s *stage) { s.caller = s.bypass }},
	"a session, no password as a fallback": {overrides: map[string]string{settings.TwoFactorPasswordFallback: "false"}, enter: func(*stage) {}},
}

// A1, A2: whoever holds a token that bypasses the second factor, or a session in
// the time of remembered trust, or a session on a server whose second factors are
// switched off, reaches no call that makes, changes or ends accounts, roles,
// factors, tokens or guarding settings: every such call asks, and what guards the
// accounts is the same afterwards. What a line says of its effects is not
// believed: the store is looked at after every call of the surface, through every
// door. Lines that ask for something else instead of a factor are public, so that
// the attacker needs nothing of the administrator's, or exchange a session.
func TestA1NobodyWithoutProofReachesAGuard(t *testing.T) {
	t.Parallel()
	for name, a := range attackers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWalk(t, a.overrides)
			w.mail = a.mail
			w.each(false, a.enter, func(s *stage, l line, c scene, what, refusal string, before, after state) {
				const guarded = methods.Accounts | methods.Rights | methods.Factors | methods.Tokens | methods.Guards
				session := s.caller.Token == s.session.Token
				if c.first && session && !s.mail {
					return
				}
				if did := s.effects(before, after) & guarded; did != 0 && !(l.instead != "" && (l.public || session)) {
					t.Errorf("%s changed %s (answer %q)", what, did, refusal)
				}
				asks := l.effects&guarded != 0 && l.instead == "" && !c.harmless && !l.public && !(c.first && s.mail)
				off := c.attacked != "" && !s.mail // the proof stands in the parameters
				switch {
				case asks && off && refusal == c.attacked:
				case asks && refusal != "totp-required":
					t.Errorf("%s has the effects %s and answers %q", what, l.effects, refusal)
				}
			})
		})
	}
}

// A1: what a call was seen to change is what its line says. The caller proves
// himself with every call, so that every call does what it is for.
func TestA1EffectsAreWhatTheTableSays(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	w.each(true, func(s *stage) { s.caller = *s.proof() }, func(s *stage, l line, c scene, what, refusal string, before, after state) {
		if refusal != c.proven {
			t.Errorf("%s with the proof: %q, expected %q", what, refusal, c.proven)
		}
		did := s.effects(before, after)
		ops := w.rec.take()
		for _, op := range ops {
			did |= effectOf(op)
		}
		if more := did &^ covered(l.effects); more != 0 {
			t.Errorf("%s says %s and has the effects %s (%v)", what, l.effects, did, ops)
		}
	})
}

// covered adds what an effect brings along: a new account is in the default
// rooms, a room is told who came, an act of office changes another's profile.
func covered(e methods.Effects) methods.Effects {
	for _, brings := range [][2]methods.Effects{
		{methods.Accounts, methods.Rooms | methods.Profile | methods.Ends | methods.Others | methods.Tokens},
		{methods.Rooms, methods.Messages}, {methods.Others, methods.Profile | methods.Rooms},
		{methods.Factors, methods.Ends | methods.Others},
	} {
		if e&brings[0] != 0 {
			e |= brings[1]
		}
	}
	return e
}

// effectOf is what a write means beside what the accounts show.
func effectOf(op string) methods.Effects {
	kind, members, _ := strings.Cut(op, " ")
	switch kind {
	case "CreateRoom", "ChangeRoom", "DeleteRoom", "SetBlocked", "AddMember", "RemoveMember", "SetMemberRole":
		return methods.Rooms
	case "ChangeSubscription":
		if strings.Trim(strings.ReplaceAll(strings.ReplaceAll(members, "ReadThreads", ""), "ReadThread", ""), " Read") == "" {
			return methods.Messages
		}
		return methods.Rooms
	case "SetFollower", "ForgetThread", "InsertMessage", "EditMessage", "SetPinned", "SetStar", "SetReaction", "DeleteMessage":
		return methods.Messages
	case "UpdateUser":
		for _, m := range strings.Fields(members) {
			if slices.Contains([]string{"Username", "Name", "Status", "StatusDefault", "StatusText", "Language", "Profile", "CustomFields"}, m) {
				return methods.Profile
			}
		}
	}
	return 0
}

// A3: what an administrator does to somebody else's sessions asks for a factor.
// Acts of office in rooms are in surface_rooms_test.go.
func TestA3EndingSessionsAsks(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	s := w.stage(false, false)
	if a := s.session.Do("POST", "users.logout", object{"userId": s.other.ID}); a.ErrorType() != "totp-required" {
		t.Errorf("somebody else is logged out: %d %s", a.Status, a.Raw)
	}
	if a := s.session.Do("POST", "users.logout", object{}); a.Status != 200 {
		t.Errorf("one's own sessions: %d %s", a.Status, a.Raw)
	}
}
