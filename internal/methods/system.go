package methods

import (
	"context"
	"time"

	"ddpserver/internal/permission"
	"ddpserver/internal/rpc"
)

// system tells about the server and about rights.
type system struct{ deps Deps }

func (g *system) Specs() []Spec {
	return []Spec{
		{
			Name: "getServerTime", Do: g.time, Effects: Reads, Anonymous: true, Quick: true, Enrolment: true,
			Doc: "Tells the server's time; the cheapest call there is.", Params: "none", Result: "Date", Errors: "-",
		},
		{
			Name: "getServerInfo", Do: g.info, Effects: Reads,
			Doc:    "Tells the level of Rocket.Chat's calls that clients may count on (API_LEVEL), and what the server is.",
			Params: "none", Result: "{version, product: {name, version}}", Errors: "-",
		},
		{
			Name: "permissions/get", Do: g.permissions, Effects: Reads, Enrolment: true,
			Doc:    "Lists the permissions and the roles that have them.",
			Params: "updatedAfter?: Date", Result: "[{_id, roles, _updatedAt}], or {update, remove} for a Date", Errors: "400 Match failed",
		},
	}
}

func (g *system) time(_ context.Context, c *rpc.Call) (any, error) {
	return g.deps.now().UTC(), nil
}

func (g *system) info(_ context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return g.deps.Info.Shown(), nil
}

// permissionRecord is a permission in Rocket.Chat's shape. The table is part of
// the program, so it never changes while a client is connected.
type permissionRecord struct {
	ID        string    `json:"_id"`
	Roles     []string  `json:"roles"`
	UpdatedAt time.Time `json:"_updatedAt"`
}

// PermissionsChanged is when "the permissions changed last", for clients that cache them.
var PermissionsChanged = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

func (g *system) permissions(_ context.Context, c *rpc.Call) (any, error) {
	var since *time.Time
	if err := c.Bind(&since); err != nil {
		return nil, err
	}
	list := []permissionRecord{}
	if since == nil || PermissionsChanged.After(*since) {
		for _, p := range permission.All() {
			list = append(list, permissionRecord{ID: p.ID, Roles: p.Roles, UpdatedAt: PermissionsChanged})
		}
	}
	if since == nil {
		return list, nil
	}
	return update{Update: list, Remove: []any{}}, nil
}

// update answers "what changed since"; both members are lists. Clients keep the
// rest.
type update struct {
	Update any `json:"update"`
	Remove any `json:"remove"`
}
