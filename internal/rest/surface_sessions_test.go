package rest_test

import (
	"maps"

	"ddpserver/internal/rpc"
	"ddpserver/internal/testkit"
	"ddpserver/internal/user"
)

// The part of the walk over the surface that is about sessions.

func init() {
	maps.Copy(scenesOfMethods, scenesOfSessionMethods)
	maps.Copy(scenesOfRoutes, scenesOfSessionRoutes)
}

// hasSession makes one more session of an account; the token of the stage is its id.
func hasSession(of func(s *stage) *user.User) func(s *stage) {
	return func(s *stage) {
		s.T.Helper()
		u := of(s)
		issued, err := s.Accounts.IssueToken(s.T.Context(), &rpc.Peer{Conn: "test", Door: rpc.REST, Address: "127.0.0.1"}, u, "password")
		if err != nil {
			s.T.Fatal(err)
		}
		c := client{API: s.world, ID: u.ID, Token: issued.Token}
		a := c.Do("GET", "sessions/list", nil)
		list := testkit.Unmarshal[struct {
			Sessions []struct {
				ID      string `json:"_id"`
				Current bool   `json:"current"`
			} `json:"sessions"`
		}](s.T, []byte(a.Raw))
		for _, one := range list.Sessions {
			if one.Current {
				s.token = one.ID
				return
			}
		}
		s.T.Fatal(a.Raw)
	}
}

func ofTheCaller(s *stage) *user.User { return s.admin }
func ofTheOther(s *stage) *user.User  { return s.other }

func thatSession(s *stage) []any { return []any{object{"sessionId": s.token}} }
func itsBody(s *stage) any       { return object{"sessionId": s.token} }
func itsID(s *stage) any         { return s.token }

var scenesOfSessionMethods = map[string][]scene{
	"sessions:list":        {with(nothing)},
	"sessions:info":        {with(thatSession).after(hasSession(ofTheCaller))},
	"sessions:end":         {with(thatSession).after(hasSession(ofTheCaller))},
	"sessions:endOthers":   {with(nothing)},
	"sessions:forgetTrust": {with(nothing), with(thatSession).after(hasSession(ofTheCaller)).named("of one")},
	"sessions:listAll":     {list(object{"search": "ann"})},
	"sessions:infoAny":     {with(thatSession).after(hasSession(ofTheOther))},
	"sessions:endAny":      {with(thatSession).after(hasSession(ofTheOther))},
}

var scenesOfSessionRoutes = map[string][]scene{
	"GET sessions/list":           {req(plain)},
	"GET sessions/info":           {at("sessions/info?sessionId=%s", itsID).after(hasSession(ofTheCaller))},
	"POST sessions/logout.me":     {req(itsBody).after(hasSession(ofTheCaller))},
	"POST sessions/logout.others": {req(plain)},
	"POST sessions/forget.trust":  {req(plain), req(itsBody).after(hasSession(ofTheCaller)).named("of one")},
	"GET sessions/list.all":       {at("sessions/list.all?filter=ann")},
	"GET sessions/info.admin":     {at("sessions/info.admin?sessionId=%s", itsID).after(hasSession(ofTheOther))},
	"POST sessions/logout":        {req(itsBody).after(hasSession(ofTheOther))},
}
