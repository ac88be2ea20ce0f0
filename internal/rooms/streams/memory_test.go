package streams_test

import (
	"fmt"
	"runtime"
	"testing"

	"ddpserver/internal/ddp/ddptest"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rooms/storetest"
)

// BenchmarkSessionMemory tells what thirty subscriptions to streams of rooms add
// to the heap for each session (docs/performance.md, "Memory, start, crowds").
func BenchmarkSessionMemory(b *testing.B) {
	node := newChatNode(b, "n", storetest.OpenSQLite(b), nil)
	ann := node.account("ann")
	var ids []string
	for i := range 5 {
		r, err := node.chat.Create(b.Context(), ann, rooms.NewRoom{Type: rooms.Channel, Name: fmt.Sprint("room", i)})
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	const sessions = 300
	for i := range sessions {
		u := node.account(fmt.Sprint("user", i))
		for _, id := range ids {
			if _, err := node.chat.Join(b.Context(), u, id, ""); err != nil {
				b.Fatal(err)
			}
		}
	}
	measure := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	connect := func(streams func(id string) []string) float64 {
		var keep []*ddptest.Client
		before := measure()
		for i := range sessions {
			id := fmt.Sprint("user", i)
			keep = append(keep, node.listen(id, streams(id)...))
		}
		used := float64(measure()-before) / sessions
		runtime.KeepAlive(keep)
		return used
	}
	for b.Loop() {
		bare := connect(func(string) []string { return nil })
		full := connect(func(id string) (out []string) {
			for _, r := range append(ids, rooms.GeneralID) {
				out = append(out, rooms.RoomMessages+"/"+r)
				for _, e := range []string{"typing", "user-activity", "deleteMessage", "webrtc"} {
					out = append(out, rooms.NotifyRoom+"/"+r+"/"+e)
				}
			}
			return out
		})
		b.ReportMetric(full-bare, "B/30-subscriptions")
		b.ReportMetric(bare, "B/session")
	}
}
