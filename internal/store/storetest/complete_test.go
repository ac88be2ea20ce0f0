package storetest

import (
	"reflect"
	"strings"
	"testing"

	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// examples are so many that what is drawn once in a hundred times is among them.
const examples = 3000

// A member of user.Change that is not drawn is a member that no property of the stores
// is tried with.
func TestEveryMemberOfAChangeIsDrawn(t *testing.T) {
	drawn := make(map[string]bool)
	gen := genChange("ann")
	for seed := range examples {
		v := reflect.ValueOf(gen.Example(seed))
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				drawn[v.Type().Field(i).Name] = true
			}
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[user.Change]()) {
		if !drawn[f.Name] {
			t.Errorf("genChange never draws %s", f.Name)
		}
	}
}

// apart are the operations that are not about an account, its guard or its passwords,
// and where they are tried with others at once.
var apart = map[string]string{"Reseal": "testRotation", "RetryMail": "testOutbox"}

// An operation that is not in the list of its file is never interleaved with another.
func TestEveryOperationIsInterleaved(t *testing.T) {
	drawn := make(map[string]bool)
	gen := genOperation(genUser("ann").Example(1))
	for seed := range examples {
		name, _, _ := strings.Cut(gen.Example(seed).name, "(")
		drawn[strings.TrimSpace(name)] = true
	}
	ops := reflect.TypeFor[rule.Operations]()
	for i := range ops.NumMethod() {
		if name := ops.Method(i).Name; !drawn[name] && apart[name] == "" {
			t.Errorf("genOperation never draws %s", name)
		}
	}
}
