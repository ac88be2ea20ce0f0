package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"ddpserver/internal/accounts"
	"ddpserver/internal/dberr"
	"ddpserver/internal/mail"
	"ddpserver/internal/store/document"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// documents is a table whose documents have the type T and are changed one at a
// time, each by a function on its value (change).
type documents[T any] struct {
	// read is the statement that reads a document by its id.
	read string
	// empty makes the value that is changed when there is no document with that id;
	// nil means that change fails with dberr.NotFound.
	empty func(id string) *T
	// write stores the new value and what is derived from it.
	write func(t *Tx, v *T) error
}

// change runs do on the document with that id and stores what it made of it,
// unless do fails. It is for documents that nobody but this program writes.
func change[T any](t *Tx, d *documents[T], id string, do func(*T) error) error {
	var raw []byte
	err := t.Row(d.read, []any{id}, &raw)
	v := new(T)
	switch {
	case err == nil:
		err = document.Decode(raw, v)
	case errors.Is(err, dberr.NotFound) && d.empty != nil:
		v, err = d.empty(id), nil
	}
	if err == nil {
		err = do(v)
	}
	if err == nil {
		err = d.write(t, v)
	}
	return err
}

// read reads a document, the empty one where there is none.
func read[T any](ctx context.Context, s *Store, d *documents[T], id string) (v T, err error) {
	raw, err := s.document(ctx, d.read, id)
	if errors.Is(err, dberr.NotFound) {
		return *d.empty(id), nil
	}
	if err == nil {
		err = document.Decode(raw, &v)
	}
	return v, err
}

// ChangeUser implements rule.Engine.
func (s *Store) ChangeUser(ctx context.Context, id string, do func(*user.User) error) (u *user.User, err error) {
	err = s.Update(ctx, func(t *Tx) (err error) {
		u, err = t.changeUser(id, do)
		return err
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// ChangeGuard implements rule.Engine.
func (s *Store) ChangeGuard(ctx context.Context, userID string, do func(*twofactor.Guard) error) error {
	return s.Update(ctx, func(t *Tx) error { return change(t, &guards, userID, do) })
}

// ChangeTries implements rule.Engine.
func (s *Store) ChangeTries(ctx context.Context, key string, do func(*accounts.Tries) error) error {
	return s.Update(ctx, func(t *Tx) error { return change(t, &tries, key, do) })
}

// ChangeMail implements rule.Engine.
func (s *Store) ChangeMail(ctx context.Context, id string, do func(*mail.Item) error) error {
	return s.Update(ctx, func(t *Tx) error { return change(t, &outbox, id, do) })
}

// aging stores a document in a table of those that are forgotten some day; at the
// zero time, never.
func (t *Tx) aging(text, id string, forget time.Time, v any) error {
	raw, err := document.Encode(v)
	if err != nil {
		return err
	}
	return t.Exec(text, id, sql.NullInt64{Int64: forget.UnixMilli(), Valid: !forget.IsZero()}, []byte(raw))
}
