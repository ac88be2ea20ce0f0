package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

func file(id, room, who string, in rooms.FileState, seconds int) *rooms.File {
	return &rooms.File{
		ID: id, Name: id + ".bin", Size: 10, Type: "image/png", Group: "image", RoomID: room, UserID: who, User: &rooms.Ref{ID: who, Username: who},
		UploadedAt: at(seconds), UpdatedAt: at(seconds), Store: rooms.OwnFiles, State: in,
	}
}

func testFiles(t *testing.T, s Store) {
	ctx := t.Context()
	f := file("f1", "r", "ann", rooms.FileUploading, 10)
	f.Name = "nul \x00, quote \", \u202e, 😀/../x"
	ok(t, s.AddFile(ctx, f))
	equal(t, must[*rooms.File](t)(s.FileByID(ctx, "f1")), f)
	fails(t, s.AddFile(ctx, file("f1", "r", "bob", rooms.FileUploading, 11)), dberr.Duplicate)
	_, err := s.FileByID(ctx, "none")
	fails(t, err, dberr.NotFound)

	// From one state to a later one, and to none twice.
	ok(t, s.TouchFile(ctx, "f1", at(20)))
	if got := must[*rooms.File](t)(s.FileByID(ctx, "f1")); !got.UpdatedAt.Equal(at(20)) {
		t.Errorf("touched at %v", got.UpdatedAt)
	}
	f.State, f.Complete, f.UpdatedAt, f.Size = rooms.FileWaiting, true, at(30), 25
	f.Identify, f.Preview, f.ETag = &rooms.Identify{Format: "png", Size: rooms.Dimensions{Width: 3, Height: 4}}, "AAAA", "e"
	ok(t, s.SetFile(ctx, f, rooms.FileUploading))
	equal(t, must[*rooms.File](t)(s.FileByID(ctx, "f1")), f)
	fails(t, s.SetFile(ctx, f, rooms.FileUploading), dberr.Conflict)
	fails(t, s.TouchFile(ctx, "f1", at(40)), dberr.Conflict)
	fails(t, s.RemoveFile(ctx, "f1"), dberr.Conflict)
	for _, err := range []error{s.SetFile(ctx, file("none", "r", "ann", rooms.FileGone, 1), rooms.FileUploading), s.TouchFile(ctx, "none", at(1)),
		s.RemoveFile(ctx, "none")} {
		fails(t, err, dberr.NotFound)
	}
	_, err = s.EndFile(ctx, "none", at(1))
	fails(t, err, dberr.NotFound)
	f.State, f.MessageID = rooms.FileAttached, "m1"
	ok(t, s.SetFile(ctx, f, rooms.FileWaiting))
	gone := must[*rooms.File](t)(s.EndFile(ctx, "f1", at(50)))
	if gone.State != rooms.FileGone || gone.Complete || gone.MessageID != "m1" || !gone.UpdatedAt.Equal(at(50)) {
		t.Errorf("%+v", gone)
	}
	if size := must[int64](t)(s.FilesSize(ctx, "ann")); size != 25 {
		t.Error("what is not removed yet takes room:", size)
	}
	ok(t, s.RemoveFile(ctx, "f1"))
	fails(t, s.RemoveFile(ctx, "f1"), dberr.NotFound)
	if size := must[int64](t)(s.FilesSize(ctx, "ann")); size != 0 {
		t.Error("size", size)
	}
	testFileLists(t, s)
}

func testFileLists(t *testing.T, s Store) {
	ctx := t.Context()
	list := func(q rooms.FileQuery) string {
		t.Helper()
		page, total, err := s.ListFiles(ctx, q)
		ok(t, err)
		return fmt.Sprint(ids(page, func(f *rooms.File) string { return f.ID }), " of ", total)
	}
	for i, f := range []*rooms.File{
		file("a1", "r", "ann", rooms.FileAttached, 1), file("a2", "r", "bob", rooms.FileAttached, 2), file("a3", "r", "ann", rooms.FileAttached, 3),
		file("b1", "r2", "ann", rooms.FileAttached, 4), file("u1", "r", "ann", rooms.FileUploading, 5), file("w1", "r", "ann", rooms.FileWaiting, 6),
		file("g1", "r", "ann", rooms.FileGone, 7),
	} {
		if i == 1 {
			f.Group, f.Name = "audio", "Song.(ogg"
		}
		ok(t, s.AddFile(ctx, f))
	}
	for want, q := range map[string]rooms.FileQuery{
		"a3 a2 a1 of 3": {RoomID: "r", Limit: 9}, "a2 of 3": {RoomID: "r", Offset: 1, Limit: 1}, " of 3": {RoomID: "r", Offset: 9, Limit: 9},
		"a3 a1 of 2": {RoomID: "r", Group: "image", Limit: 9}, "a2 of 1": {RoomID: "r", UserID: "bob", Limit: 9},
		"a2  of 1": {RoomID: "r", Name: "sONG.(", Limit: 9}, " of 0": {RoomID: "r", Name: ".*", Limit: 9}, "b1 of 1": {RoomID: "r2", Limit: 9},
		"a1 of 2": {RoomID: "r", UserID: "ann", Offset: 1, Limit: 1},
	} {
		if got := list(q); got != strings.Replace(want, "  ", " ", 1) {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
	named := func(files []*rooms.File, err error) string {
		t.Helper()
		ok(t, err)
		var out []string
		for _, f := range files {
			out = append(out, f.ID)
		}
		return strings.Join(out, " ")
	}
	ok(t, s.AddFile(ctx, file("u2", "r", "bob", rooms.FileUploading, 3)))
	for want, got := range map[string]string{
		"u2 u1":    named(s.StaleFiles(ctx, rooms.FileUploading, at(6), 9)),
		"u2":       named(s.StaleFiles(ctx, rooms.FileUploading, at(5), 9)),
		"":         named(s.StaleFiles(ctx, rooms.FileWaiting, at(6), 9)),
		"a1 a2":    named(s.FilesAfter(ctx, "", 2)),
		"a3 b1":    named(s.FilesAfter(ctx, "a2", 9)),
		"u2 alone": named(s.StaleFiles(ctx, rooms.FileUploading, at(60), 1)) + " alone",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if size := must[int64](t)(s.FilesSize(ctx, "ann")); size != 60 {
		t.Error("size", size)
	}
}

// testFileRaces: of many who would have a file, one gets it; who ends it gets it in any case.
func testFileRaces(t *testing.T, s Store) {
	ctx := t.Context()
	for round := range 10 {
		id := fmt.Sprint("f", round)
		ok(t, s.AddFile(ctx, file(id, "r", "ann", rooms.FileWaiting, 1)))
		var all sync.WaitGroup
		won := make(chan string, 8)
		for i := range 8 {
			all.Go(func() {
				f := file(id, "r", "ann", rooms.FileAttached, 2)
				f.MessageID = fmt.Sprint("m", i)
				switch err := s.SetFile(ctx, f, rooms.FileWaiting); {
				case err == nil:
					won <- f.MessageID
				case !errors.Is(err, dberr.Conflict):
					t.Error(err)
				}
			})
		}
		all.Wait()
		close(won)
		var winners []string
		for m := range won {
			winners = append(winners, m)
		}
		if got := must[*rooms.File](t)(s.FileByID(ctx, id)); len(winners) != 1 || got.MessageID != winners[0] {
			t.Errorf("%q have the file, which says %s", winners, got.MessageID)
		}
	}
}
