package sqlite_test

import (
	"testing"

	"ddpserver/internal/store/storetest"
)

func TestChat(t *testing.T) {
	storetest.RunChat(t, func(t testing.TB) storetest.Database { return database{t.TempDir()} })
}
