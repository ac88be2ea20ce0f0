package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"ddpserver/internal/user"
)

// Bench measures the look-ups and durable writes that logins and challenges
// are made of, on databases of 1,000 and 10,000 accounts.
func Bench(b *testing.B, fresh func(t testing.TB) Database, sizes ...int) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("users=%d", n), func(b *testing.B) {
			s := open(b, fresh(b))
			fill(b, s, n)
			benchReads(b, s, n)
			benchWrites(b, s, n)
		})
	}
}

func fill(b *testing.B, s Core, n int) {
	b.Helper()
	race(b, func(worker int) error {
		for i := worker; i < n; i += crowd {
			u := &user.User{ID: fmt.Sprint("u", i), CreatedAt: epoch, Username: fmt.Sprint("User", i),
				Emails: []user.Email{{Address: fmt.Sprintf("user%d@example.org", i), Verified: true}}, Roles: []string{"user"}, Type: "user",
				Services: user.Services{Password: &user.Password{Bcrypt: "$2a$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"},
					Resume:       &user.Resume{LoginTokens: []user.LoginToken{session(fmt.Sprint("h", i)), session(fmt.Sprint("k", i))}},
					FactorFields: user.FactorFields{TOTP: &user.TOTP{Enabled: true, Secret: "s", LastStep: 1}}}}
			if err := s.CreateUser(b.Context(), u); err != nil {
				return err
			}
		}
		return nil
	})
}

// each runs f with growing numbers, alone and in parallel.
func each(b *testing.B, name string, f func(i int) error) {
	var count atomic.Int64
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := f(int(count.Add(1))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(name+"/x16", func(b *testing.B) {
		b.SetParallelism(8) // times GOMAXPROCS, which is 2 where this is measured
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := f(int(count.Add(1))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func benchReads(b *testing.B, s Core, n int) {
	ctx := b.Context()
	each(b, "TokenOwners", func(int) error { return s.TokenOwners(ctx, func(*user.User) error { return nil }) })
	each(b, "ByID", func(i int) error {
		_, err := s.UserByID(ctx, fmt.Sprint("u", i%n))
		return err
	})
	each(b, "ByUsername", func(i int) error {
		_, err := s.UserByUsername(ctx, fmt.Sprint("user", i%n))
		return err
	})
	each(b, "ByEmail", func(i int) error {
		_, err := s.UserByEmail(ctx, fmt.Sprintf("user%d@example.org", i%n))
		return err
	})
	each(b, "ByToken", func(i int) error {
		_, err := s.UserByToken(ctx, fmt.Sprint("h", i%n), "")
		return err
	})
	for name, q := range map[string]user.Query{
		"first": {}, "last": {Offset: n - 50}, "word": {Word: fmt.Sprint("user", n/2)}, "broad": {Word: "user", Order: user.ByLastLogin, Descending: true},
		"traits": {Traits: []string{user.RoleTrait("user"), user.TraitTOTP}, Order: user.ByCreatedAt, Offset: n / 2},
	} {
		q.Count = 50
		b.Run("FindUsers/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.FindUsers(ctx, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("CountUsers", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.CountUsers(ctx, user.TraitTOTP); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchWrites(b *testing.B, s Core, n int) {
	ctx := b.Context()
	each(b, "UpdateUser", func(i int) error {
		_, err := s.UpdateUser(ctx, fmt.Sprint("u", i%n), user.Change{StatusText: ptr(fmt.Sprint(i)), At: epoch.Add(time.Duration(i) * time.Second)})
		return err
	})
	each(b, "UseTOTPStep", func(i int) error { return s.UseTOTPStep(ctx, fmt.Sprint("u", i%n), "s", int64(i+1)) })
	each(b, "CountAttempt", func(i int) error {
		_, err := s.CountAttempt(ctx, fmt.Sprint("u", i%n), "totp", epoch.Add(time.Duration(i)*time.Hour), attemptLimits)
		return err
	})
}
