package settings

// The ids of the second-factor settings (docs/wire/rocketchat.md 4, docs/decisions.md 3).
const (
	// TwoFactorEnabled switches every check of a second factor.
	TwoFactorEnabled = "Accounts_TwoFactorAuthentication_Enabled"
	// TwoFactorMaxDelta is how many steps of 30 s an authenticator code may be off.
	TwoFactorMaxDelta = "Accounts_TwoFactorAuthentication_MaxDelta"
	// TwoFactorByTOTP offers the authenticator app as a factor.
	TwoFactorByTOTP = "Accounts_TwoFactorAuthentication_By_TOTP_Enabled"
	// TwoFactorByEmail offers codes by mail as a factor.
	TwoFactorByEmail = "Accounts_TwoFactorAuthentication_By_Email_Enabled"
	// TwoFactorByWebAuthn offers passkeys as a factor.
	TwoFactorByWebAuthn = "Accounts_TwoFactorAuthentication_By_WebAuthn_Enabled"
	// WebAuthnVerification is what is asked of devices about who holds them: "required" or
	// "preferred".
	WebAuthnVerification = "Accounts_WebAuthn_User_Verification"
	// WebAuthnKind is where new passkeys may be kept, one of WebAuthnAnyKind, "platform" and
	// "cross-platform".
	WebAuthnKind = "Accounts_WebAuthn_Key_Kind"
	// WebAuthnLogin lets people log in with a passkey alone, WebAuthnSignUp make accounts
	// with one.
	WebAuthnLogin  = "Accounts_WebAuthn_Passwordless_Login"
	WebAuthnSignUp = "Accounts_WebAuthn_Sign_Up"
	// TwoFactorEmailOAuth lets accounts of foreign services use codes by mail.
	TwoFactorEmailOAuth = "Accounts_twoFactorAuthentication_email_available_for_OAuth_users"
	// TwoFactorEmailOptIn switches codes by mail on for new accounts.
	TwoFactorEmailOptIn = "Accounts_TwoFactorAuthentication_By_Email_Auto_Opt_In"
	// TwoFactorEmailExpiration is the life of a mailed code in seconds.
	TwoFactorEmailExpiration = "Accounts_TwoFactorAuthentication_By_Email_Code_Expiration"
	// TwoFactorEmailAttempts is how many wrong answers a set of mailed codes survives.
	TwoFactorEmailAttempts = "Accounts_TwoFactorAuthentication_Max_Invalid_Email_Code_Attempts"
	// TwoFactorRememberFor is how many seconds a passed check is remembered; 0 never.
	TwoFactorRememberFor = "Accounts_TwoFactorAuthentication_RememberFor"
	// TwoFactorPasswordFallback asks for the password where no factor is on.
	TwoFactorPasswordFallback = "Accounts_TwoFactorAuthentication_Enforce_Password_Fallback"
	// TwoFactorPrivateAnswers gives strangers one constant answer to sendEmailCode.
	TwoFactorPrivateAnswers = "Accounts_TwoFactorAuthentication_Email_Private_Answers"
	// TwoFactorMeteorWords has logins in Meteor's form that lack a code refused with
	// Meteor's no-2fa-code.
	TwoFactorMeteorWords = "Accounts_TwoFactorAuthentication_Meteor_Words"
	// TwoFactorMailsPerHour is how many codes are mailed to one account in an hour for
	// challenges after a proved password or inside a session.
	TwoFactorMailsPerHour = "Accounts_TwoFactorAuthentication_Max_Emails_Per_Hour"
	// TwoFactorMailsAsked is how many codes are mailed to one account in an hour for
	// people who are not logged in as its owner.
	TwoFactorMailsAsked = "Accounts_TwoFactorAuthentication_Max_Emails_Per_Hour_Strangers"
	// TwoFactorMailsPerAddress is how many codes one network address may have mailed in an hour.
	TwoFactorMailsPerAddress = "Accounts_TwoFactorAuthentication_Max_Emails_Per_Hour_Per_Address"
	// TwoFactorWrongPerHour is how many wrong answers an account may give in an hour, over all factors.
	TwoFactorWrongPerHour = "Accounts_TwoFactorAuthentication_Max_Invalid_Attempts_Per_Hour"
	// TwoFactorWrongInRow is how many wrong answers in a row stop a factor for good.
	TwoFactorWrongInRow = "Accounts_TwoFactorAuthentication_Max_Invalid_Attempts_In_Row"
	// TwoFactorResetDelay is how many hours pass before an administrator's reset of
	// somebody else's authenticator app takes effect; 0 at once.
	TwoFactorResetDelay = "Accounts_TwoFactorAuthentication_Reset_Delay"
	// TwoFactorProtectedCalls lists further calls that ask for a factor.
	TwoFactorProtectedCalls = "Accounts_TwoFactorAuthentication_Protected_Calls"
	// TwoFactorMandatoryRoles lists roles whose users must have a factor.
	TwoFactorMandatoryRoles = "Accounts_TwoFactorAuthentication_Mandatory_Roles"
)

// The ids of the account settings.
const (
	// RegistrationForm says who may register, see RegistrationPublic and its siblings.
	RegistrationForm = "Accounts_RegistrationForm"
	// RegistrationSecretURL is the end of the address that people were given who may
	// register where RegistrationForm is RegistrationSecret.
	RegistrationSecretURL = "Accounts_RegistrationForm_SecretURL" // #nosec G101 -- the name of a setting
	// EmailVerification gives no login to accounts without a verified address, by any door.
	EmailVerification = "Accounts_EmailVerification"
	// SessionAddress says how much is kept in the database, and shown, of the addresses
	// from which sessions are made and used and events come, see AddressFull and its siblings.
	SessionAddress = "Accounts_Sessions_Address"
	// AllowProfileChange and its siblings say what users may change of their own profile.
	AllowProfileChange  = "Accounts_AllowUserProfileChange"
	AllowUsernameChange = "Accounts_AllowUsernameChange"
	AllowRealNameChange = "Accounts_AllowRealNameChange"
	AllowAvatarChange   = "Accounts_AllowUserAvatarChange"
	// AvatarsClosed shows pictures of accounts to those alone who are logged in.
	AvatarsClosed       = "Accounts_AvatarBlockUnauthenticatedAccess"
	AllowEmailChange    = "Accounts_AllowEmailChange"
	AllowPasswordChange = "Accounts_AllowPasswordChange"
	AllowStatusChange   = "Accounts_AllowUserStatusMessageChange"
	// AllowDeleteOwnAccount lets users delete their account.
	AllowDeleteOwnAccount = "Accounts_AllowDeleteOwnAccount"
	// ManuallyApproveUsers makes accounts that register wait for an administrator.
	ManuallyApproveUsers = "Accounts_ManuallyApproveNewUsers"
	// DefaultRoles lists the roles of new accounts, separated by commas.
	DefaultRoles = "Accounts_Registration_Users_Default_Roles"
	// AllowedDomains lists the mail domains that may register; empty means all.
	AllowedDomains = "Accounts_AllowedDomainsList"
	// BlockedUsernames lists user names that nobody may take, beside the built-in ones.
	BlockedUsernames = "Accounts_BlockedUsernameList"
	// PasswordReset allows forgotten passwords to be replaced by mail.
	PasswordReset = "Accounts_PasswordReset"
	// PasswordMinLength is the least length of a password that arrives as plain text.
	PasswordMinLength = "Accounts_Password_Policy_MinLength"
	// PasswordForbidCommon refuses new passwords that are among the most common ones.
	PasswordForbidCommon = "Accounts_Password_Policy_ForbidCommonPasswords"
	// LoginExpiration is the life of a session token in days.
	LoginExpiration = "Accounts_LoginExpiration"
	// AmbiguousErrors hides why a login failed (docs/wire/ddp.md D).
	AmbiguousErrors = "Accounts_AmbiguousErrorMessages"
	// PersonalAccessTokens lets users create personal access tokens.
	PersonalAccessTokens = "API_Enable_Personal_Access_Tokens"

	// BlockLogins switches the blocking of logins after failures (docs/wire/rocketchat.md 1.9.3).
	BlockLogins          = "Block_Multiple_Failed_Logins_Enabled"
	BlockLoginsByUser    = "Block_Multiple_Failed_Logins_By_User"
	BlockLoginsUserTries = "Block_Multiple_Failed_Logins_Attempts_Until_Block_by_User"
	// BlockLoginsUserTime and BlockLoginsAddressTime are in minutes.
	BlockLoginsUserTime     = "Block_Multiple_Failed_Logins_Time_To_Unblock_By_User_In_Minutes"
	BlockLoginsByAddress    = "Block_Multiple_Failed_Logins_By_Ip"
	BlockLoginsAddressTries = "Block_Multiple_Failed_Logins_Attempts_Until_Block_By_Ip"
	BlockLoginsAddressTime  = "Block_Multiple_Failed_Logins_Time_To_Unblock_By_Ip_In_Minutes"
	// BlockLoginsInRow is how many wrong passwords in a row stop a password for the
	// addresses they came from, until the account has another one.
	BlockLoginsInRow = "Block_Multiple_Failed_Logins_Attempts_In_Row"
	// BlockLoginsExempted lists network addresses that are never blocked.
	BlockLoginsExempted = "Block_Multiple_Failed_Logins_Ip_Whitelist"
)

// The ids of the limits (docs/wire/rocketchat.md 5.5). Times are milliseconds.
const (
	LimitIPEnabled                = "DDP_Rate_Limit_IP_Enabled"
	LimitIPRequests               = "DDP_Rate_Limit_IP_Requests_Allowed"
	LimitIPInterval               = "DDP_Rate_Limit_IP_Interval_Time"
	LimitUserEnabled              = "DDP_Rate_Limit_User_Enabled"
	LimitUserRequests             = "DDP_Rate_Limit_User_Requests_Allowed"
	LimitUserInterval             = "DDP_Rate_Limit_User_Interval_Time"
	LimitConnectionEnabled        = "DDP_Rate_Limit_Connection_Enabled"
	LimitConnectionRequests       = "DDP_Rate_Limit_Connection_Requests_Allowed"
	LimitConnectionInterval       = "DDP_Rate_Limit_Connection_Interval_Time"
	LimitUserByMethodEnabled      = "DDP_Rate_Limit_User_By_Method_Enabled"
	LimitUserByMethodRequests     = "DDP_Rate_Limit_User_By_Method_Requests_Allowed"
	LimitUserByMethodInterval     = "DDP_Rate_Limit_User_By_Method_Interval_Time"
	LimitConnectionMethodEnabled  = "DDP_Rate_Limit_Connection_By_Method_Enabled"
	LimitConnectionMethodRequests = "DDP_Rate_Limit_Connection_By_Method_Requests_Allowed"
	LimitConnectionMethodInterval = "DDP_Rate_Limit_Connection_By_Method_Interval_Time"
	LimitRESTEnabled              = "API_Enable_Rate_Limiter"
	LimitRESTDevEnabled           = "API_Enable_Rate_Limiter_Dev"
	LimitRESTRequests             = "API_Enable_Rate_Limiter_Limit_Calls_Default"
	LimitRESTInterval             = "API_Enable_Rate_Limiter_Limit_Time_Default"
	LimitRegisterUser             = "Rate_Limiter_Limit_RegisterUser"
)

// The ids of REST's lists.
const (
	// DefaultCount is how much of a list is answered that was asked for without a count.
	DefaultCount = "API_Default_Count"
	// UpperCountLimit is how much of a list is answered at most, and to a count of 0.
	UpperCountLimit = "API_Upper_Count_Limit"
)

// The ids of what is kept of the audit stream in the database.
const (
	// AuditRetentionDays is for how many days events are kept; 0 keeps none.
	AuditRetentionDays = "Audit_Retention_Days"
	// AuditRetentionEvents is how many events are kept at most.
	AuditRetentionEvents = "Audit_Retention_Events"
)

// The ids of general, mail and message settings.
const (
	SiteName  = "Site_Name"
	Language  = "Language"
	FromEmail = "From_Email"
	// PlainTextMail leaves the HTML part out of every mail.
	PlainTextMail = "email_plain_text_only"

	MessageMaxSize      = "Message_MaxAllowedSize"
	MessageAllowEditing = "Message_AllowEditing"
	// MessageEditMinutes and MessageDeleteMinutes limit the age of messages that
	// their author may change; 0 is no limit.
	MessageEditMinutes   = "Message_AllowEditing_BlockEditInMinutes"
	MessageAllowDeleting = "Message_AllowDeleting"
	MessageDeleteMinutes = "Message_AllowDeleting_BlockDeleteInMinutes"
	MessageAllowPinning  = "Message_AllowPinning"
	MessageAllowStarring = "Message_AllowStarring"
	MessageShowDeleted   = "Message_ShowDeletedStatus"

	// UnreadCount and UnreadCountDM say which messages count as unread in rooms
	// and in direct rooms.
	UnreadCount   = "Unread_Count"
	UnreadCountDM = "Unread_Count_DM"
	// DirectMaxUsers is how many users a direct room may have, the author
	// included (the misspelling is Rocket.Chat's).
	DirectMaxUsers = "DirectMesssage_maxUsers"
	// GroupMentionMax is the size of a room above which @all and @here address
	// nobody; 0 is no limit.
	GroupMentionMax = "Message_MaxAll"
	// QuoteChainLimit is how many messages deep a quote shows what is quoted in it.
	QuoteChainLimit = "Message_QuoteChainLimit"
	// Threads lets messages be answered in threads.
	Threads = "Threads_enabled"
	// FavoriteRooms lets users mark rooms as favorites.
	FavoriteRooms = "Favorite_Rooms"
	// AllowInvisible lets users choose to be shown as offline.
	AllowInvisible = "Accounts_AllowInvisibleStatusOption"
	// PresenceSilent keeps changes of status from being told to everybody who is
	// connected, for big servers.
	PresenceSilent = "Presence_broadcast_disabled"
)

// What RegistrationForm can be: anybody may register, nobody, or those who know
// RegistrationSecretURL; while that is empty, nobody.
const (
	RegistrationPublic   = "Public"
	RegistrationDisabled = "Disabled"
	RegistrationSecret   = "Secret URL"
)

// WebAuthnAnyKind is WebAuthnKind where every passkey may be added.
const WebAuthnAnyKind = "any"

// What SessionAddress can be: whole addresses, their networks (a /24 of IPv4, a /48 of
// IPv6), or nothing of them.
const (
	AddressFull      = "full"
	AddressShortened = "shortened"
	AddressNone      = "none"
)

// What UnreadCount and UnreadCountDM can be.
const (
	CountAllMessages   = "all_messages"
	CountUserMentions  = "user_mentions_only"
	CountGroupMentions = "group_mentions_only"
	CountBothMentions  = "user_and_group_mentions_only"
	CountMentions      = "mentions_only"
)

// The ids of the settings about files.
const (
	// FilesEnabled lets files be uploaded, FilesDirect also to direct rooms.
	FilesEnabled = "FileUpload_Enabled"
	FilesDirect  = "FileUpload_Enabled_Direct"
	// FileMaxSize is the most bytes that a file has, FilesPerUser the most MiB that all
	// files of a user take; 0 is no limit.
	FileMaxSize  = "FileUpload_MaxFileSize"
	FilesPerUser = "FileUpload_MaxMegabytesPerUser"
	// FileTypesTaken and FileTypesRefused are lists of media types, as "image/*": empty takes
	// all, and refuses none.
	FileTypesTaken   = "FileUpload_MediaTypeWhiteList"
	FileTypesRefused = "FileUpload_MediaTypeBlackList"
	// FilesProtected gives a file to the members of its room alone.
	FilesProtected = "FileUpload_ProtectFiles"
)
