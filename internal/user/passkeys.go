package user

import (
	"bytes"
	"slices"
	"time"
)

// WebAuthn holds the passkeys of an account, in the shape of Meteor's accounts-webauthn
// (docs/adr/0012-passkeys.md): changedAt, spent, spentBefore, resetDue, resetBy, and of a
// key rpId, needsPassword and kept are ours. Nothing of it is secret.
type WebAuthn struct {
	// Handle names the account to authenticators: base64url, made at random.
	Handle string `bson:"userHandle,omitempty"`
	// SecondFactor says that the keys are asked for beside the password.
	SecondFactor bool      `bson:"secondFactorEnabled"`
	Keys         []Passkey `bson:"credentials,omitempty"`
	// ChangedAt is when a key was last added or removed.
	ChangedAt time.Time `bson:"changedAt,omitempty"`
	// Spent are challenges that were answered and have not ended; none that ended at
	// SpentBefore or earlier counts any more.
	Spent       []SpentChallenge `bson:"spent,omitempty"`
	SpentBefore time.Time        `bson:"spentBefore,omitempty"`

	PendingReset `bson:",inline"`
}

// The values of Passkey.DeviceType: whether the key may be copied to other devices.
const (
	SingleDevice = "singleDevice"
	MultiDevice  = "multiDevice"
)

// Passkey is one key.
type Passkey struct {
	// ID is the id that its authenticator knows it by, base64url.
	ID string `bson:"id"`
	// PublicKey is a COSE key.
	PublicKey []byte `bson:"publicKey"`
	// Counter is the highest count of signatures seen; 0 for authenticators that do not count.
	Counter    int64    `bson:"counter"`
	Transports []string `bson:"transports,omitempty"`
	DeviceType string   `bson:"deviceType,omitempty"`
	BackedUp   bool     `bson:"backedUp"`
	AAGUID     string   `bson:"aaguid,omitempty"`
	Format     string   `bson:"fmt,omitempty"`
	// UserVerified says that its owner was verified when it was made; only such a key
	// logs in by itself.
	UserVerified bool      `bson:"userVerified"`
	Name         string    `bson:"name,omitempty"`
	CreatedAt    time.Time `bson:"createdAt,omitempty"`
	LastUsedAt   time.Time `bson:"lastUsedAt,omitempty"`
	// NeedsPassword says that the password was set anew by a mailed link or by somebody else
	// since the key was added: it proves nothing alone until it was used beside that password.
	NeedsPassword bool `bson:"needsPassword,omitempty"`
	// Kept says that it was there while an address of the account was proved, before somebody
	// took that back: the first proof that follows does not take it (DropUnkept).
	Kept bool `bson:"kept,omitempty"`
	// RPID is the host that it was made for; "" when another program made it.
	RPID string `bson:"rpId,omitempty"`
}

// SpentChallenge is a challenge that was answered.
type SpentChallenge struct {
	ID    string    `bson:"id"`
	Until time.Time `bson:"until"`
}

func (w *WebAuthn) clone() *WebAuthn {
	c := clonePointer(w)
	if c == nil {
		return nil
	}
	c.Keys, c.Spent = slices.Clone(c.Keys), slices.Clone(c.Spent)
	for i := range c.Keys {
		c.Keys[i].PublicKey, c.Keys[i].Transports = bytes.Clone(c.Keys[i].PublicKey), slices.Clone(c.Keys[i].Transports)
	}
	return c
}

// Passkeys are the keys of the account: what its document holds that is one (fits).
func (u *User) Passkeys() []Passkey {
	if u.PasskeyHandle() == "" {
		return nil
	}
	keys := u.Services.WebAuthn.Keys
	if len(keys) > maxCounted || slices.ContainsFunc(keys, func(k Passkey) bool { return !k.fits() }) {
		keys = slices.DeleteFunc(slices.Clone(keys), func(k Passkey) bool { return !k.fits() })
	}
	return keys[:min(len(keys), maxCounted)]
}

// PasskeyHandle is what authenticators know the account by, "" while it has none that they
// would take.
func (u *User) PasskeyHandle() string {
	if u.Services.WebAuthn == nil || !fitsBase64(u.Services.WebAuthn.Handle, maxHandle) {
		return ""
	}
	return u.Services.WebAuthn.Handle
}

// Passkey finds a key by its id, or nil.
func (u *User) Passkey(id string) *Passkey {
	keys := u.Passkeys()
	if i := slices.IndexFunc(keys, func(k Passkey) bool { return k.ID == id }); i >= 0 && id != "" {
		return &keys[i]
	}
	return nil
}

// PasskeysEnabled tells whether passkeys are a second factor of the account.
func (u *User) PasskeysEnabled() bool {
	return len(u.Passkeys()) > 0 && u.Services.WebAuthn.SecondFactor
}

// AddPasskey is a Change.Factor that adds a key, and makes passkeys a second factor.
// handle is taken where the account has none (PasskeyHandle).
func AddPasskey(k Passkey, handle string, at time.Time) func(*Services) {
	return func(s *Services) {
		w := s.WebAuthn.clone()
		if w == nil {
			w = &WebAuthn{}
		}
		if !fitsBase64(w.Handle, maxHandle) {
			w.Handle = handle
		}
		if !slices.ContainsFunc(w.Keys, func(k Passkey) bool { return k.fits() }) {
			w.PendingReset = PendingReset{} // what is left counts as no key
		}
		w.Keys, w.SecondFactor = append(w.Keys, k), true
		w.changed(at)
		s.WebAuthn = w
	}
}

// onPasskeys is a Change.Factor for what an account has of passkeys, if it has anything.
func onPasskeys(change func(w *WebAuthn)) func(*Services) {
	return func(s *Services) {
		if w := s.WebAuthn.clone(); w != nil {
			change(w)
			s.WebAuthn = w
		}
	}
}

// RemovePasskey is a Change.Factor that takes a key away, if it is there.
func RemovePasskey(id string, at time.Time) func(*Services) {
	return onPasskeys(func(w *WebAuthn) { w.drop(func(k Passkey) bool { return k.ID == id }, at) })
}

// DropPasskeys is a Change.Factor that takes every key away.
func DropPasskeys(at time.Time) func(*Services) {
	return onPasskeys(func(w *WebAuthn) { w.drop(func(Passkey) bool { return true }, at) })
}

// DropUnkept is a Change.Factor that takes away the keys that were added while no address
// of the account was proved.
func DropUnkept(at time.Time) func(*Services) {
	return onPasskeys(func(w *WebAuthn) { w.drop(func(k Passkey) bool { return !k.Kept }, at) })
}

func (w *WebAuthn) drop(goes func(Passkey) bool, at time.Time) {
	if w.Keys = slices.DeleteFunc(w.Keys, goes); len(w.Keys) == 0 {
		w.Keys, w.PendingReset = nil, PendingReset{}
	}
	w.changed(at)
}

// KeepPasskeys is a Change.Factor after which no first proof takes the keys that there are.
func KeepPasskeys(s *Services) {
	onPasskeys(func(w *WebAuthn) {
		for i := range w.Keys {
			w.Keys[i].Kept = true
		}
	})(s)
}

// SuspendPasskeys is a Change.Factor after which no key proves anything alone until it was
// used beside the password.
func SuspendPasskeys(at time.Time) func(*Services) {
	return onPasskeys(func(w *WebAuthn) {
		for i := range w.Keys {
			w.Keys[i].NeedsPassword = true
		}
		w.changed(at)
	})
}

// PasskeysSuspended tells whether no key of the account proves anything alone.
func (u *User) PasskeysSuspended() bool {
	n := len(u.Passkeys())
	return n > 0 && u.SuspendedPasskeys() == n
}

// SuspendedPasskeys is how many keys of the account prove nothing alone.
func (u *User) SuspendedPasskeys() (n int) {
	for _, k := range u.Passkeys() {
		if k.NeedsPassword {
			n++
		}
	}
	return n
}

// RenamePasskey is a Change.Factor that names a key, if it is there.
func RenamePasskey(id, name string) func(*Services) {
	return onPasskeys(func(w *WebAuthn) {
		for i := range w.Keys {
			if w.Keys[i].ID == id {
				w.Keys[i].Name = name
			}
		}
	})
}

// changed moves ChangedAt, which makes another state of the factors (FactorState),
// forward: two changes within a millisecond are two.
func (w *WebAuthn) changed(at time.Time) {
	at = at.Truncate(time.Millisecond) // as stores keep it
	if !at.After(w.ChangedAt) {
		at = w.ChangedAt.Add(time.Millisecond)
	}
	w.ChangedAt = at
}

// PasskeyUse is one answer of a key that was verified.
type PasskeyUse struct {
	// ID and PublicKey are the key that was verified.
	ID        string
	PublicKey []byte
	Counter   int64
	BackedUp  bool
	// Password is the stored hash of the password that was proved beside it, "" for none.
	// The use is void when it is another by now.
	Password string
	// Challenge is the id of the challenge that was answered, Until its end.
	Challenge string
	Until, At time.Time
}

// What becomes of a PasskeyUse.
type PasskeyOutcome uint8

// The outcomes; PasskeyUsed alone changes the account.
const (
	// PasskeyGone: the key is not there, or its challenge was spent.
	PasskeyGone PasskeyOutcome = iota
	// PasskeyCloned: its counter did not go forward, as if there were two of it.
	PasskeyCloned
	PasskeyUsed
)

// maxSpentChallenges bounds the challenges of one account that are answered within their life.
const maxSpentChallenges = 64

// Use notes that a key answered a challenge, or says why it does not count.
func (w *WebAuthn) Use(use PasskeyUse) PasskeyOutcome {
	if w == nil {
		return PasskeyGone
	}
	i := slices.IndexFunc(w.Keys, func(k Passkey) bool { return k.ID == use.ID && bytes.Equal(k.PublicKey, use.PublicKey) })
	if i < 0 || !use.Until.After(w.SpentBefore) || slices.ContainsFunc(w.Spent, func(s SpentChallenge) bool { return s.ID == use.Challenge }) {
		return PasskeyGone
	}
	k := &w.Keys[i]
	if k.NeedsPassword && use.Password == "" {
		return PasskeyGone
	}
	if use.Counter <= k.Counter && (use.Counter > 0 || k.Counter > 0) {
		return PasskeyCloned
	}
	w.Spent = slices.DeleteFunc(w.Spent, func(s SpentChallenge) bool {
		over := !s.Until.After(use.At)
		if over && s.Until.After(w.SpentBefore) {
			w.SpentBefore = s.Until
		}
		return over
	})
	if len(w.Spent) >= maxSpentChallenges || !use.Until.After(w.SpentBefore) {
		return PasskeyGone
	}
	w.Spent = append(w.Spent, SpentChallenge{ID: use.Challenge, Until: use.Until})
	if use.Password != "" {
		k.NeedsPassword = false
	}
	k.Counter, k.BackedUp, k.LastUsedAt = use.Counter, use.BackedUp, use.At
	w.PendingReset = PendingReset{} // whoever can still use one did not lose them
	return PasskeyUsed
}
