//go:build !norooms

package app

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

var update = flag.Bool("update", false, "rewrite docs/protocol.md and the reports of adopted databases")

// The tables of docs/protocol.md are made from the tables of the code, so that
// they cannot tell anything else (run `make golden` after a change).
func TestProtocolDocument(t *testing.T) {
	const path = "../../docs/protocol.md"
	n := start(t, t.TempDir())
	var b strings.Builder
	b.WriteString(protocolHead)
	methodTable(&b, n.App)
	publicationTable(&b, n.App)
	routeTable(&b, n.App)
	settingTable(&b, n.App)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Error("docs/protocol.md does not describe this server: run `make golden` and look at the difference")
	}
}

// cell makes a text fit a table.
func cell(s string) string {
	if s == "" {
		return "–"
	}
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
}

func literal(s string) string {
	if s == "" {
		return "–"
	}
	return "`" + cell(s) + "`"
}

func methodTable(b *strings.Builder, a *App) {
	b.WriteString("\n## Methods\n\n| Method | Parameters | Result | Errors of its own | Login | Permission | Factor | Effects | Limit " +
		"|\n|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range a.router.Specs() {
		login := "yes"
		if s.Anonymous {
			login = "no"
		}
		fmt.Fprintf(b, "| `%s`<br>%s | %s | %s | %s | %s | %s | %s | %s | %s |\n", s.Name, cell(s.Doc), literal(s.Params), literal(s.Result), cell(s.Errors),
			login, literal(s.Permission), factorText(s.Factor, s.Inside, s.Proofs), effectsText(s.Effects, s.Name, s.Actions()), s.Limit)
	}
}

// effectsText names the effects, and the actions that other calls share.
func effectsText(e methods.Effects, name string, actions []string) string {
	if len(actions) == 1 && actions[0] == name {
		return e.String()
	}
	return e.String() + "<br>`" + strings.Join(actions, "`, `") + "`"
}

func factorText(p, asks twofactor.Policy, proofs rpc.Proofs) string {
	text := p.String()
	if asks > p {
		text = strings.TrimPrefix(p.String()+", ", twofactor.None.String()+", ") + "when needed: " + asks.String()
	}
	if proofs.Narrow() {
		text += "<br>" + proofs.String()
	}
	return text
}

func publicationTable(b *strings.Builder, a *App) {
	b.WriteString("\n## Publications and streams\n\nEvery session has the universal publication `users`: the owner's own document. A subscription to a " +
		"stream is refused with `not-allowed`, or `invalid-event-name` without an event.\n\n| Name | What | Login |\n|---|---|---|\n")
	for _, p := range a.publications.List() {
		login := "yes"
		if p.Anonymous {
			login = "no"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", p.Name, cell(p.Doc), login)
	}
}

func routeTable(b *strings.Builder, a *App) {
	b.WriteString(restHead)
	routes := slices.Clone(a.rest.Routes())
	slices.SortStableFunc(routes, func(x, y rest.Route) int {
		return strings.Compare(x.Tag+"\x00"+x.Path+"\x00"+x.Verb, y.Tag+"\x00"+y.Path+"\x00"+y.Verb)
	})
	b.WriteString("| Route | Parameters | Errors of its own | Login | Permission | Factor | Effects | Limit |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range routes {
		login := map[rest.Auth]string{rest.LoginRequired: "yes", rest.LoginOptional: "optional", rest.NoLogin: "no"}[r.Auth]
		fmt.Fprintf(b, "| `%s %s`<br>%s | %s | %s | %s | %s | %s | %s | %s |\n", r.Verb, r.Path, cell(r.Summary), members(r), cell(strings.Join(r.Errors, "; ")),
			login, literal(r.Permission), factorText(r.Factor, r.Inside, r.Proofs), effectsText(r.Effects, r.Path, r.Actions()), limitText(r.Limit))
	}
}

// members lists a route's query and body members; a question mark follows those
// that may be left out.
func members(r rest.Route) string {
	var out []string
	for _, s := range []rest.Schema{r.Query, r.Body} {
		properties, _ := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		for name := range properties {
			if !slices.Contains(required, any(name)) {
				name += "?"
			}
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return "–"
	}
	slices.Sort(out)
	return "`" + strings.Join(out, ", ") + "`"
}

func limitText(r ratelimit.Rule) string {
	switch {
	case r.Count < 0:
		return "methods'"
	case r.Count == 0:
		return "default"
	}
	return fmt.Sprintf("%d / %v", r.Count, r.Window)
}

func settingTable(b *strings.Builder, a *App) {
	b.WriteString("\n## Settings\n\nChanged with `saveSetting`, `saveSettings`, `settings:reset` or `POST settings/:_id`; a change works at once, on every connection and node. " +
		"`OVERWRITE_SETTING_<id>` forces a value.\n\nA setting that *guards* (who people are, who may have an account and with which rights, what may be asked " +
		"of the server) is saved with a fresh factor; the others with an ordinary one.\n\n| Setting | Type | Default | Range | Public | Guards " +
		"|\n|---|---|---|---|---|---|\n")
	for _, d := range settings.Table() {
		limits := "–"
		switch {
		case d.Type == settings.Int:
			limits = fmt.Sprintf("%d – %d", d.Min, d.Max)
		case len(d.Values) > 0:
			limits = strings.Join(d.Values, ", ")
		}
		yes := map[bool]string{true: "yes", false: "no"}
		fmt.Fprintf(b, "| `%s`<br>%s | %s | %s | %s | %s | %s |\n", d.ID, settings.Sentence(d.ID), d.Type, literal(strings.ReplaceAll(fmt.Sprint(d.Default), "\n", " ")), limits, yes[d.Public],
			yes[d.Guards()])
	}
	b.WriteString("\n### Facts\n\nWhat Rocket.Chat has settings for, what clients read, and what can only be one thing here. They are among the public " +
		"settings, are no part of an editor, and nobody saves or forces them.\n\n| Setting | Value |\n|---|---|\n")
	for _, d := range settings.Facts("ROOT_URL") {
		value := literal(strings.ReplaceAll(fmt.Sprint(d.Default), "\n", " "))
		if d.ID == settings.UniqueID {
			value = "a text that the first start gives to the database"
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", d.ID, value)
	}
}

const protocolHead = "# Protocol\n\n" +
	"What the server offers, door by door. The tables are made from the code (`make golden`); a test fails when they differ. " +
	"What differs from Rocket.Chat and Meteor on purpose is in [divergences.md](divergences.md).\n\n" +
	"## The wire\n\n" +
	"- **DDP** versions `1`, `pre2` and `pre1` on `/websocket` and `/sockjs/websocket`, one frame a WebSocket message; SockJS below `/sockjs` with websocket, " +
	"xhr-streaming, xhr-polling and eventsource. EJSON with dates, bytes, regular expressions (texts up to 32 KiB, never compiled), non-finite numbers and " +
	"ObjectIDs.\n" +
	"- Every `method` gets exactly one `result` and one `updated`, refused ones too. Frames of one connection are worked off in order; a method may let the " +
	"next one start.\n" +
	"- Heartbeats: `ping` after 15 s of silence, 15 s to answer. `connect` within 45 s.\n" +
	"- Messages up to 64 KiB before login and 1 MiB after, JSON depth 32 and 64, 300 subscriptions with 128 KiB of parameters, results up to 8 MiB " +
	"(`error-result-too-large`).\n" +
	"- Pages of messages hold up to 1 MiB and at least one message, whatever number was asked for. Go on at `offset` plus what came, before `ts` of the last " +
	"(`end`, `latest`), " +
	"or, for `chat.syncMessages`, with `result.cursor.next` as `lastUpdate` as long as there is one " +
	"(with `type`, as `next`, which tells changes and deletions apart).\n" +
	"- What waits to be worked off is bounded: 256 messages and one of the longest + 256 KiB. Then nothing more is read, for 10 s at most, then close 1008. " +
	"What waits to be read by the client: 1 MiB, then 1008. When all clients together hold too much, those who hold more than 16 KiB are not read, then " +
	"closed with 1013, and a large result becomes `error-server-busy`: come back after a while. No message is ever dropped.\n\n" +
	"### Errors\n\n" +
	"An error is `{isClientSafe: true, error, reason?, details?, message, errorType: \"Meteor.Error\"}`; `error` is a number or a text. Any call may answer:\n\n" +
	"| error | When |\n|---|---|\n" +
	"| 400 `Match failed` | a parameter has the wrong type or number |\n" +
	"| 404 `Method '…' not found` | no such method; `Subscription '…' not found` in a `nosub` |\n" +
	"| 500 `Internal server error` | the server failed; the reason is in its log only |\n" +
	"| `error-not-authorized` | the call needs a login |\n" +
	"| `error-not-allowed` | the caller lacks the permission |\n" +
	"| `too-many-requests` | a limit; `details.timeToReset` in milliseconds |\n" +
	"| `totp-required` | a second factor is asked for: see below |\n" +
	"| `totp-invalid` | the code was not accepted |\n" +
	"| `totp-max-attempts` | too many wrong codes; nothing is compared |\n" +
	"| `error-no-password-or-factor` | a proof is needed, and the account has neither a password nor a second factor; the reason says the way out |\n" +
	"| `error-no-factor-for-call` | the account has nothing of what this call takes as a proof; the reason says what to set up |\n" +
	"| `error-two-factor-setup-required` | the user's role must have a second factor and has none |\n\n" +
	"### Second factors\n\n" +
	"`details` of the three `totp-` errors: `method` (`totp`, `email` or `password`), `codeGenerated`, `availableMethods`, and for e-mail `codeCount`, " +
	"`codeExpires` " +
	"(a list of ISO dates) and `emailOrUsername`. `mailKept: true` says that the server has no `MAIL_URL`: codes by e-mail are in its outbox (`outbox:list`, " +
	"files in `DATA_DIR/outbox`). Answer in any of these ways:\n\n" +
	"| Where | How |\n|---|---|\n" +
	"| DDP, any method | the same call with a last parameter `{twoFactorCode, twoFactorMethod}` |\n" +
	"| DDP, any method | `callWithTwoFactorRequired({code, ddpMethod, method?, params})`, as a method or as a frame of its own: " +
	"`{\"msg\":\"callWithTwoFactorRequired\",\"id\":…,\"code\":…,\"ddpMethod\":…,\"method\":…,\"params\":[…]}` |\n" +
	"| DDP, `login` | `{totp: {login: {…}, code}}` |\n" +
	"| REST | headers `x-2fa-code` and `x-2fa-method` (the method alone chooses the factor) |\n" +
	"| REST, `login` | `code` (or `twoFactorCode`) in the body, or the header `x-2fa-code`, or `{totp: {login, code}}`; which factor it is for, in the header " +
	"`x-2fa-method` or as `twoFactorMethod` |\n\n" +
	"The code is six digits of the app, six digits of a mail (blanks and a hyphen do not matter), an eight-character backup code, or the lower-case hex " +
	"SHA-256 of the password; or what an authenticator answered, as the text of `JSON.stringify(credential)` (`webauthn`).\n\n" +
	"The column *Factor* says what a call asks for: *none*; *ordinary* (remembered trust and tokens with `bypassTwoFactor` pass); *fresh* (neither passes, " +
	"and nothing weaker " +
	"than the strongest factor that is on; at least the password, whatever the settings say); *login* (any factor that is on, never the password). " +
	"From strong to weak: passkey, app and backup code, e-mail, password; a passkey is taken beside the strongest that people type. `method` and `availableMethods` offer only what this very call accepts; " +
	"a code for another factor is not compared, not spent and answered with the challenge. " +
	"*When needed* means that the call decides. " +
	"*Not* names factors that are no proof for the call, *only* those that are the only ones: tokens with `bypassTwoFactor` do not pass such a " +
	"call, and trust does only where it was earned with one of those. " +
	"The column *Effects* says what a call changes and decides the least it asks for: *accounts*, *rights*, *factors*, *tokens* and *guards* (settings that " +
	"guard) are fresh; " +
	"*others* (acts of office on other people's accounts and rooms) are ordinary; *rooms*, *messages*, *profile*, *ends* (logging one's own sessions out) " +
	"and *reads* ask for nothing. " +
	"Where no factor can be asked for, another proof stands in: a mailed link, or the code or password in the parameters. " +
	"Below the effects stand the *actions* where they are not the call's own name: calls with an action in common do the same, and listing one of them " +
	"protects all. " +
	"An administrator can put any other call under *ordinary* with the setting `Accounts_TwoFactorAuthentication_Protected_Calls`; " +
	"`settings.* = webauthn` there takes passkeys only, and `= totp` nothing weaker than the app.\n\n" +
	"### Limits\n" +
	"\n" +
	"Windows are fixed, begin with a caller's first call, and go on counting what they refuse. The refusal is `too-many-requests` (REST: " +
	"`error-too-many-requests`, HTTP 429) with `details.timeToReset`. Every number is a setting, `DDP_Rate_Limit_*` and `API_Enable_Rate_Limiter*`, and " +
	"works at once.\n" +
	"\n" +
	"| Column *Limit* | Counted |\n" +
	"|---|---|\n" +
	"| *default* | 120,000 a minute for an address (not loopback; an IPv6 /64 network is one), 1,200 for a user, 600 for a connection; of one method 20 in " +
	"ten seconds for a user and 10 for a connection. Subscriptions likewise, those of `stream-*` four times as many |\n" +
	"| *wide* | as *default*, without the limits of one method |\n" +
	"| *account* | as *wide*, and 5 in ten seconds of one method for a connection |\n" +
	"| REST routes | 10 a minute for an address and route, unless the table says otherwise; not for those with `api-bypass-rate-limit` |\n" +
	"| registrations | through every call that makes accounts for strangers together: ten times `Rate_Limiter_Limit_RegisterUser` in ten minutes for an " +
	"address (an IPv6 /64 network is one), and sixty times that for the server. What breaks the rules of names and passwords does not count |\n"

const restHead = "\n## REST\n\n" +
	"Below `/api/v1/`; `/api/openapi.json` describes every body and answer, `/api/docs` draws it. Log in with `X-User-Id` and `X-Auth-Token`; the tokens are " +
	"those of DDP. " +
	"Answers are JSON objects with `success`. Refusals: 400 `{success: false, error, errorType, details?}`; 401 without a login; 403 without the permission; " +
	"404, 405, 413, 415; " +
	"429 with `X-RateLimit-*` and `Retry-After`; 500. `POST login` refuses with 401 and the code in `error`; `method.call` with 400 and the DDP error inside " +
	"`message`.\n\n" +
	"In a body `null` is a member that is not there, and numbers, texts and booleans stand for each other, except in codes, passwords and tokens. In a query " +
	"a list is a repeated parameter, `name[]`, or a text with commas; a date is what `$date` takes as a text. A parameter that the route does not know is " +
	"refused by name; `query`, `fields` and `sort` are ignored everywhere. Lists take `offset` and `count` (by default the setting `API_Default_Count`); " +
	"a `count` of 0 asks for everything, and no answer holds more than `API_Upper_Count_Limit`.\n\n"
