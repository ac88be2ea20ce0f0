package sqlite

import (
	"context"
	"errors"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms"
	"ddpserver/internal/store/document"
	"ddpserver/internal/store/sqlite"
)

// invites came later than rooms.
var invites = sqlite.Schema{Name: "invites", Steps: []string{`
CREATE TABLE invites (
	id     TEXT NOT NULL UNIQUE,
	rid    TEXT NOT NULL,
	digest TEXT NOT NULL UNIQUE,
	doc    BLOB NOT NULL
);
CREATE INDEX invites_room ON invites (rid);
`}}

// changeInvite changes one invite; NotFound when there is none.
func changeInvite(t *sqlite.Tx, id string, do func(*rooms.Invite) error) error {
	var raw []byte
	if err := t.Row(`SELECT doc FROM invites WHERE id = ?`, []any{id}, &raw); err != nil {
		return err
	}
	i, err := decoded[rooms.Invite](raw)
	if err != nil {
		return err
	}
	if err := do(i); err != nil {
		return err
	}
	next, err := document.Encode(i)
	if err != nil {
		return err
	}
	return t.Exec(`UPDATE invites SET digest = ?, doc = ? WHERE id = ?`, i.Digest, []byte(next), id)
}

// PutInvite implements rooms.InviteStore.
func (s *Store) PutInvite(ctx context.Context, i *rooms.Invite) (there *rooms.Invite, err error) {
	err = s.Update(ctx, func(t *sqlite.Tx) error {
		there = i
		err := changeInvite(t, i.ID, func(old *rooms.Invite) error {
			if old.Usable(i.CreatedAt) {
				there = old
				return nil
			}
			*old = *i
			return nil
		})
		if !errors.Is(err, dberr.NotFound) {
			return err
		}
		raw, err := document.Encode(i)
		if err != nil {
			return err
		}
		return t.Exec(`INSERT INTO invites (id, rid, digest, doc) VALUES (?, ?, ?, ?)`, i.ID, i.RoomID, i.Digest, []byte(raw))
	})
	if err != nil {
		return nil, err
	}
	return there, nil
}

// InviteByID implements rooms.InviteStore.
func (s *Store) InviteByID(ctx context.Context, id string) (*rooms.Invite, error) {
	return one[rooms.Invite](ctx, s, `SELECT doc FROM invites WHERE id = ?`, id)
}

// InviteByDigest implements rooms.InviteStore.
func (s *Store) InviteByDigest(ctx context.Context, digests []string) (*rooms.Invite, error) {
	if len(digests) == 0 {
		return nil, dberr.NotFound
	}
	args := make([]any, len(digests))
	for i, d := range digests {
		args[i] = d
	}
	return one[rooms.Invite](ctx, s, `SELECT doc FROM invites WHERE digest IN (?`+strings.Repeat(`, ?`, len(digests)-1)+`) LIMIT 1`, args...)
}

// UseInvite implements rooms.InviteStore.
func (s *Store) UseInvite(ctx context.Context, id, seed string, at time.Time) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		return changeInvite(t, id, func(i *rooms.Invite) error {
			if i.Seed != seed || !i.Usable(at) {
				return dberr.Conflict
			}
			i.Uses++
			i.UpdatedAt = at
			return nil
		})
	})
}

// UnuseInvite implements rooms.InviteStore.
func (s *Store) UnuseInvite(ctx context.Context, id, seed string, at time.Time) error {
	err := s.Update(ctx, func(t *sqlite.Tx) error {
		return changeInvite(t, id, func(i *rooms.Invite) error {
			if i.Seed != seed || i.Uses == 0 {
				return dberr.Conflict
			}
			i.Uses--
			i.UpdatedAt = at
			return nil
		})
	})
	return ignore(ignore(err, dberr.Conflict), dberr.NotFound)
}

// RemoveInvite implements rooms.InviteStore.
func (s *Store) RemoveInvite(ctx context.Context, id string) error {
	return s.Update(ctx, func(t *sqlite.Tx) error {
		var there int
		if err := t.Row(`SELECT 1 FROM invites WHERE id = ?`, []any{id}, &there); err != nil {
			return err
		}
		return t.Exec(`DELETE FROM invites WHERE id = ?`, id)
	})
}

// ListInvites implements rooms.InviteStore.
func (s *Store) ListInvites(ctx context.Context, offset, count int) (page []*rooms.Invite, total int, err error) {
	if total, err = s.number(ctx, `SELECT count(*) FROM invites`); err != nil || count <= 0 {
		return nil, total, err
	}
	page, err = many[rooms.Invite](ctx, s, `SELECT doc FROM invites ORDER BY id LIMIT ? OFFSET ?`, count, offset)
	return page, total, err
}
