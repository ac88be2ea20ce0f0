package rooms

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/random"
	"ddpserver/internal/user"
)

// IncomingHook is Hook.Type of the hooks that there are.
const IncomingHook = "webhook-incoming"

// Hook is an address at which a program posts messages without a login (collection
// "rocketchat_integrations"). Whoever has its address writes as its user, so the token in it is
// kept as a digest and shown once.
type Hook struct {
	ID      string `bson:"_id"`
	Type    string `bson:"type"`
	Name    string `bson:"name"`
	Enabled bool   `bson:"enabled"`
	// Username and UserID are who writes.
	Username string `bson:"username"`
	UserID   string `bson:"userId"`
	// Channels are where it writes, as "#room" or "@username".
	Channels []string `bson:"channel"`
	// Alias, Avatar and Emoji are shown where the request says nothing, as far as the user may.
	Alias  string `bson:"alias,omitempty"`
	Avatar string `bson:"avatar,omitempty"`
	Emoji  string `bson:"emoji,omitempty"`
	// Override lets a request name another room.
	Override bool `bson:"overrideDestinationChannelEnabled"`
	// Scripted hooks are of an adopted database; nothing runs their script, so they post nothing.
	Scripted bool `bson:"scriptEnabled"`
	// Digest is that of the token. Token is clear in an adopted database, until another is made.
	Digest    string    `bson:"ddpToken,omitempty"`
	Token     string    `bson:"token,omitempty"`
	CreatedBy Ref       `bson:"_createdBy"`
	CreatedAt time.Time `bson:"_createdAt"`
	UpdatedAt time.Time `bson:"_updatedAt"`
}

// Doc is the hook as clients are shown it; token is that which was just made, or "".
func (h *Hook) Doc(token string) ejson.Doc {
	d := ejson.Doc{
		{Key: "_id", Value: h.ID}, {Key: "type", Value: h.Type}, {Key: "name", Value: h.Name}, {Key: "enabled", Value: h.Enabled},
		{Key: "username", Value: h.Username}, {Key: "userId", Value: h.UserID}, {Key: "channel", Value: h.Channels},
	}
	d = text(text(text(d, "alias", h.Alias), "avatar", h.Avatar), "emoji", h.Emoji)
	d = append(d, ejson.Doc{
		{Key: "overrideDestinationChannelEnabled", Value: h.Override}, {Key: "scriptEnabled", Value: h.Scripted},
		{Key: "_createdBy", Value: ejson.Doc{{Key: "_id", Value: h.CreatedBy.ID}, {Key: "username", Value: h.CreatedBy.Username}}},
		{Key: "_createdAt", Value: h.CreatedAt}, {Key: "_updatedAt", Value: h.UpdatedAt},
	}...)
	return text(d, "token", token)
}

// HookStore keeps hooks.
type HookStore interface {
	// AddHook inserts one: Duplicate when its id is taken.
	AddHook(ctx context.Context, h *Hook) error
	// HookByID finds an incoming hook.
	HookByID(ctx context.Context, id string) (*Hook, error)
	// SetHook replaces a hook that was last changed at was: Conflict when it has changed since,
	// NotFound when there is none.
	SetHook(ctx context.Context, h *Hook, was time.Time) error
	// RemoveHook removes it: NotFound when there is none.
	RemoveHook(ctx context.Context, id string) error
	// ListHooks pages through the incoming hooks that the query selects, the newest first.
	ListHooks(ctx context.Context, q HookQuery) (page []*Hook, total int, err error)
}

// HookQuery selects hooks: those of one maker, of one name, and those that write to one of the channels.
type HookQuery struct {
	MakerID, Name string
	Channels      []string
	Offset, Limit int
}

// Keeps tells whether the query selects that hook.
func (q *HookQuery) Keeps(h *Hook) bool {
	in := len(q.Channels) == 0 || slices.ContainsFunc(h.Channels, func(c string) bool { return slices.Contains(q.Channels, c) })
	return in && (q.Name == "" || q.Name == h.Name) && h.Type == IncomingHook && (q.MakerID == "" || q.MakerID == h.CreatedBy.ID)
}

// The refusals of hooks, with Rocket.Chat's names.
var (
	ErrHookRights   = fault.New("error-unauthorized", "Unauthorized")
	ErrHookOutgoing = fault.New("error-invalid-integration-type", "Invalid integration type: this server has incoming webhooks alone (webhook-incoming)")
	ErrHookScript   = fault.New("error-invalid-script", "Webhooks of this server run no scripts")
	ErrHookChannel  = fault.New("error-invalid-channel", "Invalid channel")
	ErrHookSign     = fault.New("error-invalid-channel-start-with-chars", "Invalid channel. Start with @ or #")
	ErrHookUser     = fault.New("error-invalid-username", "Invalid username")
	ErrNoHook       = fault.New("error-invalid-integration", "Invalid integration")
	ErrHookText     = fault.New("error-invalid-integration", "A text of the integration is too long")
	ErrHookChanged  = fault.New("error-invalid-integration", "The integration was changed in the meantime")
	ErrHookClosed   = fault.New("error-invalid-hook", "Invalid integration id or token provided.")
	ErrHookOff      = fault.New("error-hook-disabled", "This integration is disabled")
	ErrHookOverride = fault.New("error-hook-channel", "overriding destination channel is disabled for this integration")
)

const (
	// maxHookChannels bounds where one hook writes, maxHookText a text of it, in bytes.
	maxHookChannels = 10
	maxHookText     = 500
	// hookToken is what the digest of a token is bound to, beside its hook.
	hookToken = "hook token"
)

// HookChange is what a maker says of a hook; nil leaves a field.
type HookChange struct {
	Name, Username, Alias, Avatar, Emoji *string
	Channels                             *[]string
	Enabled, Override, Scripted          *bool
}

// manages tells whether the user may have hooks, and whether those of everybody.
func manages(by *user.User) (some, all bool) {
	all = permission.Has(by, permission.ManageHooks)
	return all || permission.Has(by, permission.ManageOwnHooks), all
}

// settle writes a change into a hook, and refuses what its maker may not have.
func (s *Service) settleHook(ctx context.Context, by *user.User, h *Hook, c HookChange) error {
	for _, f := range []struct{ to, from *string }{{&h.Name, c.Name}, {&h.Alias, c.Alias}, {&h.Avatar, c.Avatar}, {&h.Emoji, c.Emoji}} {
		if f.from != nil {
			*f.to = *f.from
		}
		if len(*f.to) > maxHookText {
			return ErrHookText
		}
	}
	if h.Avatar != "" && !safeLink(h.Avatar) {
		return ErrAttachment
	}
	if c.Enabled != nil {
		h.Enabled = *c.Enabled
	}
	if c.Override != nil {
		h.Override = *c.Override
	}
	if c.Scripted != nil {
		if h.Scripted = *c.Scripted; h.Scripted {
			return ErrHookScript
		}
	}
	if c.Username != nil || h.UserID == "" {
		found, err := s.Existing(ctx, []string{value(c.Username)})
		if err != nil {
			return err
		}
		if len(found) == 0 || !found[0].IsActive() {
			return ErrHookUser
		}
		h.Username, h.UserID = found[0].Username, found[0].ID
	}
	// Who manages his own alone has them write as himself.
	if _, all := manages(by); !all && h.UserID != by.ID {
		return ErrHookRights
	}
	if c.Channels == nil && len(h.Channels) > 0 {
		return nil
	}
	return s.settleChannels(ctx, by, h, value(c.Channels))
}

// settleChannels has a hook write to rooms that its maker is in, and to people.
func (s *Service) settleChannels(ctx context.Context, by *user.User, h *Hook, channels []string) error {
	if len(channels) == 0 || len(channels) > maxHookChannels {
		return ErrHookChannel
	}
	h.Channels = make([]string, len(channels))
	for i, c := range channels {
		c = strings.TrimSpace(c)
		if len(c) < 2 || c[0] != '#' && c[0] != '@' {
			return ErrHookSign
		}
		if err := s.makerReaches(ctx, by, c); err != nil {
			return err
		}
		h.Channels[i] = c
	}
	return nil
}

// makerReaches tells whether whoever made a hook may have it write there: a room that he is in,
// or somebody whom he may write to.
func (s *Service) makerReaches(ctx context.Context, maker *user.User, channel string) error {
	if channel[0] == '@' {
		found, err := s.Existing(ctx, []string{channel})
		switch {
		case err != nil:
			return err
		case len(found) == 0 || !permission.Has(maker, permission.CreateDirect):
			return ErrHookChannel
		}
		return nil
	}
	room, err := s.hookPlace(ctx, maker, channel[1:])
	if err != nil {
		return err
	}
	in, err := s.IsMember(ctx, maker.ID, room.ID)
	if err == nil && !in {
		err = ErrHookChannel
	}
	return err
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// AddHook makes a hook. The token is in nobody's hands but the caller's from then on.
func (s *Service) AddHook(ctx context.Context, by *user.User, c HookChange) (h *Hook, token string, err error) {
	if some, _ := manages(by); !some {
		return nil, "", ErrHookRights
	}
	h = &Hook{ID: newID(), Type: IncomingHook, CreatedBy: Ref{ID: by.ID, Username: by.Username}, CreatedAt: s.time()}
	h.UpdatedAt = h.CreatedAt
	if err := s.settleHook(ctx, by, h, c); err != nil {
		return nil, "", err
	}
	token = s.newToken(h)
	return h, token, s.store.AddHook(ctx, h)
}

// newToken gives a hook another token.
func (s *Service) newToken(h *Hook) string {
	token := random.Secret()
	h.Token, h.Digest = "", s.codes.Digest(hookToken, h.ID, token)
	return token
}

// Hook finds a hook that the caller may manage; another is not there.
func (s *Service) Hook(ctx context.Context, by *user.User, id string) (*Hook, error) {
	some, all := manages(by)
	if !some {
		return nil, ErrHookRights
	}
	h, err := s.store.HookByID(ctx, id)
	if err == nil && (h.Type != IncomingHook || !all && h.CreatedBy.ID != by.ID) {
		err = ErrNoHook
	}
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrNoHook)
	}
	return h, nil
}

// Hooks lists those that the caller may manage.
func (s *Service) Hooks(ctx context.Context, by *user.User, q HookQuery) ([]*Hook, int, error) {
	some, all := manages(by)
	if !some {
		return nil, 0, ErrHookRights
	}
	if !all {
		q.MakerID = by.ID
	}
	return s.store.ListHooks(ctx, q)
}

// HooksOf lists those that write to a room of which the caller may know, and which he may manage.
func (s *Service) HooksOf(ctx context.Context, by *user.User, room *Room, offset, count int) ([]*Hook, int, error) {
	return s.Hooks(ctx, by, HookQuery{Channels: []string{"#" + room.Name, "#" + room.ID}, Offset: offset, Limit: count})
}

// changeHook changes a hook of the caller's, if nobody else has changed it meanwhile.
func (s *Service) changeHook(ctx context.Context, by *user.User, id string, do func(*Hook) error) (*Hook, error) {
	h, err := s.Hook(ctx, by, id)
	if err != nil {
		return nil, err
	}
	was := h.UpdatedAt
	if err := do(h); err != nil {
		return nil, err
	}
	if h.UpdatedAt = s.time(); !h.UpdatedAt.After(was) {
		h.UpdatedAt = was.Add(time.Millisecond) // or the next change would not see this one
	}
	err = s.store.SetHook(ctx, h, was)
	return h, instead(instead(err, dberr.Conflict, ErrHookChanged), dberr.NotFound, ErrNoHook)
}

// ChangeHook changes what a hook does.
func (s *Service) ChangeHook(ctx context.Context, by *user.User, id string, c HookChange) (*Hook, error) {
	return s.changeHook(ctx, by, id, func(h *Hook) error { return s.settleHook(ctx, by, h, c) })
}

// ReplaceHookToken gives a hook another token; the one before opens nothing.
func (s *Service) ReplaceHookToken(ctx context.Context, by *user.User, id string) (h *Hook, token string, err error) {
	h, err = s.changeHook(ctx, by, id, func(h *Hook) error {
		token = s.newToken(h)
		return nil
	})
	return h, token, err
}

// RemoveHook removes a hook.
func (s *Service) RemoveHook(ctx context.Context, by *user.User, id string) (*Hook, error) {
	h, err := s.Hook(ctx, by, id)
	if err != nil {
		return nil, err
	}
	return h, instead(s.store.RemoveHook(ctx, id), dberr.NotFound, ErrNoHook)
}

// OpenHook finds the hook that a token opens. What there is not is refused as what is not
// opened, and takes as long.
func (s *Service) OpenHook(ctx context.Context, id, token string) (*Hook, error) {
	h := &Hook{}
	if usableID(id) {
		switch found, err := s.store.HookByID(ctx, id); {
		case err == nil && found.Type == IncomingHook:
			h = found
		case err != nil && !errors.Is(err, dberr.NotFound):
			return nil, err
		}
	}
	same := 0
	for _, digest := range s.codes.Digests(hookToken, id, token) {
		same |= subtle.ConstantTimeCompare([]byte(digest), []byte(h.Digest))
	}
	if h.Digest == "" { // of an adopted database, or none
		w, g := sha256.Sum256([]byte(h.Token)), sha256.Sum256([]byte(token))
		same = 0
		if h.Token != "" {
			same = subtle.ConstantTimeCompare(w[:], g[:])
		}
	}
	if same != 1 || token == "" {
		return nil, ErrHookClosed
	}
	return h, nil
}

// HookDraft is what a request to a hook asks to have posted.
type HookDraft struct {
	Draft
	// Channel is another room than those of the hook: "#room", "@username", or an id.
	Channel string
}

// HookUser is who a hook writes as, now: an account that is there and active.
func (s *Service) HookUser(ctx context.Context, h *Hook) (*user.User, error) {
	u, err := s.store.UserByID(ctx, h.UserID)
	switch {
	case err != nil:
		return nil, instead(err, dberr.NotFound, ErrHookOff)
	case !h.Enabled || !u.IsActive():
		return nil, ErrHookOff
	case h.Scripted:
		return nil, ErrHookScript
	}
	return u, nil
}

// PostHook posts to the rooms of a hook as its user, with the rights that the account has in
// this moment: who is not in a room, is muted there, or may only read, is refused. It tells how
// many messages were posted.
func (s *Service) PostHook(ctx context.Context, h *Hook, by *user.User, d HookDraft) (int, error) {
	channels := h.Channels
	if d.Channel != "" {
		if err := s.mayOverride(ctx, h, d.Channel); err != nil {
			return 0, err
		}
		channels = []string{d.Channel}
	}
	no := false
	d.Groupable, d.Bot = &no, &Bot{Integration: h.ID}
	if d.Alias, d.Avatar = cmp.Or(d.Alias, h.Alias), cmp.Or(d.Avatar, h.Avatar); !permission.Has(by, permission.Impersonate) {
		d.Alias, d.Avatar = "", ""
	}
	d.Emoji = cmp.Or(d.Emoji, h.Emoji)
	for posted, c := range channels {
		id, err := s.hookRoom(ctx, by, c)
		if err == nil {
			draft := d.Draft
			draft.RoomID = id
			_, err = s.Send(ctx, by, draft)
		}
		if err != nil {
			return posted, err
		}
	}
	return len(channels), nil
}

// mayOverride tells whether a request may name a room itself: the hook lets it, and whoever made
// the hook still may have it write there.
func (s *Service) mayOverride(ctx context.Context, h *Hook, channel string) error {
	if !h.Override {
		return ErrHookOverride
	}
	maker, err := s.store.UserByID(ctx, h.CreatedBy.ID)
	if err != nil {
		return instead(err, dberr.NotFound, ErrHookChannel)
	}
	if some, all := manages(maker); !some || !all && h.UserID != maker.ID {
		return ErrHookChannel
	}
	if channel[0] != '@' && channel[0] != '#' {
		channel = "#" + channel
	}
	if len(channel) < 2 {
		return ErrHookChannel
	}
	return s.makerReaches(ctx, maker, channel)
}

// hookRoom is the room that a hook calls so, as its user finds it.
func (s *Service) hookRoom(ctx context.Context, by *user.User, channel string) (string, error) {
	if channel[0] == '@' {
		room, err := s.CreateDirect(ctx, by, []string{channel})
		if err != nil {
			return "", err
		}
		return room.ID, nil
	}
	room, err := s.hookPlace(ctx, by, strings.TrimPrefix(channel, "#"))
	if err != nil {
		return "", err
	}
	return room.ID, nil
}

// hookPlace is the channel or group that is called so, as far as the user may know of it.
func (s *Service) hookPlace(ctx context.Context, by *user.User, name string) (*Room, error) {
	room, err := s.ByIDOrName(ctx, by, name)
	if err == nil && room.Type == Direct {
		err = ErrHookChannel
	}
	return room, instead(err, ErrInvalidRoom, ErrHookChannel)
}
