package ws_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(idleServer); kind != "" {
		serveIdle(kind)
		return
	}
	goleak.VerifyTestMain(m)
}
