package accounts

import (
	"errors"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// A comparison with the dummy must cost what a real one does, so it has to get
// as far as comparing.
func TestDummyHashIsCompared(t *testing.T) {
	for _, cost := range []int{bcrypt.MinCost, bcrypt.MinCost + 2} {
		h := dummyHash(cost)
		if got, err := bcrypt.Cost(h); err != nil || got != cost {
			t.Errorf("cost %d, %v; want %d", got, err, cost)
		}
		if err := bcrypt.CompareHashAndPassword(h, []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			t.Errorf("compared: %v", err)
		}
	}
}
