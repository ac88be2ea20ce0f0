package settings

import "ddpserver/internal/feed"

// Changed is the news that a setting was saved; its key is the setting's id.
// Another node reads the value in the store.
var Changed = feed.NewKind[News]("setting-changed", 1)

// News is the payload of Changed.
type News struct{}

// Check implements feed.Payload.
func (News) Check() error { return nil }
