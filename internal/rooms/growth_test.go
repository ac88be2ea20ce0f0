package rooms

import (
	"io"
	"testing"
	"time"

	"ddpserver/internal/growthtest"
	"ddpserver/internal/rooms/md"
	stored "ddpserver/internal/store/document"
)

// decoders are the checks of what a message and a room hold.
func decoders() []growthtest.Decoder {
	return []growthtest.Decoder{
		{Name: "safeLink", Do: func(text string) { safeLink(text) }},
		{Name: "length", Do: func(text string) { _ = length(text) }},
		{Name: "usableID", Do: func(text string) { _ = usableID(text) }},
		{Name: "roomName", Do: func(text string) { roomName.MatchString(text) }},
		{Name: "checkRoomName", Do: func(text string) { _, _ = checkRoomName(text) }},
		{Name: "clip", Do: func(text string) { clip(text, 1000) }},
		{Name: "mentions", Allocated: 512, Do: func(text string) { md.Parse(text, time.Time{}).Texts(md.MentionUser, maxMentions) }},
		{Name: "a stored message", Allocated: 512, Do: func(text string) {
			raw, err := stored.Encode(map[string]any{"_id": "a", "msg": text, "urls": []string{text}, "starred": text})
			if err != nil {
				panic(err)
			}
			_ = stored.Decode(raw, new(Message))
		}},
		{Name: "a picture in a text", Allocated: 512, Do: func(text string) { _ = taken("data:image/png;base64," + text) }},
		{Name: "where a picture is", Do: func(text string) { _ = taken(text) }},
		{Name: "any bytes", Allocated: 512, Do: func(text string) { _ = stored.Decode([]byte(text), new(Message)) }},
		{Name: "a message as clients see it", Allocated: 1024, Do: func(text string) { _, _ = encode((&Message{Text: text}).Doc("")) }},
	}
}

// taken reads a picture that stands in a text, and keeps none of it.
func taken(text string) error {
	data, err := avatarData(text)
	if err == nil {
		_, err = io.Copy(io.Discard, data)
	}
	return err
}

// TestGrowth: the work of every reader of this package is in proportion to the
// text (docs/security-tests.md A11).
func TestGrowth(t *testing.T) { growthtest.Test(t, decoders()...) }

func FuzzGrowth(f *testing.F) { growthtest.Fuzz(f, decoders()...) }
