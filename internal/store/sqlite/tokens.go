package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"ddpserver/internal/dberr"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/rule"
	"ddpserver/internal/user"
)

// tokens lists the keys under which a user is found, with the start of those that age.
func tokens(u *user.User) map[tokenRow]int64 {
	out := make(map[tokenRow]int64)
	add := func(kind tokenKind, token string, when time.Time) {
		if token == "" {
			return
		}
		var at int64
		if !when.IsZero() {
			at = when.UnixMilli()
		}
		out[tokenRow{kind: kind, token: token}] = at
	}
	if r := u.Services.Resume; r != nil {
		for _, t := range r.LoginTokens {
			when := t.When
			if t.IsPAT() {
				when = time.Time{}
			}
			add(loginHash, t.HashedToken, when)
			add(loginClear, t.Token, when)
		}
	}
	if p := u.Services.Password; p != nil {
		for _, r := range p.Resets() {
			add(reset, r.Token, r.When)
		}
		if p.Enroll != nil {
			add(enroll, p.Enroll.Token, p.Enroll.When)
		}
	}
	if e := u.Services.Email; e != nil {
		for _, t := range e.VerificationTokens {
			add(verification, t.Token, time.Time{})
		}
	}
	if due := u.NextReset(); !due.IsZero() {
		add(factorReset, u.ID, due)
	}
	return out
}

// TokenOwners implements accounts.Store.
func (s *Store) TokenOwners(ctx context.Context, visit func(*user.User) error) error {
	return s.QueryAll(ctx, `SELECT doc FROM users WHERE id IN (SELECT user_id FROM user_tokens WHERE kind IN (?, ?))`, func(r *sql.Rows) error {
		var raw sql.RawBytes
		if err := r.Scan(&raw); err != nil {
			return err
		}
		u, err := document.DecodeTokens(bson.Raw(raw))
		if err != nil { // it has nobody's rights
			return nil
		}
		return visit(u)
	}, int(loginHash), int(loginClear))
}

// sweepChunk is how many accounts one transaction sweeps, so that a big sweep
// does not keep others from writing.
const sweepChunk = 64

// SweepTokens implements accounts.Store. It also forgets idle guards
// and what nobody need remember of passwords.
func (s *Store) SweepTokens(ctx context.Context, sessions, resets, enrols time.Time) (owners []string, err error) {
	err = s.Update(ctx, func(t *Tx) error {
		now := s.now().UnixMilli()
		return errors.Join(t.Exec(`DELETE FROM guards WHERE forget < ?`, now), t.Exec(`DELETE FROM tries WHERE forget < ?`, now))
	})
	if err != nil {
		return nil, err
	}
	var ids []string
	err = s.QueryAll(ctx, `SELECT user_id FROM user_tokens WHERE kind IN (?, ?) AND at < ?
		UNION SELECT user_id FROM user_tokens WHERE kind = ? AND at < ?
		UNION SELECT user_id FROM user_tokens WHERE kind = ? AND at < ?`, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}, int(loginHash), int(loginClear), sessions.UnixMilli(), int(reset), resets.UnixMilli(), int(enroll), enrols.UnixMilli())
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(ids, sweepChunk) {
		var died []string
		err := s.Update(ctx, func(t *Tx) (err error) {
			died, err = t.sweep(chunk, sessions, resets, enrols)
			return err
		})
		if err != nil {
			return owners, err
		}
		owners = append(owners, died...)
	}
	return owners, nil
}

// sweep sweeps some accounts and lists those that lost a session. A broken
// account must not keep the others' tokens alive.
func (t *Tx) sweep(ids []string, sessions, resets, enrols time.Time) (owners []string, err error) {
	for _, id := range ids {
		var died bool
		_, err := t.changeUser(id, func(u *user.User) error {
			died = rule.Sweep(u, sessions, resets, enrols)
			return nil
		})
		switch {
		case errors.Is(err, document.ErrBroken), errors.Is(err, dberr.NotFound):
		case err != nil:
			return nil, err
		case died:
			owners = append(owners, id)
		}
	}
	return owners, nil
}

// DueResets implements twofactor.Store.
func (s *Store) DueResets(ctx context.Context, now time.Time, max int) (ids []string, err error) {
	err = s.QueryAll(ctx, `SELECT user_id FROM user_tokens WHERE kind = ? AND at <= ? ORDER BY at LIMIT ?`, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}, int(factorReset), now.UnixMilli(), max)
	if err != nil {
		return nil, err
	}
	return ids, nil
}
