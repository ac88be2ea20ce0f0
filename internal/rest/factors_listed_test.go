package rest_test

import (
	"slices"
	"strings"
	"testing"
)

// Administrators find and count the accounts with each factor that the server has, with more
// than one, and with none: a factor that is added is a filter and a number, or this fails.
func TestEveryFactorIsFoundAndCounted(t *testing.T) {
	w := newWorld(t, nil)
	w.Account("root1", "admin")
	root := w.Login("root1")
	want := map[string][]string{"none": {"plain", "root1"}, "both": {"every"}}
	w.Account("plain")
	guard(t, w, w.Account("every"), w.Factors.Names())
	for _, factor := range w.Factors.Names() {
		guard(t, w, w.Account("only"+factor), []string{factor})
		want[factor] = []string{"every", "only" + factor}
	}
	numbers := root.OK("GET", "users.statistics", nil).Doc("factors")
	for factor, names := range want {
		got := strings.Fields(root.OK("GET", "users.list?factor="+factor, nil).Column("users", "username"))
		if slices.Sort(got); !slices.Equal(got, names) || numbers[factor] != float64(len(names)) {
			t.Errorf("factor %s: listed %q, counted %v; want %q", factor, got, numbers[factor], names)
		}
	}
	if len(numbers) != len(want) {
		t.Errorf("counted %v", numbers)
	}
}
