package settings

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ddpserver/internal/fault"
	"ddpserver/internal/feed"
)

// The refusals of this package. MatchFailed answers a value of the wrong type.
var (
	// ErrNotAllowed answers a change that nobody may make, such as of a forced setting.
	ErrNotAllowed = fault.New("error-action-not-allowed", "Editing settings is not allowed")
	// ErrUnknown answers an id that is not in the table.
	ErrUnknown = fault.New("error-invalid-setting", "Invalid setting")
	// ErrValue answers a value outside the setting's range; details name the setting.
	ErrValue = fault.New("error-invalid-setting-value", "Invalid setting value")
)

// Masked stands in for a secret value wherever values are shown.
const Masked = "********"

// Change is one value to save.
type Change struct {
	ID    string
	Value any
}

// Setting is one setting as it stands. Value and Default are bool, int or string.
type Setting struct {
	*Definition
	Value any
	// UpdatedAt is when the value last changed; the start of the server for
	// values that never did.
	UpdatedAt time.Time
	// Forced values come from the environment and cannot be saved.
	Forced bool
	// Stored values were saved once, even if they equal the default.
	Stored bool
	// misfit says why the stored value is not in force as it is; "" when it is.
	misfit string
}

// Shown is the value for people's eyes: secrets are masked.
func (s *Setting) Shown() any {
	if s.Secret && s.Value != "" {
		return Masked
	}
	return s.Value
}

// snapshot is immutable once published.
type snapshot struct {
	byID map[string]*Setting
	list []*Setting // sorted by id
	// unreadable says what was stored under other names and cannot be read.
	unreadable []string
	// unknown says which guards are stored, cannot be read, and were never known.
	unknown []error
}

// with is a copy in which these settings replace those of the same id.
func (n *snapshot) with(changed []*Setting) *snapshot {
	next := &snapshot{byID: maps.Clone(n.byID), list: slices.Clone(n.list), unreadable: n.unreadable}
	for _, set := range changed {
		next.byID[set.ID] = set
	}
	for i, set := range next.list {
		next.list[i] = next.byID[set.ID]
	}
	return next
}

// Options are what a Service needs. Store is required.
type Options struct {
	Store Store
	// Publisher tells other nodes; nil when there are none.
	Publisher feed.Publisher
	// Overrides are forced values by id (environment OVERWRITE_SETTING_<id>).
	Overrides map[string]string
	// MandatoryRoles are roles whose users must have a second factor whatever
	// TwoFactorMandatoryRoles says: it always has them, beside what is stored, saved or
	// forced.
	MandatoryRoles []string
	// NoPasskeys says why nobody can have a passkey on this server whatever the settings
	// say; "" where they can be had.
	NoPasskeys string
	// Definitions are the settings there are, such as Table with other defaults and
	// Facts; nil is Table.
	Definitions []Definition
	// Poll is how often Run reads the store again, so that a node follows what other
	// programs write; 0 for a store of one node. What nodes of this program save is marked
	// (feed.Marks), and whoever follows the marks calls Refresh.
	Poll time.Duration
	// Warn takes things an operator should know; nil drops them.
	Warn func(text string, err error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Service answers reads from memory and writes through to the store.
type Service struct {
	opts   Options
	defs   map[string]*Definition
	forced map[string]any
	start  time.Time

	current atomic.Pointer[snapshot]

	// saving holds one token: whoever has it may check and write. Saves take turns so
	// that what was checked still holds when it is written. Waiting for it ends with
	// the caller's context.
	saving chan struct{}

	// publish guards what follows, and is never held while the store works. Listeners
	// are called with it held.
	publish   sync.Mutex
	listeners []func([]*Setting)
	// version counts the snapshots that took effect, so that a read of the store that
	// was overtaken by another change is not published.
	version uint64
	// warned are the warnings that were given last.
	warned []string
}

// Open checks the overrides and reads the store. Values that the store does not have
// are the defaults.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string, error) {}
	}
	if o.Definitions == nil {
		o.Definitions = Table()
	}
	s := &Service{opts: o, defs: index(o.Definitions), start: stamp(o.Now()), saving: make(chan struct{}, 1)}
	if d := s.defs[TwoFactorMandatoryRoles]; d != nil && len(o.MandatoryRoles) > 0 {
		d.demand(o.MandatoryRoles)
	}
	forced, warnings, err := parseOverrides(s.defs, o.Overrides)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		o.Warn(w, nil)
	}
	s.forced = forced
	s.current.Store(s.build(nil, nil))
	stored, err := o.Store.Settings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	first := s.build(stored, nil)
	if len(first.unknown) > 0 {
		return nil, errors.Join(first.unknown...)
	}
	s.replace(0, first)
	return s, nil
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// build makes a snapshot of defaults, stored values and forced ones. known is the one
// before, nil when there is none.
func (s *Service) build(stored []Stored, known *snapshot) *snapshot {
	n := &snapshot{byID: make(map[string]*Setting, len(s.defs)), list: make([]*Setting, 0, len(s.defs))}
	for _, id := range sortedKeys(s.defs) {
		d := s.defs[id]
		set := &Setting{Definition: d, Value: d.floored(d.Default), UpdatedAt: s.start}
		n.byID[id] = set
		n.list = append(n.list, set)
	}
	for _, v := range stored {
		set, ok := n.byID[v.ID]
		if !ok && v.Unreadable != nil {
			n.unreadable = append(n.unreadable, fmt.Sprintf("a stored setting of the name %.100s cannot be read and is left out: %v", v.ID, v.Unreadable))
		}
		if !ok || set.Fixed && !set.kept {
			continue // a setting of another program or release
		}
		if v.Unreadable != nil && set.Guards() {
			// Its default may guard less than what was meant.
			s.keep(n, known, set, v.Unreadable)
			continue
		}
		value, err := any(nil), v.Unreadable
		if err == nil {
			value, err = set.check(v.Value)
		}
		if err != nil {
			set.misfit = fmt.Sprintf("the stored value of setting %s does not fit, its default is used: %v", v.ID, err)
			if set.Misfit != nil {
				set.Value = set.Misfit
				set.misfit = fmt.Sprintf("the stored value of setting %s does not fit, %v is used, which lets nobody in: %v", v.ID, set.Value, err)
			}
			continue
		}
		if set.lowered(v.Value, value) {
			set.misfit = "the stored value of setting " + v.ID + " is over its maximum, which is used"
		}
		set.Value, set.Stored = set.floored(value), true
		if !v.UpdatedAt.IsZero() {
			set.UpdatedAt = stamp(v.UpdatedAt)
		}
	}
	for id, v := range s.forced {
		set := n.byID[id]
		set.Value, set.UpdatedAt, set.Forced, set.misfit = set.floored(v), s.start, true, ""
	}
	return n
}

// keep leaves a guard as it was known before. Without that there is nothing that could
// be in force, unless it is forced.
func (s *Service) keep(n, known *snapshot, set *Setting, why error) {
	if _, forced := s.forced[set.ID]; forced {
		return
	}
	if known == nil {
		n.unknown = append(n.unknown, fmt.Errorf("the stored value of setting %s cannot be read: mend or delete its document: %w", set.ID, why))
		return
	}
	*set = *known.byID[set.ID]
	set.misfit = fmt.Sprintf("the stored value of setting %s cannot be read, what was known of it stays in force: %v", set.ID, why)
}

// Guards tells whether saving the setting of that name, which may come from a
// client, weakens a guard (Definition.Guards). A name that nobody knows does:
// what cannot be judged is not taken for harmless.
func (s *Service) Guards(id string) bool {
	d, ok := s.defs[id]
	return !ok || d.Guards()
}

// Bool is the value of a Boolean setting. An id that is not in the table is a
// programming error and panics, here and in Int and String.
func (s *Service) Bool(id string) bool { return s.must(id).Value.(bool) }

// Int is the value of an Int setting.
func (s *Service) Int(id string) int { return s.must(id).Value.(int) }

// String is the value of a Text or Select setting.
func (s *Service) String(id string) string { return s.must(id).Value.(string) }

func (s *Service) must(id string) *Setting {
	set, ok := s.current.Load().byID[id]
	if !ok {
		panic("settings: no setting " + id)
	}
	return set
}

// Get finds a setting by a name that may come from a client.
func (s *Service) Get(id string) (*Setting, bool) {
	set, ok := s.current.Load().byID[id]
	return set, ok
}

// All lists every setting, ordered by id. Neither the list nor its elements may be changed.
func (s *Service) All() []*Setting { return s.current.Load().list }

// Subscribe adds a listener that hears which settings changed, after the change
// took effect, wherever it was made. It must not block, and must not call Save,
// Refresh, Settle or Subscribe.
func (s *Service) Subscribe(f func(changed []*Setting)) {
	s.publish.Lock()
	defer s.publish.Unlock()
	s.listeners = append(s.listeners, f)
}

// Settle returns when the listeners of every change that is in force have heard
// of it. It must not be called by a listener.
func (s *Service) Settle() {
	s.publish.Lock()
	defer s.publish.Unlock()
}

// Refresh reads the stored values again and tells listeners what is different.
// It reads once more when another change took effect meanwhile, since its own
// values may be older. On an error the values in force stay.
func (s *Service) Refresh(ctx context.Context) error {
	for {
		version := s.at()
		stored, err := s.opts.Store.Settings(ctx)
		if err != nil {
			return fmt.Errorf("read settings: %w", err)
		}
		if s.replace(version, s.build(stored, s.current.Load())) {
			return nil
		}
	}
}

// at is the version of the values in force.
func (s *Service) at() uint64 {
	s.publish.Lock()
	defer s.publish.Unlock()
	return s.version
}

// Run reads the store again every Options.Poll until ctx ends. It returns nil;
// nothing it started is left then.
func (s *Service) Run(ctx context.Context) error {
	if s.opts.Poll <= 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(s.opts.Poll)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := s.Refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.opts.Warn("settings cannot be read, the known values stay in force", err)
		}
		failing = err != nil
	}
}

// replace puts a snapshot in force and tells listeners the difference, unless it was
// made of another version than the one in force: then it does nothing and is false.
func (s *Service) replace(version uint64, next *snapshot) bool {
	s.publish.Lock()
	defer s.publish.Unlock()
	if version != s.version {
		return false
	}
	s.version++
	old := s.current.Swap(next)
	s.warn(next)
	var changed []*Setting
	for _, set := range next.list {
		if !set.same(set.Value, old.byID[set.ID].Value) {
			changed = append(changed, set)
		}
	}
	if len(changed) > 0 {
		for _, f := range s.listeners {
			f(changed)
		}
	}
	return true
}

// warn tells an operator of values that cannot do what they say, each once for as
// long as it stays that way. The caller holds publish.
func (s *Service) warn(n *snapshot) {
	warnings := slices.Clone(n.unreadable)
	for _, set := range n.list {
		if set.misfit != "" {
			warnings = append(warnings, set.misfit)
		}
	}
	warnings = append(warnings, n.warnings(s.opts.NoPasskeys)...)
	for _, w := range warnings {
		if !slices.Contains(s.warned, w) {
			s.opts.Warn(w, nil)
		}
	}
	s.warned = warnings
}
