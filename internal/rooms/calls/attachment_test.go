package calls_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/rooms"
)

// Every member of an attachment that holds an address, found in the type itself,
// refuses every spelling that does not lead where it says, through the call that
// sends messages (A19).
func TestA19EveryLinkOfAnAttachmentIsRead(t *testing.T) {
	var links []string
	for f := range reflect.TypeFor[rooms.Attachment]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("ejson"), ",")
		if strings.HasSuffix(name, "_link") || strings.HasSuffix(name, "_url") || strings.HasSuffix(name, "_icon") {
			links = append(links, name)
		}
	}
	if len(links) < 6 {
		t.Fatalf("only %q found: is the rule of names still right?", links)
	}
	chatWorld(t, func(t *testing.T, w *world) {
		w.User("robot", "verified", "role=bot", "role=user") // may write under another name
		ann, robot := w.talker("ann"), w.talker("robot")
		for _, member := range append(slices.Clone(links), "avatar") {
			message := func(link string) map[string]any {
				if member == "avatar" {
					return map[string]any{"rid": general, "msg": "x", "alias": "Ann", "avatar": link}
				}
				return map[string]any{"rid": general, "msg": "x", "attachments": []any{map[string]any{member: link}}}
			}
			for _, bad := range []string{"//other.example", "///other.example", "/\\other.example", "\\\\other.example", "/\t/other.example", "/\n/other.example",
				" //other.example", "javascript:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "https:other.example", "https:///other.example",
				"https://a.example\\@other.example", "mailto:ann@a.example", "other.example"} {
				who := ann
				if member == "avatar" {
					who = robot
				}
				who.Refused("error-invalid-message", "sendMessage", message(bad))
			}
			if member != "avatar" {
				ann.Must("sendMessage", message("https://other.example/x"))
				ann.Must("sendMessage", message("/channel/general?msg=1"))
			}
		}
	}, "ann")
}
