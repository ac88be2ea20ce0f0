package accounts

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/trustelem/zxcvbn/frequency"

	"ddpserver/internal/settings"
)

// digestStart is as much of a password's digest as tells the common ones from all
// others: two among them agreeing in so much by chance will not happen.
const digestStart = 16

// commonDigests are the starts of the hex SHA-256 digests of the passwords that
// people choose most and attackers try first: the thirty thousand of zxcvbn's
// list, as they stand, with a capital first letter and in capitals. Digests,
// because that is all that most clients send. Made at first use, in some tens of
// milliseconds, and sorted.
var commonDigests = sync.OnceValue(func() []string {
	list := frequency.FrequencyLists["passwords"]
	out := make([]string, 0, 3*len(list))
	for _, p := range list {
		forms := []string{p, strings.ToUpper(p), strings.ToUpper(p[:1]) + p[1:]}
		slices.Sort(forms)
		for _, form := range slices.Compact(forms) {
			sum := sha256.Sum256([]byte(form))
			out = append(out, hex.EncodeToString(sum[:digestStart/2]))
		}
	}
	slices.Sort(out)
	return out
})

// common tells whether a new password is one of those that attackers try first,
// where the server refuses them.
func (s *Service) common(p Password) bool {
	if p.IsZero() || !s.set.Bool(settings.PasswordForbidCommon) {
		return false
	}
	_, found := slices.BinarySearch(commonDigests(), p.digest[:digestStart])
	return found
}
