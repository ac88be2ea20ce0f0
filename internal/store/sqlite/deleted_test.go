package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ddpserver/internal/mail"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// A19: what was deleted is not in the files any more once the log begins anew
// (here: the store is closed), whatever kind it is and however long: SQLite itself
// only forgets where it was.
func TestA19DeletedIsGoneFromTheFiles(t *testing.T) {
	at := time.Unix(1_700_000_000, 0).UTC()
	kinds := map[string]struct {
		put, remove func(t *testing.T, s *sqlite.Store, marker string) error
	}{
		"login token": {
			func(t *testing.T, s *sqlite.Store, m string) error {
				return s.CreateUser(t.Context(), &user.User{ID: "u", CreatedAt: at,
					Services: user.Services{Resume: &user.Resume{LoginTokens: []user.LoginToken{{HashedToken: m, When: at}}}}})
			},
			func(t *testing.T, s *sqlite.Store, m string) error {
				_, err := s.UpdateUser(t.Context(), "u", user.Change{RemoveToken: m, At: at})
				return err
			},
		},
		"enrolment": {
			func(t *testing.T, s *sqlite.Store, m string) error {
				tokens := []user.LoginToken{{HashedToken: "h", When: at}}
				if err := s.CreateUser(t.Context(), &user.User{ID: "u", CreatedAt: at, Services: user.Services{Resume: &user.Resume{LoginTokens: tokens}}}); err != nil {
					return err
				}
				u, err := s.UserByID(t.Context(), "u")
				if err != nil {
					return err
				}
				return s.SetPendingTOTP(t.Context(), "u", m, "h", u.ProofState("h"), at)
			},
			func(t *testing.T, s *sqlite.Store, m string) error { return s.DropPendingTOTP(t.Context(), "u", m) },
		},
		"backup code": {
			func(t *testing.T, s *sqlite.Store, m string) error {
				app := &user.TOTP{Enabled: true, Secret: "s", HashedBackup: []string{m, "other"}}
				return s.CreateUser(t.Context(), &user.User{ID: "u", CreatedAt: at, Services: user.Services{FactorFields: user.FactorFields{TOTP: app}}})
			},
			func(t *testing.T, s *sqlite.Store, m string) error { return s.UseBackupCode(t.Context(), "u", m) },
		},
		"account": {
			func(t *testing.T, s *sqlite.Store, m string) error {
				return s.CreateUser(t.Context(), &user.User{ID: "u", CreatedAt: at, Name: m})
			},
			func(t *testing.T, s *sqlite.Store, _ string) error { return s.DeleteUser(t.Context(), "u", true) },
		},
		"mailed code": {
			func(t *testing.T, s *sqlite.Store, m string) error {
				_, err := s.AddMailCode(t.Context(), "u", twofactor.MailCode{Digest: m, CreatedAt: at, Expire: at.Add(time.Hour)}, at,
					twofactor.MailRules{MaxAlive: 3, MaxMails: 5, Window: time.Hour})
				return err
			},
			func(t *testing.T, s *sqlite.Store, _ string) error { return s.ResetGuard(t.Context(), "u") },
		},
		"mail": {
			func(t *testing.T, s *sqlite.Store, m string) error {
				return s.PutMail(t.Context(), mail.Item{ID: "m", Sealed: m, NotBefore: at, Expire: at.Add(time.Hour), CreatedAt: at}, 10)
			},
			func(t *testing.T, s *sqlite.Store, _ string) error { return s.DeleteMail(t.Context(), "m") },
		},
	}
	for name, k := range kinds {
		for size, repeat := range map[string]int{"short": 1, "of many pages": 3000} {
			t.Run(name+", "+size, func(t *testing.T) {
				dir := t.TempDir()
				marker := strings.Repeat("d31e7ed-", repeat)
				do := func(f func(t *testing.T, s *sqlite.Store, m string) error) {
					t.Helper()
					s, err := sqlite.Open(dir, sqlite.Options{Server: true})
					if err != nil {
						t.Fatal(err)
					}
					if err := f(t, s, marker); err != nil {
						t.Error(err)
					}
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
				do(k.put)
				if !inFiles(t, dir, "d31e7ed-") {
					t.Fatal("the marker is not in the files, so the test shows nothing")
				}
				do(k.remove)
				if inFiles(t, dir, "d31e7ed-") {
					t.Error("what was deleted is still in the files")
				}
			})
		}
	}
}

func inFiles(t *testing.T, dir, marker string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(text, []byte(marker))
	}
	return found
}
