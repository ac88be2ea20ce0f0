package settings

import (
	"errors"
	"net/mail"
	"regexp"
	"slices"
	"strings"
)

// Type says what values a setting takes; it is the "type" of its document.
type Type string

// The types there are.
const (
	Boolean Type = "boolean"
	Int     Type = "int"
	Text    Type = "string"
	Select  Type = "select"
)

// Definition is one line of the table of settings.
type Definition struct {
	ID   string
	Type Type
	// Default is a bool, int or string, as Type asks.
	Default any
	// Min and Max bound an Int, both included.
	Min, Max int
	// Capped takes an Int above Max for Max, with a warning, instead of refusing
	// it: the databases and environments of Rocket.Chat hold larger values.
	Capped bool
	// Values lists what a Select takes.
	Values []string
	// MaxLen bounds a Text in bytes; 0 means defaultMaxLen.
	MaxLen int
	// Lines allows line breaks in a Text.
	Lines bool
	// Public settings are shown to everybody, logged in or not.
	Public bool
	// Secret values are accepted but never shown; they read as masked.
	Secret bool
	// Group and Section place the setting on an administrator's page.
	Group, Section string
	// Check refuses a value that has the right type; nil accepts. The text of
	// its error is shown to the administrator.
	Check func(value any) error
	// CheckNew refuses a value that somebody saves or forces, and only warns of one
	// that is stored already: its default would guard less.
	CheckNew func(value any) error
	// Misfit is the value in force when the stored one does not fit, where the default
	// would let in whoever comes; nil is the default.
	Misfit any
	// floor adds to a value that fits what it must not be without; nil adds nothing.
	floor func(value any) any
	// Fixed values are facts (Facts): nobody saves or forces them. A kept one is stored
	// all the same, once.
	Fixed, kept bool
	// Harmless says in a sentence why a change of the setting weakens no guard.
	// Empty, the zero value, means that it guards: a new setting is taken for a
	// guard until somebody wrote down why it is none.
	Harmless string
}

// Guards tells whether the setting says how people prove who they are, who may
// have an account and with which rights, what users may change themselves, or how
// much anybody may ask of the server. Saving it asks for a fresh factor.
func (d *Definition) Guards() bool { return d.Harmless == "" }

// floored is a value that fits, with what it must not be without.
func (d *Definition) floored(value any) any {
	if d.floor == nil {
		return value
	}
	return d.floor(value)
}

// harmless marks settings that guard nothing, all for the same reason.
func harmless(why string, defs ...Definition) []Definition {
	for i := range defs {
		defs[i].Harmless = why
	}
	return defs
}

// defaultMaxLen is enough for names, addresses and short lists.
const defaultMaxLen = 1000

const (
	hour = 60 * 60
	day  = 24 * hour
	// maxInterval keeps a limiter's window below an hour: longer ones would pin memory.
	maxInterval = hour * 1000
	maxRequests = 100_000_000
)

// Table is the list of all settings. Chat, mail and others add their own lines
// here, and nowhere else.
func Table() []Definition {
	var t []Definition
	t = append(t, twoFactorSettings()...)
	t = append(t, accountSettings()...)
	t = append(t, fileSettings()...)
	t = append(t, limitSettings()...)
	return append(t, generalSettings()...)
}

func section(group, name string, defs ...Definition) []Definition {
	for i := range defs {
		defs[i].Group, defs[i].Section = group, name
	}
	return defs
}

func flag(id string, def, public bool) Definition {
	return Definition{ID: id, Type: Boolean, Default: def, Public: public}
}

func number(id string, def, min, max int) Definition {
	return Definition{ID: id, Type: Int, Default: def, Min: min, Max: max}
}

func capped(d Definition) Definition { d.Capped = true; return d }

func text(id, def string, public bool) Definition {
	return Definition{ID: id, Type: Text, Default: def, Public: public}
}

func public(d Definition) Definition { d.Public = true; return d }

func list(id string) Definition {
	return Definition{ID: id, Type: Text, Default: "", Lines: true, MaxLen: 16 << 10}
}

func checked(d Definition, check func(v any) error) Definition { d.CheckNew = check; return d }

// twoFactorSettings: docs/wire/rocketchat.md 4 with the defaults of docs/decisions.md 3.
func twoFactorSettings() []Definition {
	return section("Accounts", "Two Factor Authentication",
		flag(TwoFactorEnabled, true, true),
		capped(number(TwoFactorMaxDelta, 1, 0, 2)),
		flag(TwoFactorByTOTP, true, true),
		flag(TwoFactorByEmail, true, true),
		flag(TwoFactorByWebAuthn, true, true),
		flag(TwoFactorEmailOAuth, true, true),
		flag(TwoFactorEmailOptIn, true, false),
		capped(number(TwoFactorEmailExpiration, 600, 30, 600)),
		number(TwoFactorEmailAttempts, 5, 1, 10),
		number(TwoFactorRememberFor, 300, 0, 30*day),
		flag(TwoFactorPasswordFallback, true, true),
		flag(TwoFactorPrivateAnswers, false, false),
		flag(TwoFactorMeteorWords, false, true),
		number(TwoFactorMailsPerHour, 10, 1, 100),
		number(TwoFactorMailsAsked, 5, 1, 100),
		number(TwoFactorMailsPerAddress, 20, 1, 10_000),
		number(TwoFactorWrongPerHour, 10, 1, 100),
		number(TwoFactorWrongInRow, 100, 1, 1000),
		number(TwoFactorResetDelay, 0, 0, 168),
		checked(list(TwoFactorProtectedCalls), protectedCalls),
		Definition{ID: TwoFactorMandatoryRoles, Type: Text, Default: "", Lines: true, MaxLen: 16 << 10, CheckNew: mandatoryRoles},
	)
}

func accountSettings() []Definition {
	t := section("Accounts", "Registration",
		Definition{ID: RegistrationForm, Type: Select, Default: RegistrationPublic, Misfit: RegistrationDisabled,
			Values: []string{RegistrationPublic, RegistrationDisabled, RegistrationSecret}, Public: true},
		Definition{ID: RegistrationSecretURL, Type: Text, Default: "", Secret: true},
		flag(EmailVerification, false, true),
		Definition{ID: ManuallyApproveUsers, Type: Boolean, Default: false, Misfit: true, Public: true},
		text(DefaultRoles, "user", false),
		list(AllowedDomains),
		list(BlockedUsernames),
		flag(PasswordReset, true, true),
		public(number(PasswordMinLength, 6, 1, 64)),
		flag(PasswordForbidCommon, false, true),
	)
	t = append(t, section("Accounts", "Passkeys",
		Definition{ID: WebAuthnVerification, Type: Select, Default: "required", Misfit: "required", Values: []string{"required", "preferred"}},
		Definition{ID: WebAuthnKind, Type: Select, Default: WebAuthnAnyKind, Misfit: WebAuthnAnyKind,
			Values: []string{WebAuthnAnyKind, "platform", "cross-platform"}},
		flag(WebAuthnLogin, true, true),
		flag(WebAuthnSignUp, false, true),
	)...)
	t = append(t, section("Accounts", "",
		flag(AllowProfileChange, true, true),
		flag(AllowUsernameChange, true, true),
		flag(AllowRealNameChange, true, true),
		flag(AllowEmailChange, true, true),
		flag(AllowPasswordChange, true, true),
		flag(AllowStatusChange, true, true),
		flag(AllowAvatarChange, true, true),
		flag(AvatarsClosed, true, true),
		flag(AllowDeleteOwnAccount, false, true),
		public(number(LoginExpiration, 90, 1, 36_500)),
		flag(AmbiguousErrors, true, false),
	)...)
	t = append(t, section("Accounts", "Sessions",
		// Who keeps nothing learns nothing of a stolen session either: it guards both ways.
		Definition{ID: SessionAddress, Type: Select, Default: AddressShortened, Misfit: AddressNone,
			Values: []string{AddressFull, AddressShortened, AddressNone}, Public: true},
	)...)
	t = append(t, section("General", "REST API", flag(PersonalAccessTokens, true, true))...)
	return append(t, section("Accounts", "Login Attempts",
		flag(BlockLogins, true, false),
		flag(BlockLoginsByUser, true, false),
		number(BlockLoginsUserTries, 10, 1, 1000),
		number(BlockLoginsUserTime, 5, 1, 24*60),
		number(BlockLoginsInRow, 100, 1, 1000),
		flag(BlockLoginsByAddress, true, false),
		number(BlockLoginsAddressTries, 50, 1, 100_000),
		number(BlockLoginsAddressTime, 5, 1, 24*60),
		list(BlockLoginsExempted),
	)...)
}

// fileSettings guard: they say what anybody may leave on the server, and who may read it.
func fileSettings() []Definition {
	types := func(id, def string) Definition {
		return Definition{ID: id, Type: Text, Default: def, Lines: true, MaxLen: 4 << 10, Public: true, CheckNew: mediaTypes}
	}
	return section("FileUpload", "",
		flag(FilesEnabled, true, true),
		flag(FilesDirect, true, true),
		public(number(FileMaxSize, 100<<20, 1, 5<<30)),
		number(FilesPerUser, 2048, 0, 1<<30),
		types(FileTypesTaken, ""),
		types(FileTypesRefused, "image/svg+xml"),
		flag(FilesProtected, true, true),
	)
}

// mediaTypes accepts a list of media types; a half of one may be a star.
func mediaTypes(v any) error {
	for entry := range strings.FieldsFuncSeq(v.(string), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' }) {
		if !mediaType.MatchString(entry) {
			return errors.New("must be media types with commas between them, such as image/*, application/pdf")
		}
	}
	return nil
}

var mediaType = regexp.MustCompile(`^(\*|[A-Za-z0-9.+-]{1,64})/(\*|[A-Za-z0-9.+-]{1,100})$`)

// limitSettings: the defaults of docs/wire/rocketchat.md 5.5.
func limitSettings() []Definition {
	ddp := section("Rate Limiter", "DDP Rate Limiter",
		flag(LimitIPEnabled, true, false),
		number(LimitIPRequests, 120_000, 1, maxRequests),
		number(LimitIPInterval, 60_000, 1, maxInterval),
		flag(LimitUserEnabled, true, false),
		number(LimitUserRequests, 1200, 1, maxRequests),
		number(LimitUserInterval, 60_000, 1, maxInterval),
		flag(LimitConnectionEnabled, true, false),
		number(LimitConnectionRequests, 600, 1, maxRequests),
		number(LimitConnectionInterval, 60_000, 1, maxInterval),
		flag(LimitUserByMethodEnabled, true, false),
		number(LimitUserByMethodRequests, 20, 1, maxRequests),
		number(LimitUserByMethodInterval, 10_000, 1, maxInterval),
		flag(LimitConnectionMethodEnabled, true, false),
		number(LimitConnectionMethodRequests, 10, 1, maxRequests),
		number(LimitConnectionMethodInterval, 10_000, 1, maxInterval),
	)
	rest := section("Rate Limiter", "API Rate Limiter",
		flag(LimitRESTEnabled, true, false),
		flag(LimitRESTDevEnabled, true, false),
		number(LimitRESTRequests, 10, 1, maxRequests),
		number(LimitRESTInterval, 60_000, 1, maxInterval),
	)
	feature := section("Rate Limiter", "Feature Limiting", number(LimitRegisterUser, 1, 1, maxRequests))
	lists := section("General", "REST API", number(DefaultCount, 50, 1, 100), number(UpperCountLimit, 100, 1, 100))
	// Whoever shortens it makes others forget what was done.
	trail := section("General", "Audit", number(AuditRetentionDays, 90, 0, 3650), number(AuditRetentionEvents, 200_000, 1000, 1_000_000))
	return slices.Concat(ddp, rest, feature, lists, trail)
}

// mailbox accepts an address as a mail's From has it, or nothing.
func mailbox(v any) error {
	if v == "" {
		return nil
	}
	if _, err := mail.ParseAddress(v.(string)); err != nil {
		return errors.New("must be an e-mail address, such as name@example.com or Name <name@example.com>")
	}
	return nil
}

func generalSettings() []Definition {
	t := section("General", "", harmless("A name or a language that is shown, and no more.",
		text(SiteName, "ddpserver", true),
		text(Language, "en", true),
	)...)
	t = append(t, section("Email", "",
		// Who a mail comes from is how people tell a real code from a forged one.
		Definition{ID: FromEmail, Type: Text, Default: "", Check: mailbox},
	)...)
	t = append(t, section("Email", "", harmless("The text of a mail is the same in both forms.", flag(PlainTextMail, false, false))...)...)
	return append(t, section("Message", "", harmless("How rooms and messages behave among those who are in them already.",
		public(number(MessageMaxSize, 5000, 1, 100_000)),
		flag(MessageAllowEditing, true, true),
		public(number(MessageEditMinutes, 0, 0, 365*24*60)),
		flag(MessageAllowDeleting, true, true),
		public(number(MessageDeleteMinutes, 0, 0, 365*24*60)),
		flag(MessageAllowPinning, true, true),
		flag(MessageAllowStarring, true, true),
		flag(Threads, true, true),
		public(number(QuoteChainLimit, 2, 0, 10)),
		flag(MessageShowDeleted, false, true),
		Definition{ID: UnreadCount, Type: Select, Default: CountBothMentions, Public: true,
			Values: []string{CountAllMessages, CountUserMentions, CountGroupMentions, CountBothMentions}},
		Definition{ID: UnreadCountDM, Type: Select, Default: CountAllMessages, Public: true,
			Values: []string{CountAllMessages, CountMentions}},
		public(number(DirectMaxUsers, 8, 1, 100)),
		public(number(GroupMentionMax, 0, 0, 1_000_000)),
		flag(FavoriteRooms, true, true),
		flag(AllowInvisible, true, true),
		flag(PresenceSilent, false, true),
	)...)...)
}
