package rooms

import (
	"context"
	"errors"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/random"
	"ddpserver/internal/rooms/blob"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

const (
	// maxFileName is the longest name of a file, in bytes; the rest of one is cut.
	maxFileName = 255
	// touchEvery is how often an upload says that it goes on.
	touchEvery = time.Minute
	// maxUploads is how many files one user uploads to one node at once.
	maxUploads = 10
	// uploadLife is how long an upload that says nothing is taken for alive, fileLife how
	// long a file waits for its message.
	uploadLife = 5 * time.Minute
	fileLife   = 24 * time.Hour
)

// Refusals about files, with Rocket.Chat's names where it has them.
var (
	ErrFilesOff      = fault.New("error-file-upload-disabled", "File upload is disabled")
	ErrFilesDirect   = fault.New("error-direct-message-file-upload-not-allowed", "File sharing not allowed in direct messages")
	ErrFileTooLarge  = fault.New("error-file-too-large", "The file exceeds the allowed size")
	ErrFileType      = fault.New("error-invalid-file-type", "This type of file is not accepted")
	ErrFileQuota     = fault.New("error-file-quota-exceeded", "Your files take all the room that one user has; delete some")
	ErrFileEmpty     = fault.New("error-invalid-file", "The file is empty")
	ErrInvalidFile   = fault.New("invalid-file", "There is no such file")
	ErrUploadsAtOnce = fault.New("error-too-many-uploads", "Too many files at once; wait until one is there")
	// ErrFileAccess answers whoever may not read a file, whether there is one or not.
	ErrFileAccess = fault.New("error-unauthorized", "You may not read this file, or there is none")
	ErrUploadLost = fault.New("error-upload-lost", "The upload took too long; send the file again")
)

// uploads counts those under way, by user.
type uploads struct {
	mu sync.Mutex
	of map[string]int
}

func (u *uploads) begin(userID string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of == nil {
		u.of = map[string]int{}
	}
	if u.of[userID] >= maxUploads {
		return false
	}
	u.of[userID]++
	return true
}

func (u *uploads) end(userID string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of[userID]--; u.of[userID] == 0 {
		delete(u.of, userID)
	}
}

// Upload is a file on its way in. It belongs to one goroutine, which calls Keep or Send at
// the end, and Close in any case.
type Upload struct {
	svc     *Service
	ctx     context.Context
	by      *user.User
	file    *File
	draft   *blob.Draft
	most    int64
	head    []byte
	touched time.Time
	kept    bool
	closed  bool
}

// BeginUpload begins to take a file for a room that the caller may write in. announced is
// the most that will come, as the client says, or negative: what a user's files may take
// together is asked for that much before the first byte.
func (s *Service) BeginUpload(ctx context.Context, by *user.User, roomID, name string, announced int64) (*Upload, error) {
	if err := s.MayUpload(ctx, by, roomID); err != nil {
		return nil, err
	}
	most := int64(s.set.Int(settings.FileMaxSize))
	return s.begin(ctx, by, &File{RoomID: roomID, Name: fileName(name)}, most, announced)
}

// MayUpload refuses what needs no byte of the file: who may not write in the room.
func (s *Service) MayUpload(ctx context.Context, by *user.User, roomID string) error {
	if s.blobs == nil || !s.set.Bool(settings.FilesEnabled) {
		return ErrFilesOff
	}
	a, err := s.member(ctx, by, roomID, ErrInvalidRoom, fault.NotAllowed)
	if err != nil {
		return err
	}
	if a.room.Type == Direct && !s.set.Bool(settings.FilesDirect) {
		return ErrFilesDirect
	}
	return writable(a)
}

// begin puts the document of a file before its bytes.
func (s *Service) begin(ctx context.Context, by *user.User, f *File, most, announced int64) (_ *Upload, err error) {
	f.ID, f.Size = random.ID(), most
	if announced >= 0 {
		f.Size = min(most, announced)
	}
	if !s.uploads.begin(by.ID) {
		return nil, ErrUploadsAtOnce
	}
	u := &Upload{svc: s, ctx: ctx, by: by, file: f, most: most, touched: s.time()}
	defer func() {
		if err != nil {
			u.Close()
		}
	}()
	if err := s.addFile(ctx, by, f); err != nil {
		return nil, err
	}
	if u.draft, err = s.blobs.Create(f.ID); err != nil {
		return nil, err
	}
	return u, nil
}

// addFile makes the document of a file. What the user's files take is counted with this one,
// and compared then: of two that do not fit together none slips through.
func (s *Service) addFile(ctx context.Context, by *user.User, f *File) error {
	at, who := s.time(), ref(by)
	f.UserID, f.User, f.Store, f.UploadedAt = by.ID, &who, OwnFiles, at
	f.at(FileUploading, at)
	if err := s.store.AddFile(ctx, f); err != nil {
		return err
	}
	quota := int64(s.set.Int(settings.FilesPerUser)) << 20
	if quota <= 0 {
		return nil
	}
	size, err := s.store.FilesSize(ctx, by.ID)
	if err == nil && size > quota {
		err = ErrFileQuota
	}
	return err
}

// Write takes bytes of the file. More than may come is refused as soon as it does.
func (u *Upload) Write(p []byte) (int, error) {
	if u.draft.Size()+int64(len(p)) > u.most {
		return 0, ErrFileTooLarge
	}
	if n := sniffed - len(u.head); n > 0 {
		u.head = append(u.head, p[:min(n, len(p))]...)
	}
	if at := u.svc.time(); u.file.State != "" && at.Sub(u.touched) >= touchEvery {
		if err := u.svc.store.TouchFile(u.ctx, u.file.ID, at); err != nil {
			return 0, lost(err)
		}
		u.touched = at
	}
	return u.draft.Write(p)
}

// lost is what became of an upload whose document somebody swept.
func lost(err error) error {
	return instead(instead(err, dberr.NotFound, ErrUploadLost), dberr.Conflict, ErrUploadLost)
}

// settle finds out what the file is, and writes its bytes for good.
func (u *Upload) settle() error {
	f, s := u.file, u.svc
	if u.draft.Size() == 0 {
		return ErrFileEmpty
	}
	f.Size, f.Type = u.draft.Size(), mediaType(u.head, f.Name)
	f.Group, _, _ = strings.Cut(f.Type, "/")
	f.Extension = strings.TrimPrefix(strings.ToLower(path.Ext(f.Name)), ".")
	if !s.takes(f.Type) {
		return ErrFileType
	}
	if f.Group == "image" {
		if f.Identify, _ = identify(u.draft, f.Size); f.Identify != nil {
			f.Preview = preview(u.draft, f.Size)
		}
	}
	f.ETag, f.Path = random.Hex(32), FilePath(f)
	// From here on the document may be swept only after uploadLife.
	if err := s.store.TouchFile(u.ctx, f.ID, s.time()); err != nil {
		return lost(err)
	}
	return u.draft.Commit(u.ctx)
}

// takes tells whether settings let files of that type in.
func (s *Service) takes(media string) bool {
	if white := s.set.String(settings.FileTypesTaken); strings.TrimSpace(white) != "" && !listed(white, media) {
		return false
	}
	return !listed(s.set.String(settings.FileTypesRefused), media)
}

// listed tells whether a list has that media type, or a star in the place of a half of it.
func listed(list, media string) bool {
	group, _, _ := strings.Cut(media, "/")
	for entry := range strings.FieldsFuncSeq(strings.ToLower(list), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' }) {
		if entry == media || entry == group+"/*" || entry == "*/*" || entry == "*" {
			return true
		}
	}
	return false
}

// Keep makes the file one that waits for its message, for a day at the most.
func (u *Upload) Keep() (*File, error) {
	if err := u.settle(); err != nil {
		return nil, err
	}
	if err := u.become(FileWaiting); err != nil {
		return nil, err
	}
	return u.file, nil
}

func (u *Upload) become(state FileState) error {
	u.file.at(state, u.svc.time())
	if err := u.svc.store.SetFile(u.ctx, u.file, FileUploading); err != nil {
		return lost(err)
	}
	u.kept = true
	return nil
}

// Send posts the message that has the file: d says what is written with it.
func (u *Upload) Send(d Draft, description string) (*Message, error) {
	if _, err := u.Keep(); err != nil {
		return nil, err
	}
	m, err := u.svc.SendFile(u.ctx, u.by, u.file.ID, d, description)
	if err != nil {
		u.kept = false
	}
	return m, err
}

// Close ends an upload; one that was not kept leaves nothing. What cannot be removed now
// is swept.
func (u *Upload) Close() {
	if u.closed {
		return
	}
	u.closed = true
	if u.draft != nil {
		u.draft.Discard()
	}
	if !u.kept && u.file.State != "" {
		u.svc.drop(context.WithoutCancel(u.ctx), u.file.ID)
	}
	u.svc.uploads.end(u.by.ID)
}

// SendFile posts a message with a file of the caller's that waits for one. A file goes
// with one message: of two at once one is refused.
func (s *Service) SendFile(ctx context.Context, by *user.User, fileID string, d Draft, description string) (*Message, error) {
	if err := s.MayUpload(ctx, by, d.RoomID); err != nil {
		return nil, err
	}
	f, err := s.store.FileByID(ctx, fileID)
	if err != nil {
		return nil, instead(err, dberr.NotFound, ErrInvalidFile)
	}
	if f.State != FileWaiting || f.UserID != by.ID || f.RoomID != d.RoomID {
		return nil, ErrInvalidFile
	}
	if length(description) > s.set.Int(settings.MessageMaxSize) || !utf8.ValidString(description) {
		return nil, ErrSize
	}
	f.Description = description
	if d.ID == "" {
		d.ID = newID()
	}
	f.MessageID = d.ID
	f.at(FileAttached, s.time())
	d.file = f
	// What refuses the message is asked before the file is its own.
	if _, err := s.check(by, &d, s.time()); err != nil {
		return nil, err
	}
	if err := s.store.SetFile(ctx, f, FileWaiting); err != nil {
		return nil, instead(instead(err, dberr.Conflict, ErrInvalidFile), dberr.NotFound, ErrInvalidFile)
	}
	m, err := s.Send(ctx, by, d)
	if err == nil {
		return m, nil
	}
	// Whether the message is there may be unknown; then it is looked for later (walk).
	if _, refused := fault.From(err); refused {
		s.drop(context.WithoutCancel(ctx), f.ID)
	}
	return nil, err
}

// FilePath is where a file is read.
func FilePath(f *File) string { return "/file-upload/" + f.ID + "/" + url.PathEscape(f.Name) }

// fileName is the name of a file as it is kept: a text without the parts of a path, and
// never one that means something in an address.
func fileName(name string) string {
	name = strings.ToValidUTF8(name, "\ufffd")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if user.Hidden(r) {
			return -1
		}
		return r
	}, name)
	if len(name) > maxFileName { // its ending says what it is
		end := path.Ext(name)
		if len(end) > 16 {
			end = ""
		}
		name = strings.ToValidUTF8(name[:maxFileName-len(end)], "") + end
	}
	if strings.Trim(name, ". ") == "" {
		return "file"
	}
	return name
}

// drop makes a file gone, and removes its bytes; what fails is done by the sweep.
func (s *Service) drop(ctx context.Context, id string) {
	_ = s.remove(ctx, id)
}

func (s *Service) remove(ctx context.Context, id string) error {
	f, err := s.store.EndFile(ctx, id, s.time())
	if errors.Is(err, dberr.NotFound) {
		return nil
	}
	if err != nil || f.Store != OwnFiles || s.blobs == nil {
		return err
	}
	if err := s.blobs.Remove(ctx, id); err != nil {
		return err
	}
	return instead(s.store.RemoveFile(ctx, id), dberr.NotFound, nil)
}
