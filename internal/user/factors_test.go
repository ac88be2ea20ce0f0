package user

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A field that holds a factor is an element of Factors: else it could be switched on and
// off behind everything that was proved before, nobody would be shown it, and the account
// would be listed among those without a factor.
func TestEveryFactorFieldIsListed(t *testing.T) {
	fields := reflect.TypeFor[FactorFields]()
	for i := range fields.NumField() {
		key, _, _ := strings.Cut(fields.Field(i).Tag.Get("bson"), ",")
		u := &User{}
		fill(reflect.ValueOf(&u.Services.FactorFields).Elem().Field(i))
		if w := u.Services.WebAuthn; w != nil { // what fill writes is no key
			w.Handle, w.Keys = "h", []Passkey{fitting("a")}
		}
		if !slices.ContainsFunc(u.Factors(), func(f Factor) bool { return f.Key == key && f.Held }) {
			t.Errorf("Factors (factors.go) does not tell of %s that it is there", key)
		}
		if without := (&User{}).FactorState(); u.FactorState() == without {
			t.Errorf("with %s the state of the factors is %q as without", key, without)
		}
		if u.FillKeys(); slices.Contains(u.ListKeys, TraitNoFactor) {
			t.Errorf("with %s the account is listed among those without a factor", key)
		}
	}
}
