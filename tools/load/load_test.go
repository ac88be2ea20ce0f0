package load

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ddpserver/internal/proctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startFloor serves a floor for one test and returns its address.
func startFloor(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	f := NewFloor()
	go func() { done <- f.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "ws://" + ln.Addr().String() + "/websocket"
}

// Every scenario must work on the floor, or a ratio could not be made.
func TestScenariosOnTheFloor(t *testing.T) {
	url := startFloor(t)
	base := Run{URL: url, Server: proctest.Process{PID: os.Getpid()}, Conns: 5, InFlight: 2, For: 50 * time.Millisecond, Token: "token-%d",
		Sub: "stream-notify-room", SubParams: `["GENERAL/user-activity",false]`, Publish: "stream-notify-room", PublishParams: `["GENERAL/user-activity","x"]`,
		Burst: 3, Streams: []string{"stream-notify-all/roles-change", "stream-notify-user/user%d/userData"}}
	for name, do := range map[string]func(Run, context.Context) (Report, error){
		"calls": Run.Calls, "connects": Run.Connects, "storm": Run.Storm, "subs": Run.SubUnsub, "fanout": Run.FanOut, "idle": Run.IdleConns,
	} {
		rep, err := do(base, t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if rep.Count == 0 || rep.Failed > 0 || name != "idle" && (rep.Rate <= 0 || rep.P99 <= 0 || rep.Max < rep.P50) {
			t.Errorf("%s measured nothing: %+v", name, rep)
		}
		var b bytes.Buffer
		rep.Print(&b)
		if !strings.HasPrefix(b.String(), name) {
			t.Errorf("%s prints as %q", name, b.String())
		}
	}
}

func TestRateIsKept(t *testing.T) {
	rep, err := Run{URL: startFloor(t), Conns: 4, InFlight: 1, Rate: 200, For: 500 * time.Millisecond}.Calls(t.Context())
	if err != nil || rep.Count < 60 || rep.Count > 140 {
		t.Errorf("200/s for half a second made %d calls, %v", rep.Count, err)
	}
}

func TestOnlyThisMachineIsATarget(t *testing.T) {
	for _, bad := range []string{"ws://example.org/websocket", "ws://10.0.0.1:3000/", "ws://[2001:db8::1]/", "ws://192.168.1.1/", "::"} {
		if CheckTarget(bad) == nil {
			t.Errorf("%s accepted", bad)
		}
	}
	for _, good := range []string{"ws://127.0.0.1:3000/websocket", "ws://localhost/websocket", "ws://[::1]:80/"} {
		if err := CheckTarget(good); err != nil {
			t.Error(err)
		}
	}
}

func TestReadsFrames(t *testing.T) {
	for frame, want := range map[string]int{
		`{"msg":"result","id":"17","result":1}`:  17,
		`{"msg":"updated","methods":["9"]}`:      9,
		`{"msg":"ready","subs":["3"]}`:           3,
		`{"msg":"result","id":"abc"}`:            -1,
		`{"msg":"changed","collection":"users"}`: -1,
	} {
		if got := numericID([]byte(frame)); got != want {
			t.Errorf("%s: id %d, want %d", frame, got, want)
		}
	}
	if kind([]byte(`{"msg":"ping"}`)) != "ping" || kind([]byte(`{}`)) != "" {
		t.Error("kind of a frame misread")
	}
}

func TestRowsSayWhenAGoalIsMissed(t *testing.T) {
	rows := []Row{
		{Name: "a", Server: 15, Floor: 10, Ratio: 1.5, Goal: 1.6}, {Name: "b", Server: 17, Floor: 10, Ratio: 1.7, Goal: 1.6},
		{Name: "c", Server: 9, Limit: 10}, {Name: "d", Server: 11, Limit: 10}, {Name: "e", Last: Report{Failed: 1}},
	}
	var got []bool
	for _, r := range rows {
		got = append(got, r.OK())
	}
	want := []bool{true, false, true, false, false}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %s: ok %v", rows[i].Name, got[i])
		}
	}
	var b bytes.Buffer
	Table(&b, rows)
	if strings.Count(b.String(), "over") != 3 {
		t.Errorf("table:\n%s", b.String())
	}
}
