package rooms

import "testing"

// What a browser's recorder makes of a voice is packed like a film, and only its name tells; a film stays one under any other name.
func TestRecordedVoices(t *testing.T) {
	for packing, head := range map[string]string{"webm": "\x1aE\xdf\xa3aaaaaaaaaaaa", "mp4": "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"} {
		for name, want := range map[string]string{"Audio record.mp3": "audio/", "VOICE.M4A": "audio/", "a.weba": "audio/", "a.ogg": "audio/",
			"Video record.mp4": "video/", "a.webm": "video/", "mp3": "video/", "a.mp3.mkv": "video/", "": "video/"} {
			if got := mediaType([]byte(head), name); got != want+packing {
				t.Errorf("%s called %q is %s", packing, name, got)
			}
		}
	}
}
