package methods_test

import (
	"testing"

	"ddpserver/internal/twofactor"
)

// The mail with a code names the call in words, for every call that asks without an
// administrator's list of protected calls; others by their name (A21).
func TestA21EveryCallThatAsksHasASentence(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		asking := 0
		for _, s := range w.Router.Specs() {
			if max(s.Factor, s.Inside) == twofactor.None {
				continue
			}
			asking++
			if text, known := w.Factors.Sentence(s.Name); !known {
				t.Errorf("%s asks for a factor; its mail would say only %q", s.Name, text)
			}
		}
		if asking < 15 {
			t.Errorf("only %d calls ask", asking)
		}
		if text, known := w.Factors.Sentence("made/up"); known || text != "to carry out the call “made/up”" {
			t.Errorf("%q", text)
		}
		if text, known := w.Factors.Sentence(""); known || text != "" {
			t.Errorf("%q", text)
		}
		w.User("alice", "email2fa")
		w.As("alice")
		m := w.Mails.Codes()[0]
		if m.What != "to log in" || m.Address == "" || m.At.IsZero() || m.Stranger {
			t.Errorf("the mail of a login: %+v", m)
		}
		if _, fail := w.Connect().Call("sendEmailCode", "alice"); fail != nil {
			t.Fatal(fail)
		}
		if m = w.Mails.Codes()[w.Mails.Count()-1]; m.What != "" || !m.Stranger {
			t.Errorf("the mail of a request: %+v", m)
		}
	})
}
