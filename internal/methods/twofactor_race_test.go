package methods_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pquerna/otp/totp"

	"ddpserver/internal/ddp/ws"
	"ddpserver/internal/settings"
	"ddpserver/internal/testwait"
	"ddpserver/internal/twofactor"
)

// loggedOut is a request of nobody.
var loggedOut = twofactor.Request{}

// socket is a client over TCP.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(t *testing.T, url string) *socket {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	s := &socket{t, conn}
	s.send(`{"msg":"connect","version":"1","support":["1"]}`)
	s.await(func(f frame) bool { return f.Msg == "connected" })
	return s
}

func (s *socket) send(text string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Error(err)
	}
}

func (s *socket) await(wanted func(frame) bool) frame {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(testwait.Limit))
	for {
		_, text, err := s.conn.ReadMessage()
		if err != nil {
			s.t.Error(err)
			return frame{}
		}
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			s.t.Error(err)
		}
		if f.Msg == "ping" {
			s.send(`{"msg":"pong"}`)
		}
		if wanted(f) {
			return f
		}
	}
}

func (s *socket) call(id, method, params string) frame {
	s.send(fmt.Sprintf(`{"msg":"method","id":%q,"method":%q,"params":%s}`, id, method, params))
	return s.await(func(f frame) bool { return f.Msg == "result" && f.ID == id })
}

// S005, S006, S007 over sockets: 32 connections send the same code at once, of
// each kind; one of them gets through.
func TestS005RacesOverSockets(t *testing.T) {
	const connections = 32
	w := newWorld(t)
	w.Unlimited()
	w.Set(settings.TwoFactorRememberFor, 0)
	w.Set(settings.TwoFactorWrongPerHour, 100)
	server := httptest.NewServer(ws.New(ws.Options{Engine: w.Engine}))
	defer server.Close()
	play := factorPlay{w}
	for name, traits := range map[string][]string{"app": {"totp", "admin"}, "mail": {"email", "admin"}} {
		if err := play.account(w.Vars, name, traits...); err != nil {
			t.Fatal(err)
		}
	}
	for name, code := range map[string]func() string{
		"app": func() string {
			code, err := totp.GenerateCode(factorSecret, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return code
		},
		"mail": func() string {
			if _, err := w.Factors.SendCode(t.Context(), loggedOut, "mail"); err != nil {
				t.Fatal(err)
			}
			return w.Mails.Last()
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := make([]*socket, connections)
			for i := range all {
				all[i] = dial(t, server.URL)
				if f := all[i].call("in", "login", `[{"resume":"`+w.Vars[name+"1"]+`"}]`); f.Error != nil {
					t.Fatal(f.Text, f.Error.Code())
				}
			}
			answer := fmt.Sprintf(`["Site_Name",%q,{"twoFactorCode":%q,"twoFactorMethod":""}]`, name, code())
			var mu sync.Mutex
			got := map[string]int{}
			start := make(chan struct{})
			var wg sync.WaitGroup
			for _, s := range all {
				wg.Go(func() {
					<-start
					f := s.call("x", "saveSetting", answer)
					mu.Lock()
					defer mu.Unlock()
					got[f.Error.Code()]++
				})
			}
			close(start)
			wg.Wait()
			if got[""] != 1 || got["totp-invalid"]+got["totp-max-attempts"] != connections-1 {
				t.Errorf("outcomes %v", got)
			}
		})
	}
}
