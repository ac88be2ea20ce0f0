package twofactor_test

import (
	"testing"

	"ddpserver/internal/secret"
	"ddpserver/internal/serverkey"
	"ddpserver/internal/twofactor"
)

// A20: whatever was given out under the server key of before is good under the
// new one, once: the app's codes, backup codes, mailed codes and an enrolment
// under way. The old key itself is gone then.
func TestA20CodesOutliveTheServerKey(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		st := w.Store
		app, mailed, enrolling := w.account("app").enrol(), w.account("mailed", withEmail), w.account("enrolling")
		if got := mailed.check(); got != "totp-required" {
			t.Fatalf("%q", got)
		}
		sent := w.Mails.Code(-1)
		e, err := w.svc.Enrol(ctx, enrolling.ask(policy(twofactor.Fresh), code(digest)))
		if err != nil {
			t.Fatal(err)
		}
		enrolling.secret = e.Secret

		if _, err := serverkey.Check(ctx, st, w.Key); err != nil {
			t.Fatal(err)
		}
		raw := secret.Generate()
		next, err := secret.NewKey(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := serverkey.Rotate(ctx, st, next.WithOld(w.Key)); err != nil {
			t.Fatal(err)
		}
		if w.Key, err = secret.NewKey(raw); err != nil {
			t.Fatal(err)
		}
		if _, err := serverkey.Check(ctx, st, w.Key); err != nil {
			t.Fatal(err)
		}
		w.svc = w.service(w.Store)
		t.Cleanup(w.svc.Close)

		if got := app.check(code(app.now(0))); got != "" {
			t.Errorf("a code of the app: %q", got)
		}
		for i, want := range []string{"", "totp-invalid"} {
			if got := app.check(policy(twofactor.Fresh), code(app.backup[0])); got != want {
				t.Errorf("backup code, use %d: %q", i+1, got)
			}
			if got := mailed.check(policy(twofactor.Fresh), code(sent)); got != want {
				t.Errorf("mailed code, use %d: %q", i+1, got)
			}
		}
		if _, err := w.svc.Confirm(ctx, enrolling.ask(code(enrolling.now(0)))); err != nil {
			t.Errorf("the enrolment: %v", err)
		}
	})
}
