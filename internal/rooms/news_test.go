package rooms_test

import (
	"testing"

	"ddpserver/internal/feed/feedtest"
	"ddpserver/internal/rooms"
)

var kinds = []feedtest.Case{
	feedtest.Of(rooms.MessageChanged),
	feedtest.Of(rooms.Noticed),
	feedtest.Of(rooms.RoleChanged),
	feedtest.Of(rooms.RoomChanged),
	feedtest.Of(rooms.Addressed),
	feedtest.Of(rooms.UnreadChanged),
	feedtest.Of(rooms.MembershipChanged),
	feedtest.Of(rooms.RoomErased),
}

func TestNews(t *testing.T) { feedtest.Run(t, kinds...) }

func FuzzNews(f *testing.F) { feedtest.Fuzz(f, kinds...) }
