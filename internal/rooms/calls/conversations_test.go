package calls_test

import (
	"testing"

	"ddpserver/internal/testkit"
)

func TestConversations(t *testing.T) { testkit.Play(t, "*.txtar", nil) }
