package storetest

import (
	"fmt"
	"testing"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
)

// testReports: reports are found by what and who is reported until they are dealt with.
func testReports(t *testing.T, s Store) {
	ctx := t.Context()
	report := func(n int, by, message, who string) *rooms.Report {
		r := &rooms.Report{ID: fmt.Sprint("p", n), Description: "d", TS: at(n), UpdatedAt: at(n), ReportedBy: rooms.Ref{ID: by, Username: by}}
		if message == "" {
			r.ReportedUser = &rooms.Ref{ID: who, Username: who}
			return r
		}
		r.Message = &rooms.ReportedMessage{ID: message, RoomID: "r", Text: "text", TS: at(0), User: rooms.Ref{ID: who, Username: who}}
		r.Room = &rooms.ReportedRoom{ID: "r", Type: rooms.Group, Name: "r", FName: "R"}
		return r
	}
	all := []*rooms.Report{report(1, "ann", "m1", "bob"), report(2, "cid", "m1", "bob"), report(3, "ann", "m2", "bob"), report(4, "ann", "m3", "dan"),
		report(5, "ann", "", "bob"), report(6, "cid", "", "bob"), report(7, "ann", "", "dan")}
	for _, r := range all {
		ok(t, s.AddReport(ctx, r))
		equal(t, must[*rooms.Report](t)(s.ReportByID(ctx, r.ID)), r)
	}
	fails(t, s.AddReport(ctx, report(1, "eve", "m9", "eve")), dberr.Duplicate)
	_, err := s.ReportByID(ctx, "none")
	fails(t, err, dberr.NotFound)
	look := func(q rooms.ReportQuery, want string, total int) {
		t.Helper()
		list, n, err := s.ListReports(ctx, q)
		ok(t, err)
		if got := ids(list, func(r *rooms.Report) string { return r.ID }); got != want || n != total {
			t.Errorf("%+v: %q of %d, want %q of %d", q, got, n, want, total)
		}
		for _, r := range list {
			if !q.Keeps(r) {
				t.Errorf("%+v does not keep %s", q, r.ID)
			}
		}
	}
	look(rooms.ReportQuery{Messages: true, Count: 9}, "p4 p3 p2 p1", 4)
	look(rooms.ReportQuery{Count: 9}, "p7 p6 p5", 3)
	look(rooms.ReportQuery{Count: 1, Offset: 1}, "p6", 3)
	look(rooms.ReportQuery{}, "", 3)
	look(rooms.ReportQuery{Messages: true, MessageID: "m1", Count: 9}, "p2 p1", 2)
	look(rooms.ReportQuery{Messages: true, UserID: "bob", Count: 9}, "p3 p2 p1", 3)
	look(rooms.ReportQuery{UserID: "bob", Count: 9}, "p6 p5", 2)
	look(rooms.ReportQuery{Messages: true, Since: at(2), Until: at(3), Count: 9}, "p3 p2", 2)

	done := rooms.Moderation{ModeratedBy: "root", HiddenAt: at(20), Action: "None", Reason: "fine"}
	ok(t, s.HideReports(ctx, rooms.ReportQuery{Messages: true, MessageID: "m1"}, done))
	look(rooms.ReportQuery{Messages: true, Count: 9}, "p4 p3", 2)
	hidden := report(1, "ann", "m1", "bob")
	hidden.Hidden, hidden.Moderation, hidden.UpdatedAt = true, &done, at(20)
	equal(t, must[*rooms.Report](t)(s.ReportByID(ctx, "p1")), hidden)
	// What is dealt with stays as it is, and is not reported again.
	ok(t, s.HideReports(ctx, rooms.ReportQuery{Messages: true, UserID: "bob"}, rooms.Moderation{ModeratedBy: "eve", HiddenAt: at(30)}))
	equal(t, must[*rooms.Report](t)(s.ReportByID(ctx, "p1")), hidden)
	fails(t, s.AddReport(ctx, report(1, "ann", "m1", "bob")), dberr.Duplicate)
	look(rooms.ReportQuery{Messages: true, Count: 9}, "p4", 1)
	ok(t, s.HideReports(ctx, rooms.ReportQuery{UserID: "bob"}, done))
	look(rooms.ReportQuery{Count: 9}, "p7", 1)
}
