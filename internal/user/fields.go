package user

import (
	"errors"
	"strings"
	"time"
)

// Limits of objects that clients may attach to an account or a room.
const (
	maxFields     = 64
	maxFieldDepth = 4
	maxFieldBytes = 10 << 10
)

// ErrFields says that an object is no data, or too large.
var ErrFields = errors.New("user: an object that is no plain data, or too large")

// CheckFields checks an object that clients attach to an account or a room, as decoded
// from the wire: plain values only, safe keys, bounded in every direction. The error is
// ErrFields.
func CheckFields(m map[string]any) error {
	_, err := checkFields(m, 0)
	return err
}

// checkFields gives the bytes used.
func checkFields(m map[string]any, depth int) (used int, err error) {
	if depth > maxFieldDepth || len(m) > maxFields {
		return 0, ErrFields
	}
	for k, v := range m {
		if k == "" || len(k) > 128 || k[0] == '$' || strings.ContainsAny(k, ".\x00") || strings.ContainsFunc(k, Hidden) {
			return 0, ErrFields
		}
		n, err := checkField(v, depth)
		if err != nil {
			return 0, err
		}
		if used += len(k) + n; used > maxFieldBytes {
			return 0, ErrFields
		}
	}
	return used, nil
}

func checkField(v any, depth int) (used int, err error) {
	switch v := v.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			return 0, ErrFields
		}
		return len(v), nil
	case map[string]any:
		return checkFields(v, depth+1)
	case []any:
		if depth >= maxFieldDepth || len(v) > maxFields {
			return 0, ErrFields
		}
		for _, x := range v {
			n, err := checkField(x, depth+1)
			if err != nil {
				return 0, err
			}
			used += n
		}
		return used, nil
	case []byte:
		return len(v), nil
	case nil, bool, float64, int, int32, int64, time.Time:
		return 8, nil
	}
	return 0, ErrFields // regular expressions and the like are no data
}
