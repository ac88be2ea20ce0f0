package rooms

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/random"
	"ddpserver/internal/user"
)

// Report is what somebody told the moderators of: a message, or a user (collection
// "rocketchat_moderation_reports"). There is one for each who reports and what is reported.
type Report struct {
	ID          string    `bson:"_id"`
	Description string    `bson:"description"`
	TS          time.Time `bson:"ts"`
	ReportedBy  Ref       `bson:"reportedBy"`
	// Message is what stood there when it was reported, in Room; ReportedUser is the user of
	// a report without a message.
	Message      *ReportedMessage `bson:"message,omitempty"`
	Room         *ReportedRoom    `bson:"room,omitempty"`
	ReportedUser *Ref             `bson:"reportedUser,omitempty"`
	// Hidden reports are dealt with; Moderation says by whom and why.
	Hidden     bool        `bson:"_hidden,omitempty"`
	Moderation *Moderation `bson:"moderationInfo,omitempty"`
	UpdatedAt  time.Time   `bson:"_updatedAt"`
}

// ReportedMessage is the part of a message that a report keeps.
type ReportedMessage struct {
	ID     string    `bson:"_id"`
	RoomID string    `bson:"rid"`
	Text   string    `bson:"msg"`
	TS     time.Time `bson:"ts"`
	User   Ref       `bson:"u"`
}

// ReportedRoom is where it stood.
type ReportedRoom struct {
	ID    string `bson:"_id"`
	Type  string `bson:"t"`
	Name  string `bson:"name,omitempty"`
	FName string `bson:"fname,omitempty"`
}

// Moderation is how a report was dealt with.
type Moderation struct {
	ModeratedBy string    `bson:"moderatedBy"`
	HiddenAt    time.Time `bson:"hiddenAt"`
	Action      string    `bson:"action"`
	Reason      string    `bson:"reason"`
}

// ReportQuery selects reports that are not dealt with: of messages, or of users.
type ReportQuery struct {
	Messages bool
	// MessageID and UserID keep those of one message, and of one user or what he wrote.
	MessageID, UserID string
	// Since and Until bound when they were made; zero is open.
	Since, Until  time.Time
	Offset, Count int
}

// Keeps tells whether the query selects the report.
func (q *ReportQuery) Keeps(r *Report) bool {
	if r.Hidden || q.Messages != (r.Message != nil) || q.MessageID != "" && r.Message.ID != q.MessageID {
		return false
	}
	return (q.UserID == "" || r.About().ID == q.UserID) && (q.Since.IsZero() || !r.TS.Before(q.Since)) && (q.Until.IsZero() || !r.TS.After(q.Until))
}

// About is who is reported.
func (r *Report) About() Ref {
	switch {
	case r.Message != nil:
		return r.Message.User
	case r.ReportedUser != nil:
		return *r.ReportedUser
	}
	return Ref{}
}

// ReportStore keeps reports.
type ReportStore interface {
	// AddReport stores a report: Duplicate when its id is taken.
	AddReport(ctx context.Context, r *Report) error
	ReportByID(ctx context.Context, id string) (*Report, error)
	// ListReports pages through reports, the newest first.
	ListReports(ctx context.Context, q ReportQuery) (page []*Report, total int, err error)
	// HideReports deals with all that q selects, whatever its page.
	HideReports(ctx context.Context, q ReportQuery, m Moderation) error
}

// The refusals of reports.
var (
	ErrDescription   = fault.New("error-invalid-description", "Invalid description")
	ErrReported      = fault.New("error-invalid-message_id", "Invalid message id")
	ErrReport        = fault.New("error-report-not-found", "No report found")
	ErrNothingToHide = fault.New("error-invalid-params", "Either userId or msgId is required")
)

// maxDescription bounds what somebody says of what is reported; maxReports what is looked at
// when reports are put together by who is reported.
const (
	maxDescription = 1000
	maxReports     = 1000
)

func description(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || !utf8.ValidString(text) || length(text) > maxDescription {
		return "", ErrDescription
	}
	return text, nil
}

// ReportMessage tells the moderators of a message that the caller may read. Once more changes
// nothing.
func (s *Service) ReportMessage(ctx context.Context, by *user.User, messageID, text string) error {
	text, err := description(text)
	if err != nil {
		return err
	}
	m, a, err := s.message(ctx, by, messageID, ErrReported)
	if err != nil {
		return err
	}
	at := s.time()
	return instead(s.store.AddReport(ctx, &Report{
		ID: random.IDOf("message", m.ID, by.ID), Description: text, TS: at, UpdatedAt: at, ReportedBy: ref(by),
		Message: &ReportedMessage{ID: m.ID, RoomID: m.RoomID, Text: m.Text, TS: m.TS, User: m.User},
		Room:    &ReportedRoom{ID: a.room.ID, Type: a.room.Type, Name: a.room.Name, FName: a.room.FName},
	}), dberr.Duplicate, nil)
}

// ReportUser tells the moderators of a user.
func (s *Service) ReportUser(ctx context.Context, by *user.User, userID, text string) error {
	text, err := description(text)
	if err != nil {
		return err
	}
	if userID == "" {
		return ErrInvalidUser
	}
	u, err := s.store.UserByID(ctx, userID)
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidUser)
	}
	at, who := s.time(), ref(u)
	return instead(s.store.AddReport(ctx, &Report{ID: random.IDOf("user", u.ID, by.ID), Description: text, TS: at, UpdatedAt: at, ReportedBy: ref(by),
		ReportedUser: &who}), dberr.Duplicate, nil)
}

// Reports pages through what q selects, for moderators.
func (s *Service) Reports(ctx context.Context, by *user.User, q ReportQuery) ([]*Report, int, error) {
	if !permission.Has(by, permission.ViewModeration) {
		return nil, 0, fault.NotAuthorized
	}
	q.Offset = max(q.Offset, 0)
	return s.store.ListReports(ctx, q)
}

// Report finds one, for moderators.
func (s *Service) Report(ctx context.Context, by *user.User, id string) (*Report, error) {
	if !permission.Has(by, permission.ViewModeration) {
		return nil, fault.NotAuthorized
	}
	if id == "" {
		return nil, ErrReport
	}
	r, err := s.store.ReportByID(ctx, id)
	return r, instead(err, dberr.NotFound, ErrReport)
}

// ReportedUser is who was reported, how often, and where.
type ReportedUser struct {
	User  Ref
	Gone  bool // the account is no more
	Count int
	Last  *Report
	Rooms []*ReportedRoom
}

// ReportsByUser puts the newest thousand reports together by who is reported, for moderators;
// total counts these people.
func (s *Service) ReportsByUser(ctx context.Context, by *user.User, q ReportQuery) (page []*ReportedUser, total int, err error) {
	offset, count := max(q.Offset, 0), max(q.Count, 0)
	q.Offset, q.Count = 0, maxReports
	list, _, err := s.Reports(ctx, by, q)
	if err != nil {
		return nil, 0, err
	}
	of := map[string]*ReportedUser{}
	var all []*ReportedUser
	for _, r := range list {
		who := r.About()
		u := of[who.ID]
		if u == nil {
			u = &ReportedUser{User: who, Last: r}
			of[who.ID], all = u, append(all, u)
		}
		u.Count++
		if r.Room != nil && !slices.ContainsFunc(u.Rooms, func(x *ReportedRoom) bool { return x.ID == r.Room.ID }) {
			u.Rooms = append(u.Rooms, r.Room)
		}
	}
	total = len(all)
	page = all[min(offset, total):]
	page = page[:min(count, len(page))]
	ids := make([]string, len(page))
	for i, u := range page {
		ids[i] = u.User.ID
	}
	if len(ids) == 0 {
		return nil, total, nil
	}
	there, err := s.store.UsersByIDs(ctx, ids)
	for _, u := range page {
		i := slices.IndexFunc(there, func(x *user.User) bool { return x.ID == u.User.ID })
		if u.Gone = i < 0; !u.Gone {
			u.User = ref(there[i])
		}
	}
	return page, total, err
}

// Dismiss deals with reports of a message, or of a user and what he wrote, for moderators.
func (s *Service) Dismiss(ctx context.Context, by *user.User, q ReportQuery, action, reason string) error {
	switch {
	case !permission.Has(by, permission.ViewModeration):
		return fault.NotAuthorized
	case q.MessageID == "" && q.UserID == "":
		return ErrNothingToHide
	case length(action)+length(reason) > maxDescription || !utf8.ValidString(action+reason):
		return ErrDescription
	}
	return s.store.HideReports(ctx, q, Moderation{ModeratedBy: by.ID, HiddenAt: s.time(), Action: cmp.Or(action, "None"), Reason: reason})
}

// Doc is the report as moderators see it.
func (r *Report) Doc() ejson.Doc {
	d := ejson.Doc{{Key: "_id", Value: r.ID}, {Key: "description", Value: r.Description}, {Key: "ts", Value: r.TS}, {Key: "reportedBy", Value: r.ReportedBy.Doc()}}
	if m := r.Message; m != nil {
		d = append(d, ejson.Field{Key: "message", Value: ejson.Doc{{Key: "_id", Value: m.ID}, {Key: "rid", Value: m.RoomID}, {Key: "msg", Value: m.Text},
			{Key: "ts", Value: m.TS}, {Key: "u", Value: m.User.Doc()}}})
	}
	if r.Room != nil {
		d = append(d, ejson.Field{Key: "room", Value: r.Room.Doc()})
	}
	if r.ReportedUser != nil {
		d = append(d, ejson.Field{Key: "reportedUser", Value: r.ReportedUser.Doc()})
	}
	if m := r.Moderation; m != nil {
		d = append(d, ejson.Field{Key: "_hidden", Value: r.Hidden}, ejson.Field{Key: "moderationInfo", Value: ejson.Doc{
			{Key: "moderatedBy", Value: m.ModeratedBy}, {Key: "hiddenAt", Value: m.HiddenAt}, {Key: "action", Value: m.Action}, {Key: "reason", Value: m.Reason}}})
	}
	return append(d, ejson.Field{Key: "_updatedAt", Value: r.UpdatedAt})
}

// Doc is the room of a report.
func (r *ReportedRoom) Doc() ejson.Doc {
	return text(text(ejson.Doc{{Key: "_id", Value: r.ID}, {Key: "t", Value: r.Type}}, "name", r.Name), "fname", r.FName)
}
