// Command fill puts many accounts and events of the audit into the embedded store of a data
// directory, which no server may have open: what console/measure is measured with.
//
// It knows nothing of services and rules: what it writes is what they would have
// written, with one password that nobody knows. It is an instrument, never part of
// the program.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/random"
	"ddpserver/internal/store/sqlite"
	"ddpserver/internal/trail"
	trailsqlite "ddpserver/internal/trail/sqlite"
	"ddpserver/internal/user"
)

func main() {
	dir := flag.String("data", "", "data directory")
	accounts := flag.Int("accounts", 10_000, "accounts to make")
	events := flag.Int("events", 100_000, "events of the audit to make")
	flag.Parse()
	if err := fill(context.Background(), *dir, *accounts, *events); err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

func fill(ctx context.Context, dir string, accounts, events int) (err error) {
	s, err := sqlite.Open(dir, sqlite.Options{Server: true, Schemas: trailsqlite.Schemas()})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := s.Close(); err == nil {
			err = cerr
		}
	}()
	now := time.Now()
	first := []string{"Ada", "Bert", "Clara", "Dora", "Emil", "Frida", "Gustav", "Hanna", "Ida", "Jakob"}
	last := []string{"Ahrens", "Brandt", "Cramer", "Dietz", "Ernst", "Franke", "Graf", "Hahn", "Iversen", "Jahn"}
	ids := make([]string, accounts)
	for i := range accounts {
		ids[i] = random.ID()
		u := &user.User{ID: ids[i], CreatedAt: now.Add(-time.Duration(i) * time.Minute), Username: fmt.Sprint("user", i),
			Name:   fmt.Sprintf("%s %s %d", first[i%10], last[i/10%10], i),
			Emails: []user.Email{{Address: fmt.Sprintf("user%d@example.org", i), Verified: i%3 > 0}}, Roles: []string{"user"}, Type: "user",
			Services: user.Services{Password: &user.Password{Bcrypt: "$2a$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"}}}
		if err := s.CreateUser(ctx, u); err != nil {
			return err
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	all := make([]trail.Event, events)
	for i := range all {
		at := now.Add(-time.Duration(events-i) * 10 * time.Second)
		e := trail.Event{
			ID: fmt.Sprintf("%s%06xabcdef0123", trail.Lowest(at), i), TS: at,
			Act: pick("login", "login", "login", "factor_check", "account_changed"), Outcome: pick("ok", "ok", "ok", "refused"),
			User: ids[r.IntN(accounts)], Door: pick("ddp", "rest"), Method: pick("login", "users.update"), Node: "n1", Conn: fmt.Sprintf("c%d", i/7),
			Address: fmt.Sprintf("%s.%d", pick("192.0.2", "198.51.100"), r.IntN(250)), Agent: pick("Mozilla/5.0 (X11) Gecko", "curl/8"),
		}
		e.Subject = e.User
		e.Accounts = []string{e.User}
		e.Text = trail.Fold(strings.Join([]string{e.Reason, e.Target, e.Method, e.Factor, e.Door, e.Agent, e.Conn, e.Node}, "\n"))
		all[i] = e
	}
	t := trailsqlite.New(s)
	for part := range slices.Chunk(all, 200) {
		if err := t.AppendTrail(ctx, part); err != nil {
			return err
		}
	}
	return nil
}
