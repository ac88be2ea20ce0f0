package calls_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ddpserver/internal/rooms"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

// BenchmarkSendToFollowers is a message by DDP, from the call to its answer, in a room
// of 200 members who all follow their memberships: a plain message, which leaves them as
// they are, and one that changes all of them. Messages come one by one: the next is sent
// when everybody has the news of the one before, which is not counted. The fastest
// of them says most on a busy machine.
func BenchmarkSendToFollowers(b *testing.B) {
	const members = 200
	for name, count := range map[string]string{"plain": settings.CountBothMentions, "counted": settings.CountAllMessages} {
		b.Run(name, func(b *testing.B) {
			w := &world{testkit.NewWorld(b, testkit.Options{Overrides: map[string]string{settings.UnreadCount: count}})}
			w.Unlimited()
			stop, told := make(chan struct{}), make(chan struct{}, members)
			var readers sync.WaitGroup
			for i := range members {
				who := fmt.Sprint("user", i)
				w.User(who)
				c := w.talker(who)
				c.follow(general)
				readers.Go(func() {
					for {
						frame, ok, _ := c.Conn.Next(stop)
						if !ok {
							return
						}
						if strings.Contains(frame, "/subscriptions-changed") {
							told <- struct{}{}
						}
					}
				})
			}
			w.User("ann")
			ann := w.talker("ann")
			ann.Stream(rooms.RoomMessages, general)
			fastest := time.Hour
			send := func(everybody bool) {
				begin := time.Now()
				ann.Must("sendMessage", map[string]any{"rid": general, "msg": "hi *everybody*, how is it?"})
				ann.Other, fastest = nil, min(fastest, time.Since(begin))
				b.StopTimer()
				for range members {
					if everybody {
						<-told
					}
				}
				b.StartTimer()
			}
			send(true)
			for b.Loop() {
				send(name == "counted")
			}
			b.ReportMetric(float64(fastest.Nanoseconds()), "fastest-ns/op")
			close(stop)
			readers.Wait()
		})
	}
}
