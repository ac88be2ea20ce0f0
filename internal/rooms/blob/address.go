package blob

import (
	"errors"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// The schemes of an address: a directory, a bucket over TLS, and one in clear.
const (
	schemeFile    = "file"
	schemeS3      = "s3"
	schemeS3Clear = "s3+http"
)

// Place is what an address says: a directory, or a bucket where Directory is empty.
type Place struct {
	Directory string
	Bucket    Address
	// Clear says that a bucket is reached without TLS over a network.
	Clear bool
}

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	keyPrefix  = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
	regionName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
)

// Parse reads an address: file:///srv/files, or
// s3://ACCESS-KEY:SECRET-KEY@host:port/bucket/prefix?region=us-east-1, with s3+http for a
// server without TLS. The error has a line for each thing that is wrong with it and repeats
// no secret.
func Parse(text string) (Place, error) {
	u, err := url.Parse(text)
	if err != nil { // url's error would repeat the secret key
		return Place{}, errors.New("it is no valid URL; escape special characters of the keys with %")
	}
	switch u.Scheme {
	case schemeFile:
		return parseFile(u)
	case schemeS3, schemeS3Clear:
		return parseS3(u)
	}
	return Place{}, errors.New("it is no place for files; write file:///srv/files, or s3://ACCESS-KEY:SECRET-KEY@host/bucket?region=us-east-1, " +
		"with s3+http:// for a server without TLS")
}

func parseFile(u *url.URL) (Place, error) {
	if u.Host != "" || u.RawQuery != "" || u.Fragment != "" || !filepath.IsAbs(u.Path) {
		return Place{}, errors.New("it names no directory; write three slashes and the whole path, as file:///srv/files")
	}
	return Place{Directory: filepath.Clean(u.Path)}, nil
}

func parseS3(u *url.URL) (Place, error) {
	var errs []error
	wrong := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New(text))
		}
	}
	p := Place{Clear: u.Scheme == schemeS3Clear && !loopback(u.Hostname())}
	p.Bucket.base = url.URL{Scheme: "https", Host: u.Host}
	if u.Scheme == schemeS3Clear {
		p.Bucket.base.Scheme = "http"
	}
	wrong(u.Hostname() == "", "it names no host; write s3://ACCESS-KEY:SECRET-KEY@host/bucket")
	p.Bucket.credentials.AccessKeyID = u.User.Username()
	p.Bucket.credentials.SecretAccessKey, _ = u.User.Password()
	wrong(u.User.Username() == "" || p.Bucket.credentials.SecretAccessKey == "", "it has no keys; write s3://ACCESS-KEY:SECRET-KEY@host/bucket")
	bucket, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	wrong(!bucketName.MatchString(bucket), "it names no bucket; write s3://ACCESS-KEY:SECRET-KEY@host/bucket, a name of small letters, digits, dots and hyphens")
	wrong(prefix != "" && (!keyPrefix.MatchString(prefix) || path.Clean("/"+prefix) != "/"+prefix),
		"what stands behind the bucket is no beginning of keys; write letters, digits, - _ . and single slashes")
	p.Bucket.base.Path = strings.TrimSuffix("/"+bucket+"/"+prefix, "/")
	query, err := url.ParseQuery(u.RawQuery)
	wrong(err != nil, "its query is malformed; write ?region=us-east-1")
	p.Bucket.region = "us-east-1"
	for name, values := range query {
		switch {
		case name == "region" && len(values) == 1 && regionName.MatchString(values[0]):
			p.Bucket.region = values[0]
		case name == "region":
			wrong(true, "its region is no name of one; write ?region=us-east-1")
		default:
			wrong(true, "its query has something else than a region; write ?region=us-east-1")
		}
	}
	wrong(u.Fragment != "", "it has a # with something behind; escape it as %23")
	return p, errors.Join(errs...)
}

func loopback(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }

// Open opens the place, which Parse has read. A bucket has its drafts in that directory.
func (p Place) Open(drafts string) (Store, func() error, error) {
	if p.Directory != "" {
		d, err := OpenDir(p.Directory)
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	}
	s, err := OpenS3(p.Bucket, drafts)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}
