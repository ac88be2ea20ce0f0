package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestMessageIsMeteors(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{New("totp-required", "TOTP Required"), "TOTP Required [totp-required]"},
		{Num(403, "Access denied"), "Access denied [403]"},
		{New("You are not logged in.", ""), "[You are not logged in.]"},
	} {
		if got := c.err.Message(); got != c.want {
			t.Errorf("Message() = %q, want %q", got, c.want)
		}
	}
}

func TestFromKeepsTheCauseInside(t *testing.T) {
	cause := errors.New("connection string with a password")
	safe, ok := From(fmt.Errorf("handler: %w", cause))
	if ok || safe.ID() != "500" || safe.Message() != "Internal server error [500]" {
		t.Fatalf("internal error became %v, %v", safe.Message(), ok)
	}
	if !errors.Is(safe, cause) {
		t.Error("the log cannot reach the cause")
	}
	refusal := New("error-invalid-user", "Invalid user").With(map[string]string{"a": "b"}).Because(cause)
	got, ok := From(fmt.Errorf("service: %w", refusal))
	if !ok || got != refusal || got.Message() != "Invalid user [error-invalid-user]" {
		t.Errorf("refusal became %v, %v", got, ok)
	}
}

func TestIsComparesCodes(t *testing.T) {
	base := New("totp-invalid", "TOTP Invalid")
	if !errors.Is(base.With(1), base) || !errors.Is(base, New("totp-invalid", "")) {
		t.Error("details or a missing reason hide the code")
	}
	if errors.Is(base, New("totp-required", "")) || errors.Is(Num(401, ""), Num(403, "")) || errors.Is(base, New("totp-invalid", "Other")) {
		t.Error("different refusals compare equal")
	}
	if base.With(1).Details == nil || base.Details != nil {
		t.Error("With changed the original")
	}
}
