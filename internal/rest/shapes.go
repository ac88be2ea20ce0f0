package rest

import (
	"time"

	"ddpserver/internal/methods"
	"ddpserver/internal/rest/schema"
)

// The bodies, queries and answers of the core's routes. Their schemas, under the names
// of these types, check what is asked and are published (schema.Of); "success" stands
// beside the members of an answer. Members that nothing here reads are those that
// published clients send.

// Page is the query of a list; Request.Page reads it.
type Page struct {
	Count  int `json:"count,omitempty" minimum:"0" about:"0 asks for as many as the setting API_Upper_Count_Limit allows"`
	Offset int `json:"offset,omitempty" minimum:"0"`
}

// Extent says which part of a list an answer holds.
type Extent struct {
	Count  int `json:"count"`
	Offset int `json:"offset"`
	Total  int `json:"total"`
}

// Account names an account, the caller's own if it does not; Request.Account reads it.
type Account struct {
	UserID   string `json:"userId,omitempty"`
	Username string `json:"username,omitempty"`
	User     string `json:"user,omitempty"`
}

type email struct {
	Address  string `json:"address"`
	Verified bool   `json:"verified"`
}

// ownAccount is an account as its owner sees it.
type ownAccount struct {
	ID                    string         `json:"_id"`
	Username              string         `json:"username,omitempty"`
	Name                  string         `json:"name,omitempty"`
	Emails                []email        `json:"emails,omitempty"`
	Active                bool           `json:"active"`
	Roles                 []string       `json:"roles"`
	Type                  string         `json:"type,omitempty"`
	Status                string         `json:"status,omitempty"`
	StatusText            string         `json:"statusText,omitempty"`
	StatusDefault         string         `json:"statusDefault,omitempty"`
	Language              string         `json:"language,omitempty"`
	AvatarURL             string         `json:"avatarUrl,omitempty"`
	AvatarETag            string         `json:"avatarETag,omitempty"`
	AvatarOrigin          string         `json:"avatarOrigin,omitempty"`
	Email                 string         `json:"email,omitempty"`
	IsOAuthUser           bool           `json:"isOAuthUser"`
	Settings              map[string]any `json:"settings"`
	Services              map[string]any `json:"services"`
	CreatedAt             time.Time      `json:"createdAt,omitempty"`
	UpdatedAt             time.Time      `json:"_updatedAt,omitempty"`
	Profile               map[string]any `json:"profile,omitempty"`
	CustomFields          map[string]any `json:"customFields,omitempty"`
	RequirePasswordChange bool           `json:"requirePasswordChange"`
}

// shownAccount is an account as others see it: which members are there depends on who
// asks. Nothing of the credentials ever is.
type shownAccount struct {
	ID           string         `json:"_id"`
	Username     string         `json:"username,omitempty"`
	Name         string         `json:"name,omitempty"`
	Type         string         `json:"type,omitempty"`
	Active       bool           `json:"active,omitempty"`
	Status       string         `json:"status,omitempty"`
	StatusText   string         `json:"statusText,omitempty"`
	AvatarETag   string         `json:"avatarETag,omitempty"`
	CreatedAt    time.Time      `json:"createdAt,omitempty"`
	UpdatedAt    time.Time      `json:"_updatedAt,omitempty"`
	Emails       []email        `json:"emails,omitempty"`
	Roles        []string       `json:"roles,omitempty"`
	Reason       string         `json:"reason,omitempty"`
	Language     string         `json:"language,omitempty"`
	CustomFields map[string]any `json:"customFields,omitempty"`
	// In lists, to those who may see all of other people's accounts.
	State       string    `json:"state,omitempty" enum:"active,inactive,pending"`
	LastLogin   time.Time `json:"lastLogin,omitempty"`
	Factors     []string  `json:"factors,omitempty" about:"second factors that are on"`
	PasswordSet bool      `json:"passwordSet,omitempty"`
	Sessions    int       `json:"sessions,omitempty"`
	Tokens      int       `json:"personalAccessTokens,omitempty"`
	ResetDue    time.Time `json:"totpResetDue,omitempty" about:"when a reset of the authenticator app takes effect"`
	KeysDue     time.Time `json:"webauthnResetDue,omitempty" about:"when a reset of the passkeys takes effect"`
	Suspended   int       `json:"passkeysSuspended,omitempty" about:"how many passkeys prove nothing until they were used beside the password"`
}

type (
	// credentials are what POST login takes.
	credentials struct {
		User     any        `json:"user,omitempty"`
		Username any        `json:"username,omitempty"`
		Email    any        `json:"email,omitempty"`
		Password password   `json:"password,omitempty"`
		Code     string     `json:"code,omitempty"`
		Resume   string     `json:"resume,omitempty"`
		TOTP     *codeLogin `json:"totp,omitempty"`
		// Another spelling of code, and the factor that it is for, as DDP has them.
		TwoFactorCode   string `json:"twoFactorCode,omitempty"`
		TwoFactorMethod string `json:"twoFactorMethod,omitempty"`
		// What an authenticator answered: alone, or beside a password.
		WebAuthn any `json:"webauthn,omitempty" about:"AuthenticationResponseJSON, as an object or as its text"`
	}
	codeLogin struct {
		Login map[string]any `json:"login"`
		Code  string         `json:"code,omitempty"`
	}
	hashedPassword struct {
		Digest    string `json:"digest,omitempty"`
		Algorithm string `json:"algorithm,omitempty"`
		Hashed    string `json:"hashed,omitempty"`
	}
	loggedIn struct {
		Status string    `json:"status" const:"success"`
		Data   loginData `json:"data"`
	}
	loginData struct {
		UserID    string     `json:"userId"`
		AuthToken string     `json:"authToken"`
		Me        ownAccount `json:"me"`
	}
	loggedOut struct {
		Status string `json:"status" const:"success"`
		Data   notice `json:"data"`
	}
	notice struct {
		Message string `json:"message"`
	}
)

// password is a text, or its digest in one of two spellings.
type password struct{}

// JSONSchema says so.
func (password) JSONSchema() Schema { return schema.Either(schema.Text(), schema.Of[hashedPassword]()) }

type (
	registration struct {
		Username string `json:"username" minLength:"1"`
		Name     string `json:"name,omitempty"`
		Email    string `json:"email"`
		Pass     string `json:"pass"`
		Reason   string `json:"reason,omitempty"`
		Secret   string `json:"secretURL,omitempty"`
	}
	accountAnswer struct {
		User shownAccount `json:"user"`
	}
	// ownAnswer is the own account as an answer of its own.
	ownAnswer  struct{ ownAccount }
	updatedOwn struct {
		User ownAccount `json:"user"`
	}
	ownUpdate struct {
		Data         ownFields      `json:"data"`
		CustomFields map[string]any `json:"customFields,omitempty"`
	}
	ownFields struct {
		Name            string         `json:"name,omitempty"`
		Username        string         `json:"username,omitempty"`
		Email           string         `json:"email,omitempty"`
		Nickname        string         `json:"nickname,omitempty"`
		StatusText      string         `json:"statusText,omitempty"`
		StatusType      string         `json:"statusType,omitempty"`
		NewPassword     string         `json:"newPassword,omitempty"`
		CurrentPassword string         `json:"currentPassword,omitempty" about:"hex SHA-256 of the password; the proof of an account without another factor"`
		CustomFields    map[string]any `json:"customFields,omitempty"`
	}
	renewedToken struct {
		Token        string    `json:"token"`
		TokenExpires time.Time `json:"tokenExpires"`
	}
	emailBody struct {
		Email string `json:"email"`
	}
	mailedToken struct {
		Token string `json:"token"`
	}
	passwordReset struct {
		Token    string `json:"token"`
		Password string `json:"password"`
	}
	ownDeletion struct {
		Password          string `json:"password" about:"hex SHA-256 of the password"`
		ConfirmRelinquish bool   `json:"confirmRelinquish,omitempty"`
	}
)

type (
	accountQuery struct {
		Account
		Email string `json:"email,omitempty"`
	}
	accountSearch struct {
		Page
		Search string `json:"search,omitempty" about:"begins a word of the user name, the name or an address"`
		Role   string `json:"role,omitempty"`
		State  string `json:"state,omitempty" enum:"active,inactive,pending"`
		Factor string `json:"factor,omitempty" enum:"none,email,totp,webauthn,both,tokens"`
		Order  string `json:"order,omitempty" enum:"username,-username,name,-name,createdAt,-createdAt,lastLogin,-lastLogin"`
	}
	accountPage struct {
		Users []shownAccount `json:"users"`
		Extent
	}
	newAccount struct {
		Name                string         `json:"name"`
		Username            string         `json:"username" minLength:"1"`
		Email               string         `json:"email" minLength:"1"`
		Password            string         `json:"password,omitempty"`
		Active              bool           `json:"active,omitempty"`
		Roles               []string       `json:"roles,omitempty"`
		Verified            bool           `json:"verified,omitempty"`
		JoinDefaultChannels bool           `json:"joinDefaultChannels,omitempty"`
		SendWelcomeEmail    bool           `json:"sendWelcomeEmail,omitempty"`
		SetRandomPassword   bool           `json:"setRandomPassword,omitempty"`
		CustomFields        map[string]any `json:"customFields,omitempty"`
	}
	accountUpdate struct {
		UserID string        `json:"userId" minLength:"1"`
		Data   accountFields `json:"data"`
	}
	accountFields struct {
		Name         string         `json:"name,omitempty"`
		Username     string         `json:"username,omitempty"`
		Email        string         `json:"email,omitempty"`
		Password     string         `json:"password,omitempty"`
		Active       bool           `json:"active,omitempty"`
		Verified     bool           `json:"verified,omitempty"`
		Roles        []string       `json:"roles,omitempty"`
		StatusText   string         `json:"statusText,omitempty"`
		CustomFields map[string]any `json:"customFields,omitempty"`
	}
	activation struct {
		UserID            string `json:"userId" minLength:"1"`
		ActiveStatus      bool   `json:"activeStatus"`
		ConfirmRelinquish bool   `json:"confirmRelinquish,omitempty"`
	}
	deletion struct {
		Account
		ConfirmRelinquish bool `json:"confirmRelinquish,omitempty"`
	}
	otherLogout struct {
		UserID string `json:"userId,omitempty"`
	}
	endedSessions struct{ notice }
	suggestion    struct {
		Result string `json:"result"`
	}
	usernameQuery struct {
		Username string `json:"username" minLength:"1"`
	}
	availability struct {
		Result bool `json:"result"`
	}
)

type (
	tokenName struct {
		TokenName string `json:"tokenName"`
	}
	newToken struct {
		tokenName
		BypassTwoFactor  bool     `json:"bypassTwoFactor,omitempty"`
		ExpiresInDays    int      `json:"expiresInDays,omitempty"`
		AllowedAddresses []string `json:"allowedAddresses,omitempty"`
	}
	madeToken struct {
		Token string `json:"token" about:"shown once"`
	}
	tokenList struct {
		Tokens []shownToken `json:"tokens"`
	}
	shownToken struct {
		Name             string    `json:"name"`
		CreatedAt        time.Time `json:"createdAt"`
		LastTokenPart    string    `json:"lastTokenPart" about:"last six characters"`
		BypassTwoFactor  bool      `json:"bypassTwoFactor"`
		LastUsedAt       time.Time `json:"lastUsedAt,omitempty"`
		ExpiresAt        time.Time `json:"expiresAt,omitempty"`
		AllowedAddresses []string  `json:"allowedAddresses,omitempty"`
	}
)

type (
	shownSetting struct {
		ID         string `json:"_id"`
		Value      any    `json:"value,omitempty"`
		Type       string `json:"type,omitempty"`
		Public     bool   `json:"public,omitempty"`
		Enterprise bool   `json:"enterprise,omitempty"`
	}
	settingPage struct {
		Settings []shownSetting `json:"settings"`
		Extent
	}
	settingRecords struct {
		Settings []settingRecord `json:"settings"`
		Extent
	}
	settingRecord struct {
		shownSetting
		PackageValue any             `json:"packageValue"`
		Values       []settingChoice `json:"values,omitempty"`
		MinValue     int             `json:"minValue,omitempty"`
		MaxValue     int             `json:"maxValue,omitempty"`
		MaxLength    int             `json:"maxLength,omitempty"`
		Group        string          `json:"group"`
		Section      string          `json:"section,omitempty"`
		Blocked      bool            `json:"blocked" about:"the environment forces the value"`
		ValueSource  string          `json:"valueSource" enum:"packageValue,customValue,processEnvValue"`
		Guards       bool            `json:"guards" about:"saving it asks for a fresh factor"`
		Description  string          `json:"description" about:"what a change does"`
	}
	settingChoice struct {
		Key       string `json:"key"`
		I18nLabel string `json:"i18nLabel"`
	}
	settingIDs struct {
		Settings []string `json:"settings"`
	}
	publicSettingsQuery struct {
		Page
		ID []string `json:"_id,omitempty"`
	}
	settingsQuery struct {
		Page
		IncludeDefaults bool `json:"includeDefaults,omitempty"`
	}
	settingValue struct {
		Value any `json:"value"`
	}
	namedValue struct {
		ID string `json:"_id"`
		settingValue
	}
	settingChange struct {
		ID string `json:"_id" minLength:"1"`
		settingValue
	}
	settingChanges struct {
		Settings []settingChange `json:"settings"`
	}
	noConfigurations struct {
		Configurations []any `json:"configurations"`
	}
	noServices struct {
		Services []any `json:"services"`
	}
)

type (
	serverInfo struct {
		Info    serverVersion   `json:"info"`
		Version string          `json:"version"`
		Product methods.Product `json:"product"`
	}
	serverVersion struct {
		Version string `json:"version"`
	}
	roleList struct {
		Roles []role `json:"roles"`
	}
	roleUpdate struct {
		Roles roleChanges `json:"roles"`
	}
	roleChanges struct {
		Update []role `json:"update"`
		Remove []any  `json:"remove"`
	}
	role struct {
		ID           string `json:"_id"`
		Name         string `json:"name"`
		Description  string `json:"description,omitempty"`
		Scope        string `json:"scope,omitempty"`
		Protected    bool   `json:"protected,omitempty"`
		Mandatory2FA bool   `json:"mandatory2fa,omitempty"`
	}
	sinceQuery struct {
		UpdatedSince string `json:"updatedSince,omitempty"`
	}
	permissionUpdate struct {
		Update []permissionRoles `json:"update"`
		Remove []any             `json:"remove"`
	}
	permissionRoles struct {
		ID    string   `json:"_id"`
		Roles []string `json:"roles"`
	}
	methodCall struct {
		Message string `json:"message" about:"EJSON text of a frame: {\"msg\":\"method\",\"id\":\"1\",\"method\":\"…\",\"params\":[…]}"`
	}
	methodResult struct {
		Message string `json:"message" about:"EJSON text of the result frame"`
	}
	methodRefusal struct {
		Success   bool      `json:"success" const:"false"`
		Message   string    `json:"message,omitempty" about:"EJSON text of the result frame with its error"`
		Error     errorCode `json:"error,omitempty"`
		ErrorType string    `json:"errorType,omitempty"`
	}
)

// The refusals of any route, as docs/wire/rocketchat.md 5.2, 5.4 and 5.6 show them.
type (
	generalRefusal struct {
		Success   bool      `json:"success" const:"false"`
		Error     errorCode `json:"error"`
		ErrorType string    `json:"errorType,omitempty"`
		Details   any       `json:"details,omitempty"`
		Message   string    `json:"message,omitempty"`
		Status    string    `json:"status,omitempty"`
	}
	refusedLogin struct {
		Success bool      `json:"success" const:"false"`
		Status  string    `json:"status" const:"error"`
		Error   errorCode `json:"error"`
		Message string    `json:"message"`
		Details any       `json:"details,omitempty"`
	}
	missingLogin struct {
		Success bool   `json:"success" const:"false"`
		Status  string `json:"status" const:"error"`
		Error   string `json:"error"`
		Message string `json:"message"`
	}
	// done is an answer that says success alone.
	done struct{}
)

// errorCode is a name, or Meteor's number.
type errorCode struct{}

// JSONSchema says so.
func (errorCode) JSONSchema() Schema { return schema.Either(schema.Text(), schema.Integer()) }

// fits is the schema of a body or query, answers that of an answer.
func fits[T any]() Schema    { return schema.Of[T]() }
func answers[T any]() Schema { return schema.Answer[T]() }

// AccountPage is the answer of a list of accounts, for slices.
func AccountPage() Schema { return answers[accountPage]() }
