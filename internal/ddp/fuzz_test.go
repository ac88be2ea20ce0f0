package ddp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/rpc"
)

// seedFromConversations adds what the golden conversations send, one fuzz input
// for each.
func seedFromConversations(f *testing.F) {
	files, err := filepath.Glob("testdata/conversations/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var sent []string
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "-- ") && len(sent) > 0 {
				f.Add([]byte(strings.Join(sent, "\n")))
				sent = nil
			}
			if frame, ok := strings.CutPrefix(line, "C: "); ok {
				sent = append(sent, strings.TrimSpace(frame))
			}
		}
	}
}

// session sends each line of data as a message and checks what every session
// owes: JSON objects with a msg, an end, nothing left behind.
func session(t *testing.T, data []byte, before ...string) {
	synctest.Test(t, func(t *testing.T) {
		srv := ddp.New(ddp.Options{Handler: &ddptest.Fixture{}})
		conn, c := ddptest.Pipe()
		done := make(chan struct{})
		go func() {
			srv.Serve(conn, &rpc.Peer{})
			close(done)
		}()
		for _, b := range before {
			c.Send(b)
		}
		for line := range bytes.Lines(data) {
			c.Send(string(line))
		}
		synctest.Wait()
		time.Sleep(time.Second)
		c.Close()
		<-done
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		stop := make(chan struct{})
		close(stop)
		for {
			frame, ok, _ := c.Next(stop)
			if !ok {
				break
			}
			var m struct{ Msg string }
			if err := json.Unmarshal([]byte(frame), &m); err != nil || m.Msg == "" {
				t.Fatalf("sent %q: %v", frame, err)
			}
		}
		if st := srv.Stats(); st.Sessions != 0 || st.Calls != 0 || st.Subscriptions != 0 {
			t.Fatalf("left over: %+v", st)
		}
	})
}

// FuzzSession plays anything to a session from its first byte on.
func FuzzSession(f *testing.F) {
	seedFromConversations(f)
	f.Fuzz(func(t *testing.T, data []byte) { session(t, data) })
}

// FuzzConnectedSession plays anything to a session that is connected, logged in
// and holds subscriptions.
func FuzzConnectedSession(f *testing.F) {
	seedFromConversations(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		session(t, data, hello, `{"msg":"sub","id":"0","name":"byUser"}`, `{"msg":"sub","id":"00","name":"stream"}`,
			`{"msg":"method","id":"0","method":"setU","params":["u"]}`)
	})
}
