package settings

import (
	"strings"
	"testing"
)

func TestInitialReplacesDefaults(t *testing.T) {
	env := map[string]string{TwoFactorEnabled: "false", LoginExpiration: "never", "HOME": "/root"}
	table, err := Initial(Table(), func(id string) (string, bool) { v, ok := env[id]; return v, ok })
	if err == nil || !strings.Contains(err.Error(), LoginExpiration+": ") || strings.Contains(err.Error(), TwoFactorEnabled) {
		t.Errorf("error %v must name the one bad text", err)
	}
	s, err := New(Options{Definitions: table})
	if err != nil {
		t.Fatal(err)
	}
	if s.Bool(TwoFactorEnabled) {
		t.Error("the environment's value is not in force")
	}
	if set, _ := s.Get(TwoFactorEnabled); set.Forced || set.Stored || set.Default != false {
		t.Errorf("%+v: it is a default, neither forced nor stored", set)
	}
}
