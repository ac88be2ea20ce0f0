package sessions

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"ddpserver/internal/user"
)

// What people are shown of the clients there are.
func TestParseAgent(t *testing.T) {
	const webkit = " AppleWebKit/537.36 (KHTML, like Gecko) "
	for agent, want := range map[string]user.Origin{
		"": {Kind: Unknown},
		"Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0": {Kind: Browser, Client: "Firefox", ClientVersion: "131.0", System: "Linux"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1": {
			Kind: Browser, Client: "Safari", ClientVersion: "17.5", System: "iOS", SystemVersion: "17.5"},
		"Mozilla/5.0 (Linux; Android 14; Pixel 8)" + webkit + "Chrome/126.0.0.0 Mobile Safari/537.36": {
			Kind: Browser, Client: "Chrome", ClientVersion: "126.0.0.0", System: "Android", SystemVersion: "14"},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + webkit + "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0": {
			Kind: Browser, Client: "Edge", ClientVersion: "126.0.0.0", System: "Windows", SystemVersion: "10.0"},
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)" + webkit + "Rocket.Chat/3.9.14 Chrome/114.0.5735.289 Electron/25.5.0 Safari/537.36": {
			Kind: Desktop, Client: "Rocket.Chat", ClientVersion: "3.9.14", System: "macOS", SystemVersion: "10.15.7"},
		"RC Mobile; ios 17.5; v4.49.0 (12345)":  {Kind: Mobile, Client: "RC Mobile", ClientVersion: "4.49.0", System: "iOS", SystemVersion: "17.5"},
		"RC Mobile; android 13; v4.49.0 (1234)": {Kind: Mobile, Client: "RC Mobile", ClientVersion: "4.49.0", System: "Android", SystemVersion: "13"},
		"RC Mobile;":                            {Kind: Mobile, Client: "RC Mobile"},
		"Rocket.Chat.Go.SDK/1.0":                {Kind: Program, Client: "Rocket.Chat.Go.SDK", ClientVersion: "1.0"},
		"Rocket.Chat js.SDK":                    {Kind: Program, Client: "Rocket.Chat js.SDK"},
		"node":                                  {Kind: Program, Client: "node"},
		"Go-http-client/1.1":                    {Kind: Program, Client: "Go-http-client", ClientVersion: "1.1"},
		"node-fetch/1.0 (+https://x.example)":   {Kind: Program, Client: "node-fetch", ClientVersion: "1.0"},
		"Mozilla/5.0 (X11; Linux x86_64)" + webkit + "HeadlessChrome/130.0 Safari/537.36": {
			Kind: Program, Client: "Headless Chrome", ClientVersion: "130.0", System: "Linux"},
		// Markup is a text like any other.
		"<b>\"&'/9 (<i>)":         {Kind: Program, Client: "<b>\"&'", ClientVersion: "9"},
		"a\x00\x1b[31m\u202eb\tc": {Kind: Program, Client: "a[31mb c"},
		"\xff\xfe":                {Kind: Unknown},
	} {
		if got := parseAgent(agent); got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", agent, got, want)
		}
	}
}

// Whatever a client says of itself, the texts are short, valid and printable.
func TestAgentsArePlainTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("/;() \x00\u202e<")))).Draw(t, "text") +
			string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		o := parseAgent(rapid.SampledFrom([]string{"", "Mozilla/5.0 (", "RC Mobile; "}).Draw(t, "begin") + text)
		for _, s := range []string{o.Client, o.ClientVersion, o.System, o.SystemVersion} {
			if len(s) > maxText || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || user.Hidden(r) }) {
				t.Fatalf("%q", s)
			}
		}
	})
}
