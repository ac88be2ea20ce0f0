package mongo_test

import (
	"testing"

	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/store/storetest"
)

func TestChat(t *testing.T) {
	storetest.RunChat(t, func(t testing.TB) storetest.Database { return database{mongotest.Start(t)} })
}
