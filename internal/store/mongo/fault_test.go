package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/mail"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/testwait"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

var limits = twofactor.Limits{MaxRecent: 100, Window: time.Hour, MaxInRow: 100}

// start opens a store on a server that can be made to fail.
func start(t *testing.T, o mongo.Options) (*mongo.Store, *mongotest.Server, database) {
	t.Helper()
	server := mongotest.StartServer(t)
	d := database{server.URI()}
	s, err := mongo.Open(t.Context(), d.url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, server, d
}

func createAnn(t *testing.T, s *mongo.Store) {
	t.Helper()
	u := &user.User{ID: "ann", Username: "ann", CreatedAt: time.Now(), Services: user.Services{
		FactorFields: user.FactorFields{TOTP: &user.TOTP{Enabled: true, Secret: "s", HashedBackup: []string{"b"}}},
		Resume:       &user.Resume{LoginTokens: []user.LoginToken{{HashedToken: "h", When: time.Now()}}}}}
	if err := s.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateUser(t.Context(), &user.User{ID: "gone", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// TestOneFault: the driver repeats a command once; its effect is there once.
func TestOneFault(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]mongotest.Fault{
		"dropped before": {DropBefore: true}, "dropped after": {DropAfter: true}, "not primary": mongotest.NotPrimary("", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, server, _ := start(t, mongo.Options{})
			createAnn(t, s)
			inject := func(command string) {
				fault.Command = command
				server.Inject(fault)
			}
			inject("insert")
			if _, err := s.CountAttempt(t.Context(), "ann", "totp", time.Now(), limits); err != nil {
				t.Fatal(err)
			}
			inject("update")
			if _, err := s.CountAttempt(t.Context(), "ann", "totp", time.Now(), limits); err != nil {
				t.Fatal(err)
			}
			if g, err := s.Guard(t.Context(), "ann"); err != nil || g.Received != 2 || len(g.Recent) != 2 {
				t.Errorf("two answers counted as %+v, %v", g, err)
			}
			inject("update")
			if err := s.UseTOTPStep(t.Context(), "ann", "s", 5); err != nil {
				t.Fatal(err)
			}
			inject("update")
			if u, err := s.UpdateUser(t.Context(), "ann", user.Change{AddToken: &user.LoginToken{HashedToken: "h2"}, At: time.Now()}); err != nil ||
				len(u.Services.Resume.LoginTokens) != 2 {
				t.Errorf("%+v, %v", u, err)
			}
			if err := s.PutMail(t.Context(), mail.Item{ID: "m"}, 10); err != nil {
				t.Fatal(err)
			}
			inject("findAndModify")
			if it, err := s.ClaimMail(t.Context(), "node", time.Now(), time.Minute); err != nil || it.Tries != 1 {
				t.Errorf("%+v, %v", it, err)
			}
			inject("find")
			if u, err := s.UserByID(t.Context(), "ann"); err != nil || u.Services.TOTP.LastStep != 5 {
				t.Errorf("%+v, %v", u, err)
			}
		})
	}
}

// TestUnknownOutcome: whatever cannot be known is a refusal.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]mongotest.Fault{
		"dropped before": {DropBefore: true}, "dropped after": {DropAfter: true}, "not primary": mongotest.NotPrimary("", 1),
		"no majority": {WriteConcernCode: 64}, "out of disk space": {Code: 14031, Name: "OutOfDiskSpace"},
		"too slow": {Delay: 100 * time.Millisecond, DropBefore: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, server, _ := start(t, mongo.Options{})
			createAnn(t, s)
			for what, do := range operations(s) {
				ctx := untilHitTwice(t, &fault)
				for _, command := range []string{"insert", "update", "delete", "findAndModify"} {
					fault.Command = command
					server.Inject(fault)
				}
				if err := do(ctx); !errors.Is(err, dberr.Unavailable) {
					t.Errorf("%s: got %v, want unavailable", what, err)
				}
				server.Heal()
			}
		})
	}
}

// untilHitTwice makes a fault hit every command, and gives a context that ends
// with the second of them: the driver tries again until its time is up.
func untilHitTwice(t *testing.T, f *mongotest.Fault) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	hits := 0
	f.Times = -1
	f.Hit = func() {
		if hits++; hits == 2 {
			cancel()
		}
	}
	return ctx
}

// operations is every operation that writes. The first time, each would succeed on a sound server.
func operations(s *mongo.Store) map[string]func(context.Context) error {
	now := time.Now()
	return map[string]func(context.Context) error{
		"CreateUser": func(ctx context.Context) error { return s.CreateUser(ctx, &user.User{ID: "x", CreatedAt: now}) },
		"DeleteUser": func(ctx context.Context) error { return s.DeleteUser(ctx, "gone", true) },
		"UpdateUser": func(ctx context.Context) error {
			_, err := s.UpdateUser(ctx, "ann", user.Change{Name: new(string), At: now})
			return err
		},
		"UseTOTPStep":   func(ctx context.Context) error { return s.UseTOTPStep(ctx, "ann", "s", now.Unix()) },
		"UseBackupCode": func(ctx context.Context) error { return s.UseBackupCode(ctx, "ann", "b") },
		"SetTrust":      func(ctx context.Context) error { return s.SetTrust(ctx, "ann", "h", "f", "totp", now) },
		"CountAttempt": func(ctx context.Context) error {
			_, err := s.CountAttempt(ctx, "ann", "totp", now, limits)
			return err
		},
		"ResetGuard": func(ctx context.Context) error { return s.ResetGuard(ctx, "ann") },
		"AddMailCode": func(ctx context.Context) error {
			_, err := s.AddMailCode(ctx, "ann", twofactor.MailCode{Digest: "d", Expire: now.Add(time.Hour)}, now,
				twofactor.MailRules{MaxAlive: 5, MaxMails: 50, Window: time.Hour})
			return err
		},
		"SaveSettings": func(ctx context.Context) error {
			return s.SaveSettings(ctx, []settings.Stored{{ID: "a", Value: true}})
		},
		"PutMail": func(ctx context.Context) error { return s.PutMail(ctx, mail.Item{ID: "m"}, 10) },
		"ClaimMail": func(ctx context.Context) error {
			_, err := s.ClaimMail(ctx, "n", now, time.Minute)
			return err
		},
		"DeleteMail": func(ctx context.Context) error { return s.DeleteMail(ctx, "m") },
		"AppendEvents": func(ctx context.Context) error {
			return s.AppendEvents(ctx, []feed.Event{{ID: "e", At: now}})
		},
	}
}

// TestErrorsQuoteNothing: the text of errors never holds what is stored.
func TestErrorsQuoteNothing(t *testing.T) {
	s, server, d := start(t, mongo.Options{})
	createAnn(t, s)
	d.Plant(t, bson.D{{Key: "_id", Value: "broken"}, {Key: "services", Value: bson.D{{Key: "resume", Value: bson.D{{Key: "loginTokens", Value: "SECRET"}}}}}})
	var errs []error
	collect := func(_ any, err error) {
		if err == nil {
			t.Error("no error")
		} else {
			errs = append(errs, err)
		}
	}
	collect(s.UpdateUser(t.Context(), "broken", user.Change{AddToken: &user.LoginToken{HashedToken: "SECRET"}, At: time.Now()}))
	collect(s.UserByID(t.Context(), "broken"))
	collect(nil, s.CreateUser(t.Context(), &user.User{ID: "SECRET", Username: "ann"}))
	fault := mongotest.Fault{Command: "update", DropAfter: true}
	ctx := untilHitTwice(t, &fault)
	server.Inject(fault)
	collect(s.UpdateUser(ctx, "ann", user.Change{Bcrypt: new("SECRET"), At: time.Now()}))
	for _, err := range errs {
		if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q quotes the document", err)
		}
	}
}

// TestConcerns: writes are majority and journaled but for news, which is the primary's,
// reads majority, all at the primary.
func TestConcerns(t *testing.T) {
	s, server, _ := start(t, mongo.Options{})
	createAnn(t, s)
	var mu sync.Mutex
	seen, levels := make(map[string]int), make(map[string]int)
	server.Watch(func(command string, doc []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen[command]++
		raw := bson.Raw(doc)
		switch command {
		case "insert", "update", "delete", "findAndModify":
			wc := raw.Lookup("writeConcern")
			if into, _ := raw.Lookup(command).StringValueOK(); into == "ddpserver_events" {
				if w, _ := wc.Document().Lookup("w").Int32OK(); w != 1 {
					t.Errorf("news with write concern %v", wc)
				}
				return
			}
			w, _ := wc.Document().Lookup("w").StringValueOK()
			if j, _ := wc.Document().Lookup("j").BooleanOK(); w != "majority" || !j {
				t.Errorf("%s with write concern %v", command, wc)
			}
		case "find", "aggregate":
			level, _ := raw.Lookup("readConcern", "level").StringValueOK()
			levels[level]++
		}
		if mode, ok := raw.Lookup("$readPreference", "mode").StringValueOK(); ok && mode != "primary" {
			t.Errorf("%s reads from %s", command, mode)
		}
	})
	for what, do := range operations(s) {
		if err := do(t.Context()); errors.Is(err, dberr.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	mu.Lock()
	clear(levels) // looks before a conditional write may see the newest
	mu.Unlock()
	_, _, list := s.ListUsers(t.Context(), 0, 10)
	_, byID := s.UserByID(t.Context(), "ann")
	_, byToken := s.UserByToken(t.Context(), "h", "")
	_, guard := s.Guard(t.Context(), "ann")
	_, all := s.Settings(t.Context())
	if err := errors.Join(list, byID, byToken, guard, all); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(levels) != 1 || levels["majority"] < 6 {
		t.Errorf("read concerns %v, want majority only", levels)
	}
	for _, command := range []string{"insert", "update", "delete", "findAndModify", "find", "aggregate"} {
		if seen[command] == 0 {
			t.Errorf("no %s was seen", command)
		}
	}
}

func TestDownAndUp(t *testing.T) {
	t.Parallel()
	s, server, _ := start(t, mongo.Options{})
	createAnn(t, s)
	server.Down()
	// That there is an answer at all is what counts: a hang would end the tests.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Ping(ctx); !errors.Is(err, dberr.Unavailable) {
		t.Errorf("ping: %v", err)
	}
	if err := s.UseTOTPStep(ctx, "ann", "s", 5); !errors.Is(err, dberr.Unavailable) {
		t.Errorf("step: %v", err)
	}
	server.Up()
	testwait.Until(t, "an answer again", func() bool { return s.UseTOTPStep(t.Context(), "ann", "s", 6) == nil })
}

// TestSettingsSurvive: once the batch is in, it counts, whatever fails then.
func TestSettingsSurvive(t *testing.T) {
	t.Parallel()
	s, server, d := start(t, mongo.Options{})
	values := func(s *mongo.Store) string {
		all, err := s.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, v := range all {
			out += fmt.Sprintf("%s=%v ", v.ID, v.Value)
		}
		return out
	}
	save := func(ctx context.Context, n int64) error {
		return s.SaveSettings(ctx, []settings.Stored{{ID: "a", Value: n, UpdatedAt: time.Now()}, {ID: "b", Value: n, UpdatedAt: time.Now()}})
	}
	if err := save(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	// The mark that comes first fails: nothing is saved.
	first := mongotest.Fault{Command: "update", DropBefore: true}
	ctx := untilHitTwice(t, &first)
	server.Inject(first)
	if err := save(ctx, 9); !errors.Is(err, dberr.Unavailable) {
		t.Errorf("got %v", err)
	}
	server.Heal()
	if got := values(s); got != "a=1 b=1 " {
		t.Errorf("without a mark: %s", got)
	}
	// A crash before anything was applied, and one in the middle.
	for n, skip := range []int{1, 2} {
		fault := mongotest.Fault{Command: "update", Skip: skip, DropBefore: true}
		ctx := untilHitTwice(t, &fault)
		server.Inject(fault)
		if err := save(ctx, int64(n+2)); err != nil {
			t.Fatal(err)
		}
		server.Heal()
		want := fmt.Sprintf("a=%d b=%d ", n+2, n+2)
		if got := values(s); got != want {
			t.Errorf("read through: %s, want %s", got, want)
		}
	}
	// The batch itself fails: nothing is saved.
	fault := mongotest.Fault{Command: "insert", DropBefore: true}
	ctx = untilHitTwice(t, &fault)
	server.Inject(fault)
	if err := save(ctx, 9); !errors.Is(err, dberr.Unavailable) {
		t.Errorf("got %v", err)
	}
	server.Heal()
	again, err := mongo.Open(t.Context(), d.url, mongo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := values(again); got != "a=3 b=3 " {
		t.Errorf("after recovery: %s", got)
	}
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		n, err := db.Collection("ddpserver_setting_batches").CountDocuments(ctx, bson.D{})
		if n != 0 {
			t.Errorf("%d batches left after recovery", n)
		}
		raw, err2 := db.Collection("rocketchat_settings").FindOne(ctx, bson.D{{Key: "_id", Value: "b"}}).Raw()
		if v, _ := raw.Lookup("value").AsInt64OK(); v != 3 {
			t.Errorf("document %v", raw)
		}
		return errors.Join(err, err2)
	})
}

// TestOutboxCounterRepairsItself: a crash between counter and item costs room
// for a minute only.
func TestOutboxCounterRepairsItself(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, server, _ := start(t, mongo.Options{Now: func() time.Time { return now }})
	put := func(id string) error { return s.PutMail(t.Context(), mail.Item{ID: id, CreatedAt: now}, 2) }
	fault := mongotest.Fault{Command: "insert", DropBefore: true}
	ctx := untilHitTwice(t, &fault)
	server.Inject(fault)
	if err := s.PutMail(ctx, mail.Item{ID: "lost"}, 2); !errors.Is(err, dberr.Unavailable) {
		t.Fatal(err)
	}
	server.Heal()
	if err := put("a"); err != nil {
		t.Fatal(err)
	}
	if err := put("b"); !errors.Is(err, dberr.Exhausted) {
		t.Fatalf("got %v, want exhausted while the lost one may still come", err)
	}
	now = now.Add(2 * time.Minute)
	if err := put("b"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute)
	if err := put("c"); !errors.Is(err, dberr.Exhausted) {
		t.Fatalf("got %v, want exhausted", err)
	}
}

// TestOutboxIsMendedByManyAtOnce: a sender whose counter another one mends in the
// middle of its own mending has the room that was made.
func TestOutboxIsMendedByManyAtOnce(t *testing.T) {
	for _, row := range []struct {
		at       string // the command before which another node sends a mail
		items, n int64  // what there was, and what the counter says; 0: no counter
	}{{"find", 0, 0}, {"insert", 0, 0}, {"find", 1, 3}, {"aggregate", 1, 3}, {"aggregate", 0, 3}} {
		t.Run(fmt.Sprint(row), func(t *testing.T) {
			t.Parallel()
			a, server, d := start(t, mongo.Options{})
			b, err := mongo.Open(t.Context(), d.url, mongo.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			put := func(s *mongo.Store, id string) error { return s.PutMail(t.Context(), mail.Item{ID: id, Class: "c"}, 3) }
			for i := range row.items {
				if err := put(a, fmt.Sprint("before", i)); err != nil {
					t.Fatal(err)
				}
			}
			if row.n > 0 {
				d.driver(t, func(ctx context.Context, db *driver.Database) error {
					_, err := db.Collection("ddpserver_counters").UpdateOne(ctx, bson.D{{Key: "_id", Value: "outbox:c"}},
						bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: row.n}, {Key: "at", Value: time.UnixMilli(0)}}}},
						options.UpdateOne().SetUpsert(true))
					return err
				})
			}
			var once sync.Once
			server.Watch(func(command string, _ []byte) {
				if command == row.at {
					once.Do(func() {
						server.Watch(nil)
						if err := put(b, "theirs"); err != nil {
							t.Error(err)
						}
					})
				}
			})
			if err := put(a, "mine"); err != nil {
				t.Errorf("%d of 3 items, and the next got %v", row.items+1, err)
			}
		})
	}
}

// TestIdleGuardsAreForgotten by the TTL index, but never one with a row of
// wrong answers.
func TestIdleGuardsAreForgotten(t *testing.T) {
	s, _, d := start(t, mongo.Options{})
	forget := func() (has bool) {
		d.driver(t, func(ctx context.Context, db *driver.Database) error {
			raw, err := db.Collection("ddpserver_guards").FindOne(ctx, bson.D{{Key: "_id", Value: "ann"}}).Raw()
			_, has = raw.Lookup("forgetAt").TimeOK()
			return err
		})
		return has
	}
	id, err := s.CountAttempt(t.Context(), "ann", "totp", time.Now(), limits)
	if err != nil {
		t.Fatal(err)
	}
	if forget() {
		t.Error("a row of wrong answers would be forgotten")
	}
	if err := s.Succeeded(t.Context(), "ann", id, twofactor.Spent{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if !forget() {
		t.Error("an idle guard would be kept for ever")
	}
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("ddpserver_guards").UpdateOne(ctx, bson.D{}, bson.D{{Key: "$set",
			Value: bson.D{{Key: "forgetAt", Value: time.Now().Add(-time.Hour)}}}})
		return err
	})
	testwait.Until(t, "the end of an idle guard", func() bool {
		g, err := s.Guard(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		return g.Received == 0
	})
}

// TestLateEvent: an event that becomes visible after a younger one is delivered.
func TestLateEvent(t *testing.T) {
	s, _, d := start(t, mongo.Options{})
	_, cursor, err := s.EventsSince(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AppendEvents(t.Context(), []feed.Event{{ID: "young", Node: "n", Kind: "kind", Key: "k", At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	events, cursor, err := s.EventsSince(t.Context(), cursor)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("ddpserver_events").InsertOne(ctx, bson.D{{Key: "_id", Value: "late"}, {Key: "kind", Value: "user-changed"},
			{Key: "ts", Value: bson.Timestamp{T: uint32(time.Now().Unix()) - 2, I: 1}}})
		return err
	})
	testwait.Until(t, "the late one", func() bool { // a reader looks that far back once a second
		events, cursor, err = s.EventsSince(t.Context(), cursor)
		return err != nil || len(events) > 0
	})
	if err != nil || len(events) != 1 || events[0].ID != "late" {
		t.Errorf("got %v, %v, want the late one only", events, err)
	}
	// One that has another shape holds up nothing: it is of no kind.
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("ddpserver_events").InsertOne(ctx, bson.D{{Key: "_id", Value: "odd"}, {Key: "kind", Value: bson.A{1}}, {Key: "version", Value: "two"},
			{Key: "ts", Value: bson.Timestamp{T: uint32(time.Now().Unix()), I: 1}}})
		return err
	})
	if events, _, err = s.EventsSince(t.Context(), cursor); err != nil || len(events) != 1 || events[0].ID != "odd" || events[0].Kind != "" {
		t.Errorf("got %v, %v, want the odd one without a kind", events, err)
	}
}

// TestAdopt: a database of Rocket.Chat, with its own indexes and a few oddities.
func TestAdopt(t *testing.T) {
	server := mongotest.StartServer(t)
	d := database{server.URI()}
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("users").Indexes().CreateMany(ctx, []driver.IndexModel{
			{Keys: bson.D{{Key: "username", Value: 1}}, Options: options.Index().SetUnique(true).SetSparse(true)},
			{Keys: bson.D{{Key: "emails.address", Value: 1}}, Options: options.Index().SetUnique(true).SetSparse(true)},
			{Keys: bson.D{{Key: "services.resume.loginTokens.hashedToken", Value: 1}}, Options: options.Index().SetName("other_name")},
		})
		return err
	})
	plain := func(id, name string, emails ...any) bson.D {
		doc := bson.D{{Key: "_id", Value: id}, {Key: "createdAt", Value: time.Now()}, {Key: "username", Value: name}}
		if len(emails) > 0 {
			doc = append(doc, bson.E{Key: "emails", Value: bson.A(emails)})
		}
		return doc
	}
	address := func(a string) bson.D {
		return bson.D{{Key: "address", Value: a}, {Key: "verified", Value: true}}
	}
	d.Plant(t, plain("1", "Ann", address("Ann@Example.org"), address("second@example.org")))
	d.Plant(t, plain("2", "ann", address("other@example.org")))
	d.Plant(t, plain("3", "carl", "not a document", 5))
	d.Plant(t, bson.D{{Key: "_id", Value: "4"}, {Key: "username", Value: 17}})
	for i := range 150 { // more than one batch of a cursor
		d.Plant(t, plain(fmt.Sprint("m", i), fmt.Sprint("Many", i)))
	}
	core, logs := observer.New(zap.WarnLevel)
	for range 2 { // the second time there is nothing to do
		s, err := mongo.Open(t.Context(), d.url, mongo.Options{Logger: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{"ann": "1", "carl": "3", "many149": "m149"} {
			if u, err := s.UserByUsername(t.Context(), key); want == "3" && err == nil || want != "3" && (err != nil || u.ID != want) {
				t.Errorf("%s is %+v, %v", key, u, err)
			}
		}
		for key, want := range map[string]string{"ann@example.org": "1", "second@example.org": "1", "other@example.org": "2"} {
			if u, err := s.UserByEmail(t.Context(), key); err != nil || u.ID != want {
				t.Errorf("%s is %+v, %v", key, u, err)
			}
		}
		err = s.CreateUser(t.Context(), &user.User{ID: "new", Username: "MANY7"})
		if !errors.Is(err, dberr.DuplicateUsername) {
			t.Errorf("an adopted name was given away: %v", err)
		}
		if _, err := s.UpdateUser(t.Context(), "2", user.Change{Emails: &[]user.Email{{Address: "second@example.org"}}, At: time.Now()}); !errors.Is(err,
			dberr.DuplicateEmail) {
			t.Errorf("an adopted address was given away: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	clashes := logs.FilterField(zap.String("id", "2")).Len() + logs.FilterField(zap.String("id", "1")).Len()
	if clashes != 2 || logs.Len() != 2 {
		t.Errorf("reported %v, want the clash of Ann and ann at each start", logs.All())
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	server := mongotest.StartServer(t)
	weak := database{server.URI()}
	weak.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("users").Indexes().CreateOne(ctx, driver.IndexModel{Keys: bson.D{{Key: "ddpUsernameKey", Value: 1}}})
		return err
	})
	for url, want := range map[string]string{
		"":                                       "must start with mongodb://",
		"localhost":                              "must start with mongodb://",
		"postgres://u:hunter2@localhost/db":      "scheme",
		"mongodb://u:hunter2@localhost":          "names no database",
		"mongodb://u:hunter2@localhost/?x=y":     "names no database",
		"mongodb://u:hunter2@local host:x/db":    "",
		"mongodb://u:hunter2@127.0.0.1:1/db":     "does not answer",
		"mongodb://u:hunter2@127.0.0.1:1/db?w=x": "",
		weak.url:                                 "drop it",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if strings.Contains(url, "127.0.0.1:1/") { // nobody listens there, and the driver would wait for somebody
			cancel()
		}
		s, err := mongo.Open(ctx, url, mongo.Options{})
		cancel()
		if err == nil {
			_ = s.Close()
			t.Errorf("%q was opened", url)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", url, err, want)
		}
	}
}

// What the server refused is called by its name and code, and without its text, which
// may quote documents.
func TestErrorsAreNamed(t *testing.T) {
	s, server, _ := start(t, mongo.Options{})
	createAnn(t, s)
	for name, c := range map[string]struct {
		fault mongotest.Fault
		want  string
	}{
		"the server's": {mongotest.Fault{Command: "find", Times: -1, Code: 13, Name: "Unauthorized"}, "MongoDB: store unavailable: Unauthorized (code 13)"},
		"the disk's":   {mongotest.Fault{Command: "find", Times: -1, Code: 14031, Name: "OutOfDiskSpace"}, "OutOfDiskSpace (code 14031)"},
	} {
		server.Inject(c.fault)
		_, err := s.UserByID(t.Context(), "ann")
		server.Heal()
		if !errors.Is(err, dberr.Unavailable) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "injected") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
