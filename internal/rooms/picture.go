package rooms

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	_ "image/gif" // pictures whose dimensions are read
	"image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
)

const (
	// sniffed is how many bytes tell what a file is.
	sniffed = 512
	// headBytes is how much of a picture is read for its dimensions.
	headBytes = 1 << 20
	// pictureBytes is what decoding a picture may take in memory; a larger one has no
	// preview. One is decoded at a time.
	pictureBytes = 64 << 20
	// previewSide is the longer side of a preview, in pixels.
	previewSide = 32
	// maxScans is in how many scans a JPEG may come that is decoded; programs write about
	// ten. Each may pass over all of the picture in twenty bytes, and take milliseconds.
	maxScans = 40
)

// decoding lets one picture at a time be decoded: pictures are small as files and large
// when they are unpacked.
var decoding sync.Mutex

// inside are media types that a file of that ending is, when its first bytes say no more
// than what it is packed in. None of them is run or rendered by a browser; svg is here so
// that it is known for one.
var inside = map[string]map[string]string{
	"application/zip": {
		".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
		".odt":  "application/vnd.oasis.opendocument.text", ".ods": "application/vnd.oasis.opendocument.spreadsheet",
		".odp": "application/vnd.oasis.opendocument.presentation", ".epub": "application/epub+zip",
	},
	"text/plain": {".csv": "text/csv", ".md": "text/markdown", ".json": "application/json", ".svg": "image/svg+xml", ".xml": "text/xml",
		".js": "text/javascript", ".html": "text/html", ".htm": "text/html"},
	"text/xml": {".svg": "image/svg+xml"},
	"application/octet-stream": {".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".mov": "video/quicktime", ".7z": "application/x-7z-compressed",
		".doc": "application/msword", ".xls": "application/vnd.ms-excel", ".ppt": "application/vnd.ms-powerpoint"},
	"video/mp4": sounds("audio/mp4"), "video/webm": sounds("audio/webm"),
	"application/ogg": {".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".ogv": "video/ogg"},
}

// sounds are the endings by which a recording without pictures is known in what films are
// packed in, too: browsers record a voice as WebM or MP4, and chats in them call it .mp3.
func sounds(kind string) map[string]string {
	of := map[string]string{}
	for _, ending := range []string{".aac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".weba"} {
		of[ending] = kind
	}
	return of
}

// mediaType is what a file is by its first bytes, and by its name only where they tell no
// more than the packing. What its client calls it counts for nothing.
func mediaType(head []byte, name string) string {
	found, _, _ := strings.Cut(http.DetectContentType(head), ";")
	if bytes.Contains(bytes.ToLower(head), []byte("<svg")) && strings.HasPrefix(found, "text/") {
		return "image/svg+xml"
	}
	if kind := inside[found][strings.ToLower(path.Ext(name))]; kind != "" {
		return kind
	}
	return found
}

// inline are the media types that a browser shows in a page and that run nothing.
var inline = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "audio/mpeg", "audio/wave", "audio/aiff", "audio/ogg", "audio/mp4",
	"audio/webm", "application/ogg", "video/mp4", "video/webm", "video/ogg", "video/avi", "video/quicktime"}

// identify reads the dimensions of a picture from its first bytes, nil for what is none.
func identify(from io.ReaderAt, size int64) (*Identify, image.Config) {
	config, format, err := image.DecodeConfig(io.NewSectionReader(from, 0, min(size, headBytes)))
	if err != nil || config.Width <= 0 || config.Height <= 0 {
		return nil, config
	}
	return &Identify{Format: format, Size: Dimensions{float64(config.Width), float64(config.Height)}}, config
}

// decodable tells whether decoding a picture stays within pictureBytes, from what its
// first bytes say: a JPEG that comes in layers holds its coefficients beside the picture.
func decodable(c image.Config, format string) bool {
	pixel := int64(4)
	switch c.ColorModel {
	case color.RGBA64Model, color.NRGBA64Model, color.Gray16Model:
		pixel = 8
	}
	if format == "jpeg" {
		pixel = 16
	}
	return c.Width < 1<<20 && c.Height < 1<<20 && int64(c.Width)*int64(c.Height) <= pictureBytes/pixel
}

// scaled decodes a picture and makes it no larger than side by side, or a square of its middle;
// nil when it cannot.
func scaled(from io.ReaderAt, size int64, side int, square bool) *image.NRGBA {
	id, config := identify(from, size)
	if id == nil || !decodable(config, id.Format) {
		return nil
	}
	decoding.Lock()
	defer decoding.Unlock()
	var bytes io.Reader = io.NewSectionReader(from, 0, size)
	if id.Format == "jpeg" {
		bytes = &scans{from: bytes, left: maxScans}
	}
	full, _, err := image.Decode(bytes)
	if err != nil {
		return nil
	}
	b := full.Bounds()
	if square {
		edge := min(b.Dx(), b.Dy())
		at := b.Min.Add(image.Pt((b.Dx()-edge)/2, (b.Dy()-edge)/2))
		b = image.Rectangle{Min: at, Max: at.Add(image.Pt(edge, edge))}
	}
	w, h := b.Dx(), b.Dy()
	if w <= 0 || h <= 0 {
		return nil
	}
	tw, th := w, h
	if long := max(w, h); long > side {
		tw, th = max(w*side/long, 1), max(h*side/long, 1)
	}
	small := image.NewNRGBA(image.Rect(0, 0, tw, th))
	for y := range th {
		for x := range tw {
			c := mean(full, image.Rect(b.Min.X+x*w/tw, b.Min.Y+y*h/th, b.Min.X+max((x+1)*w/tw, x*w/tw+1), b.Min.Y+max((y+1)*h/th, y*h/th+1)))
			small.SetNRGBA(x, y, c)
		}
	}
	return small
}

// scans gives the bytes of a JPEG, and ends with an error where one more scan begins than
// there may be. A picture inside of the picture counts: it is not worth telling apart.
type scans struct {
	from io.Reader
	left int
	mark bool // the last byte may begin a marker
}

var errScans = errors.New("a picture in too many scans")

func (s *scans) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	for _, c := range p[:n] {
		if s.mark && c == 0xda {
			s.left--
		}
		s.mark = c == 0xff
	}
	if s.left < 0 {
		return 0, errScans
	}
	return n, err
}

// mean is the colour of a few pixels spread over an area: all of a small one.
func mean(m image.Image, area image.Rectangle) color.NRGBA {
	const probes = 8
	var r, g, b, a, n uint64
	for y := range min(area.Dy(), probes) {
		for x := range min(area.Dx(), probes) {
			pr, pg, pb, pa := m.At(area.Min.X+x*area.Dx()/min(area.Dx(), probes), area.Min.Y+y*area.Dy()/min(area.Dy(), probes)).RGBA()
			r, g, b, a, n = r+uint64(pr), g+uint64(pg), b+uint64(pb), a+uint64(pa), n+1
		}
	}
	if a == 0 {
		return color.NRGBA{}
	}
	part := func(c uint64) uint8 { return uint8(min(c*255/a, 255)) }
	return color.NRGBA{R: part(r), G: part(g), B: part(b), A: uint8(a / n >> 8)}
}

// preview is a tiny JPEG in base64, "" for what cannot be decoded within the bound.
func preview(from io.ReaderAt, size int64) string {
	small := scaled(from, size, previewSide, false)
	if small == nil {
		return ""
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: 60}); err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}
