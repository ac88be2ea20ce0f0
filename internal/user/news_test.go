package user_test

import (
	"testing"

	"ddpserver/internal/feed/feedtest"
	"ddpserver/internal/user"
)

var kinds = []feedtest.Case{
	feedtest.Of(user.Changed),
}

func TestNews(t *testing.T) { feedtest.Run(t, kinds...) }

func FuzzNews(f *testing.F) { feedtest.Fuzz(f, kinds...) }
