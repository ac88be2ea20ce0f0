package calls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"html"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rest"
	"ddpserver/internal/rest/schema"
	"ddpserver/internal/rooms"
	"ddpserver/internal/rpc"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

const (
	// lettersAge is how long a browser keeps letters, pictureAge a picture that it asked for
	// by name, which is never another one.
	lettersAge = time.Minute
	pictureAge = 24 * time.Hour
	// maxShownName bounds the name in an address.
	maxShownName = 200
)

// portraitLimit is for pages with a picture beside every line.
var portraitLimit = ratelimit.Rule{Count: 3000, Window: time.Minute}

// avatars serves what is done with pictures of accounts over DDP.
type avatars struct {
	rooms      *rooms.Service
	accounts   Accounts
	challenger methods.Challenger
}

// pictureErrors are the refusals of whatever takes a picture.
var pictureErrors = []string{"error-invalid-avatar", "error-avatar-invalid-url", "error-invalid-file-type", "error-invalid-file", "error-file-too-large",
	"error-file-quota-exceeded", "error-too-many-uploads", "error-upload-lost", "error-file-upload-disabled"}

func (g *avatars) Specs() []methods.Spec {
	return []methods.Spec{{
		Name: "setAvatarFromService", Do: g.set, Effects: methods.Profile | methods.Others, Inside: twofactor.Ordinary,
		Doc: "Gives an account a picture, which is made a small square. The picture is a data: URL; service is upload, or initials, " +
			"which takes the picture away. Nothing is fetched from elsewhere. Somebody else's picture is an administrator's to change, who is asked for a factor.",
		Params: "data, contentType?, service?, userId?", Result: "none", Errors: "error-not-allowed, error-invalid-user, " + strings.Join(pictureErrors, ", "),
	}, {
		Name: "resetAvatar", Action: "setAvatarFromService", Do: g.reset, Effects: methods.Profile | methods.Others, Inside: twofactor.Ordinary,
		Doc: "Takes the picture of an account away.", Params: "userId?", Result: "none", Errors: "error-not-allowed, error-invalid-user",
	}, {
		Name: "getAvatarSuggestion", Do: g.suggestions, Effects: methods.Reads, Limit: ratelimit.Wide,
		Doc: "Lists pictures that other services have of the caller; this server asks none.", Params: "none", Result: "{}", Errors: "-",
	}}
}

// allowed finds the account, and asks for a factor where only a role of the server allows it.
func (g *avatars) allowed(ctx context.Context, c *rpc.Call, id *string) (*user.User, error) {
	of, whose := c.User, cmp.Or(value(id), c.User.ID)
	if err := g.rooms.MayChangeAvatar(c.User, whose); err != nil {
		return nil, err
	}
	if whose != of.ID {
		var err error
		switch of, err = g.accounts.User(ctx, whose); {
		case errors.Is(err, dberr.NotFound):
			return nil, rooms.ErrInvalidUser
		case err != nil:
			return nil, err
		}
	}
	return of, askOffice(ctx, c, g.challenger, g.rooms.AvatarByOffice(c.User, of.ID), nil)
}

func (g *avatars) set(ctx context.Context, c *rpc.Call) (any, error) {
	var data any
	var kind, service, id *string
	if err := c.Bind(&data, &kind, &service, &id); err != nil {
		return nil, err
	}
	of, err := g.allowed(ctx, c, id)
	if err != nil {
		return nil, err
	}
	text, isText := data.(string)
	switch name := value(service); {
	case name == "initials":
		return nil, g.rooms.ResetAvatar(ctx, c.User, of.ID)
	case name != "" && name != "upload" && name != "rest":
		return nil, rooms.ErrAvatarSource
	case !isText:
		return nil, fault.MatchFailed
	}
	return nil, g.rooms.SetAvatarData(ctx, c.User, of, text)
}

func (g *avatars) reset(ctx context.Context, c *rpc.Call) (any, error) {
	var id *string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	of, err := g.allowed(ctx, c, id)
	if err != nil {
		return nil, err
	}
	return nil, g.rooms.ResetAvatar(ctx, c.User, of.ID)
}

func (g *avatars) suggestions(_ context.Context, c *rpc.Call) (any, error) {
	return ejson.Doc{}, c.Bind()
}

// avatarRoutes serves pictures.
type avatarRoutes struct{ *service }

// Routes lists them.
func (g *avatarRoutes) Routes() []rest.Route {
	const tag = "users"
	who := schema.Of[rest.Account]()
	return []rest.Route{
		{Verb: "POST", Path: "users.setAvatar", Tag: tag, Summary: "Give an account a picture", Upload: true, Parts: schema.Of[avatarParts](),
			Limit: uploadLimit, Method: "setAvatarFromService", Do: g.set,
			Errors: []string{"invalid-field"}, Never: []string{"error-invalid-avatar"}},
		{Verb: "POST", Path: "users.resetAvatar", Tag: tag, Summary: "Take the picture of an account away", Method: "resetAvatar", Body: who,
			Params: accountID},
		{Verb: "GET", Path: "users.getAvatar", Effects: methods.Reads, Tag: tag, Summary: "Go to the picture of an account", Limit: chatLimit, Query: who,
			Redirects: true, Do: g.elsewhere, Errors: []string{"error-invalid-user"}},
		{Verb: "GET", Path: "users.getAvatarSuggestion", Tag: tag, Summary: "Pictures that other services have of the caller (none)", Limit: chatLimit,
			Method: "getAvatarSuggestion", Result: schema.Answer[avatarSuggestions](),
			Shape: func(list any) (ejson.Doc, error) { return field("suggestions", list), nil }},
	}
}

// Outside are the addresses at which pictures are read.
func (g *avatarRoutes) Outside() []rest.Outside {
	query := schema.Of[avatarQuery]()
	return []rest.Outside{
		{Path: "/avatar/{name}", Name: "avatar", Limit: portraitLimit, Query: query, Do: g.show("name", g.rooms.Portrait)},
		{Path: "/avatar/uid/{id}", Name: "avatar/uid", Limit: portraitLimit, Query: query, Do: g.show("id", g.rooms.PortraitByID)},
		{Path: "/avatar/room/{id}", Name: "avatar/room", Limit: portraitLimit, Query: query, Do: g.show("id", g.rooms.RoomPortrait)},
	}
}

func (g *avatarRoutes) set(ctx context.Context, r *rest.Request) (any, error) {
	up, err := g.rooms.BeginAvatar(ctx, r.User)
	if err != nil {
		return nil, err
	}
	defer up.Close()
	form, err := r.Form("image")
	if err != nil {
		return nil, err
	}
	_, bytes, err := form.File()
	if err != nil {
		return nil, err
	}
	fields, err := receive(up, form, bytes)
	if err == nil { // minutes may have passed
		err = r.Still(ctx)
	}
	if err != nil {
		return nil, err
	}
	if fields["avatarUrl"] != "" {
		return nil, rooms.ErrAvatarSource
	}
	of, err := g.named(ctx, r, fields)
	if err != nil {
		return nil, err
	}
	if g.rooms.AvatarByOffice(r.User, of.ID) {
		if err := r.Ask(ctx, twofactor.Ordinary); err != nil {
			return nil, err
		}
	}
	return nil, up.SetAvatar(of)
}

// named is the account that the fields of a body in parts name, or the caller's. Who may change
// his own picture alone is not told whether there is another account.
func (g *avatarRoutes) named(ctx context.Context, r *rest.Request, fields map[string]string) (u *user.User, err error) {
	id, name := fields["userId"], fields["username"]
	if (id == "" || id == r.User.ID) && (name == "" || user.Key(name) == r.User.UsernameKey) {
		return r.User, nil
	}
	if err := g.rooms.MayChangeAvatar(r.User, ""); err != nil {
		return nil, err
	}
	if id != "" {
		u, err = g.accounts.User(ctx, id)
	} else {
		u, err = g.accounts.Named(ctx, name)
	}
	if errors.Is(err, dberr.NotFound) {
		err = rooms.ErrInvalidUser
	}
	return u, err
}

// accountID is the parameter of a method about the account that a body names.
func accountID(ctx context.Context, r *rest.Request) ([]any, error) {
	u, err := r.Account(ctx)
	if err != nil {
		return nil, err
	}
	return []any{u.ID}, nil
}

// elsewhere sends the client to where the picture is read.
func (g *avatarRoutes) elsewhere(ctx context.Context, r *rest.Request) (any, error) {
	u, err := r.Account(ctx)
	if err != nil {
		return nil, err
	}
	to := "/avatar/uid/" + url.PathEscape(u.ID)
	if u.AvatarETag != "" {
		to += "?etag=" + url.QueryEscape(u.AvatarETag)
	}
	return rest.Redirect(to), nil
}

// portraits finds what is shown for a name.
type portraits func(ctx context.Context, by *user.User, name string) (rooms.Portrait, error)

// show answers the picture that find finds for the part of the address, or letters.
func (g *avatarRoutes) show(part string, find portraits) func(context.Context, *rest.Request) (any, error) {
	return func(ctx context.Context, r *rest.Request) (any, error) {
		name := r.Segment(part)
		if len(name) > maxShownName || !utf8.ValidString(name) || strings.ContainsAny(name, "/\x00") {
			return nil, rooms.ErrFileAccess
		}
		p, err := rooms.Portrait{Name: name}, error(nil)
		if !strings.HasPrefix(name, "@") { // letters for any text, as Rocket.Chat has it
			p, err = find(ctx, r.User, name)
		}
		if err != nil {
			return nil, err
		}
		if p.Picture == nil {
			return letters(p.Name), nil
		}
		c := rest.Content{Type: p.Picture.Type, Name: "avatar." + p.Picture.Extension, Inline: true, ETag: p.Picture.ETag, At: p.Picture.UploadedAt}
		if r.Query.Get("etag") == c.ETag {
			c.Age = pictureAge
		}
		if c.Bytes = nothingToRead; r.HTTP.Header.Get("If-None-Match") != `"`+c.ETag+`"` {
			c.Bytes, err = g.rooms.OpenPicture(ctx, p.Picture)
		}
		return c, err
	}
}

// inMemory is content that needs no closing.
type inMemory struct{ io.ReadSeeker }

// Close implements io.Closer.
func (inMemory) Close() error { return nil }

// nothingToRead stands for bytes that the client has.
var nothingToRead = inMemory{strings.NewReader("")}

// avatarColors are dark enough for a white letter.
var avatarColors = [...]string{"#b71c1c", "#880e4f", "#4a148c", "#311b92", "#1a237e", "#0d47a1", "#01579b", "#006064", "#004d40", "#1b5e20", "#33691e",
	"#bf360c", "#3e2723", "#263238"}

// letters is a picture made of the first letter of a name. It depends on nothing else, so it
// tells nothing about who exists.
func letters(name string) rest.Content {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(name))
	svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200"><rect width="200" height="200" fill="%s"/>`+
		`<text x="50%%" y="50%%" dy="0.36em" text-anchor="middle" fill="#fff" font-family="sans-serif" font-size="125">%s</text></svg>`,
		avatarColors[int(sum.Sum32()%uint32(len(avatarColors)))], html.EscapeString(initial(name)))
	return rest.Content{Type: "image/svg+xml", Name: "avatar.svg", Inline: true, ETag: fmt.Sprintf("letters-%08x", sum.Sum32()), Age: lettersAge,
		Bytes: inMemory{strings.NewReader(svg)}}
}

// initial is the letter or digit that a name begins with, or a question mark.
func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "?"
}

type (
	avatarParts struct {
		Image    string `json:"image" format:"binary"`
		UserID   string `json:"userId,omitempty"`
		Username string `json:"username,omitempty"`
	}
	avatarSuggestions struct {
		Suggestions map[string]any `json:"suggestions"`
	}
	// avatarQuery is a login where no header can be set, and what clients say beside it: the
	// size and the format are the server's to choose.
	avatarQuery struct {
		UserID string `json:"rc_uid,omitempty"`
		Token  string `json:"rc_token,omitempty"`
		ETag   string `json:"etag,omitempty" about:"the name of the picture: it may be kept then"`
		Size   string `json:"size,omitempty"`
		Format string `json:"format,omitempty"`
		Fresh  string `json:"_dc,omitempty"`
	}
)
