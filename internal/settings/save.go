package settings

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ddpserver/internal/fault"
)

// check is the value that a change would give, or the refusal.
func (s *Service) check(old *snapshot, c Change) (any, error) {
	set, ok := old.byID[c.ID]
	switch {
	case !ok:
		return nil, ErrUnknown
	case set.Fixed:
		return nil, ErrNotAllowed.With(map[string]any{"setting": c.ID, "reason": "This server has one value for it"})
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
	return set.floored(v), nil
}

// Save checks every change against what the store holds now, since another node may
// have changed it a moment ago, then writes all of them or none. It returns the
// settings whose value is now different; equal values are not written. Refusals are
// ErrUnknown, ErrNotAllowed, ErrValue and fault.MatchFailed, the last also for a
// list that names a setting twice.
func (s *Service) Save(ctx context.Context, changes []Change) ([]*Setting, error) {
	if len(changes) > len(s.defs) {
		return nil, fault.MatchFailed.Because(fmt.Errorf("%d changes", len(changes)))
	}
	select {
	case s.saving <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("save settings: %w", ctx.Err())
	}
	changed, err := s.save(ctx, changes)
	<-s.saving
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

// save is Save for the one whose turn it is.
func (s *Service) save(ctx context.Context, changes []Change) ([]*Setting, error) {
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	version := s.at()
	old := s.current.Load()
	changed, err := s.accept(old, changes)
	if err != nil || len(changed) == 0 {
		return nil, err
	}
	batch := make([]Stored, len(changed))
	for i, set := range changed {
		batch[i] = Stored{ID: set.ID, Value: storable(set.Value), UpdatedAt: set.UpdatedAt}
	}
	if err := s.opts.Store.SaveSettings(ctx, batch); err != nil {
		return nil, fmt.Errorf("save settings: %w", err)
	}
	if s.replace(version, old.with(changed)) {
		return changed, nil
	}
	// Another node's change took effect meanwhile: what is in force is what the store says.
	if err := s.Refresh(context.WithoutCancel(ctx)); err != nil {
		s.opts.Warn("settings were saved and cannot be read, the known values stay in force", err)
	}
	return changed, nil
}

// accept checks changes of the values in old and returns what they make of those
// settings that get another value, ordered by id.
func (s *Service) accept(old *snapshot, changes []Change) (changed []*Setting, err error) {
	now := stamp(s.opts.Now())
	values := make(map[string]any, len(changes))
	for _, c := range changes {
		if _, seen := values[c.ID]; seen {
			return nil, fault.MatchFailed.Because(fmt.Errorf("setting %s twice", c.ID))
		}
		v, err := s.check(old, c)
		if err != nil {
			return nil, err
		}
		values[c.ID] = v
		if was := old.byID[c.ID]; v != was.Value {
			set := *was
			set.Value, set.UpdatedAt, set.Stored, set.misfit = v, now, true, ""
			changed = append(changed, &set)
		}
	}
	slices.SortFunc(changed, func(a, b *Setting) int { return strings.Compare(a.ID, b.ID) })
	return changed, lockout(old, values, s.opts.NoPasskeys)
}

// storable is the form Stored.Value asks for.
func storable(v any) any {
	if n, ok := v.(int); ok {
		return int64(n)
	}
	return v
}
