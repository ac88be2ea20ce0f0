package rest

import (
	"context"
	"math"
	"regexp"
	"slices"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// setting serves the settings (docs/wire/rocketchat.md 4.1). Saving goes through
// the same function as the methods saveSetting and saveSettings.
type setting struct{ *Server }

// wrongValue is how a value of a type that a setting does not have is refused; the
// schema of a body cannot know.
const wrongValue = "400 Match failed"

// Routes lists them.
func (g *setting) Routes() []Route {
	const tag = "settings"
	// As in Rocket.Chat, saving several at once never honours remembered trust, and
	// saving one that guards nothing does.
	return []Route{
		{Verb: "GET", Path: "settings.public", Tag: tag, Summary: "Settings that everybody may see", Method: "public-settings/get", Auth: NoLogin,
			Query: fits[publicSettingsQuery](), Result: answers[settingPage](), Do: g.public},
		{Verb: "GET", Path: "settings", Tag: tag, Summary: "All settings, with what an editor needs; secrets are masked",
			Method: "private-settings/get", Auth: LoginRequired,
			Query: fits[settingsQuery](), Result: answers[settingRecords](), Do: g.private},
		{Verb: "POST", Path: "settings", Tag: tag, Summary: "Save several settings, all or none", Method: "saveSettings", Factor: twofactor.Fresh,
			Body: fits[settingChanges](), Params: members("settings"), Errors: []string{wrongValue}},
		{Verb: "GET", Path: "settings/:_id", Tag: tag, Summary: "One setting", Effects: methods.Reads, Do: g.one, Errors: []string{"error-invalid-setting"},
			Result: answers[namedValue]()},
		{Verb: "POST", Path: "settings/:_id", Tag: tag, Summary: "Save one setting", Method: "saveSetting", Raise: g.raise, Body: fits[settingValue](),
			Params: func(_ context.Context, r *Request) ([]any, error) {
				return []any{r.Segment("_id"), r.Value("value")}, nil
			},
			Errors: []string{wrongValue}},
		{Verb: "POST", Path: "settings.reset", Tag: tag, Summary: "Save the defaults of several settings, all or none", Method: "settings:reset",
			Factor: twofactor.Fresh, Body: fits[settingIDs](), Params: members("settings")},
		{Verb: "GET", Path: "service.configurations", Tag: tag, Summary: "Foreign login services (none)", Auth: NoLogin, Effects: methods.Reads,
			Do: empty("configurations"), Result: answers[noConfigurations]()},
		{Verb: "GET", Path: "settings.oauth", Tag: tag, Summary: "OAuth services (none)", Auth: NoLogin, Effects: methods.Reads, Do: empty("services"),
			Result: answers[noServices]()},
	}
}

func empty(name string) func(context.Context, *Request) (any, error) {
	return func(context.Context, *Request) (any, error) { return ejson.Doc{{Key: name, Value: []any{}}}, nil }
}

func (g *setting) public(_ context.Context, r *Request) (any, error) {
	ids := r.Query.List("_id")
	return g.page(r, func(s *settings.Setting) (any, bool) {
		wanted := len(ids) == 0 || slices.Contains(ids, s.ID)
		return ejson.Doc{{Key: "_id", Value: s.ID}, {Key: "value", Value: s.Shown()}, {Key: "enterprise", Value: false}}, s.Public && wanted
	})
}

func (g *setting) private(_ context.Context, r *Request) (any, error) {
	if !permission.CanViewSettings(r.User) {
		return nil, errForbidden
	}
	return g.page(r, func(s *settings.Setting) (any, bool) { return s.Record(), !s.Fixed })
}

func (g *setting) page(r *Request, show func(*settings.Setting) (any, bool)) (any, error) {
	offset, count := r.Page()
	if r.Query.Get("count") == "" {
		count = math.MaxInt // the table is small; a client that names no count wants all of it
	}
	out, total := []any{}, 0
	for _, s := range g.settings.All() {
		rec, ok := show(s)
		if !ok {
			continue
		}
		if total >= offset && len(out) < count {
			out = append(out, rec)
		}
		total++
	}
	return ejson.Doc{{Key: "settings", Value: out}, {Key: "count", Value: len(out)}, {Key: "offset", Value: offset}, {Key: "total", Value: total}}, nil
}

// settingID keeps anything that could be mistaken for a path or an operator out
// of the look-up (docs/security-tests.md S079).
var settingID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

func (g *setting) one(_ context.Context, r *Request) (any, error) {
	s, ok := g.settings.Get(r.Segment("_id"))
	if !ok || !settingID.MatchString(r.Segment("_id")) {
		return nil, settings.ErrUnknown
	}
	if !s.Public && !permission.CanViewSettings(r.User) {
		return nil, errForbidden
	}
	return ejson.Doc{{Key: "_id", Value: s.ID}, {Key: "value", Value: s.Shown()}}, nil
}

// raise asks for a fresh factor for a setting that guards.
func (g *setting) raise(r *Request) twofactor.Policy {
	return methods.RaiseSettings(g.settings, r.Segment("_id"))
}
