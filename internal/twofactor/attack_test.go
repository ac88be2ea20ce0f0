package twofactor_test

import (
	"context"
	"testing"
	"time"

	"ddpserver/internal/store"
	"ddpserver/internal/twofactor"
)

// overtaken is the real store; what before does happens just before a secret is kept.
type overtaken struct {
	store.Store
	before func()
}

func (o overtaken) SetPendingTOTP(ctx context.Context, id, sealed, token, state string, at time.Time) error {
	o.before()
	return o.Store.SetPendingTOTP(ctx, id, sealed, token, state, at)
}

// A21: an enrolment that another change overtakes is asked again, and the code that
// is mailed then is good for enrolling and for nothing else.
func TestA21AnOvertakenEnrolmentMailsACodeOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		never(t, w)
		a := w.account("alice")
		svc := w.service(overtaken{w.Store, func() {
			if err := w.setEmail(ctx, a.ask(), true); err != nil {
				t.Fatal(err)
			}
		}})
		t.Cleanup(svc.Close)
		_, err := svc.Enrol(ctx, a.ask(purpose("2fa:enable"), code(digest)))
		if id(err) != "totp-required" || w.Mails.Count() != 1 {
			t.Fatalf("%v, %d mails", err, w.Mails.Count())
		}
		if got := a.check(policy(twofactor.Fresh), purpose("saveUserProfile"), code(w.Mails.Code(-1))); got != "totp-invalid" {
			t.Errorf("the code did something else: %q", got)
		}
	})
}
