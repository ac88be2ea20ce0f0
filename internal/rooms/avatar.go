package rooms

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/random"
	"ddpserver/internal/rooms/blob"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

const (
	// avatarSide is the side of the square that a picture of an account or a room becomes.
	avatarSide = 200
	// maxAvatarText is the longest picture inside of a call, as a text.
	maxAvatarText = 1 << 20
)

// Uploaded is the origin of a picture that was sent to this server, as Rocket.Chat calls it.
const Uploaded = "upload"

// Refusals about pictures.
var (
	ErrAvatars      = fault.New("error-not-allowed", "Changing pictures is not allowed")
	ErrAvatarData   = fault.New("error-invalid-avatar", "The picture must be a data: URL with base64 in it")
	ErrAvatarFile   = fault.New("error-invalid-file-type", "A picture is a PNG, a JPEG or a GIF of no more than a few million pixels")
	ErrAvatarSource = fault.New("error-avatar-invalid-url", "This server fetches no pictures from elsewhere; send the picture itself")
)

// Portrait is what is shown for an account or a room: the picture, or the letters of Name
// where there is none that the caller may see.
type Portrait struct {
	Name    string
	Picture *File
}

// Portrait is that of an account. Who may see no pictures, and who asks for an account that
// there is not, gets a Name that he knows, so that the two are the same. by is nil for
// whoever is not logged in.
func (s *Service) Portrait(ctx context.Context, by *user.User, username string) (Portrait, error) {
	return s.portrait(ctx, by, username, func() (*user.User, error) { return s.store.UserByUsername(ctx, user.Key(username)) })
}

// PortraitByID is Portrait for an account by its id.
func (s *Service) PortraitByID(ctx context.Context, by *user.User, userID string) (Portrait, error) {
	return s.portrait(ctx, by, userID, func() (*user.User, error) { return s.store.UserByID(ctx, userID) })
}

func (s *Service) portrait(ctx context.Context, by *user.User, name string, find func() (*user.User, error)) (Portrait, error) {
	p := Portrait{Name: name}
	in := by != nil && by.IsActive()
	if name == "" || !in && s.set.Bool(settings.AvatarsClosed) {
		return p, nil
	}
	u, err := find()
	if err != nil {
		return p, instead(err, dberr.NotFound, nil)
	}
	if in && u.Username != "" {
		p.Name = u.Username
	}
	p.Picture, err = s.pictureOf(ctx, u.AvatarETag, &File{OfUser: u.ID})
	return p, err
}

// RoomPortrait is the portrait of a room, for whoever may know of it: its members, and
// everybody who is logged in where it is a channel.
func (s *Service) RoomPortrait(ctx context.Context, by *user.User, roomID string) (Portrait, error) {
	p := Portrait{Name: roomID}
	if by == nil || !by.IsActive() {
		return p, nil
	}
	a, err := s.seat(ctx, by, roomID)
	if err != nil {
		return p, instead(err, dberr.NotFound, nil)
	}
	if a.sub == nil && a.room.Type != Channel {
		return p, nil
	}
	if a.room.Name != "" {
		p.Name = a.room.Name
	}
	p.Picture, err = s.pictureOf(ctx, a.room.AvatarETag, &File{OfRoom: a.room.ID})
	return p, err
}

// pictureOf is the picture that the owner of, an account or a room, names; nil when there is
// none: another program's names none of ours.
func (s *Service) pictureOf(ctx context.Context, id string, of *File) (*File, error) {
	if id == "" || s.blobs == nil || !usableID(id) {
		return nil, nil
	}
	f, err := s.store.FileByID(ctx, id)
	if err != nil || f.State != FileAttached || f.OfUser != of.OfUser || f.OfRoom != of.OfRoom {
		return nil, instead(err, dberr.NotFound, nil)
	}
	return f, nil
}

// OpenPicture opens the bytes of a portrait's picture. The caller closes them.
func (s *Service) OpenPicture(ctx context.Context, f *File) (blob.Reader, error) {
	bytes, err := s.blobs.Open(ctx, f.ID)
	return bytes, instead(err, dberr.NotFound, ErrFileAccess)
}

// MayChangeAvatar refuses who may not change the picture of the account.
func (s *Service) MayChangeAvatar(by *user.User, userID string) error {
	if by.ID == userID && s.set.Bool(settings.AllowAvatarChange) || permission.Has(by, permission.EditOtherUserAvatar) {
		return nil
	}
	return ErrAvatars
}

// AvatarByOffice tells whether a role of the server alone lets the caller change it.
func (s *Service) AvatarByOffice(by *user.User, userID string) bool {
	return by.ID != userID || !s.set.Bool(settings.AllowAvatarChange)
}

// BeginAvatar begins to take a picture in, for whoever SetAvatar is called with.
func (s *Service) BeginAvatar(ctx context.Context, by *user.User) (*Upload, error) {
	switch {
	case !s.set.Bool(settings.AllowAvatarChange) && !permission.Has(by, permission.EditOtherUserAvatar):
		return nil, ErrAvatars
	case s.blobs == nil:
		return nil, ErrFilesOff
	}
	return s.beginPicture(ctx, by, &File{OfUser: by.ID})
}

// beginPicture takes what comes as a draft alone: no document says that it is there before it
// is known whose it becomes, and how small.
func (s *Service) beginPicture(ctx context.Context, by *user.User, f *File) (u *Upload, err error) {
	if !s.uploads.begin(by.ID) {
		return nil, ErrUploadsAtOnce
	}
	f.ID, f.Name = random.ID(), "avatar"
	u = &Upload{svc: s, ctx: ctx, by: by, file: f, most: min(int64(s.set.Int(settings.FileMaxSize)), pictureBytes)}
	if u.draft, err = s.blobs.Create(f.ID); err != nil {
		u.Close()
		return nil, err
	}
	return u, nil
}

// SetAvatar makes what came the picture of an account.
func (u *Upload) SetAvatar(of *user.User) error {
	s := u.svc
	if err := s.MayChangeAvatar(u.by, of.ID); err != nil {
		return err
	}
	u.file.OfUser = of.ID
	if err := u.shrink(); err != nil {
		return err
	}
	return s.setAvatar(u.ctx, of.ID, u.file.ID, Uploaded)
}

// shrink replaces what came by a small square of it, of which this server has written every
// byte, and keeps that. What hides in a picture (where it was taken, what else it is) is gone.
func (u *Upload) shrink() error {
	f := u.file
	if u.draft.Size() == 0 {
		return ErrFileEmpty
	}
	small := scaled(u.draft, u.draft.Size(), avatarSide, true)
	if small == nil {
		return ErrAvatarFile
	}
	var out bytes.Buffer
	var err error
	if f.Type, f.Extension = "image/jpeg", "jpg"; small.Opaque() {
		err = jpeg.Encode(&out, small, &jpeg.Options{Quality: 85})
	} else {
		f.Type, f.Extension = "image/png", "png"
		err = png.Encode(&out, small)
	}
	if err != nil {
		return err
	}
	f.Group, f.Size, f.ETag = "image", int64(out.Len()), f.ID
	if err := u.svc.addFile(u.ctx, u.by, f); err != nil {
		return err
	}
	u.draft.Discard()
	if u.draft, err = u.svc.blobs.Create(f.ID); err != nil {
		return err
	}
	if _, err := u.draft.Write(out.Bytes()); err != nil {
		return err
	}
	if err := u.draft.Commit(u.ctx); err != nil {
		return err
	}
	return u.become(FileAttached)
}

// setAvatar has an account name a picture, "" for none, and tells everybody. The picture of
// before is nobody's then.
func (s *Service) setAvatar(ctx context.Context, userID, id, origin string) error {
	was, err := s.store.UserByID(ctx, userID)
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidUser)
	}
	c := user.Change{AvatarETag: &id, AvatarOrigin: &origin, At: s.time()}
	u, err := s.store.UpdateUser(ctx, userID, c)
	if err != nil {
		return instead(err, dberr.NotFound, ErrInvalidUser)
	}
	s.dropPicture(ctx, was.AvatarETag, id, &File{OfUser: userID})
	user.Changed.Publish(s.feed, u.ID, user.News{Fields: c.Fields()})
	return s.tellAvatar("username", u.Username, id)
}

// tellAvatar tells everybody who is logged in that the picture of an account or a channel is
// another one.
func (s *Service) tellAvatar(kind, name, id string) error {
	d := ejson.Doc{{Key: kind, Value: name}, {Key: "etag", Value: id}}
	if id == "" {
		d[1].Value = nil
	}
	return s.stream(NotifyLogged, "updateAvatar", d)
}

// dropPicture removes the picture that another took the place of. What cannot be removed now,
// and what was there of another program, is left to the walk, and to that program.
func (s *Service) dropPicture(ctx context.Context, was, now string, of *File) {
	if was == now {
		return
	}
	if f, err := s.pictureOf(ctx, was, of); err == nil && f != nil {
		s.drop(context.WithoutCancel(ctx), f.ID)
	}
}

// SetAvatarData makes a data: URL the picture of an account.
func (s *Service) SetAvatarData(ctx context.Context, by, of *user.User, data string) error {
	up, err := s.BeginAvatar(ctx, by)
	if err != nil {
		return err
	}
	defer up.Close()
	if err := up.takeData(data); err != nil {
		return err
	}
	return up.SetAvatar(of)
}

// takeData takes a picture that stands in a text.
func (u *Upload) takeData(text string) error {
	data, err := avatarData(text)
	if err == nil {
		_, err = io.Copy(u, data)
	}
	var corrupt base64.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrAvatarData
	}
	return err
}

// avatarData is the bytes in a data: URL. What that says of their type counts for nothing.
func avatarData(text string) (io.Reader, error) {
	if strings.HasPrefix(text, "http:") || strings.HasPrefix(text, "https:") {
		return nil, ErrAvatarSource
	}
	head, data, ok := strings.Cut(text, ",")
	if !ok || !strings.HasPrefix(head, "data:") || !strings.HasSuffix(head, ";base64") || len(text) > maxAvatarText {
		return nil, ErrAvatarData
	}
	return base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)), nil
}

// ResetAvatar takes the picture of an account away.
func (s *Service) ResetAvatar(ctx context.Context, by *user.User, userID string) error {
	if err := s.MayChangeAvatar(by, userID); err != nil {
		return err
	}
	return s.setAvatar(ctx, userID, "", "none")
}

// roomPicture keeps a data: URL as a picture for a room, and gives its name; "" is none. It is
// the room's once the room names it, and else the walk finds it.
func (s *Service) roomPicture(ctx context.Context, by *user.User, roomID, data string) (id string, err error) {
	if data == "" {
		return "", nil
	}
	if s.blobs == nil {
		return "", ErrFilesOff
	}
	up, err := s.beginPicture(ctx, by, &File{OfRoom: roomID})
	if err != nil {
		return "", err
	}
	defer up.Close()
	if err := up.takeData(data); err != nil {
		return "", err
	}
	return up.file.ID, up.shrink()
}

// names tells whether the account or the room that a picture is of still names it.
func (s *Service) names(ctx context.Context, f *File) (bool, error) {
	var id string
	var err error
	if f.OfUser != "" {
		var u *user.User
		if u, err = s.store.UserByID(ctx, f.OfUser); err == nil {
			id = u.AvatarETag
		}
	} else {
		var r *Room
		if r, err = s.store.RoomByID(ctx, f.OfRoom); err == nil {
			id = r.AvatarETag
		}
	}
	return err == nil && id == f.ID, instead(err, dberr.NotFound, nil)
}
