package realtime

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/ddp"
	"ddpserver/internal/ejson"
	"ddpserver/internal/feed"
	"ddpserver/internal/permission"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// BaseOptions are what the publications of every server need.
type BaseOptions struct {
	Users    Users
	Settings *settings.Service
	// Gate is asked again what a user may listen to when rights change.
	Gate Gate
	// Sessions finds the connections of a user, to ask that and to end them.
	Sessions Sessions
	// Marked is the store that other nodes write too, whose marks are followed; nil when
	// there are none.
	Marked Marked
	// Version is what meteor_autoupdate_clientVersions tells.
	Version string
}

// Base is the group of publications and streams that every client expects
// (docs/wire/ddp.md D7, docs/wire/rocketchat.md 4.1).
type Base struct {
	hub      *Hub
	gate     Gate
	sessions Sessions
	own      *own
	users    Users
	settings *settings.Service
	marked   Marked
	version  string
	// rules wakes Run after a change of the settings that say who must have a
	// second factor, and which there are.
	rules chan struct{}
}

// NewBase makes the group and connects the hub with the settings: a change is
// pushed here, and one that another node made is read at once. It must be
// called before Hub.Run.
func NewBase(h *Hub, o BaseOptions) *Base {
	b := &Base{
		hub: h, gate: o.Gate, sessions: o.Sessions, users: o.Users, settings: o.Settings, marked: o.Marked, version: o.Version,
		rules: make(chan struct{}, 1),
	}
	b.own = newOwn(h, o.Users, o.Sessions, b.recheck)
	b.own.many = o.Marked
	Listen(h, user.Changed, func(e feed.Event, news user.News) { b.own.tellSecurity(e.Key, news.Security()...) })
	o.Settings.Subscribe(b.pushSettings)
	Listen(h, settings.Changed, func(e feed.Event, _ settings.News) {
		if e.Node != h.Node() {
			b.readSettings(context.Background())
		}
	})
	h.HandleGap(b.readSettings)
	return b
}

// Publications lists the publications of the group.
func (b *Base) Publications() []Publication {
	ready := func(_ context.Context, s *ddp.Subscription) error {
		s.Ready()
		return nil
	}
	return []Publication{
		{Do: b.own.publish, Anonymous: true, Doc: "The own account in collection users."},
		{
			Name: "meteor.loginServiceConfiguration", Do: ready, Anonymous: true,
			Doc: "Foreign login services: there are none.",
		},
		{
			Name: "meteor_autoupdate_clientVersions", Do: b.clientVersions, Anonymous: true,
			Doc: "Versions of web clients, for those that name no application.",
		},
		{Name: "userData", Do: ready, Doc: "Nothing more than the own account, which everybody has."},
		{Name: "activeUsers", Do: ready, Doc: "Nothing; presence comes over streams."},
		{Name: "roles", Do: b.roles, Doc: "The roles of the server in collection rocketchat_roles."},
	}
}

// Streams lists the streams of the group.
func (b *Base) Streams() []Stream {
	return []Stream{
		{Name: "stream-notify-all", Anonymous: true, Allow: b.allowAll, Events: sorted(allEvents), Doc: "Events for everybody: public-settings-changed."},
		{
			Name: "stream-notify-logged", Allow: b.allowLogged, Events: sorted(loggedEvents),
			Doc: "Events for everybody who is logged in: private-settings-changed, user-status, Users:NameChanged, roles-change (of a room's roles: to its members).",
		},
		{
			Name: "stream-notify-user", Allow: b.allowUser, Open: b.openUser, Events: sorted(userEvents),
			Doc: "Events of the own account: <uid>/userData, /security, /message, /notification, /rooms-changed, /subscriptions-changed.",
		},
	}
}

// clientArchs are Meteor's names of client builds.
var clientArchs = []string{"web.browser", "web.browser.legacy", "web.cordova"}

// clientVersions: ready goes out before the documents. This server builds no
// web client, so a client that names its application gets none: it would
// compare the versions with its own and reload for ever.
func (b *Base) clientVersions(_ context.Context, s *ddp.Subscription) error {
	var app *string
	if err := s.Bind(&app); err != nil {
		return err
	}
	s.Ready()
	if app != nil {
		return nil
	}
	for _, arch := range clientArchs {
		if err := s.Added("meteor_autoupdate_clientVersions", arch, ejson.Doc{
			{Key: "version", Value: b.version}, {Key: "versionRefreshable", Value: b.version},
			{Key: "versionNonRefreshable", Value: b.version}, {Key: "versionReplaceable", Value: b.version},
			{Key: "versionHmr", Value: 0}, {Key: "assets", Value: []any{}},
		}); err != nil {
			return err
		}
	}
	for _, id := range []string{"version", "version-refreshable", "version-cordova"} {
		if err := s.Added("meteor_autoupdate_clientVersions", id, ejson.Doc{{Key: "version", Value: "outdated"}}); err != nil {
			return err
		}
	}
	return nil
}

func (b *Base) roles(_ context.Context, s *ddp.Subscription) error {
	for _, r := range permission.Roles() {
		if err := s.Added("rocketchat_roles", r.ID, ejson.Doc{
			{Key: "name", Value: r.ID}, {Key: "scope", Value: r.Scope},
			{Key: "description", Value: r.Description}, {Key: "protected", Value: true},
		}); err != nil {
			return err
		}
	}
	s.Ready()
	return nil
}

// Names of the events of Rocket.Chat's streams. One that nothing here sends is
// ready and stays quiet, because clients wait for all of theirs
// (docs/wire/clients.md 3.3); one that does not exist is refused.
var (
	allEvents = names(`public-settings-changed public-info roles-change updateAvatar updateCustomSound deleteCustomSound
		updateEmojiCustom deleteEmojiCustom license`)
	loggedEvents = names(`private-settings-changed permissions-changed roles-change user-status Users:NameChanged Users:Deleted
		updateAvatar updateCustomSound deleteCustomSound updateEmojiCustom deleteEmojiCustom updateCustomUserStatus
		deleteCustomUserStatus banner-changed new-banner voip.statuschanged omnichannel.priority-changed license`)
	userEvents = names(`userData message otr webrtc notification rooms-changed subscriptions-changed uiInteraction
		force_logout banners e2ekeyRequest video-conference voip.events call.hangup calendar webdav security`)
)

func names(list string) map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields(list) {
		m[n] = true
	}
	return m
}

// sorted lists names in order.
func sorted(names map[string]bool) []string { return slices.Sorted(maps.Keys(names)) }

func (b *Base) allowAll(_ context.Context, _ rpc.Login, event string) error {
	if !allEvents[event] {
		return ErrStream
	}
	return nil
}

func (b *Base) allowLogged(ctx context.Context, l rpc.Login, event string) error {
	switch {
	case l.UserID == "" || !loggedEvents[event]:
		return ErrStream
	case event != "private-settings-changed":
		return nil
	}
	u, err := b.users.User(ctx, l.UserID)
	if err != nil {
		return err
	}
	if !permission.CanViewSettings(u) {
		return ErrStream
	}
	return nil
}

// allowUser: "<own user id>/<event>" and nothing else.
func (b *Base) allowUser(_ context.Context, l rpc.Login, event string) error {
	id, name, _ := strings.Cut(event, "/")
	if l.UserID == "" || id != l.UserID || !userEvents[name] {
		return ErrStream
	}
	return nil
}

// openUser listens without being asked again later: what is one's own stays so.
func (b *Base) openUser(_ context.Context, s *ddp.Subscription, event string) (listen bool, err error) {
	if _, name, _ := strings.Cut(event, "/"); name == "userData" {
		if err := b.own.follow(s); err != nil {
			return false, err
		}
	}
	b.hub.Join("stream-notify-user/"+event, s)
	return false, nil
}

// pushSettings tells of changed settings. Every node reads them itself, so the
// events stay on this one.
func (b *Base) pushSettings(changed []*settings.Setting) {
	for _, set := range changed {
		if rulesOfFactors[set.ID] {
			select {
			case b.rules <- struct{}{}:
			default: // Run is woken already
			}
		}
		record := set.ChangeRecord()
		err := b.hub.EmitHere("stream-notify-logged", "private-settings-changed", "updated", record)
		if err == nil && set.Public {
			err = b.hub.EmitHere("stream-notify-all", "public-settings-changed", "updated", record)
		}
		if err != nil {
			b.hub.log.Error("setting_not_encoded", zap.String("setting", set.ID), zap.Error(err))
		}
	}
}

// readSettings follows a change that another node made.
func (b *Base) readSettings(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := b.settings.Refresh(ctx); err != nil {
		b.hub.log.Warn("settings_not_read", zap.Error(err))
	}
}
