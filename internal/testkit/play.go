package testkit

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"ddpserver/internal/ddp/ddptest"
)

// Play plays every conversation of testdata/conversations that fits the pattern,
// each in a world of its own. prepare may be nil.
func Play(t *testing.T, pattern string, prepare func(w *World)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "conversations", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversation fits %s: %v", pattern, err)
	}
	for _, file := range files {
		for _, section := range ddptest.Load(t, file) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+section.Name, func(t *testing.T) {
				Bubble(t, Options{}, func(t *testing.T, w *World) {
					if prepare != nil {
						prepare(w)
					}
					p := &ddptest.Player{Server: w.Engine, Vars: w.Vars, Do: w.Acts()}
					p.Play(t, section)
				})
			})
		}
	}
}

// Acts are the "do" lines of conversations: user NAME [options], set ID JSON,
// code (the last mailed code becomes <code>), digest NAME (the password's
// becomes <digest>), unlimited.
func (w *World) Acts() map[string]func(string) error {
	return map[string]func(string) error{
		"user": func(args string) error {
			f := strings.Fields(args)
			w.User(f[0], f[1:]...)
			return nil
		},
		"set": func(args string) error {
			id, text, _ := strings.Cut(args, " ")
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				return err
			}
			w.Set(id, v)
			return nil
		},
		"code": func(string) error {
			w.Vars["code"] = w.Mails.Last()
			if w.Vars["code"] == "" {
				return errors.New("no code was mailed")
			}
			return nil
		},
		"unlimited": func(string) error { w.Unlimited(); return nil },
		"digest":    func(name string) error { w.Vars["digest"] = DigestOf(name); return nil },
	}
}
