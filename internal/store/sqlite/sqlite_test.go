package sqlite_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"ddpserver/internal/store/storetest"
	"ddpserver/internal/user"
)

func TestInsideBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.OpenSQLite(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.CreateUser(ctx, &user.User{ID: "u1", Username: "Ann", CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		u, err := s.UserByUsername(ctx, "ann")
		if err != nil || u.ID != "u1" {
			t.Fatal(u, err)
		}
	})
}
