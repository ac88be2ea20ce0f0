package storetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"ddpserver/internal/dberr"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// crashEnv tells a test binary that it is the child of a crash test, and where
// its database is.
const crashEnv = "STORETEST_CRASH_CHILD"

// Child is called first in TestMain of a package that uses Crash. In the child
// process of a crash test it writes until it is killed and never returns.
func Child(openAt func(where string) (Core, error)) {
	where, isChild := os.LookupEnv(crashEnv)
	if !isChild {
		return
	}
	s, err := openAt(where)
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; ; i++ {
				if err := crashWrite(s, w, i, say); err != nil {
					say("failed %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	os.Exit(1)
}

// writers is how many goroutines of a child write at once.
const writers = 4

// crashWrite makes the changes of one step and acknowledges each after it returned.
func crashWrite(s Core, w, i int, say func(string, ...any)) error {
	ctx := context.Background()
	id := fmt.Sprintf("c%d-%d-%d", os.Getpid(), w, i)
	if err := s.CreateUser(ctx, &user.User{ID: id, Username: id, CreatedAt: epoch,
		Services: user.Services{FactorFields: user.FactorFields{TOTP: &user.TOTP{Enabled: true, Secret: "s", HashedBackup: []string{"b"}}}}}); err != nil {
		return err
	}
	say("user %s", id)
	if err := s.UseTOTPStep(ctx, id, "s", 7); err != nil {
		return err
	}
	say("step %s", id)
	if err := s.UseBackupCode(ctx, id, "b"); err != nil {
		return err
	}
	say("backup %s", id)
	if _, err := s.UpdateUser(ctx, id, user.Change{AddToken: ptr(session("h-" + id)), Emails: &[]user.Email{{Address: id}}, At: epoch}); err != nil {
		return err
	}
	say("token %s", id)
	if _, err := s.CountAttempt(ctx, fmt.Sprint("w", w), "totp", epoch, attemptLimits); err != nil {
		return err
	}
	say("attempt w%d", w)
	if err := s.PutMail(ctx, item(id, 0, 0), 1<<30); err != nil {
		return err
	}
	say("mail %s", id)
	n := int64(os.Getpid())<<20 | int64(i)
	if err := s.SaveSettings(ctx, []settings.Stored{stored(fmt.Sprint("a", w), n), stored(fmt.Sprint("b", w), n), stored(fmt.Sprint("c", w), n)}); err != nil {
		return err
	}
	say("settings %d %d", w, n)
	return nil
}

// Crash kills a writing child with SIGKILL again and again and checks after
// each time that everything it acknowledged is there, whole.
func Crash(t *testing.T, where string, openAt func(where string) (Core, error), rounds int) {
	attempts := make(map[string]int64)
	for round := range rounds {
		acks := runChild(t, where)
		s, err := openAt(where)
		ok(t, err)
		checkAcks(t, s, acks, attempts)
		ok(t, s.Close())
		if len(acks) == 0 && round == rounds-1 {
			t.Error("nothing was acknowledged")
		}
	}
}

func runChild(t *testing.T, where string) (acks []string) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$") // this very binary
	cmd.Env = append(os.Environ(), crashEnv+"="+where)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	cmd.Stderr = os.Stderr
	ok(t, cmd.Start())
	kill := 20 + rand.IntN(400)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "failed") {
			t.Error("child:", lines.Text())
		} else {
			acks = append(acks, lines.Text())
		}
		if len(acks) == kill {
			ok(t, cmd.Process.Signal(syscall.SIGKILL)) // what it says until it is dead still counts
		}
	}
	_ = cmd.Wait()
	return acks
}

func checkAcks(t *testing.T, s Core, acks []string, attempts map[string]int64) {
	t.Helper()
	ctx := t.Context()
	saved := make(map[string]int64)
	for _, ack := range acks {
		what, id, _ := strings.Cut(ack, " ")
		switch what {
		case "user", "step", "backup", "token":
			u := get(t, s, id)
			switch {
			case what == "step" && u.Services.TOTP.LastStep != 7, what == "backup" && len(u.Services.TOTP.HashedBackup) != 0,
				what == "token" && (u.LoginToken("h-"+id) == nil || len(u.Emails) != 1):
				t.Errorf("lost %s of %s: %+v", what, id, u)
			}
		case "attempt":
			attempts[id]++
		case "mail":
			fails(t, s.PutMail(ctx, item(id, 0, 0), 1<<30), dberr.Duplicate)
		case "settings":
			var w string
			var n int64
			if _, err := fmt.Sscan(id, &w, &n); err != nil {
				t.Fatal(err)
			}
			saved[w] = max(saved[w], n)
		}
	}
	for id, n := range attempts {
		if g := guard(t, s, id); g.Received < n || len(g.Recent) != int(g.Received) {
			t.Errorf("guard %s: received %d, recent %d, acknowledged %d", id, g.Received, len(g.Recent), n)
		}
	}
	values := make(map[string]int64)
	for _, v := range must[[]settings.Stored](t)(s.Settings(ctx)) {
		values[v.ID] = v.Value.(int64)
	}
	for w, n := range saved {
		if a, b, c := values["a"+w], values["b"+w], values["c"+w]; a != b || b != c || a < n && a>>20 == n>>20 {
			t.Errorf("settings of writer %s: %d %d %d, acknowledged %d", w, a, b, c, n)
		}
	}
	// The sweep finds no half-made account.
	for offset := 0; ; offset += 500 {
		page, _, err := s.ListUsers(ctx, offset, 500)
		ok(t, err)
		if len(page) == 0 {
			return
		}
		for _, u := range page {
			if found, err := s.UserByUsername(ctx, user.Key(u.Username)); err != nil || found.ID != u.ID {
				t.Errorf("account %s is not found by its name: %v", u.ID, err)
			}
		}
	}
}
