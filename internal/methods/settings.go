package methods

import (
	"context"
	"slices"
	"time"

	"ddpserver/internal/audit"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
)

// settingsMethods shows settings and saves them (spec rocketchat-2fa 4.1).
type settingsMethods struct {
	settings *settings.Service
	audit    audit.Recorder
	now      func() time.Time
	// challenge is Router.Challenge.
	challenge challenge
}

// challenge asks for a second factor from within a handler.
type challenge = func(ctx context.Context, c *rpc.Call, p twofactor.Policy) error

func (g *settingsMethods) Specs() []Spec {
	refused := func(method string) *fault.Error {
		return settings.ErrNotAllowed.With(map[string]any{"method": method})
	}
	return []Spec{
		{
			Name: "public-settings/get", Do: g.public, Anonymous: true, Enrolment: true,
			Doc:    "Lists the settings that everybody may see.",
			Params: "updatedAfter?: Date", Result: "[{_id, value, …}], or {update, remove} for a Date", Errors: "400 Match failed",
		},
		{
			Name: "private-settings/get", Do: g.private, Anonymous: true,
			Doc:    "Lists all settings; nothing for callers without view-privileged-setting.",
			Params: "updatedAfter?: Date", Result: "[{_id, value, type, …}], or {update, remove} for a Date", Errors: "400 Match failed",
		},
		{
			Name: "saveSetting", Do: g.saveOne, Factor: twofactor.Ordinary,
			Permission: permission.EditPrivilegedSetting, PermissionError: refused("saveSetting"),
			Doc: "Saves one setting.", Params: "_id, value, editor?", Result: "true",
			Errors: "error-action-not-allowed; error-invalid-setting; error-invalid-setting-value; 400 Match failed",
		},
		{
			Name: "saveSettings", Do: g.saveAll, Factor: twofactor.Ordinary,
			Permission: permission.EditPrivilegedSetting, PermissionError: refused("saveSettings"),
			Doc: "Saves several settings, all or none.", Params: "[{_id, value}]", Result: "true",
			Errors: "error-action-not-allowed; error-invalid-setting; error-invalid-setting-value; 400 Match failed",
		},
	}
}

func (g *settingsMethods) public(_ context.Context, c *rpc.Call) (any, error) {
	return g.list(c, func(s *settings.Setting) (any, bool) { return s.PublicRecord(), s.Public })
}

func (g *settingsMethods) private(_ context.Context, c *rpc.Call) (any, error) {
	if !permission.CanViewSettings(c.User) {
		return []any{}, nil
	}
	return g.list(c, func(s *settings.Setting) (any, bool) { return s.Record(), true })
}

// list answers both lists: all of it, or what changed after a date.
func (g *settingsMethods) list(c *rpc.Call, show func(*settings.Setting) (any, bool)) (any, error) {
	var since *time.Time
	if err := c.Bind(&since); err != nil {
		return nil, err
	}
	out := []any{}
	for _, s := range g.settings.All() {
		if rec, ok := show(s); ok && (since == nil || s.UpdatedAt.After(*since)) {
			out = append(out, rec)
		}
	}
	if since == nil {
		return out, nil
	}
	return update{Update: out, Remove: []any{}}, nil
}

func (g *settingsMethods) saveOne(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	var value any
	var editor *any
	if err := c.Bind(&id, &value, &editor); err != nil {
		return nil, err
	}
	return SaveSettings(ctx, g.settings, g.audit, g.challenge, g.now(), c, []settings.Change{{ID: id, Value: value}})
}

// settingChange is one element of saveSettings; clients add members of their own.
type settingChange struct {
	ID    string   `ejson:"_id"`
	Value any      `ejson:"value"`
	_     struct{} `ejson:",ignore"`
}

func (g *settingsMethods) saveAll(ctx context.Context, c *rpc.Call) (any, error) {
	var list []settingChange
	if err := c.Bind(&list); err != nil {
		return nil, err
	}
	changes := make([]settings.Change, len(list))
	for i, l := range list {
		changes[i] = settings.Change{ID: l.ID, Value: l.Value}
	}
	return SaveSettings(ctx, g.settings, g.audit, g.challenge, g.now(), c, changes)
}

// SaveSettings saves for a caller who passed all checks and records who changed
// what; values are not recorded. The result is true. REST's routes use it too.
//
// A personal access token that may skip checks is asked for a factor all the
// same when one of the settings says how people prove who they are: else it
// could switch the second factor off for everybody, its owner's included (spec
// security S057). ask is Router.Challenge.
func SaveSettings(ctx context.Context, s *settings.Service, a audit.Recorder, ask challenge, now time.Time, c *rpc.Call, changes []settings.Change) (any, error) {
	guards := func(ch settings.Change) bool { return settings.GuardsAccounts(ch.ID) }
	if t := c.User.LoginToken(c.Login.Token); t != nil && t.IsPAT() && t.BypassTwoFactor && slices.ContainsFunc(changes, guards) {
		if err := ask(ctx, c, twofactor.Fresh); err != nil {
			return nil, err
		}
	}
	changed, err := s.Save(ctx, changes)
	if err != nil {
		return nil, err
	}
	for _, set := range changed {
		a.Record(audit.Event{
			Time: now.UTC(), Act: "setting_changed", Outcome: "ok", User: c.Login.UserID, Target: set.ID, Door: string(c.Peer.Door),
			Method: c.Method, Address: c.Peer.Address, Agent: c.Peer.UserAgent, Conn: c.Peer.Conn,
		})
	}
	return ejson.Raw("true"), nil
}
