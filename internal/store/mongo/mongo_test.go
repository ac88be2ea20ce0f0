package mongo_test

import (
	"testing"
	"time"

	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/user"
)

func TestSmoke(t *testing.T) {
	s, err := mongo.Open(t.Context(), mongotest.Start(t), mongo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateUser(t.Context(), &user.User{ID: "u1", Username: "Ann", CreatedAt: time.Now(), Emails: []user.Email{{Address: "A@x.y"}}}); err != nil {
		t.Fatal(err)
	}
	u, err := s.UserByUsername(t.Context(), "ann")
	if err != nil || u.ID != "u1" {
		t.Fatal(u, err)
	}
	tok := user.LoginToken{HashedToken: "h", When: time.Now()}
	if u, err = s.UpdateUser(t.Context(), "u1", user.Change{AddToken: &tok, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetTrust(t.Context(), "u1", "h", "fp", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.SetEmail2FA(t.Context(), "u1", true, time.Now()); err != nil {
		t.Fatal(err)
	}
	u, err = s.UserByToken(t.Context(), "h", "")
	t.Logf("%+v %v", u.Services.Resume, err)
}
