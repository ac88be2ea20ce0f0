package ddp_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"ddpserver/internal/budget"
	"ddpserver/internal/ddp"
)

// padded is a call whose frame has that many bytes.
func padded(id, method string, size int) string {
	frame := fmt.Sprintf(`{"msg":"method","id":"%s","method":"%s","params":[""]}`, id, method)
	return strings.Replace(frame, `[""]`, `["`+strings.Repeat("x", size-len(frame))+`"]`, 1)
}

// A12: what a session that ends had in its queue is given back at once, also
// while its slow call runs on, and by fake time through a Conn.
func TestA12EndGivesBack(t *testing.T) {
	account := budget.New(0)
	inBubble(t, ddp.Options{Budget: account}, func(r *rig) {
		c := r.dial(true)
		r.method(c, "0", "slow", "[60000]")
		synctest.Wait()
		for range 3 {
			c.Send(padded("1", "echo", 60<<10))
		}
		synctest.Wait()
		if account.Used() < 180<<10 {
			t.Error("not counted:", account.Used())
		}
		c.Close()
		synctest.Wait()
		if account.Used() > 2<<10 {
			t.Error("still counted:", account.Used())
		}
	})
}

// A12: parameters of subscriptions are kept as long as they live, so they are
// bounded, too.
func TestA12SubscriptionsKeepLittle(t *testing.T) {
	inBubble(t, ddp.Options{}, func(r *rig) {
		c := r.dial(true)
		refused := 0
		for i := range 10 {
			c.Send(fmt.Sprintf(`{"msg":"sub","id":"%d","name":"rdy","params":["%s"]}`, i, strings.Repeat("z", 30<<10)))
			if f := r.frame(c); strings.Contains(f, "too-many-subscriptions") {
				refused++
			}
		}
		if refused != 6 {
			t.Errorf("%d of 10 refused, want 6", refused)
		}
	})
}
