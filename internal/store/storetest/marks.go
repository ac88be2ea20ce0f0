package storetest

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ddpserver/internal/dberr"
	"ddpserver/internal/feed"
	"ddpserver/internal/settings"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// unmarked are the paths of an account that no session depends on, as patterns. A login
// token that is new, and trust where there was none, are left out beside them.
var unmarked = regexp.MustCompile(`^(_updatedAt|lastLogin|createdAt|username|name|type|reason|language|status|statusDefault|statusText|avatarETag|avatarOrigin|` +
	`(profile|customFields|services\.email)\..*|ddp.*|services\.password\.(resetAt|(reset|enroll|earlierResets)\..*)|` +
	`services\.totp\.(temp.*|lastStep|hashedBackup.*|backupSalt|resetDue|resetBy)|services\.webauthn\.(spent.*|resetDue|resetBy)|` +
	`services\.webauthn\.credentials\.\d+\.(counter|backedUp|name|lastUsedAt)|services\.resume\.loginTokens\.[^.]*\.(lastUsedAt|(usedFrom|madeFrom)\..*))$`)

// flat is an account as paths and values. Login tokens are named by what they are found
// by, and what is off is as if it was not there.
func flat(t testing.TB, u *user.User) map[string]string {
	out := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				walk(path+"."+k, e)
			}
		case []any:
			times := map[string]int{}
			for i, e := range v {
				key := fmt.Sprint(i)
				if token, is := e.(map[string]any); is && path == ".services.resume.loginTokens" {
					key = fmt.Sprint(token["hashedToken"], token["token"])
					times[key]++
					key += strings.Repeat("'", times[key])
				}
				walk(path+"."+key, e)
			}
		default:
			off := v == false && (path == ".services.totp.enabled" || strings.HasSuffix(path, "SecondFactor")) || v == true && path == ".active"
			if !off {
				out[path[1:]] = fmt.Sprintf("%T %v", v, v)
			}
		}
	}
	if doc, ok := canon(t, u).(map[string]any); ok {
		walk("", doc)
	}
	return out
}

// weighty lists the paths in which two states of an account differ, and whose difference
// every node must find.
func weighty(t testing.TB, before, after *user.User) (paths []string) {
	was, is := flat(t, before), flat(t, after)
	both := maps.Clone(was)
	maps.Copy(both, is)
	known := func(path string) bool { // of a login token that was there before, and of its trust
		rest, is := strings.CutPrefix(path, "services.resume.loginTokens.")
		if !is {
			return true
		}
		key, member, _ := strings.Cut(rest, ".")
		had := func(member string) bool {
			for p := range was {
				if strings.HasPrefix(p, "services.resume.loginTokens."+key+"."+member) {
					return true
				}
			}
			return false
		}
		return had("") && (!strings.HasPrefix(member, "twoFactorAuthorized") || had("twoFactorAuthorizedHash"))
	}
	for path := range both {
		if was[path] != is[path] && !unmarked.MatchString(path) && known(path) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// marksSince collects the marks behind a moment, a few at a time, and those of one account
// or, with "", of the settings.
func marksSince(t testing.TB, s Core, at uint64, account string) (all, its []feed.Mark) {
	t.Helper()
	after := feed.Mark{At: at}
	for {
		page := must[[]feed.Mark](t)(s.MarksSince(t.Context(), after, 3, false))
		if len(page) > 3 {
			t.Fatalf("%d marks, want at most 3", len(page))
		}
		for _, m := range page {
			if m.At < at || m.Compare(after) <= 0 {
				t.Fatalf("%v is not behind %v", m, after)
			}
			if all, after = append(all, m), m; m.Account == account {
				its = append(its, m)
			}
		}
		if len(page) < 3 {
			return all, its
		}
	}
}

// testMarks: whatever an operation changes of an account that its sessions depend on is
// marked with it, and nothing else is: an operation that is drawn nowhere else is drawn here.
func testMarks(t *testing.T, db Database) {
	s := open(t, db)
	create(t, s, "root", asAdmin)
	n, marked := 0, map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		n++
		id := fmt.Sprint("u", n)
		u := genUser(id).Draw(rt, "user")
		ok(t, s.CreateUser(t.Context(), u))
		defer func() { ok(t, s.DeleteUser(t.Context(), id, true)) }()
		for range 3 {
			before, at := get(t, s, id), must[uint64](t)(s.MarkNow(t.Context()))
			op := genOperation(before).Draw(rt, "operation")
			err := op.run(t.Context(), rule.On(s.(rule.Engine)))
			if errors.Is(err, dberr.Unavailable) {
				rt.Fatal(err)
			}
			paths := weighty(t, before, get(t, s, id))
			_, marks := marksSince(t, s, at, id)
			if len(marks) != min(len(paths), 1) {
				rt.Fatalf("%s (%v) changed %v and left %v", op.name, err, paths, marks)
			}
			if len(marks) > 0 {
				marked[op.name] = true
			}
		}
	})
	for _, name := range []string{"UpdateUser", "EnableTOTP", "DisableTOTP", "ApplyReset", "ClearTrust", "SetTrust"} {
		if !marked[name] {
			t.Logf("%s never changed anything that is marked", name)
		}
	}
}

// testMarksOfOthers: what is not an operation on one document is marked too, and marks of
// many accounts come in pages, each once, at its newest.
func testMarksOfOthers(t *testing.T, db Database) {
	s, ctx := open(t, db), t.Context()
	create(t, s, "root", asAdmin)
	begin := must[uint64](t)(s.MarkNow(ctx))
	if again := must[uint64](t)(s.MarkNow(ctx)); again < begin {
		t.Errorf("%d was drawn after %d", again, begin)
	}
	if all, _ := marksSince(t, s, begin, ""); len(all) != 0 {
		t.Error("an account that is made is marked:", all)
	}
	for i := range 10 {
		create(t, s, fmt.Sprint("u", i), withTokens(session(fmt.Sprint("h", i))))
	}
	steps := []struct {
		what, account string
		do            func() error
	}{
		{"settings", "", func() error {
			return s.SaveSettings(ctx, []settings.Stored{{ID: "x", Value: true, UpdatedAt: epoch}})
		}},
		{"settings again", "", func() error {
			return s.SaveSettings(ctx, []settings.Stored{{ID: "x", Value: false, UpdatedAt: epoch}})
		}},
		{"a removal", "u0", func() error { return s.DeleteUser(ctx, "u0", false) }},
		{"a sweep of old sessions", "u1", func() error {
			_, err := s.SweepTokens(ctx, epoch.Add(time.Hour), epoch, epoch)
			return err
		}},
	}
	for _, c := range steps {
		at := must[uint64](t)(s.MarkNow(ctx))
		ok(t, c.do())
		if _, its := marksSince(t, s, at, c.account); len(its) != 1 {
			t.Errorf("%s left %v", c.what, its)
		}
	}
	for i := 9; i > 4; i-- { // once more, in another order
		must[*user.User](t)(s.UpdateUser(ctx, fmt.Sprint("u", i), user.Change{Roles: &[]string{"bot"}, At: epoch}))
	}
	all, _ := marksSince(t, s, begin, "")
	order := []string{}
	for _, m := range all {
		order = append(order, m.Account)
	}
	if len(order) != 11 || !slices.Equal(order[6:], []string{"u9", "u8", "u7", "u6", "u5"}) {
		t.Errorf("marks %q", order)
	}
	last := must[uint64](t)(s.MarkNow(ctx))
	if all, _ := marksSince(t, s, last, ""); len(all) != 0 {
		t.Error("behind now are", all)
	}
}
