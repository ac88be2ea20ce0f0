package settings_test

import (
	"testing"

	"ddpserver/internal/feed/feedtest"
	"ddpserver/internal/settings"
)

var kinds = []feedtest.Case{
	feedtest.Of(settings.Changed),
}

func TestNews(t *testing.T) { feedtest.Run(t, kinds...) }

func FuzzNews(f *testing.F) { feedtest.Fuzz(f, kinds...) }
