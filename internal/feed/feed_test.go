package feed_test

import (
	"encoding/json"
	"testing"

	"ddpserver/internal/feed"
	"ddpserver/internal/feed/feedtest"
)

var kinds = []feedtest.Case{feedtest.Of(feed.Stream)}

func TestNews(t *testing.T) { feedtest.Run(t, kinds...) }

func FuzzNews(f *testing.F) { feedtest.Fuzz(f, kinds...) }

// What cannot be encoded becomes an event that nobody reads, not one that says
// something else.
func TestPayloadThatCannotBeEncoded(t *testing.T) {
	e := feed.Stream.Event("s/e", feed.StreamEvent{Args: json.RawMessage(`[`)}).Encoded()
	if _, err := feed.Stream.Payload(e); err == nil || e.Kind != "stream" || e.Key != "s/e" {
		t.Errorf("%+v, %v", e, err)
	}
}

// Texts go to clients as they were published.
func TestTextsStayAsTheyAre(t *testing.T) {
	args := json.RawMessage("[\"<b>&\u2028\\u00e4 \\/\"]")
	got, err := feed.Stream.Payload(feed.Stream.Event("s/e", feed.StreamEvent{Args: args}).Encoded())
	if err != nil || string(got.Args) != string(args) {
		t.Errorf("%s became %s, %v", args, got.Args, err)
	}
}
