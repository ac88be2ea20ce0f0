package twofactor

import (
	"context"
	"time"

	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/permission"
	"ddpserver/internal/rpc"
	"ddpserver/internal/user"
)

// The modes of Meteor's two methods for options.
const (
	modeAdd   = "addCredential"
	modeLogin = "login"
)

// Calls implements Factor. Their names and shapes are those of Meteor's accounts-webauthn.
func (f passkeyFactor) Calls() []Call {
	const refused = "totp-required; totp-invalid; totp-max-attempts"
	return []Call{
		{Method: "generateWebAuthnRegistrationOptions", Do: f.newOptions, Effects: Factors, Inside: Fresh, Enrols: ByPasskey, Sentence: "to add a passkey",
			Doc:    "Makes the options of a new passkey, for two minutes. Asks for a factor that is on, else for the password.",
			Params: `{mode: "addCredential", name?}`, Result: "PublicKeyCredentialCreationOptionsJSON",
			Errors: "webauthn-not-supported; webauthn-too-many-credentials; error-two-factor-changed; error-invalid-user; " + refused,
			Route:  "POST users.webauthn.registrationOptions", Summary: "Start to add a passkey",
			Body: newOptionsBody{}, Answer: options{}, Shape: shapeOptions},
		{Method: "registerWebAuthnCredential", Do: f.register, Effects: Factors, Enrols: ByPasskey,
			Instead: "an answer to a challenge that was handed out for a fresh factor",
			Doc:     "Adds the passkey that answers the options. Other sessions and remembered trust end.",
			Params:  "{credential: RegistrationResponseJSON, name?}", Result: "the passkey, as listWebAuthnCredentials has it",
			Errors: "invalid-webauthn-registration; webauthn-key-not-supported; webauthn-key-kind-not-allowed; webauthn-credential-in-use; " +
				"webauthn-not-supported; error-invalid-name; error-two-factor-changed; error-invalid-user",
			Route: "POST users.webauthn.register", Summary: "Finish adding a passkey", Body: newKeyBody{}, Answer: oneKey{}, Shape: shapeKey},
		{Method: "listWebAuthnCredentials", Do: f.list, Effects: Reads,
			Doc:    "Lists the passkeys of the account.",
			Result: "[{id, name, createdAt, lastUsedAt?, deviceType, backedUp, userVerified, transports, aaguid?, needsPassword?}]", Errors: "error-invalid-user",
			Route: "GET users.webauthn.list", Summary: "The passkeys of the account", Answer: keyList{}, Shape: shapeKeys},
		{Method: "renameWebAuthnCredential", Do: f.rename, Effects: Profile,
			Doc:    "Names a passkey.",
			Params: "id, name", Result: "none", Errors: "webauthn-credential-not-found; error-invalid-name; error-two-factor-changed; error-invalid-user",
			Route: "POST users.webauthn.rename", Summary: "Name a passkey", Body: renameBody{}, Spread: true},
		{Method: "removeWebAuthnCredential", Do: f.remove, Effects: Factors, Inside: Fresh, Sentence: "to remove a passkey",
			Doc:    "Removes a passkey. Asks for a factor that is on. Other sessions and remembered trust end.",
			Params: "id", Result: "none",
			Errors: "webauthn-credential-not-found; webauthn-last-credential; error-two-factor-not-enabled; error-two-factor-changed; error-invalid-user; " + refused,
			Route:  "POST users.webauthn.remove", Summary: "Remove a passkey", Body: removeBody{}, Spread: true},
		{Method: "users:resetWebAuthn", Do: f.resetOf, Effects: Factors | Tokens | Others, Asks: Fresh, Late: true,
			Sentence: "to remove the passkeys of an account",
			Doc:      "Removes the passkeys of another's account, with edit-other-user-totp; its owner is told, and its sessions end.",
			Params:   "userId", Result: "{due} when it takes effect later",
			Errors: "error-not-allowed; error-reset-not-allowed; error-two-factor-changed; error-email-send-failed; error-two-factor-not-enabled; " +
				"error-invalid-user; 400 Match failed",
			Route: "POST users.resetWebAuthn", Summary: "Remove the passkeys of another's account", Account: true, Answer: scheduled{}},
		{Method: "generateWebAuthnSignUpOptions", Do: f.signUpOptions, Effects: Reads, Anonymous: true, Passage: true,
			Doc:    "Makes the options of the passkey with which a stranger makes an account (createUserWithWebAuthn), for two minutes.",
			Params: "{userData: {username?, email?}}", Result: "PublicKeyCredentialCreationOptionsJSON",
			Errors: "webauthn-not-supported; webauthn-sign-up-disabled",
			Route:  "POST users.webauthn.signUpOptions", Summary: "Start to make an account with a passkey",
			Body: signUpBody{}, Answer: options{}, Shape: shapeOptions},
		{Method: "generateWebAuthnAuthenticationOptions", Do: f.loginOptions, Effects: Reads, Anonymous: true, Passage: true,
			Doc:    "Makes the options of a login by passkey that names nobody, for two minutes.",
			Params: `{mode: "login"}`, Result: "PublicKeyCredentialRequestOptionsJSON", Errors: "webauthn-not-supported; webauthn-passwordless-disabled",
			Route: "POST login.webauthn.options", Summary: "Start to log in with a passkey", Body: loginOptionsBody{}, Answer: options{}, Shape: shapeOptions},
	}
}

// newOptionsBody is the parameter of generateWebAuthnRegistrationOptions.
type newOptionsBody struct {
	Mode string  `json:"mode" ejson:"mode" enum:"addCredential"`
	Name *string `json:"name,omitempty" ejson:"name" about:"not used: the name is given with the key"`
}

// newKeyBody is the parameter of registerWebAuthnCredential.
type newKeyBody struct {
	Credential map[string]any `json:"credential" about:"RegistrationResponseJSON"`
	Name       string         `json:"name,omitempty"`
}

type renameBody struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type removeBody struct {
	ID string `json:"id"`
}

// loginOptionsBody is the parameter of generateWebAuthnAuthenticationOptions.
type loginOptionsBody struct {
	Mode string `json:"mode" ejson:"mode" enum:"login"`
}

// signUpBody is the parameter of generateWebAuthnSignUpOptions.
type signUpBody struct {
	UserData map[string]any `json:"userData" about:"username, email, or both"`
}

// options is what the routes for options answer.
type options struct {
	PublicKey map[string]any `json:"publicKey"`
}

// keyView is a passkey as its owner is shown it.
type keyView struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	CreatedAt    string   `json:"createdAt,omitempty" format:"date-time"`
	LastUsedAt   string   `json:"lastUsedAt,omitempty" format:"date-time"`
	DeviceType   string   `json:"deviceType"`
	BackedUp     bool     `json:"backedUp"`
	UserVerified bool     `json:"userVerified"`
	Transports   []string `json:"transports"`
	AAGUID       string   `json:"aaguid,omitempty"`
	// NeedsPassword is there when it is true.
	NeedsPassword bool `json:"needsPassword,omitempty" about:"the password was set anew since: it proves nothing until it was used beside that at a login"`
}

// oneKey and keyList are what the routes answer.
type oneKey struct {
	Credential keyView `json:"credential"`
}

type keyList struct {
	Credentials []keyView `json:"credentials"`
}

func shapeOptions(result any) (any, error) { return ejson.Doc{{Key: "publicKey", Value: result}}, nil }
func shapeKey(result any) (any, error)     { return ejson.Doc{{Key: "credential", Value: result}}, nil }
func shapeKeys(result any) (any, error)    { return ejson.Doc{{Key: "credentials", Value: result}}, nil }

// shown is the passkey as its owner is shown it: dates are EJSON's, as in Meteor.
func shown(k user.Passkey) ejson.Doc {
	d := ejson.Doc{{Key: "id", Value: k.ID}, {Key: "name", Value: k.DisplayName()}}
	date := func(key string, t time.Time) {
		if !t.IsZero() {
			d = append(d, ejson.Field{Key: key, Value: t})
		}
	}
	date("createdAt", k.CreatedAt)
	date("lastUsedAt", k.LastUsedAt)
	transports := make([]any, len(k.Transports))
	for i, t := range k.Transports {
		transports[i] = t
	}
	d = append(d, ejson.Doc{{Key: "deviceType", Value: k.DeviceType}, {Key: "backedUp", Value: k.BackedUp},
		{Key: "userVerified", Value: k.UserVerified}, {Key: "transports", Value: transports}}...)
	if k.AAGUID != "" {
		d = append(d, ejson.Field{Key: "aaguid", Value: k.AAGUID})
	}
	if k.NeedsPassword {
		d = append(d, ejson.Field{Key: "needsPassword", Value: true})
	}
	return d
}

func (f passkeyFactor) newOptions(ctx context.Context, c *rpc.Call) (any, error) {
	var o newOptionsBody
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	if o.Mode != modeAdd {
		return nil, fault.MatchFailed
	}
	return result(f.PasskeyOptions(ctx, RequestOf(c)))
}

func (f passkeyFactor) loginOptions(_ context.Context, c *rpc.Call) (any, error) {
	var o loginOptionsBody
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	if o.Mode != modeLogin {
		return nil, fault.MatchFailed
	}
	return result(f.LoginOptions())
}

// resetOf removes the passkeys of the account whose id is the parameter.
func (f passkeyFactor) resetOf(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	if !permission.Has(c.User, permission.EditOtherUserTOTP) {
		return nil, fault.NotAllowed
	}
	return later(f.ResetPasskeys(ctx, RequestOf(c), id))
}

func (f passkeyFactor) signUpOptions(_ context.Context, c *rpc.Call) (any, error) {
	var o struct {
		UserData Joining `ejson:"userData"`
	}
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	return result(f.SignUpOptions(o.UserData))
}

// result keeps a document that is nil from becoming one that is not.
func result(d ejson.Doc, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (f passkeyFactor) register(ctx context.Context, c *rpc.Call) (any, error) {
	var o struct {
		Credential ejson.Raw `ejson:"credential"`
		Name       *string   `ejson:"name"`
	}
	if err := c.Bind(&o); err != nil {
		return nil, err
	}
	name := ""
	if o.Name != nil {
		name = *o.Name
	}
	key, err := f.AddPasskey(ctx, RequestOf(c), o.Credential, name)
	if err != nil {
		return nil, err
	}
	return shown(key), nil
}

func (f passkeyFactor) list(ctx context.Context, c *rpc.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	u, err := f.reload(ctx, RequestOf(c))
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, len(u.Passkeys()))
	for _, k := range u.Passkeys() {
		list = append(list, shown(k))
	}
	return list, nil
}

func (f passkeyFactor) rename(ctx context.Context, c *rpc.Call) (any, error) {
	var id, name string
	if err := c.Bind(&id, &name); err != nil {
		return nil, err
	}
	return nil, f.RenamePasskey(ctx, RequestOf(c), id, name)
}

func (f passkeyFactor) remove(ctx context.Context, c *rpc.Call) (any, error) {
	var id string
	if err := c.Bind(&id); err != nil {
		return nil, err
	}
	return nil, f.RemovePasskey(ctx, RequestOf(c), id)
}
