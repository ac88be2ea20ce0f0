package settings

import (
	"context"
	"fmt"
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
}

// Options are what a Service needs.
type Options struct {
	Store Store
	// Publisher tells other nodes; nil when there are none.
	Publisher feed.Publisher
	// Overrides are forced values by id (environment OVERWRITE_SETTING_<id>).
	Overrides map[string]string
	// Definitions replaces Table, for tests.
	Definitions []Definition
	// Poll is how often Run reads the store again, so that a node follows even
	// when the feed is cut (docs/security-tests.md S109); 0 for a store of one node.
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

	// write orders saves, refreshes and the notices of both. Listeners are
	// called with it held, so they must neither save nor refresh.
	write     sync.Mutex
	listeners []func([]*Setting)
	// warned are the warnings that were given last.
	warned []string
}

// New checks the overrides and serves the defaults; Load or Run reads the store.
func New(o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string, error) {}
	}
	if o.Definitions == nil {
		o.Definitions = Table()
	}
	s := &Service{opts: o, defs: index(o.Definitions), start: stamp(o.Now())}
	forced, warnings, err := parseOverrides(s.defs, o.Overrides)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		o.Warn(w, nil)
	}
	s.forced = forced
	s.current.Store(s.build(nil))
	return s, nil
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// build makes a snapshot of defaults, stored values and forced ones.
func (s *Service) build(stored []Stored) *snapshot {
	n := &snapshot{byID: make(map[string]*Setting, len(s.defs)), list: make([]*Setting, 0, len(s.defs))}
	for _, id := range sortedKeys(s.defs) {
		d := s.defs[id]
		set := &Setting{Definition: d, Value: d.Default, UpdatedAt: s.start}
		n.byID[id] = set
		n.list = append(n.list, set)
	}
	for _, v := range stored {
		set, ok := n.byID[v.ID]
		if !ok {
			continue // a setting of another program or release
		}
		value, err := set.check(v.Value)
		if err != nil {
			s.opts.Warn("the stored value of setting "+v.ID+" does not fit, its default is used", err)
			continue
		}
		if set.lowered(v.Value, value) {
			s.opts.Warn("the stored value of setting "+v.ID+" is over its maximum, which is used", nil)
		}
		set.Value, set.UpdatedAt, set.Stored = value, stamp(v.UpdatedAt), true
	}
	for id, v := range s.forced {
		set := n.byID[id]
		set.Value, set.UpdatedAt, set.Forced = v, s.start, true
	}
	return n
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

// OnChange adds a listener that hears which settings changed, after the change
// took effect, wherever it was made. It must be called before Load, must not
// block and must neither save nor refresh.
func (s *Service) OnChange(f func(changed []*Setting)) {
	s.write.Lock()
	defer s.write.Unlock()
	s.listeners = append(s.listeners, f)
}

// Settle returns when the listeners of every change that is in force have heard
// of it. It must not be called by a listener.
func (s *Service) Settle() {
	s.write.Lock()
	defer s.write.Unlock()
}

// Load reads the stored values. It is Refresh under a name that says when.
func (s *Service) Load(ctx context.Context) error { return s.Refresh(ctx) }

// Refresh reads the stored values again and tells listeners what is different.
// On an error the values in force stay.
func (s *Service) Refresh(ctx context.Context) error {
	s.write.Lock()
	defer s.write.Unlock()
	stored, err := s.opts.Store.Settings(ctx)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	s.replace(s.build(stored))
	return nil
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

// replace publishes a snapshot and tells listeners the difference. The caller holds write.
func (s *Service) replace(next *snapshot) []*Setting {
	old := s.current.Swap(next)
	s.warn(next)
	var changed []*Setting
	for _, set := range next.list {
		if set.Value != old.byID[set.ID].Value {
			changed = append(changed, set)
		}
	}
	if len(changed) > 0 {
		for _, f := range s.listeners {
			f(changed)
		}
	}
	return changed
}

// warn tells an operator of values that cannot do what they say, once for each
// state of them. The caller holds write.
func (s *Service) warn(n *snapshot) {
	warnings := n.warnings()
	if !slices.Equal(warnings, s.warned) {
		for _, w := range warnings {
			s.opts.Warn(w, nil)
		}
	}
	s.warned = warnings
}

// Check tells whether a change would be accepted, without making it. Refusals
// are ErrUnknown, ErrNotAllowed, ErrValue and fault.MatchFailed.
func (s *Service) Check(c Change) error {
	v, err := s.check(c)
	if err != nil {
		return err
	}
	return lockout(s.current.Load(), map[string]any{c.ID: v})
}

func (s *Service) check(c Change) (any, error) {
	set, ok := s.Get(c.ID)
	switch {
	case !ok:
		return nil, ErrUnknown
	case set.Forced:
		return nil, ErrNotAllowed.With(map[string]any{"setting": c.ID, "reason": "The value is set by the environment"})
	case set.Secret && c.Value == Masked:
		return set.Value, nil // a form sent back as it was shown
	}
	v, err := set.checkNew(c.Value)
	switch {
	case err == errType:
		return nil, fault.MatchFailed.Because(fmt.Errorf("setting %s: %w", c.ID, err))
	case err != nil:
		return nil, ErrValue.With(map[string]any{"setting": c.ID, "reason": err.Error()})
	}
	if set.lowered(c.Value, v) {
		s.opts.Warn("a value for setting "+c.ID+" is over its maximum, which is used", nil)
	}
	return v, nil
}

// Save checks every change, then writes all of them or none. It returns the
// settings whose value is now different; equal values are not written. Refusals
// are those of Check, and fault.MatchFailed for a list that names a setting twice.
func (s *Service) Save(ctx context.Context, changes []Change) ([]*Setting, error) {
	if len(changes) > len(s.defs) {
		return nil, fault.MatchFailed.Because(fmt.Errorf("%d changes", len(changes)))
	}
	s.write.Lock()
	changed, err := s.save(ctx, changes)
	s.write.Unlock()
	if err != nil {
		return nil, err
	}
	if s.opts.Publisher != nil {
		for _, set := range changed {
			Changed.Publish(s.opts.Publisher, set.ID, News{})
		}
	}
	return changed, nil
}

func (s *Service) save(ctx context.Context, changes []Change) ([]*Setting, error) {
	now := stamp(s.opts.Now())
	old := s.current.Load()
	seen, values := make(map[string]bool, len(changes)), make(map[string]any, len(changes))
	next := &snapshot{byID: make(map[string]*Setting, len(old.byID)), list: slices.Clone(old.list)}
	var batch []Stored
	for _, c := range changes {
		if seen[c.ID] {
			return nil, fault.MatchFailed.Because(fmt.Errorf("setting %s twice", c.ID))
		}
		seen[c.ID] = true
		v, err := s.check(c)
		if err != nil {
			return nil, err
		}
		values[c.ID] = v
		if was := old.byID[c.ID]; v != was.Value {
			set := *was
			set.Value, set.UpdatedAt, set.Stored = v, now, true
			next.byID[c.ID] = &set
			batch = append(batch, Stored{ID: c.ID, Value: storable(v), UpdatedAt: now})
		}
	}
	if err := lockout(old, values); err != nil {
		return nil, err
	}
	if len(batch) == 0 {
		return nil, nil
	}
	if err := s.opts.Store.SaveSettings(ctx, batch); err != nil {
		return nil, fmt.Errorf("save settings: %w", err)
	}
	for i, set := range next.list {
		if n, ok := next.byID[set.ID]; ok {
			next.list[i] = n
		} else {
			next.byID[set.ID] = set
		}
	}
	return s.replace(next), nil
}

// storable is the form Stored.Value asks for.
func storable(v any) any {
	if n, ok := v.(int); ok {
		return int64(n)
	}
	return v
}
