package storetest

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/serverkey"
	"ddpserver/internal/store"
	"ddpserver/internal/store/document"
	"ddpserver/internal/user"
)

// Core is the store as the suite opens it.
type Core = store.Store

// Database is a database that a test may open, close and tamper with.
type Database interface {
	// Open opens it, again after Close. The caller closes what it got.
	Open(t testing.TB) Core
	// Plant writes a user document past the store, as another program would.
	Plant(t testing.TB, doc bson.D)
	// Raw reads a user document past the store.
	Raw(t testing.TB, id string) bson.Raw
	// Set writes a member of a user document, by its dotted path, as another program would.
	Set(t testing.TB, id, path string, value any)
	// BreakMail makes a waiting mail unreadable.
	BreakMail(t testing.TB, id string)
	// Shared tells that it may be open twice, and that other programs may write between
	// the look and the write of an operation.
	Shared() bool
}

// part is one group of tests of the suite.
type part struct {
	name string
	run  func(t *testing.T, db Database)
}

// parts lists every group; each gets a database of its own.
var parts = []part{
	{"Users", testUsers}, {"Duplicates", testDuplicates}, {"Lists", testLists}, {"Listings", testListings},
	{"ListingsOfOldData", testListingsOfOldData}, {"Tokens", testTokens}, {"Sweep", testSweep},
	{"UnknownFields", testUnknownFields}, {"Conditions", testConditions}, {"RandomChanges", testRandomChanges},
	{"Interleavings", testInterleavings}, {"ForeignWriters", testForeignWriters}, {"ForeignValues", testForeignValues},
	{"TOTP", testTOTP}, {"PendingIsBound", testPendingIsBound}, {"BackupCodes", testBackupCodes}, {"Resets", testResets}, {"Email2FA", testEmail2FA},
	{"Passkeys", testPasskeys}, {"RacesOnPasskeys", testRacesOnPasskeys}, {"ForeignPasskeys", testForeignPasskeys},
	{"Trust", testTrust}, {"MeteorFactor", testMeteorFactor},
	{"Attempts", testAttempts}, {"MailCodes", testMailCodes}, {"MailCodePurposes", testMailCodePurposes}, {"MailBudgets", testMailBudgets},
	{"Tries", testTries}, {"Sources", testSources},
	{"Marks", testMarks}, {"MarksOfOthers", testMarksOfOthers}, {"TokenUse", testTokenUse}, {"TokenOwners", testTokenOwners},
	{"Administrators", testAdministrators}, {"AdministratorsMeet", testAdministratorsMeet},
	{"Settings", testSettings}, {"Outbox", testOutbox}, {"BrokenMail", testBrokenMail}, {"OutboxClasses", testOutboxClasses}, {"Events", testEvents},
	{"RacesOnUsers", testRacesOnUsers}, {"RacesOnFactors", testRacesOnFactors}, {"RacesOnResets", testRacesOnResets}, {"RacesOnGuards", testRacesOnGuards},
	{"RacesOnTries", testRacesOnTries}, {"RacesOnRest", testRacesOnRest}, {"Hostile", testHostile},
	{"ServerKey", testServerKey}, {"ServerKeyOfOldData", testServerKeyOfOldData}, {"ServerKeysOfOldSecrets", testServerKeysOfOldData(serverkey.TOTPSecret)},
	{"ServerKeysOfOldEnrolments", testServerKeysOfOldData(serverkey.TOTPPending)}, {"ServerKeysOfOldMails", testServerKeysOfOldData(serverkey.Mail)},
	{"Rotation", testRotation}, {"Life", testLife},
}

// Run runs the suite. Every group gets a fresh, empty database.
func Run(t *testing.T, fresh func(t testing.TB) Database) {
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, fresh(t)) })
	}
}

// open opens a database for the length of the test.
func open(t testing.TB, db Database) Core {
	t.Helper()
	s := db.Open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return s
}

// epoch is "now" in tests that need none: it has a fraction of a millisecond,
// which no store keeps. It lies far ahead, or a store that forgets by its own
// clock (a TTL index) would forget what a test has just written.
var epoch = time.Date(2126, 3, 4, 5, 6, 7, 89_123_456, time.UTC)

func ptr[T any](v T) *T { return &v }

func must[T any](t testing.TB) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// ok fails the test on an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails fails the test unless err is want.
func fails(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// create makes an account with name and address of that text.
func create(t testing.TB, s Core, id string, change ...func(*user.User)) *user.User {
	t.Helper()
	u := &user.User{ID: id, CreatedAt: epoch, Username: id, Emails: []user.Email{{Address: id + "@example.org", Verified: true}}, Roles: []string{"user"},
		Type: "user"}
	for _, f := range change {
		f(u)
	}
	ok(t, s.CreateUser(t.Context(), u))
	return get(t, s, id)
}

func get(t testing.TB, s Core, id string) *user.User {
	t.Helper()
	return must[*user.User](t)(s.UserByID(t.Context(), id))
}

func withTokens(tokens ...user.LoginToken) func(*user.User) {
	return func(u *user.User) { u.Services.Resume = &user.Resume{LoginTokens: tokens} }
}

func session(hash string) user.LoginToken { return user.LoginToken{HashedToken: hash, When: epoch} }

func pat(name, hash string) user.LoginToken {
	return user.LoginToken{HashedToken: hash, Type: user.PersonalAccessToken, Name: name, CreatedAt: epoch, LastTokenPart: "abcdef"}
}

// same compares two values as documents: what is stored, not how Go spells
// emptiness.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(canon(t, want), canon(t, got)); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func canon(t testing.TB, v any) any {
	t.Helper()
	raw, err := document.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	var d bson.D
	if err := bson.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return plain(document.Plain(d))
}

// plain drops empty documents and lists, and evens out integers.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e = plain(e); e == nil {
				delete(v, k)
			} else {
				v[k] = e
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case int32:
		return int64(v)
	}
	return v
}

// crowd is how many goroutines race in every race of the suite.
const crowd = 50

// race runs f in a crowd at once and returns how many won; the others must
// have failed with one of the allowed errors.
func race(t testing.TB, f func(i int) error, allowed ...error) int {
	t.Helper()
	errs := make([]error, crowd)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range crowd {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case !slices.ContainsFunc(allowed, func(a error) bool { return errors.Is(err, a) }):
			t.Fatalf("racer %d: %v", i, err)
		}
	}
	return won
}

// oneWinner is a race that exactly one of the crowd may win.
func oneWinner(t testing.TB, what string, f func(i int) error, allowed ...error) {
	t.Helper()
	if len(allowed) == 0 {
		allowed = []error{dberr.Conflict}
	}
	if won := race(t, f, allowed...); won != 1 {
		t.Fatalf("%s: %d winners, want 1", what, won)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
