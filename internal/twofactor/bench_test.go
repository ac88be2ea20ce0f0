package twofactor_test

import (
	"testing"

	"ddpserver/internal/twofactor"
)

// What a call costs that needs no code: unprotected, and protected but trusted.
func BenchmarkCheckNone(b *testing.B) {
	w := newWorld(b)
	r := w.account("alice").ask(policy(twofactor.None))
	b.ReportAllocs()
	for b.Loop() {
		if err := w.svc.Check(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckTrusted(b *testing.B) {
	w := newWorld(b)
	a := w.account("alice")
	if got := a.check(code(digest)); got != "" {
		b.Fatal(got)
	}
	r := a.ask()
	b.ReportAllocs()
	for b.Loop() {
		if err := w.svc.Check(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}

// A right password answer without its hash: counting, booking and remembering,
// each in a durable write of its own.
func BenchmarkCheckAnswered(b *testing.B) {
	w := newWorld(b)
	r := w.account("alice").ask(code(digest))
	b.ReportAllocs()
	for b.Loop() {
		if err := w.svc.Check(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}
