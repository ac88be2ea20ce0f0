package methods_test

import "testing"

func TestSecurityConversations(t *testing.T) { play(t, "security.txtar") }
