package methods_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ddpserver/internal/methods"
	"ddpserver/internal/testkit"
	"ddpserver/internal/twofactor"
)

var update = flag.Bool("update", false, "write testdata/surface.golden anew")

// The whole surface in one file: who may call what, under which limit, with
// which factor, and what it changes. A change of a method's security is a line in the review.
func TestSurface(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		got := surface(w.Router.Specs())
		file := filepath.Join("testdata", "surface.golden")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !testkit.WithRooms { // the file lists the whole server; what is built must be in it as it stands there
			for line := range strings.Lines(got) {
				if !strings.Contains(string(want), line) {
					t.Errorf("not in %s: %s", file, line)
				}
			}
			return
		}
		if got != string(want) {
			t.Errorf("the surface changed: look at the difference, then run this test with -update\n%s", lineDiff(string(want), got))
		}
	})
}

func surface(specs []methods.Spec) string {
	var b strings.Builder
	fmt.Fprintln(&b, "# method | login | permission | limit | factor | effects | actions, where other calls do them too | open to users who must enrol a factor")
	for _, s := range specs {
		login, perm, enrol := "login", s.Permission, ""
		if s.Anonymous {
			login = "anybody"
		}
		if perm == "" {
			perm = "-"
		}
		if s.Enrolment {
			enrol = " | enrolment"
		}
		factor := s.Factor.String()
		if s.Inside != twofactor.None {
			factor += ", the handler asks: " + s.Inside.String()
		}
		if text := s.Proofs.String(); text != "" {
			factor += " (" + text + ")"
		}
		effects := s.Effects.String()
		if s.Instead != "" {
			effects += " (instead of a factor: " + s.Instead + ")"
		}
		actions := "-"
		if all := s.Actions(); s.Action != s.Name || len(all) > 1 {
			actions = strings.Join(all, ", ")
		}
		fmt.Fprintf(&b, "%s | %s | %s | %s | %s | %s | %s%s\n", s.Name, login, perm, s.Limit, factor, effects, actions, enrol)
	}
	return b.String()
}

// lineDiff lists the lines that only one side has.
func lineDiff(want, got string) string {
	var b strings.Builder
	only := func(mark string, a, other string) {
		have := map[string]bool{}
		for _, l := range strings.Split(other, "\n") {
			have[l] = true
		}
		for _, l := range strings.Split(a, "\n") {
			if !have[l] {
				fmt.Fprintf(&b, "%s %s\n", mark, l)
			}
		}
	}
	only("-", want, got)
	only("+", got, want)
	return b.String()
}

// Every line of the surface is described for docs/protocol.md.
func TestSurfaceIsDescribed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, s := range w.Router.Specs() {
			if s.Doc == "" || s.Params == "" || s.Result == "" || s.Errors == "" {
				t.Errorf("%s: Doc, Params, Result and Errors are needed", s.Name)
			}
		}
	})
}
