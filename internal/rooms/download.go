package rooms

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ddpserver/internal/dberr"
	"ddpserver/internal/rooms/blob"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// OpenFile opens a file for somebody who may read it: a member of the room of the message
// that has it. by is nil for whoever is not logged in. Every refusal is the same, and so is
// what there is not. The caller closes the bytes.
//
// Where the setting FileUpload_ProtectFiles is off, whoever knows the address may read it.
// Whether its message still stands is asked all the same.
func (s *Service) OpenFile(ctx context.Context, by *user.User, id string) (*File, blob.Reader, error) {
	f, err := s.readable(ctx, by, id)
	if err != nil {
		return nil, nil, err
	}
	bytes, err := s.blobs.Open(ctx, f.ID)
	if err != nil {
		return nil, nil, instead(err, dberr.NotFound, ErrFileAccess)
	}
	return f, bytes, nil
}

func (s *Service) readable(ctx context.Context, by *user.User, id string) (*File, error) {
	protected := s.set.Bool(settings.FilesProtected)
	if s.blobs == nil || !usableID(id) || id == "" || protected && (by == nil || !by.IsActive()) {
		return nil, ErrFileAccess
	}
	f, err := s.store.FileByID(ctx, id)
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrFileAccess)
	}
	switch {
	case f.RoomID == "", f.Store != OwnFiles: // of another program, or a picture of an account or a room
		return nil, ErrFileAccess
	case f.State == FileWaiting: // nobody's but its uploader's, who still must be in the room
		if by == nil || by.ID != f.UserID {
			return nil, ErrFileAccess
		}
	case f.State != FileAttached:
		return nil, ErrFileAccess
	default:
		there, err := s.has(ctx, f)
		if err != nil {
			return nil, err
		}
		if !there {
			return nil, ErrFileAccess
		}
	}
	if protected || f.State == FileWaiting {
		if _, err := s.member(ctx, by, f.RoomID, ErrFileAccess, ErrFileAccess); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// has tells whether the message of a file is there and has it, or whose picture it is.
func (s *Service) has(ctx context.Context, f *File) (bool, error) {
	if f.OfUser != "" || f.OfRoom != "" {
		return s.names(ctx, f)
	}
	m, err := s.store.MessageByID(ctx, f.MessageID)
	if errors.Is(err, dberr.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return !m.Hidden && m.RoomID == f.RoomID && slices.ContainsFunc(m.Files, func(r FileRef) bool { return r.ID == f.ID }), nil
}

// Inline tells whether a browser may show the file in a page.
func (f *File) Inline() bool { return slices.Contains(inline, f.Type) }

// Files pages through the files of a room of the caller's, the newest first.
func (s *Service) Files(ctx context.Context, by *user.User, q FileQuery) (page []*File, total int, err error) {
	if _, err := s.member(ctx, by, q.RoomID, ErrRoomNotFound, ErrNotAuthorized); err != nil {
		return nil, 0, err
	}
	return s.store.ListFiles(ctx, q)
}

// DeleteFile deletes the message that has a file, and the file with it, by the rules of
// deleting messages. A file of the caller's own that waits for its message goes alone.
func (s *Service) DeleteFile(ctx context.Context, by *user.User, id string) error {
	f, err := s.fileOf(ctx, by, id)
	if err != nil {
		return err
	}
	if f.State == FileWaiting {
		return s.remove(ctx, id)
	}
	_, err = s.Delete(ctx, by, f.MessageID)
	return err
}

// fileOf finds a file that the caller may ask to be deleted; another is not there.
func (s *Service) fileOf(ctx context.Context, by *user.User, id string) (*File, error) {
	f, err := s.store.FileByID(ctx, id)
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrInvalidFile)
	}
	if f.RoomID == "" || f.State == FileWaiting && f.UserID != by.ID || f.State != FileWaiting && f.State != FileAttached {
		return nil, ErrInvalidFile
	}
	_, err = s.member(ctx, by, f.RoomID, ErrInvalidFile, ErrInvalidFile)
	return f, err
}

// MessageOfFile is the message that has a file in a room of the caller's, "" when none has.
func (s *Service) MessageOfFile(ctx context.Context, by *user.User, id string) (string, error) {
	f, err := s.fileOf(ctx, by, id)
	if err != nil {
		return "", err
	}
	return f.MessageID, nil
}

// dropFiles removes the files of a message that is gone. They are out of everybody's reach
// with it; what cannot be removed now is found by the walk.
func (s *Service) dropFiles(ctx context.Context, m *Message) {
	for _, r := range m.Files {
		s.drop(context.WithoutCancel(ctx), r.ID)
	}
}

// attach gives a message its file, in Rocket.Chat's shape.
func (m *Message) attach(f *File) {
	r := FileRef{ID: f.ID, Name: f.Name, Type: f.Type, Size: f.Size, Group: f.Group}
	a := Attachment{
		Title: f.Name, Type: "file", Description: f.Description, TitleLink: f.Path, TitleLinkDownload: true, FileID: f.ID,
	}
	switch {
	case !f.Inline() || f.Group == "application":
		a.Format, a.Size = strings.ToUpper(f.Extension), f.Size
	case f.Group == "image":
		a.ImageURL, a.ImageType, a.ImageSize, a.ImagePreview = f.Path, f.Type, f.Size, f.Preview
		if f.Identify != nil {
			size := f.Identify.Size
			a.ImageDimensions, r.Format = &size, f.Identify.Format
		}
	case f.Group == "audio":
		a.AudioURL, a.AudioType, a.AudioSize = f.Path, f.Type, f.Size
	case f.Group == "video":
		a.VideoURL, a.VideoType, a.VideoSize = f.Path, f.Type, f.Size
	}
	m.File, m.Files = &r, []FileRef{r}
	m.Attachments = append([]Attachment{a}, m.Attachments...)
}
