package settings_test

import (
	"strings"
	"testing"

	"ddpserver/internal/settings"
)

func TestInitialReplacesDefaults(t *testing.T) {
	env := map[string]string{settings.TwoFactorEnabled: "false", settings.LoginExpiration: "never", "HOME": "/root"}
	table, err := settings.Initial(settings.Table(), func(id string) (string, bool) { v, ok := env[id]; return v, ok })
	if err == nil || !strings.Contains(err.Error(), settings.LoginExpiration+": ") || strings.Contains(err.Error(), settings.TwoFactorEnabled) {
		t.Errorf("error %v must name the one bad text", err)
	}
	s := open(t, settings.Options{Definitions: table})
	if s.Bool(settings.TwoFactorEnabled) {
		t.Error("the environment's value is not in force")
	}
	if set, _ := s.Get(settings.TwoFactorEnabled); set.Forced || set.Stored || set.Default != false {
		t.Errorf("%+v: it is a default, neither forced nor stored", set)
	}
}
