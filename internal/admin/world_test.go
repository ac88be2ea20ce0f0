package admin_test

import (
	"testing"

	"go.uber.org/goleak"

	"ddpserver/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a panel asks over DDP and REST, and what it is told.
func TestConversations(t *testing.T) { testkit.Play(t, "*.txtar", nil) }
