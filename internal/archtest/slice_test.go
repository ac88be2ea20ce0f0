package archtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vertical are the parts of the program that one file of app plugs in, each with the
// build tag that leaves it out.
var vertical = map[string]string{"internal/rooms": "norooms", "internal/admin": "noadmin", "internal/trail": "notrail"}

// A program without a slice contains nothing of it: no other package of the core
// needs it.
func TestTheProgramStandsWithoutASlice(t *testing.T) {
	for slice, tag := range vertical {
		for _, p := range modulePackages(t, top(t), "-tags", tag) {
			if p.rel() != "cmd/ddpserver" {
				continue
			}
			for _, dep := range p.Deps {
				if ours, ok := strings.CutPrefix(dep, module+"/"); ok && inside(ours, slice) {
					t.Errorf("with the tag %s the program still contains %s", tag, ours)
				}
			}
		}
	}
}

// app alone imports a slice, in the one file that its tag leaves out.
func TestOnlyAppPlugsASliceIn(t *testing.T) {
	for slice, tag := range vertical {
		plugs := 0
		for _, p := range modulePackages(t, top(t)) {
			if inside(p.rel(), slice) || support.MatchString(p.rel()) {
				continue
			}
			for _, name := range p.GoFiles {
				b, err := os.ReadFile(filepath.Join(p.Dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Contains(b, []byte(`"`+module+"/"+slice)) {
					continue
				}
				plugs++
				if p.rel() != "internal/app" || !bytes.HasPrefix(b, []byte("//go:build !"+tag+"\n")) {
					t.Errorf("%s/%s imports %s: only a file of internal/app that the tag %s leaves out may", p.rel(), name, slice, tag)
				}
			}
		}
		if plugs != 1 {
			t.Errorf("%d files plug %s in, not one", plugs, slice)
		}
	}
}

// coreLines is what the core may have in lines of Go without tests, slices and what
// only tests use: it is to be read in an afternoon. Whoever must raise it says in
// the commit what the core got for it.
const coreLines = 54_600

func TestTheCoreStaysSmall(t *testing.T) {
	lines := 0
	for _, p := range modulePackages(t, top(t)) {
		if support.MatchString(p.rel()) || p.rel() == "cmd/ddpcat" || inAny(p.rel()) {
			continue
		}
		for _, name := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			lines += bytes.Count(b, []byte("\n"))
		}
	}
	t.Logf("%d lines", lines)
	if lines > coreLines {
		t.Errorf("the core has %d lines, more than %d", lines, coreLines)
	}
}

func inside(pkg, slice string) bool { return pkg == slice || strings.HasPrefix(pkg, slice+"/") }

func inAny(pkg string) bool {
	for slice := range vertical {
		if inside(pkg, slice) {
			return true
		}
	}
	return false
}
