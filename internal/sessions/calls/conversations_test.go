package calls_test

import (
	"testing"

	"go.uber.org/goleak"

	"ddpserver/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConversations(t *testing.T) { testkit.Play(t, "*.txtar", nil) }
