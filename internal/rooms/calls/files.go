package calls

import (
	"context"
	"io"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/methods"
	"ddpserver/internal/permission"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
)

var (
	// uploadLimit is for people who send a folder of pictures; how many go at once, and how
	// much room they take, is bounded elsewhere.
	uploadLimit = ratelimit.Rule{Count: 60, Window: time.Minute}
	// readLimit is for pages with many pictures.
	readLimit = ratelimit.Rule{Count: 1200, Window: time.Minute}
)

// files serves what is done with files over DDP.
type files struct {
	rooms      *rooms.Service
	challenger methods.Challenger
}

func (g *files) Specs() []methods.Spec {
	return []methods.Spec{{
		Name: "deleteFileMessage", Do: g.remove, Effects: methods.Messages | methods.Others, Inside: twofactor.Ordinary, Limit: ratelimit.Wide,
		Action: "deleteMessage",
		Doc:    "Deletes the message that has a file, and the file with it.", Params: "fileId", Result: "none",
		Errors: "invalid-file, error-action-not-allowed, error-not-allowed, error-room-archived",
	}}
}

func (g *files) remove(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	message, err := g.rooms.MessageOfFile(ctx, c.User, id)
	if err != nil {
		return nil, err
	}
	office, err := g.rooms.ByOfficeMessage(ctx, c.User, message, permission.DeleteMessage, permission.ForceDelete)
	if err := askOffice(ctx, c, g.challenger, office, err); err != nil {
		return nil, err
	}
	return nil, g.rooms.DeleteFile(ctx, c.User, id)
}

// fileRoutes serves uploads, downloads and lists of files.
type fileRoutes struct{ *service }

// Routes lists them.
func (g *fileRoutes) Routes() []rest.Route {
	const tag = "files"
	refusals := []string{"error-file-upload-disabled", "error-direct-message-file-upload-not-allowed", "error-file-too-large", "error-invalid-file-type",
		"error-file-quota-exceeded", "error-invalid-file", "error-too-many-uploads", "error-upload-lost", "invalid-field"}
	media := append([]string{"error-invalid-room", "error-not-allowed", "error-room-archived"}, refusals...)
	sent := []string{"error-file-upload-disabled", "error-direct-message-file-upload-not-allowed", "invalid-file"}
	routes := []rest.Route{
		{Verb: "POST", Path: "rooms.upload/:rid", Tag: tag, Summary: "Send a file to a room, as a message", Upload: true, Parts: schema.Of[uploadParts](),
			Limit: uploadLimit, Method: "sendMessage", Do: g.upload, Result: schema.Answer[messageAnswer](), Errors: refusals},
		{Verb: "POST", Path: "rooms.media/:rid", Effects: methods.Messages, Tag: tag, Summary: "Upload a file that waits for its message", Upload: true,
			Parts: schema.Of[mediaParts](), Limit: uploadLimit, Do: g.media, Result: schema.Answer[mediaAnswer](),
			Action: "sendMessage", Errors: media},
		{Verb: "POST", Path: "rooms.mediaConfirm/:rid/:fileId", Tag: tag, Summary: "Send a file that waits, as a message", Limit: uploadLimit,
			Method: "sendMessage", Do: g.confirm, Body: schema.Of[confirmation](), Result: schema.Answer[messageAnswer](), Errors: sent},
		{Verb: "POST", Path: "uploads.delete", Tag: tag, Summary: "Delete the message that has a file, and the file", Limit: chatLimit,
			Method: "deleteFileMessage", Do: g.remove, Body: schema.Of[fileName](), Result: schema.Answer[deletedFiles]()},
		g.pictures("rooms.images"),
		g.pictures("channels.images"), // its older name, which embedded chats still ask for
	}
	for _, k := range kindsOfRooms {
		query := schema.Of[filesQuery]()
		if k.roomType == rooms.Direct {
			query = schema.Of[directFilesQuery]()
		}
		routes = append(routes, rest.Route{Verb: "GET", Path: k.prefix + ".files", Effects: methods.Reads, Tag: k.prefix,
			Summary: "The files of a room, newest first", Query: query, Result: schema.Answer[pageOfFiles](), Limit: chatLimit,
			Do: g.files(k.roomType), Errors: append([]string{"not-authorized"}, notFound...)})
	}
	return routes
}

// pictures is the route that lists pictures, at one of its addresses: both take rooms of every kind.
func (g *fileRoutes) pictures(path string) rest.Route {
	return rest.Route{Verb: "GET", Path: path, Effects: methods.Reads, Tag: "files", Limit: chatLimit,
		Summary: "The pictures of a room of the caller's, newest first", Query: schema.Of[knownRoomPage](), Result: schema.Answer[pageOfFiles](), Do: g.images,
		Errors: []string{"error-room-not-found", "not-authorized"}}
}

// Outside are the addresses at which files are read.
func (g *fileRoutes) Outside() []rest.Outside {
	return []rest.Outside{{Path: "/file-upload/{id}/{name}", Name: "file-upload", Limit: readLimit, Query: schema.Of[fileLogin](), Do: g.download}}
}

// take takes the file of a request in, and its fields.
func (g *fileRoutes) take(ctx context.Context, r *rest.Request) (*rooms.Upload, map[string]string, error) {
	room := r.Segment("rid")
	if err := g.rooms.MayUpload(ctx, r.User, room); err != nil {
		return nil, nil, err
	}
	form, err := r.Form("file")
	if err != nil {
		return nil, nil, err
	}
	name, bytes, err := form.File()
	if err != nil {
		return nil, nil, err
	}
	up, err := g.rooms.BeginUpload(ctx, r.User, room, name, r.HTTP.ContentLength)
	if err != nil {
		return nil, nil, err
	}
	fields, err := receive(up, form, bytes)
	if err == nil { // minutes may have passed
		err = r.Still(ctx)
	}
	if err != nil {
		up.Close()
		return nil, nil, err
	}
	return up, fields, nil
}

func receive(up *rooms.Upload, form *rest.Form, bytes io.Reader) (map[string]string, error) {
	if _, err := io.Copy(up, bytes); err != nil {
		return nil, err
	}
	return form.Fields()
}

func (g *fileRoutes) upload(ctx context.Context, r *rest.Request) (any, error) {
	up, fields, err := g.take(ctx, r)
	if err != nil {
		return nil, err
	}
	defer up.Close()
	of := func(name string) string { return fields[name] }
	m, err := up.Send(beside(r, of), of("description"))
	if err != nil {
		return nil, err
	}
	return field("message", m.Doc(r.User.ID)), nil
}

// beside is the message of a file, from the fields that came with it.
func beside(r *rest.Request, of func(name string) string) rooms.Draft {
	no := false
	return rooms.Draft{
		RoomID: r.Segment("rid"), Text: of("msg"), ThreadID: of("tmid"), Alias: of("alias"), Emoji: of("emoji"), Avatar: of("avatar"), Groupable: &no,
	}
}

func (g *fileRoutes) media(ctx context.Context, r *rest.Request) (any, error) {
	up, _, err := g.take(ctx, r)
	if err != nil {
		return nil, err
	}
	defer up.Close()
	f, err := up.Keep()
	if err != nil {
		return nil, err
	}
	return field("file", ejson.Doc{{Key: "_id", Value: f.ID}, {Key: "url", Value: f.Path}}), nil
}

func (g *fileRoutes) confirm(ctx context.Context, r *rest.Request) (any, error) {
	m, err := g.rooms.SendFile(ctx, r.User, r.Segment("fileId"), beside(r, r.Text), r.Text("description"))
	if err != nil {
		return nil, err
	}
	return field("message", m.Doc(r.User.ID)), nil
}

func (g *fileRoutes) remove(ctx context.Context, r *rest.Request) (any, error) {
	id := r.Text("fileId")
	if _, err := r.Run(ctx, id); err != nil {
		return nil, err
	}
	return field("deletedFiles", []any{id}), nil
}

func (g *fileRoutes) files(t string) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		room, _, err := g.room(ctx, r, t)
		if err != nil {
			return nil, err
		}
		return g.page(ctx, r, rooms.FileQuery{RoomID: room.ID, Name: r.Query.Get("name"), Group: r.Query.Get("typeGroup"), UserID: r.Query.Get("userId")})
	}
}

func (g *fileRoutes) images(ctx context.Context, r *rest.Request) (any, error) {
	return g.page(ctx, r, rooms.FileQuery{RoomID: r.Query.Get("roomId"), Group: "image"})
}

func (g *fileRoutes) page(ctx context.Context, r *rest.Request, q rooms.FileQuery) (any, error) {
	q.Offset, q.Limit = r.Page()
	list, total, err := g.rooms.Files(ctx, r.User, q)
	if err != nil {
		return nil, err
	}
	return pageOf("files", anyDocs(list, (*rooms.File).Doc), q.Offset, total), nil
}

func (g *fileRoutes) download(ctx context.Context, r *rest.Request) (any, error) {
	f, bytes, err := g.rooms.OpenFile(ctx, r.User, r.Segment("id"))
	if err != nil {
		return nil, err
	}
	return rest.Content{
		Type: f.Type, Name: f.Name, Inline: f.Inline() && r.Query.Get("download") == "", ETag: f.ETag, At: f.UploadedAt, Bytes: bytes,
	}, nil
}

// What is sent and answered about files.
type (
	mediaParts struct {
		File string `json:"file" format:"binary"`
	}
	uploadParts struct {
		mediaParts
		confirmation
	}
	mediaAnswer struct {
		File mediaFile `json:"file"`
	}
	mediaFile struct {
		ID  string `json:"_id"`
		URL string `json:"url"`
	}
	confirmation struct {
		Msg         string `json:"msg,omitempty"`
		Description string `json:"description,omitempty"`
		ThreadID    string `json:"tmid,omitempty"`
		Alias       string `json:"alias,omitempty"`
		Emoji       string `json:"emoji,omitempty"`
		Avatar      string `json:"avatar,omitempty"`
	}
	fileName struct {
		FileID string `json:"fileId" minLength:"1"`
	}
	deletedFiles struct {
		DeletedFiles []string `json:"deletedFiles"`
	}
	filesQuery struct {
		roomPage
		Name      string `json:"name,omitempty"`
		TypeGroup string `json:"typeGroup,omitempty"`
		UserID    string `json:"userId,omitempty"`
	}
	directFilesQuery struct {
		filesQuery
		other
	}
	// fileLogin is a login where no header can be set, and whether the file is to be saved.
	fileLogin struct {
		UserID   string `json:"rc_uid,omitempty"`
		Token    string `json:"rc_token,omitempty"`
		RoomID   string `json:"rc_rid,omitempty"`
		RoomType string `json:"rc_room_type,omitempty"`
		Download string `json:"download,omitempty"`
	}
	uploadedFile struct {
		ID          string         `json:"_id"`
		Name        string         `json:"name"`
		Size        int            `json:"size"`
		Type        string         `json:"type"`
		Group       string         `json:"typeGroup,omitempty"`
		Extension   string         `json:"extension,omitempty"`
		RoomID      string         `json:"rid"`
		UserID      string         `json:"userId"`
		User        userRef        `json:"user,omitempty"`
		Description string         `json:"description,omitempty"`
		Store       string         `json:"store"`
		Complete    bool           `json:"complete"`
		Uploading   bool           `json:"uploading"`
		Progress    int            `json:"progress"`
		ETag        string         `json:"etag,omitempty"`
		Path        string         `json:"path"`
		URL         string         `json:"url"`
		UploadedAt  time.Time      `json:"uploadedAt"`
		UpdatedAt   time.Time      `json:"_updatedAt"`
		Identify    map[string]any `json:"identify,omitempty"`
	}
	pageOfFiles struct {
		Files []uploadedFile `json:"files"`
		rest.Extent
	}
)
