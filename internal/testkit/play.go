package testkit

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"ddpserver/internal/ddp/ddptest"
)

// asking finds a conversation with requests, which need the REST door.
var asking = regexp.MustCompile(`(?m)^R\d*:`)

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
				synctest.Test(t, func(t *testing.T) {
					p := NewPlayer(t, asking.MatchString(section.Text), prepare)
					p.Play(t, section)
				})
			})
		}
	}
}

// NewPlayer makes a world and who plays conversations in it, with a REST door if
// that is asked for. prepare may be nil.
func NewPlayer(t *testing.T, door bool, prepare func(w *World)) *ddptest.Player {
	t.Helper()
	var w *World
	p := &ddptest.Player{}
	if door {
		a := NewAPI(t, Options{})
		w, p.Do = a.World, a.Acts()
		callers := map[int]*Caller{}
		p.Do["asks"] = func(args string) error { return a.asks(callers, strings.Fields(args)) }
		p.Ask = func(n int, request string) (string, error) { return a.ask(callers[n], request) }
	} else {
		w = NewWorld(t, Options{})
		p.Do = w.Acts()
	}
	p.Server, p.Vars = w.Engine, w.Vars
	if prepare != nil {
		prepare(w)
	}
	return p
}

// asks logs caller number f[0] in as the account f[1]; with a third word, every
// request of it carries the password as the second factor.
func (a *API) asks(callers map[int]*Caller, f []string) error {
	n, err := strconv.Atoi(f[0])
	if err != nil {
		return err
	}
	c := a.Caller()
	c.Take(c.OK("POST", "login", map[string]any{"user": f[1], "password": PasswordOf(f[1])}))
	if len(f) > 2 {
		c = c.With("x-2fa-method", "password").With("x-2fa-code", DigestOf(f[1]))
	}
	callers[n] = c
	return nil
}

// ask makes the request of an R line, "GET path?query" or "POST path {body}", and
// gives the status and the body. Nobody is logged in who was not before.
func (a *API) ask(c *Caller, request string) (string, error) {
	if c == nil {
		c = a.Caller()
	}
	verb, rest, ok := strings.Cut(request, " ")
	if !ok {
		return "", errors.New("a request is a verb and a path")
	}
	path, body, _ := strings.Cut(rest, " ")
	got := c.Do(verb, path, body)
	return strconv.Itoa(got.Status) + " " + strings.TrimSpace(got.Raw), nil
}

// Acts are the "do" lines of conversations: user NAME [options], set ID JSON,
// code (the last mailed code becomes <code>), digest NAME (the password's
// becomes <digest>), unlimited;
// "asks NUMBER NAME [proven]" where there is a REST door, and those of slices.
func (w *World) Acts() map[string]func(string) error {
	acts := w.sliceActs()
	maps.Copy(acts, w.trailActs())
	maps.Copy(acts, map[string]func(string) error{
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
	})
	return acts
}
