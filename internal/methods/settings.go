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

// settingsMethods shows settings and saves them (docs/wire/rocketchat.md 4.1).
type settingsMethods struct {
	settings *settings.Service
	audit    audit.Recorder
	now      func() time.Time
}

// challenge asks for a second factor from within a handler (Router.Challenge).
type challenge = func(ctx context.Context, c *rpc.Call, p twofactor.Policy) error

func (g *settingsMethods) Specs() []Spec {
	refused := func(method string) *fault.Error {
		return settings.ErrNotAllowed.With(map[string]any{"method": method})
	}
	return []Spec{
		{
			Name: "public-settings/get", Do: g.public, Effects: Reads, Anonymous: true, Enrolment: true,
			Doc:    "Lists the settings that everybody may see.",
			Params: "updatedAfter?: Date", Result: "[{_id, value, …}], or {update, remove} for a Date", Errors: "400 Match failed",
		},
		{
			Name: "private-settings/get", Do: g.private, Effects: Reads, Anonymous: true,
			Doc: "Lists all settings, each with its group, type, range, default, where its value comes from, and a sentence about what a change does; " +
				"nothing for callers without view-privileged-setting.",
			Params: "updatedAfter?: Date", Errors: "400 Match failed",
			Result: "[{_id, value, packageValue, type, values?, minValue?, maxValue?, maxLength?, group, section?, blocked, valueSource, guards, description, …}], " +
				"or {update, remove} for a Date",
		},
		{
			Name: "saveSetting", Also: []string{"saveSettings"}, Do: g.saveOne, Factor: twofactor.Ordinary, Inside: twofactor.Fresh, Raise: g.raiseOne, Effects: Guards,
			Permission: permission.EditPrivilegedSetting, PermissionError: refused("saveSetting"),
			Doc: "Saves one setting. One that guards asks for a fresh second factor.", Params: "_id, value, editor?", Result: "true",
			Errors: "error-action-not-allowed; error-invalid-setting; error-invalid-setting-value; 400 Match failed",
		},
		{
			Name: "saveSettings", Also: []string{"saveSetting"}, Do: g.saveAll, Factor: twofactor.Ordinary, Inside: twofactor.Fresh, Raise: g.raiseAll, Effects: Guards,
			Permission: permission.EditPrivilegedSetting, PermissionError: refused("saveSettings"),
			Doc: "Saves several settings, all or none. When one of them guards, a fresh second factor is asked for.", Params: "[{_id, value}]", Result: "true",
			Errors: "error-action-not-allowed; error-invalid-setting; error-invalid-setting-value; 400 Match failed",
		},
		{
			Name: "settings:reset", Do: g.reset, Factor: twofactor.Ordinary, Inside: twofactor.Fresh, Raise: g.raiseReset, Effects: Guards,
			Permission: permission.EditPrivilegedSetting, PermissionError: refused("settings:reset"), Action: "saveSettings", Also: []string{"saveSetting"},
			Doc: "Saves the defaults of several settings, all or none. When one of them guards, a fresh second factor is asked for.", Params: "[_id]", Result: "true",
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
	return g.list(c, func(s *settings.Setting) (any, bool) { return s.Record(), !s.Fixed })
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

// raiseOne and raiseAll ask for a fresh factor when a setting guards.
func (g *settingsMethods) raiseOne(c *rpc.Call) twofactor.Policy {
	var id string
	var rest ejson.Rest
	if c.Bind(&id, &rest) != nil {
		return twofactor.Fresh
	}
	return RaiseSettings(g.settings, id)
}

func (g *settingsMethods) raiseAll(c *rpc.Call) twofactor.Policy {
	var list []struct {
		ID string   `ejson:"_id"`
		_  struct{} `ejson:",ignore"`
	}
	if c.Bind(&list) != nil {
		return twofactor.Fresh
	}
	ids := make([]string, len(list))
	for i, l := range list {
		ids[i] = l.ID
	}
	return RaiseSettings(g.settings, ids...)
}

func (g *settingsMethods) raiseReset(c *rpc.Call) twofactor.Policy {
	var ids []string
	if c.Bind(&ids) != nil {
		return twofactor.Fresh
	}
	return RaiseSettings(g.settings, ids...)
}

// RaiseSettings is what saving these settings asks for: Fresh when one of them
// guards, so that neither remembered trust nor a token that bypasses checks
// lowers a guard (S057).
func RaiseSettings(s *settings.Service, ids ...string) twofactor.Policy {
	if slices.ContainsFunc(ids, s.Guards) {
		return twofactor.Fresh
	}
	return twofactor.None
}

func (g *settingsMethods) saveOne(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	var value any
	var editor *any
	if err := c.Bind(&id, &value, &editor); err != nil {
		return nil, err
	}
	return SaveSettings(ctx, g.settings, g.audit, g.now(), c, []settings.Change{{ID: id, Value: value}})
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
	return SaveSettings(ctx, g.settings, g.audit, g.now(), c, changes)
}

// reset saves the defaults: the server knows them, a client may have old ones.
func (g *settingsMethods) reset(ctx context.Context, c *rpc.Call) (any, error) {
	var ids []string
	if err := c.Bind(&ids); err != nil {
		return nil, err
	}
	changes := make([]settings.Change, len(ids))
	for i, id := range ids {
		changes[i] = settings.Change{ID: id}
		if s, ok := g.settings.Get(id); ok {
			changes[i].Value = s.Default
		}
	}
	return SaveSettings(ctx, g.settings, g.audit, g.now(), c, changes)
}

// SaveSettings saves for a caller who passed all checks and records who changed
// what; values are not recorded. The result is true. REST's routes use it too.
func SaveSettings(ctx context.Context, s *settings.Service, a audit.Recorder, now time.Time, c *rpc.Call, changes []settings.Change) (any, error) {
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
