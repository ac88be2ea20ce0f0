package app

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"ddpserver/internal/adopt"
	"ddpserver/internal/config"
	"ddpserver/internal/store/mongo"
)

// CheckAdoption tells what a server would make of the database of the configuration.
// It changes nothing.
func CheckAdoption(ctx context.Context, c *config.Config) (r *adopt.Report, err error) {
	url := c.MongoURL.Reveal()
	if url == "" {
		return nil, errors.New("MONGO_URL: name the database to look at; the embedded store adopts none")
	}
	survey, done, err := mongo.Look(ctx, url)
	if err != nil {
		return nil, explainMongo(c, err)
	}
	defer func() { err = errors.Join(err, done()) }()
	if r, err = adopt.Look(ctx, survey); err != nil {
		return nil, explainMongo(c, err)
	}
	return r, nil
}

// tellAdoption logs the report of the first start on a database, once for all nodes
// and for ever. A database in which nobody has an account needs no report.
func (a *App) tellAdoption(ctx context.Context) error {
	st, ok := a.store.(*mongo.Store)
	if !ok {
		return nil
	}
	first, err := st.ClaimAdoption(ctx)
	if err != nil {
		return explainMongo(a.cfg, err)
	}
	if !first {
		return nil
	}
	r, err := adopt.Look(ctx, st.Survey())
	if err != nil {
		return explainMongo(a.cfg, err)
	}
	if r.Accounts == 0 {
		return nil
	}
	a.log.Info("adopted", zap.Int("accounts", r.Accounts), zap.Int("rooms", r.Rooms),
		zap.String("hint", "ddpserver adopt --check prints what follows at any time"))
	for _, l := range r.Lines {
		level := zap.InfoLevel
		if l.Verdict != adopt.Honoured {
			level = zap.WarnLevel
		}
		a.log.Log(level, "adopted", zap.String("verdict", string(l.Verdict)), zap.Int("count", l.Count), zap.String("what", l.What))
	}
	return nil
}
