package blob

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"ddpserver/internal/dberr"
)

const (
	// stall is how long a transfer may stand still.
	stall = 30 * time.Second
	// tries is how often a request is made that the server could not serve.
	tries = 3
	// pause is the wait before the second try; it doubles.
	pause = 200 * time.Millisecond
	// maxObject is the largest object that S3 takes in one request.
	maxObject = 5 << 30
)

// S3 keeps blobs in a bucket, one object each, which is written with one request: what is
// interrupted leaves nothing. Drafts are files in a directory of this server, since a
// request is signed with its length and its digest.
type S3 struct {
	*spool
	at     Address
	client *http.Client
	signer *v4.Signer
}

// OpenS3 makes the store. Drafts are kept in the directory of that path. Nothing is asked
// of the server; Probe does.
func OpenS3(at Address, drafts string) (*S3, error) {
	dir, err := openSpool(drafts)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: stall,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   16,
		DisableCompression:    true, // bytes as they were stored, and their number
	}
	return &S3{
		spool: dir, at: at, signer: v4.NewSigner(),
		// A signature is for one address: whoever sends elsewhere is refused.
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// String implements Store.
func (s *S3) String() string { return s.at.String() }

// Close gives connections and the directory of drafts back.
func (s *S3) Close() error {
	s.client.CloseIdleConnections()
	return s.root.Close()
}

// Create implements Store.
func (s *S3) Create(key string) (*Draft, error) { return s.create(key, s.commit) }

func (s *S3) commit(ctx context.Context, d *Draft) error {
	if d.size > maxObject {
		return failed("put", errors.New("larger than 5 GiB"))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := time.AfterFunc(stall, cancel)
	defer watch.Stop()
	sum := hex.EncodeToString(d.sum.Sum(nil))
	resp, err := s.do(ctx, http.MethodPut, d.key, sum, func(r *http.Request) {
		r.ContentLength = d.size
		r.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(&moving{io.NewSectionReader(d.file, 0, d.size), watch}), nil
		}
	})
	if err != nil {
		return failed("put", err)
	}
	return failed("put", drain(resp))
}

// moving puts the end of a transfer off with each piece of it.
type moving struct {
	io.Reader
	watch *time.Timer
}

func (m *moving) Read(p []byte) (int, error) {
	m.watch.Reset(2 * stall) // the last piece is followed by the answer, which has its own time
	return m.Reader.Read(p)
}

// Open implements Store. It asks how long the blob is.
func (s *S3) Open(ctx context.Context, key string) (Reader, error) {
	if !usable(key) {
		return nil, dberr.NotFound
	}
	resp, err := s.do(ctx, http.MethodHead, key, emptySum, nil)
	if err != nil {
		return nil, failed("look up", err)
	}
	_ = resp.Body.Close()
	if resp.ContentLength < 0 {
		return nil, failed("look up", errors.New("the server does not tell how long it is"))
	}
	return &object{ctx: ctx, store: s, key: key, size: resp.ContentLength}, nil
}

// Remove implements Store.
func (s *S3) Remove(ctx context.Context, key string) error {
	if !usable(key) {
		return nil
	}
	resp, err := s.do(ctx, http.MethodDelete, key, emptySum, nil)
	if errors.Is(err, dberr.NotFound) {
		return nil
	}
	if err != nil {
		return failed("remove", err)
	}
	return failed("remove", drain(resp))
}

// Probe writes a small object and removes it again: whoever can do that can keep files.
func (s *S3) Probe(ctx context.Context) error {
	d, err := s.Create("probe")
	if err != nil {
		return err
	}
	if err := d.Commit(ctx); err != nil {
		return err
	}
	return s.Remove(ctx, "probe")
}

// emptySum is the digest of no bytes.
const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// do makes one request, again while the server cannot serve it. An answer that is none of
// success is an error.
func (s *S3) do(ctx context.Context, verb, key, sum string, change func(*http.Request)) (*http.Response, error) {
	for try, wait := 1, pause; ; try, wait = try+1, 2*wait {
		resp, again, err := s.try(ctx, verb, key, sum, change)
		if err == nil || !again || try == tries {
			return resp, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}

func (s *S3) try(ctx context.Context, verb, key, sum string, change func(*http.Request)) (resp *http.Response, again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, verb, s.at.object(key), nil)
	if err != nil {
		return nil, false, err
	}
	if change != nil {
		change(r)
	}
	if r.GetBody != nil {
		if r.Body, err = r.GetBody(); err != nil {
			return nil, false, err
		}
		if r.ContentLength == 0 {
			r.Body = http.NoBody
		}
	}
	r.Header.Set("X-Amz-Content-Sha256", sum)
	err = s.signer.SignHTTP(ctx, s.at.credentials, r, sum, "s3", s.at.region, time.Now(), func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		return nil, false, err
	}
	resp, err = s.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address
		}
		return nil, ctx.Err() == nil, err
	}
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return resp, false, nil
	case code == http.StatusNotFound:
		_ = resp.Body.Close()
		return nil, false, dberr.NotFound
	default:
		// What S3 says of an error may repeat what was sent: its number must do.
		_ = resp.Body.Close()
		return nil, code >= 500 || code == http.StatusTooManyRequests, fmt.Errorf("the server answered %d", code)
	}
}

// drain reads the rest of a short answer, so that its connection serves again.
func drain(resp *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return errors.Join(err, resp.Body.Close())
}

// object reads an object from where it was sought to, with one request until it is sought
// elsewhere.
type object struct {
	ctx   context.Context
	store *S3
	key   string
	size  int64
	at    int64
	body  io.ReadCloser
	stop  context.CancelFunc
	watch *time.Timer
}

// Seek implements io.Seeker.
func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("blob: sought before the beginning")
	}
	if offset != o.at {
		_ = o.Close()
	}
	o.at = offset
	return offset, nil
}

// Read implements io.Reader.
func (o *object) Read(p []byte) (int, error) {
	if o.at >= o.size {
		return 0, io.EOF
	}
	if o.body == nil {
		ctx, cancel := context.WithCancel(o.ctx)
		watch := time.AfterFunc(2*stall, cancel)
		resp, err := o.store.do(ctx, http.MethodGet, o.key, emptySum, func(r *http.Request) {
			r.Header.Set("Range", "bytes="+strconv.FormatInt(o.at, 10)+"-")
		})
		if err == nil && resp.StatusCode != http.StatusPartialContent && o.at > 0 {
			err = errors.Join(errors.New("the server knows no ranges"), resp.Body.Close())
		}
		if err != nil {
			watch.Stop()
			cancel()
			return 0, failed("get", err)
		}
		o.body, o.stop, o.watch = resp.Body, cancel, watch
	}
	// Only the server's side is timed: who reads slowly is somebody else's business.
	o.watch.Reset(stall)
	n, err := o.body.Read(p)
	o.watch.Stop()
	o.at += int64(n)
	if err == io.EOF && o.at < o.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		err = failed("get", err)
	}
	return n, err
}

// Close implements io.Closer.
func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	o.watch.Stop()
	o.stop()
	err := o.body.Close()
	o.body = nil
	return err
}

// Address is a bucket of a server that speaks S3.
type Address struct {
	base        url.URL // of the bucket, with what all keys begin with
	region      string
	credentials aws.Credentials
}

// String is the address without the credentials.
func (a Address) String() string { return a.base.String() }

func (a Address) object(key string) string {
	u := a.base
	u.Path += "/" + key
	return u.String()
}

var _ Store = (*S3)(nil)
