package accounts

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"go.uber.org/zap"

	"ddpserver/internal/dberr"
	"ddpserver/internal/fault"
	"ddpserver/internal/netkey"
	"ddpserver/internal/random"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/secret"
	"ddpserver/internal/settings"
	"ddpserver/internal/user"
)

// Registration is what somebody says who makes an account for themselves.
type Registration struct {
	// ID is the id of the account, for one that must not be made twice; "" makes one up.
	// Register fails with ErrMadeBefore where it is taken, whatever that account is called.
	ID string
	// Username or Email is required.
	Username, Email, Name string
	// Password may be zero: nobody can log in until a link sets one.
	Password Password
	// Passkeys are what proves the owner, for an account that begins with one; nil for none.
	Passkeys *user.WebAuthn
	// Profile is the free object of Meteor's createUser.
	Profile map[string]any
	// Reason is a sentence for the administrator who approves accounts.
	Reason string
	// Secret is the end of the secret address, where the server asks for one.
	Secret string
	// NeedUsername makes up a user name when none is given.
	NeedUsername bool
}

// Register makes an account for a stranger and mails a verification link. Every
// door that makes accounts for strangers ends here, so this is where they are
// limited. It logs nobody in. Whether a name or an address is taken is not told while the
// setting AmbiguousErrors is on.
//
// Errors: ErrSignupsForbidden, ErrRegistrationSecret, ErrNeedNameOrEmail, ErrUsername, ErrReserved,
// ErrEmail, ErrDomain, ErrName, ErrPolicy, ErrTooLong, ErrCredentials (taken) or
// ErrUsernameExists and ErrEmailExists, ErrNeedEmail, too-many-requests.
func (s *Service) Register(ctx context.Context, p *rpc.Peer, r Registration) (*user.User, error) {
	u, err := s.register(ctx, p, r)
	id := ""
	if u != nil {
		id = u.ID
	}
	s.record(p, "account_created", id, err)
	if err != nil {
		return nil, err
	}
	if s.mayInvite(p) {
		s.verifyNew(ctx, u)
	}
	return u, nil
}

func (s *Service) register(ctx context.Context, p *rpc.Peer, r Registration) (*user.User, error) {
	counted, err := s.registrationOpen(p, r)
	if err != nil {
		return nil, err
	}
	u, err := s.draft(r)
	if err != nil {
		return nil, err
	}
	for _, e := range u.Emails {
		if err := s.allowedDomain(e.Address); err != nil {
			return nil, err
		}
	}
	if s.mustVerify(u) && len(u.Emails) == 0 {
		return nil, ErrNeedEmail
	}
	if !r.Password.IsZero() {
		if err := s.acceptable(r.Password); err != nil {
			return nil, err
		}
	}
	if !counted {
		if err := s.registrationBudget(p); err != nil {
			return nil, err
		}
	}
	if !r.Password.IsZero() {
		hash, err := s.passwords.hasher.hash(ctx, r.Password)
		if err != nil {
			return nil, err
		}
		u.Services.Password = &user.Password{Bcrypt: hash}
	}
	u.Services.WebAuthn = r.Passkeys
	u.Roles = s.defaultRoles()
	active := !s.set.Bool(settings.ManuallyApproveUsers)
	u.Active = &active
	s.optIn(u)
	if u.Username == "" && r.NeedUsername {
		if u.Username, err = s.SuggestUsername(ctx, r.Name, r.Email); err != nil {
			return nil, err
		}
	}
	if err := s.insert(ctx, u); err != nil {
		return nil, s.taken(err)
	}
	return u, nil
}

// registrationOpen refuses a registration that the settings do not let in. A secret
// that is offered is counted as a registration before it is compared; counted says so.
func (s *Service) registrationOpen(p *rpc.Peer, r Registration) (counted bool, err error) {
	switch s.set.String(settings.RegistrationForm) {
	case settings.RegistrationPublic:
		return false, nil
	case settings.RegistrationSecret:
	default:
		return false, ErrSignupsForbidden
	}
	want := s.set.String(settings.RegistrationSecretURL)
	if r.Secret == "" || want == "" {
		return false, ErrRegistrationSecret
	}
	if err := s.registrationBudget(p); err != nil {
		return true, err
	}
	given, right := sha256.Sum256([]byte(r.Secret)), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(given[:], right[:]) != 1 {
		return true, ErrRegistrationSecret
	}
	return true, nil
}

// Registrations are limited for a network as Rate_Limiter_Limit_RegisterUser a
// minute, counted over ten of them so that a few at once pass, and for the whole
// server as 60 such networks: whoever has many networks makes many accounts too.
const (
	registrationWindow   = 10 * time.Minute
	registrationNetworks = 60
)

// registrationBudget counts one registration that keeps the rules of what people
// may call themselves, before anything is looked up or hashed for it.
func (s *Service) registrationBudget(p *rpc.Peer) error {
	if !s.set.Bool(settings.LimitRESTEnabled) || !s.set.Bool(settings.LimitConnectionMethodEnabled) {
		return nil // whoever lifts the limits of calls lifts this one
	}
	network := ""
	if p != nil {
		network = netkey.Of(p.Address)
	}
	most := int(registrationWindow/time.Minute) * s.set.Int(settings.LimitRegisterUser)
	if wait, ok := s.mails.Take("register/"+network, most, registrationWindow); !ok {
		return ratelimit.TooMany(wait)
	}
	if wait, ok := s.mails.Take("register", most*registrationNetworks, registrationWindow); !ok {
		return ratelimit.TooMany(wait)
	}
	return nil
}

// draft checks a registration and makes the document without credentials.
func (s *Service) draft(r Registration) (*user.User, error) {
	if r.Username == "" && r.Email == "" {
		return nil, ErrNeedNameOrEmail
	}
	u := &user.User{ID: r.ID, Username: r.Username, Profile: r.Profile}
	if r.Username != "" {
		if err := s.freeUsername(r.Username, nil); err != nil {
			return nil, err
		}
	}
	if r.Email != "" {
		addr, err := newEmail(r.Email)
		if err != nil {
			return nil, err
		}
		u.Emails = []user.Email{{Address: addr}}
	}
	var err error
	if u.Name, err = cleanName(r.Name); err != nil {
		return nil, err
	}
	if u.Reason, err = cleanText(r.Reason, 1000); err != nil {
		return nil, err
	}
	if err := cleanFields(r.Profile); err != nil {
		return nil, err
	}
	return u, nil
}

// insert completes a new document and stores it.
func (s *Service) insert(ctx context.Context, u *user.User) error {
	if u.ID == "" {
		u.ID = random.ID()
	}
	u.Type = "user"
	u.Status, u.StatusDefault = "offline", "online"
	u.CreatedAt = s.time()
	u.UpdatedAt = u.CreatedAt
	if u.HasRole("bot") {
		u.Type = "bot"
	}
	u.FillKeys()
	if err := s.store.CreateUser(ctx, u); err != nil {
		return err
	}
	s.changed(u.ID, user.News{})
	s.follow(ctx, "created", u.ID, func(ctx context.Context, f Follower) error { return f.Created(ctx, u) })
	return nil
}

// taken words a name or address that somebody has.
func (s *Service) taken(err error) error {
	masked := s.set.Bool(settings.AmbiguousErrors)
	switch {
	case errors.Is(err, dberr.DuplicateUsername) && !masked:
		return ErrUsernameExists.Because(err)
	case errors.Is(err, dberr.DuplicateEmail) && !masked:
		return ErrEmailExists.Because(err)
	case errors.Is(err, dberr.DuplicateUsername), errors.Is(err, dberr.DuplicateEmail):
		return ErrCredentials.Because(err)
	case errors.Is(err, dberr.Duplicate):
		return ErrMadeBefore.Because(err)
	}
	return err
}

// optIn switches the mail factor on for a new account; it bites once an address
// is verified (docs/decisions.md 3.3).
func (s *Service) optIn(u *user.User) {
	if s.set.Bool(settings.TwoFactorEmailOptIn) {
		u.Services.Email2FA = &user.Email2FA{Enabled: true, ChangedAt: s.time()}
	}
}

// defaultRoles are the roles of accounts that register; never "admin", whatever
// the setting says.
func (s *Service) defaultRoles() []string {
	var roles []string
	for _, r := range s.listed(settings.DefaultRoles) {
		if r != "admin" && knownRole(r) && !containsFold(roles, r) {
			roles = append(roles, r)
		}
	}
	if len(roles) == 0 {
		roles = []string{"user"}
	}
	return roles
}

// invitationsPerAddress bounds the mails that registrations from one network
// address cause in an hour: anybody may name anybody's mailbox.
const invitationsPerAddress = 60

// mayInvite counts one mail to the mailbox of a new account that a stranger made.
// Over the budget the account is there without a link, which can be asked for
// later. This machine is not counted.
func (s *Service) mayInvite(p *rpc.Peer) bool {
	network := netkey.Of(p.Address)
	if ip, err := netip.ParseAddr(p.Address); network == "" || err == nil && ip.Unmap().IsLoopback() && !p.Proxied {
		return true
	}
	err := s.mailBudget("invitation/"+network, invitationsPerAddress)
	if err != nil {
		s.record(p, "verification_requested", "", err)
	}
	return err == nil
}

// verifyNew mails the verification link of a new account. The account exists by
// then, and the link can be asked for again, so a failure is only logged.
func (s *Service) verifyNew(ctx context.Context, u *user.User) {
	for _, e := range u.Emails {
		if e.Verified {
			continue
		}
		if err := s.sendVerification(context.WithoutCancel(ctx), u, e.Address, true); err != nil {
			s.log.Warn("verification_not_sent", zap.String("user_id", u.ID), zap.Error(err))
		}
	}
}

// SuggestUsername makes up a free user name from a real name or an address.
func (s *Service) SuggestUsername(ctx context.Context, name, email string) (string, error) {
	bases := append(suggestions(name, email), "user-"+random.Digits(8))
	for _, base := range bases {
		for n := range 6 {
			candidate := base
			if n > 0 {
				candidate = base + "-" + strconv.Itoa(n)
			}
			if s.freeUsername(candidate, nil) != nil {
				continue
			}
			_, err := s.store.UserByUsername(ctx, user.Key(candidate))
			if errors.Is(err, dberr.NotFound) {
				return candidate, nil
			}
			if err != nil {
				return "", err
			}
		}
	}
	return "user-" + random.ID(), nil
}

// UsernameFree tells whether a user name may be taken by that account: it keeps
// the rules and nobody else has it.
func (s *Service) UsernameFree(ctx context.Context, by *user.User, name string) (bool, error) {
	if err := s.freeUsername(name, by); err != nil {
		return false, err
	}
	u, err := s.store.UserByUsername(ctx, user.Key(name))
	if errors.Is(err, dberr.NotFound) {
		return true, nil
	}
	return err == nil && u.ID == by.ID, err
}

// OperatorAccount is an account that an operator makes on the command line.
type OperatorAccount struct {
	// Username is required; it may be a reserved one.
	Username, Email, Name string
	// Verified marks the address as proven.
	Verified bool
	// Roles default to "user".
	Roles    []string
	Password secret.String
	// Email2FA switches the mail factor on from the start.
	Email2FA bool
}

// CreateByOperator makes an account with the operator's word for everything in
// it. The errors say what is wrong in a sentence for a terminal.
func (s *Service) CreateByOperator(ctx context.Context, a OperatorAccount) (*user.User, error) {
	u, err := s.operated(ctx, a)
	id := ""
	if u != nil {
		id = u.ID
	}
	s.record(nil, "account_created", id, err, method("operator"))
	if err != nil {
		return nil, err
	}
	s.granted(ctx, nil, nil, nil, u)
	return u, nil
}

func (s *Service) operated(ctx context.Context, a OperatorAccount) (*user.User, error) {
	if err := checkUsername(a.Username); err != nil {
		return nil, err
	}
	name, err := cleanName(a.Name)
	if err != nil {
		return nil, err
	}
	u := &user.User{Username: a.Username, Name: name, Roles: a.Roles}
	if a.Email != "" {
		addr, err := newEmail(a.Email)
		if err != nil {
			return nil, err
		}
		u.Emails = []user.Email{{Address: addr, Verified: a.Verified}}
	}
	if len(u.Roles) == 0 {
		u.Roles = []string{"user"}
	}
	for _, r := range u.Roles {
		if !knownRole(r) {
			return nil, fault.New(ErrRole.Code, "There is no role "+strconv.Quote(r))
		}
	}
	pw, err := Plain(a.Password.Reveal())
	if err != nil {
		return nil, ErrPolicy
	}
	if s.common(pw) {
		return nil, ErrCommonPassword
	}
	// The length is for strangers: whoever runs the server may choose a short
	// password for a test machine, and is warned where it can be (app.Check).
	hash, err := s.passwords.hasher.hash(ctx, pw)
	if err != nil {
		return nil, err
	}
	u.Services.Password = &user.Password{Bcrypt: hash}
	if a.Email2FA {
		u.Services.Email2FA = &user.Email2FA{Enabled: true, ChangedAt: s.time()}
	}
	active := true
	u.Active = &active
	switch err := s.insert(ctx, u); {
	case errors.Is(err, dberr.DuplicateUsername):
		return nil, ErrUsernameExists.Because(err)
	case errors.Is(err, dberr.DuplicateEmail):
		return nil, ErrEmailExists.Because(err)
	default:
		return u, err
	}
}

// FirstAdmin is the administrator of a first start.
type FirstAdmin struct {
	Username, Email, Name string
	// Password is made up when empty.
	Password secret.String
}

// EnsureAdmin makes the administrator when no active one exists, with a
// verified address. created is false when there is one already. password is the one
// that was made up, to be shown once; empty when one was given. ErrNoAdmin when the
// user name or address belongs to somebody: nobody's account is taken over.
func (s *Service) EnsureAdmin(ctx context.Context, a FirstAdmin) (created bool, password secret.String, err error) {
	admins, err := s.store.Administrators(ctx)
	if err != nil || len(admins) > 0 {
		return false, "", err
	}
	if a.Password == "" {
		a.Password = secret.String(random.ID())
		password = a.Password
	}
	_, err = s.CreateByOperator(ctx, OperatorAccount{
		Username: a.Username, Email: a.Email, Name: a.Name, Verified: true,
		Roles: []string{"admin", "user"}, Password: a.Password,
	})
	if errors.Is(err, dberr.DuplicateUsername) || errors.Is(err, dberr.DuplicateEmail) {
		return false, "", ErrNoAdmin.Because(err)
	}
	if err != nil {
		return false, "", err
	}
	return true, password, nil
}

// knownRole tells whether there is such a role.
func knownRole(r string) bool { return r == "admin" || r == "user" || r == "bot" }
