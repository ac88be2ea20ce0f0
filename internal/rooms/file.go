package rooms

import (
	"context"
	"strings"
	"time"
)

// FileState is how far a file is. It goes from one state to a later one only.
type FileState string

// The states of a file.
const (
	// FileUploading: bytes arrive. What is not touched for a while belongs to nobody.
	FileUploading FileState = "uploading"
	// FileWaiting: it is there as a whole, and no message has it yet.
	FileWaiting FileState = "waiting"
	// FileAttached: a message, an account or a room has it.
	FileAttached FileState = "attached"
	// FileGone: nobody sees it any more; its bytes are being removed.
	FileGone FileState = "gone"
)

// OwnFiles is File.Store of the files whose bytes this program keeps. Those that an
// adopted database names besides are of another program's.
const OwnFiles = "ddpserver:Uploads"

// File is what is known of an uploaded file (collection "rocketchat_uploads"). Its
// document is there before its first byte and until after its last, so that no bytes are
// without one.
type File struct {
	ID string `bson:"_id"`
	// Name is what its uploader calls it: any text, and no path.
	Name string `bson:"name"`
	// Size is in bytes; while they arrive, the most that there may be.
	Size int64 `bson:"size"`
	// Type is the media type, as the server found it in the bytes; Group is its first half.
	Type      string `bson:"type,omitempty"`
	Group     string `bson:"typeGroup,omitempty"`
	Extension string `bson:"extension,omitempty"`
	// RoomID is the room that it was sent to.
	RoomID string `bson:"rid,omitempty"`
	UserID string `bson:"userId"`
	User   *Ref   `bson:"user,omitempty"`
	// Description is what the uploader wrote below it.
	Description string    `bson:"description,omitempty"`
	Identify    *Identify `bson:"identify,omitempty"`
	// Preview is a tiny JPEG of a picture, in base64.
	Preview    string    `bson:"ddpPreview,omitempty"`
	ETag       string    `bson:"etag,omitempty"`
	Path       string    `bson:"path,omitempty"`
	UploadedAt time.Time `bson:"uploadedAt"`
	UpdatedAt  time.Time `bson:"_updatedAt"`
	// Complete and Uploading are Rocket.Chat's words for the state.
	Complete  bool   `bson:"complete"`
	Uploading bool   `bson:"uploading"`
	Store     string `bson:"store"`
	// State is how far it is, "" in documents of another program.
	State FileState `bson:"ddpState,omitempty"`
	// MessageID is the message that has it, from FileAttached on.
	MessageID string `bson:"ddpMessage,omitempty"`
	// OfUser or OfRoom is the account or the room whose picture it is, without a RoomID: from
	// FileAttached on, as long as that names it (avatarETag).
	OfUser string `bson:"ddpOfUser,omitempty"`
	OfRoom string `bson:"ddpOfRoom,omitempty"`
}

// Identify is what a picture's first bytes say of it.
type Identify struct {
	Format string     `bson:"format"`
	Size   Dimensions `bson:"size"`
}

// Dimensions are in pixels; other programs may have written any number.
type Dimensions struct {
	Width  float64 `bson:"width"`
	Height float64 `bson:"height"`
}

// End puts the file into FileGone.
func (f *File) End(at time.Time) { f.at(FileGone, at) }

// at puts the file into a state.
func (f *File) at(s FileState, now time.Time) {
	f.State, f.UpdatedAt = s, now
	f.Uploading, f.Complete = s == FileUploading, s == FileWaiting || s == FileAttached
}

// FileQuery selects the files that messages of a room have, the newest first.
type FileQuery struct {
	RoomID string
	// Name keeps those whose name contains it, in any case of its letters.
	Name string
	// Group and UserID keep those of one kind and of one user.
	Group, UserID string
	Offset, Limit int
}

// Keeps tells whether the query selects the file.
func (q *FileQuery) Keeps(f *File) bool {
	return f.State == FileAttached && f.RoomID == q.RoomID && (q.Group == "" || f.Group == q.Group) && (q.UserID == "" || f.UserID == q.UserID) &&
		(q.Name == "" || strings.Contains(strings.ToLower(f.Name), strings.ToLower(q.Name)))
}

// FileStore keeps what is known of files.
type FileStore interface {
	// AddFile inserts a file: Duplicate when its id is taken.
	AddFile(ctx context.Context, f *File) error
	// FileByID finds a file of this program's in any state.
	FileByID(ctx context.Context, id string) (*File, error)
	// SetFile replaces a file that is in the state from: Conflict when it is in another
	// one, NotFound when it is not there.
	SetFile(ctx context.Context, f *File, from FileState) error
	// TouchFile notes that bytes of a file arrive: Conflict unless it is FileUploading.
	TouchFile(ctx context.Context, id string, at time.Time) error
	// EndFile puts a file into FileGone whatever it was in, and returns it.
	EndFile(ctx context.Context, id string, at time.Time) (*File, error)
	// RemoveFile forgets a file that is FileGone: Conflict when it is not.
	RemoveFile(ctx context.Context, id string) error
	// FilesSize is what the files of a user take together, in any state.
	FilesSize(ctx context.Context, userID string) (int64, error)
	// ListFiles pages through files; total counts all that q selects.
	ListFiles(ctx context.Context, q FileQuery) (page []*File, total int, err error)
	// StaleFiles are files in a state that were not touched since before, the oldest first.
	StaleFiles(ctx context.Context, in FileState, before time.Time, limit int) ([]*File, error)
	// FilesAfter walks over attached files by id: those behind id, in order.
	FilesAfter(ctx context.Context, id string, limit int) ([]*File, error)
}
