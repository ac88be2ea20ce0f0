//go:build !norooms

package rest_test

import (
	"context"
	"strings"
	"time"

	"ddpserver/internal/random"
	"ddpserver/internal/rooms"
)

func (r *recorder) PutInvite(ctx context.Context, i *rooms.Invite) (*rooms.Invite, error) {
	r.note("PutInvite")
	return r.Store.PutInvite(ctx, i)
}

func (r *recorder) UseInvite(ctx context.Context, id, seed string, at time.Time) error {
	r.note("UseInvite")
	return r.Store.UseInvite(ctx, id, seed, at)
}

func (r *recorder) UnuseInvite(ctx context.Context, id, seed string, at time.Time) error {
	r.note("UnuseInvite")
	return r.Store.UnuseInvite(ctx, id, seed, at)
}

func (r *recorder) RemoveInvite(ctx context.Context, id string) error {
	r.note("RemoveInvite")
	return r.Store.RemoveInvite(ctx, id)
}

// invited prepares somebody else's link into a room that the caller has left, and keeps its token.
func invited(s *stage) {
	gone(s)
	i, err := s.Chat.Invitation(s.T.Context(), s.other, s.theirs, 0, 0)
	if err != nil {
		s.T.Fatal(err)
	}
	link := s.Chat.InviteLink(i)
	s.token = link[strings.LastIndex(link, "/")+1:]
}

// inviting prepares a link of the caller's, and keeps its id.
func inviting(s *stage) {
	i, err := s.Chat.Invitation(s.T.Context(), s.admin, s.own, 0, 0)
	if err != nil {
		s.T.Fatal(err)
	}
	s.token = i.ID
}

func (r *recorder) AddReport(ctx context.Context, report *rooms.Report) error {
	r.note("AddReport")
	return r.Store.AddReport(ctx, report)
}

func (r *recorder) HideReports(ctx context.Context, q rooms.ReportQuery, m rooms.Moderation) error {
	r.note("HideReports")
	return r.Store.HideReports(ctx, q, m)
}

// reported prepares a report of somebody else, and keeps its id.
func reported(s *stage) {
	if err := s.Chat.ReportUser(s.T.Context(), s.admin, s.other.ID, "rude"); err != nil {
		s.T.Fatal(err)
	}
	s.token = random.IDOf("user", s.other.ID, s.admin.ID)
}
