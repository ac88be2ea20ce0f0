package calls_test

import (
	"fmt"
	"testing"
)

// Reports are kept, so there are so many of each user in an hour, whatever the limits of calls say:
// those of messages and of users together, refused ones included, and nobody else's.
func TestReportsAreCounted(t *testing.T) {
	chatWorld(t, func(t *testing.T, w *world) {
		ann, bob := w.talker("ann"), w.talker("bob")
		rid := bob.room("createChannel", "lobby", "ann")
		m := bob.say(rid, "rude")
		for i := range 20 {
			switch i % 3 {
			case 0:
				ann.Must("reportMessage", m.ID, fmt.Sprint("rude ", i))
			case 1:
				ann.Must("reportUser", m.U.ID, "rude")
			default:
				ann.Refused("error-invalid-message_id", "reportMessage", fmt.Sprint("none", i), "rude")
			}
		}
		ann.Refused("too-many-requests", "reportMessage", m.ID, "rude")
		ann.Refused("too-many-requests", "reportUser", m.U.ID, "rude")
		bob.Must("reportUser", w.Vars["ann"], "rude")
	}, "ann", "bob")
}
