package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/rooms"
	"ddpserver/internal/store/mongo"
)

// reportsName is Rocket.Chat's collection of what moderators are told of.
const reportsName = "rocketchat_moderation_reports"

var reportIndexes = []mongo.Index{
	{Keys: []string{"ts", "_id"}, Ours: true}, {Keys: []string{"message._id"}, Sparse: true, Ours: true},
	{Keys: []string{"message.u._id"}, Sparse: true, Ours: true}, {Keys: []string{"reportedUser._id"}, Sparse: true, Ours: true},
}

// AddReport implements rooms.ReportStore.
func (s *Store) AddReport(ctx context.Context, r *rooms.Report) error {
	return s.reports.Insert(ctx, r)
}

// ReportByID implements rooms.ReportStore.
func (s *Store) ReportByID(ctx context.Context, id string) (*rooms.Report, error) {
	return one(ctx, s.reports, byID(id), decode[rooms.Report])
}

// selectedReports is the condition of a query.
func selectedReports(q rooms.ReportQuery) bson.D {
	filter := bson.D{{Key: "_hidden", Value: bson.D{{Key: "$ne", Value: true}}}, {Key: "message", Value: bson.D{{Key: "$exists", Value: q.Messages}}}}
	if q.MessageID != "" {
		filter = append(filter, bson.E{Key: "message._id", Value: q.MessageID})
	}
	if q.UserID != "" {
		who := "reportedUser._id"
		if q.Messages {
			who = "message.u._id"
		}
		filter = append(filter, bson.E{Key: who, Value: q.UserID})
	}
	var ts bson.D
	if !q.Since.IsZero() {
		ts = append(ts, bson.E{Key: "$gte", Value: q.Since})
	}
	if !q.Until.IsZero() {
		ts = append(ts, bson.E{Key: "$lte", Value: q.Until})
	}
	if ts != nil {
		filter = append(filter, bson.E{Key: "ts", Value: ts})
	}
	return filter
}

// ListReports implements rooms.ReportStore.
func (s *Store) ListReports(ctx context.Context, q rooms.ReportQuery) (list []*rooms.Report, total int, err error) {
	filter := selectedReports(q)
	if total, err = s.reports.Count(ctx, filter); err != nil || q.Count <= 0 {
		return nil, total, err
	}
	list, err = many(ctx, s.reports, filter, decode[rooms.Report], page(q.Offset, q.Count, "-ts", "-_id"))
	return list, total, err
}

// HideReports implements rooms.ReportStore.
func (s *Store) HideReports(ctx context.Context, q rooms.ReportQuery, m rooms.Moderation) error {
	return s.reports.UpdateAll(ctx, selectedReports(q), set(bson.D{
		{Key: "_hidden", Value: true}, {Key: "moderationInfo", Value: m}, {Key: "_updatedAt", Value: m.HiddenAt},
	}))
}
