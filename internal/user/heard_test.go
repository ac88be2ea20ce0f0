package user

import (
	"context"
	"fmt"
	"testing"
)

// What was read is remembered until news of the account comes, of that one and not of
// another; and not at all after news that nobody could read, nor while none can come.
func TestRememberedUntilNews(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(h *Heard)
		want    bool
	}{
		"nothing":          {func(*Heard) {}, true},
		"news":             {func(h *Heard) { h.Hear("ada") }, false},
		"news of another":  {func(h *Heard) { h.Hear(elsewhere(h, "ada")) }, true},
		"unreadable news":  {(*Heard).Miss, false},
		"nothing can come": {(*Heard).Deafen, false},
		"nothing could come": {func(h *Heard) {
			h.Deafen()
			h.Listen()
		}, false},
		"it listened already": {(*Heard).Listen, true},
	} {
		h := NewHeard()
		ctx := WithMemory(t.Context(), h)
		h.Hear("ada") // before the read
		reading := BeginReading(ctx)
		reading.Keep(&User{ID: "ada"})
		c.happens(h)
		if got := Remembered(ctx, "ada") != nil; got != c.want {
			t.Errorf("%s: remembered %v", name, got)
		}
		if Remembered(ctx, "bob") != nil {
			t.Errorf("%s: another account is remembered", name)
		}
		// News that comes between the beginning of a read and its end voids it, too.
		h.Listen()
		reading = BeginReading(ctx)
		h.Hear("ada")
		reading.Keep(&User{ID: "ada"})
		if Remembered(ctx, "ada") != nil {
			t.Errorf("%s: remembered over news that came while it was read", name)
		}
		reading = BeginReading(ctx)
		reading.Keep(&User{ID: "ada"})
		if Remembered(ctx, "ada") == nil {
			t.Errorf("%s: a new read is not remembered", name)
		}
	}
}

// elsewhere is an id that shares no place with this one.
func elsewhere(h *Heard, id string) string {
	for i := 0; ; i++ {
		if other := fmt.Sprint("other", i); h.place(other) != h.place(id) {
			return other
		}
	}
}

// Without a memory nothing is remembered, a second one takes nothing away, and what is
// handed out is the caller's own.
func TestMemoryOfAContext(t *testing.T) {
	for _, ctx := range []context.Context{t.Context(), WithMemory(t.Context(), nil)} {
		BeginReading(ctx).Keep(&User{ID: "ada"})
		if Remembered(ctx, "ada") != nil {
			t.Error("remembered without a memory")
		}
	}
	h := NewHeard()
	ctx := WithMemory(t.Context(), h)
	u := &User{ID: "ada", Roles: []string{"user"}}
	BeginReading(ctx).Keep(u)
	u.Roles[0] = "admin"
	Remembered(ctx, "ada").Roles[0] = "admin"
	if got := Remembered(WithMemory(ctx, NewHeard()), "ada"); got == nil || got.HasRole("admin") {
		t.Errorf("%+v", got)
	}
}

func TestNewsVoids(t *testing.T) {
	for _, c := range []struct {
		news News
		want bool
	}{
		{News{}, true}, {News{Fields: []string{}}, false}, {News{Fields: []string{FieldTokens, FieldTrust}}, false},
		{News{Fields: []string{FieldTokens}, Ended: &EndedTokens{Kept: true}}, true},
		{News{Fields: []string{FieldTokens, FieldFactors}}, true}, {News{Fields: []string{"roles"}}, true}, {News{Fields: []string{"newer"}}, true},
	} {
		if got := c.news.Voids(); got != c.want {
			t.Errorf("%+v: %v", c.news, got)
		}
	}
}
