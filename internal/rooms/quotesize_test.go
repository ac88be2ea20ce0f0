package rooms

import (
	"reflect"
	"strings"
	"testing"
)

// Whatever text an attachment has counts for what a message may have of them: quotes
// repeat what a file brought along, its description and its preview, twenty times.
func TestEveryTextOfAnAttachmentCounts(t *testing.T) {
	text := strings.Repeat("x", 1000)
	for i, f := range reflect.VisibleFields(reflect.TypeFor[Attachment]()) {
		if f.Type.Kind() != reflect.String {
			continue
		}
		var a Attachment
		reflect.ValueOf(&a).Elem().Field(i).SetString(text)
		for depth, list := range [][]Attachment{{a}, {{Attachments: []Attachment{a}}}} {
			if n := sizeOf(list); n < len(text) {
				t.Errorf("%s, %d deep: counts for %d", f.Name, depth, n)
			}
		}
	}
}
