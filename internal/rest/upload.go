package rest

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"time"

	"ddpserver/internal/fault"
)

// Bounds of a body in parts, beside the file in it, which is its handler's to bound.
const (
	// maxParts is how many fields there may be, maxFields how long all of them are together.
	maxParts  = 32
	maxFields = 64 << 10
	// maxPartHeader bounds the header of a part, and what stands between two of them.
	maxPartHeader = 8 << 10
	// uploadBytes is what a body in parts holds while it is read, whatever its length.
	uploadBytes = 64 << 10
	// uploadWait is how long a client may send nothing, uploadPace how many bytes a second
	// it sends at least, after uploadWait.
	uploadWait = 30 * time.Second
	uploadPace = 4 << 10
)

// Refusals of a body in parts.
var (
	errMultipart = fault.New("error-unsupported-media-type", "This endpoint takes multipart/form-data")
	errBadParts  = fault.New("invalid-params", "The multipart body is malformed")
	errManyParts = fault.New("invalid-params", "The multipart body has too many fields, or too long ones")
	errNoFile    = fault.New("invalid-field", "The multipart body has no file in that field")
	errTwoFiles  = fault.New("invalid-field", "The multipart body has more than one file; send one")
)

// Form is a body in parts on its way in, with one file among fields of text. It is read
// piece by piece: File up to the file, then the file, then Fields to the end.
type Form struct {
	parts  *multipart.Reader
	bound  *bounded
	field  string
	fields map[string]string
	length int
	count  int
}

// Form begins to read the body of a route with Upload; field is the name of the file's.
func (r *Request) Form(field string) (*Form, error) {
	between, err := boundary(r.HTTP)
	if err != nil {
		return nil, err
	}
	body := &bounded{from: &paced{from: r.HTTP.Body, control: r.control, begun: time.Now()}, left: maxPartHeader}
	return &Form{parts: multipart.NewReader(body, between), bound: body, field: field, fields: map[string]string{}}, nil
}

// boundary is what stands between the parts of a body.
func boundary(r *http.Request) (string, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" || len(params["boundary"]) > 70 {
		return "", errMultipart
	}
	return params["boundary"], nil
}

// File reads fields until the file comes: its name, as the client writes it, perhaps with a path, and its
// bytes, to be read to their end before Fields is asked.
func (f *Form) File() (name string, bytes io.Reader, err error) {
	for {
		part, err := f.next()
		if err == io.EOF {
			return "", nil, errNoFile
		}
		if err != nil {
			return "", nil, err
		}
		if name, isFile := fileName(part); isFile {
			if part.FormName() != f.field {
				return "", nil, errNoFile
			}
			f.bound.left = -1
			return name, &partReader{part}, nil
		}
		if err := f.take(part); err != nil {
			return "", nil, err
		}
	}
}

// Fields reads what stands behind the file, and gives all fields.
func (f *Form) Fields() (map[string]string, error) {
	for {
		f.bound.left = maxPartHeader + maxFields
		part, err := f.next()
		if err == io.EOF {
			return f.fields, nil
		}
		if err != nil {
			return nil, err
		}
		if _, isFile := fileName(part); isFile {
			return nil, errTwoFiles
		}
		if err := f.take(part); err != nil {
			return nil, err
		}
	}
}

func (f *Form) next() (*multipart.Part, error) {
	if f.count++; f.count > maxParts {
		return nil, errManyParts
	}
	part, err := f.parts.NextRawPart()
	switch {
	case err == nil:
		f.bound.left = maxPartHeader + maxFields
		return part, nil
	case errors.Is(err, errManyParts):
		return nil, errManyParts
	case err == io.EOF:
		return nil, io.EOF
	}
	return nil, errBadParts.Because(err)
}

// take keeps a field. One that comes twice is refused, as in every body.
func (f *Form) take(part *multipart.Part) error {
	value, err := io.ReadAll(io.LimitReader(part, maxFields+1))
	if errors.Is(err, errManyParts) {
		return errManyParts
	}
	if err != nil {
		return errBadParts.Because(err)
	}
	name := part.FormName()
	if f.length += len(name) + len(value); f.length > maxFields {
		return errManyParts
	}
	if _, twice := f.fields[name]; twice {
		return errRepeatedField
	}
	f.fields[name] = string(value)
	return nil
}

// fileName is what a part calls its file, and whether it is one.
func fileName(part *multipart.Part) (string, bool) {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil { // names with bytes that no parameter may have: what Part makes of it
		return part.FileName(), part.FileName() != ""
	}
	name, is := params["filename"]
	return name, is
}

// partReader gives a part's bytes; an end in the middle is an error of the client's.
type partReader struct{ part io.Reader }

func (p *partReader) Read(b []byte) (int, error) {
	n, err := p.part.Read(b)
	if err != nil && err != io.EOF {
		err = errBadParts.Because(err)
	}
	return n, err
}

// bounded ends with errManyParts where more comes than there is left; negative is no bound.
type bounded struct {
	from io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errManyParts
	}
	if b.left > 0 && len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.from.Read(p)
	if b.left > 0 {
		b.left -= n
	}
	return n, err
}

// paced gives each piece its time, and all of them together the time that they need at
// uploadPace: a body may be long, and nobody may be slow for ever (S090).
type paced struct {
	from    io.Reader
	control *http.ResponseController
	begun   time.Time
	read    int64
}

func (p *paced) Read(b []byte) (int, error) {
	until := time.Now().Add(uploadWait)
	if last := p.begun.Add(uploadWait + time.Duration(p.read/uploadPace)*time.Second); last.Before(until) {
		until = last
	}
	_ = p.control.SetReadDeadline(until) // a connection that knows no deadlines has none
	n, err := p.from.Read(b)
	p.read += int64(n)
	return n, err
}
