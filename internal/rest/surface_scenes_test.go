package rest_test

import (
	"fmt"
	"strings"

	"ddpserver/internal/accounts"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

type object = map[string]any

// scene is one call with parameters that mean something on its stage: every
// line of the surface has at least one, and the one that does the most.
type scene struct {
	// does tells scenes of one line apart.
	does string
	prep func(s *stage)
	// params are those of a method; path (below the prefix, "" for the route's own)
	// and body those of a route.
	params func(s *stage) []any
	path   func(s *stage) string
	body   func(s *stage) any
	// acts are the actions of this very call where its line has those of several, which it
	// carries when its parameters say so.
	acts []string
	// harmless marks parameters that touch nothing that needs a fresh factor.
	harmless bool
	// attacked is what an attacker hears who is not asked for a factor: the proof
	// stands in the parameters, and he has none.
	attacked string
	// first marks the first factor of an account, the owner's own proved mailbox:
	// switching it on in a session is documented to ask for nothing. It takes
	// nothing from the owner; a personal access token is asked all the same.
	first bool
	// proven is what even the proven caller hears.
	proven string
}

func with(f func(s *stage) []any) scene { return scene{params: f} }

func list(v ...any) scene { return with(func(*stage) []any { return v }) }

func (c scene) after(prep func(s *stage)) scene { c.prep = prep; return c }
func (c scene) named(does string) scene         { c.does = does; return c }
func (c scene) free() scene                     { c.harmless = true; return c }
func (c scene) mailbox() scene                  { c.first = true; return c }
func (c scene) hears(code string) scene         { c.proven = code; return c }
func (c scene) refuses(code string) scene       { c.attacked = code; return c }

func nothing(*stage) []any { return nil }

func wholeApp(s *stage) {
	if !s.mail && s.proven {
		s.app(false)
	} else {
		s.secret = "JBSWY3DPEHPK3PXP"
	}
}

func halfApp(s *stage) {
	if !s.mail && s.proven {
		s.app(true)
	} else {
		s.secret = "JBSWY3DPEHPK3PXP"
	}
}

// mailed asks for a mail with a link, and keeps its token.
func mailed(template, path string) func(s *stage) {
	return func(s *stage) {
		u := s.other
		if template == "verify" {
			unproven(s)
		}
		if a := s.Caller().Do("POST", path, object{"email": u.Emails[0].Address}); a.Status != 200 {
			s.T.Fatal(a.Raw)
		}
		s.token = s.link(template)
	}
}

// mailsFrom gives a setting that guards another value than its default.
func mailsFrom(s *stage) { s.Set(settings.FromEmail, fmt.Sprintf("from%d@example.org", s.n)) }

// unproven takes the proof of the other's address away.
func unproven(s *stage) {
	no := false
	if _, err := s.Accounts.UpdateUser(s.T.Context(), &rpc.Peer{}, s.admin, s.other.ID, accounts.UserChange{Verified: &no}); err != nil {
		s.T.Fatal(err)
	}
}

// scenesOfMethods has every method; those of rooms are in surface_rooms_test.go.
var scenesOfMethods = map[string][]scene{
	"/users/insert":      {list(object{"x": 1}).hears("403")},
	"/users/insertAsync": {list(object{"x": 1}).hears("403")},
	"/users/remove":      {with(func(s *stage) []any { return []any{s.other.ID} }).hears("403")},
	"/users/removeAsync": {with(func(s *stage) []any { return []any{s.other.ID} }).hears("403")},
	"/users/update": {
		with(func(s *stage) []any { return []any{s.admin.ID, object{"$set": object{"profile.x": 1}}} }),
		with(func(s *stage) []any { return []any{s.other.ID, object{"$set": object{"roles": []string{"admin"}}}} }).named("roles").hears("403"),
	},
	"/users/updateAsync":    {with(func(s *stage) []any { return []any{s.admin.ID, object{"$set": object{"profile.x": 1}}} })},
	"configureLoginService": {list(object{"service": "x"}).hears("403")},

	"login": {with(func(s *stage) []any { return []any{object{"resume": s.caller.Token}} }).named("resume"),
		list(object{"user": object{"username": "root1"}, "password": "wrong"}).named("wrong").hears("403")},
	"logout":            {with(nothing)},
	"getNewToken":       {with(nothing)},
	"removeOtherTokens": {with(nothing)},
	"logoutOtherClients": {
		with(nothing),
	},
	"createUser": {with(func(s *stage) []any {
		return []any{object{"username": fmt.Sprint("new", s.n), "password": testkit.Password}}
	})},
	"registerUser": {with(func(s *stage) []any {
		return []any{object{"email": fmt.Sprintf("new%d@example.org", s.n), "pass": testkit.Password, "name": "New"}}
	})},
	"forgotPassword": {with(func(s *stage) []any { return []any{object{"email": s.other.Emails[0].Address}} })},
	"resetPassword": {
		with(func(s *stage) []any { return []any{s.token, "another password"} }).after(mailed("reset", "users.forgotPassword")).named("with the link"),
		list("guessed", "another password").hears("403"),
	},
	"verifyEmail": {with(func(s *stage) []any { return []any{s.token} }).after(mailed("verify",
		"users.sendConfirmationEmail")).named("with the link"), list("guessed").hears("403")},
	"sendConfirmationEmail": {with(func(s *stage) []any { return []any{s.other.Emails[0].Address} }).after(unproven)},

	"saveUserProfile": {
		with(func(s *stage) []any { return []any{object{"email": fmt.Sprintf("moved%d@example.org", s.n)}, object{}} }).named("email"),
		list(object{"newPassword": "another password"}, object{}).named("password"),
		with(func(s *stage) []any { return []any{object{"username": fmt.Sprintf("renamed%d", s.n)}, object{}} }).named("username").free(),
		list(object{"realname": "Another"}, object{}).named("realname").free(),
		list(object{"statusText": "away", "statusType": "busy"}, object{}).named("status").free(),
	},
	"changePassword": {with(func(s *stage) []any {
		if s.proven {
			return []any{testkit.Password, "another password"}
		}
		return []any{"guessed", "another password"}
	}).refuses("403")},
	"setUsername":           {with(func(s *stage) []any { return []any{fmt.Sprintf("renamed%d", s.n)} })},
	"setRealName":           {list("Another")},
	"getUsernameSuggestion": {with(nothing)},
	"deleteUserOwnAccount": {with(func(s *stage) []any {
		if s.proven {
			return []any{testkit.Proof()}
		}
		return []any{strings.Repeat("0", 64)}
	}).refuses("error-invalid-password")},

	"setUserActiveStatus": {with(func(s *stage) []any { return []any{s.other.ID, false} })},
	"deleteUser":          {with(func(s *stage) []any { return []any{s.other.ID} })},
	"users:logout": {with(func(s *stage) []any { return []any{s.other.ID} }).named("somebody else"),
		with(nothing).named("oneself")},

	"personalAccessTokens:generateToken":   {list(object{"tokenName": "another", "bypassTwoFactor": true})},
	"personalAccessTokens:regenerateToken": {list(object{"tokenName": "bot"})},
	"personalAccessTokens:removeToken":     {list(object{"tokenName": "bot"})},
	"personalAccessTokens:list":            {list()},

	"2fa:enable":                  {with(nothing)},
	"2fa:validateTempToken":       {with(func(s *stage) []any { return []any{s.appCode()} }).after(halfApp)},
	"2fa:disable":                 {with(func(s *stage) []any { return []any{s.appCode()} }).after(wholeApp)},
	"has2faEnabled":               {with(nothing)},
	"generate2faActivationQrCode": {list("app")},
	"enableUser2fa":               {with(func(s *stage) []any { return []any{s.appCode()} }).after(halfApp)},
	"disableUser2fa":              {with(nothing)},
	"2fa:regenerateCodes":         {with(func(s *stage) []any { return []any{s.appCode()} }).after(wholeApp)},
	"2fa:checkCodesRemaining":     {with(nothing).after(wholeApp)},
	"2fa:enable-email":            {with(nothing).mailbox()},
	"2fa:disable-email":           {with(nothing)},
	"2fa:cancel-reset":            {with(nothing)},
	"sendEmailCode":               {with(func(s *stage) []any { return []any{s.admin.Username} })},

	"generateWebAuthnRegistrationOptions":   {list(object{"mode": "addCredential"})},
	"generateWebAuthnAuthenticationOptions": {list(object{"mode": "login"})},
	"generateWebAuthnSignUpOptions":         {list(object{"userData": object{"username": "newcomer"}}).after(signUps)},
	"createUserWithWebAuthn":                {with(func(s *stage) []any { return []any{object{"credential": s.joiningKey()}} }).after(signUps)},
	"registerWebAuthnCredential": {with(func(s *stage) []any { return []any{object{"credential": s.newKey()}} }).
		refuses("invalid-webauthn-registration")},
	"users:resetWebAuthn":      {with(func(s *stage) []any { return []any{s.theirKey()} })},
	"listWebAuthnCredentials":  {with(nothing)},
	"renameWebAuthnCredential": {with(func(s *stage) []any { return []any{s.hasKey(), "another"} })},
	"removeWebAuthnCredential": {with(func(s *stage) []any { return []any{s.hasKey()} })},

	"callWithTwoFactorRequired": {with(func(s *stage) []any {
		code := strings.Repeat("0", 64)
		if s.proven {
			code = testkit.Proof()
		}
		return []any{object{"code": code, "ddpMethod": "getServerInfo", "params": []any{}}}
	})},
	"getServerTime":        {with(nothing)},
	"getServerInfo":        {with(nothing)},
	"permissions/get":      {with(nothing)},
	"public-settings/get":  {with(nothing)},
	"private-settings/get": {with(nothing)},
	"server:surface":       {with(nothing), list(object{"protectedCalls": "users.*"}).named("preview")},
	"server:status":        {with(nothing)},
	"outbox:list":          {with(nothing)},
	"users:create": {
		with(func(s *stage) []any {
			n := fmt.Sprint("made", s.n)
			return []any{object{"username": n, "email": n + "@example.org", "password": testkit.Password, "verified": true, "roles": []string{"admin"}}}
		}),
	},
	"users:update": {
		with(func(s *stage) []any { return []any{s.other.ID, object{"roles": []string{"admin", "user"}}} }).named("roles"),
		with(func(s *stage) []any {
			return []any{s.other.ID, object{"password": "another password", "active": false}}
		}).named("password"),
		with(func(s *stage) []any {
			return []any{s.other.ID, object{"email": fmt.Sprintf("moved%d@example.org", s.n)}}
		}).named("email"),
		with(func(s *stage) []any { return []any{s.other.ID, object{"name": "Another"}} }).named("name").free(),
	},
	"users:resetTOTP": {with(func(s *stage) []any { return []any{s.other.ID} }).named("somebody else"),
		with(func(s *stage) []any { return []any{s.admin.ID} }).named("oneself")},
	"users:resetEmail2FA": {with(func(s *stage) []any { return []any{s.other.ID} }).named("somebody else"),
		with(func(s *stage) []any { return []any{s.admin.ID} }).named("oneself")},
	"users:sendPasswordLink": {with(func(s *stage) []any { return []any{s.other.ID} })},
	"users:list":             {list(object{"search": "ann", "state": "active"}), list(object{"order": "size"}).named("unknown").hears("400")},
	"users:info":             {with(func(s *stage) []any { return []any{s.other.ID} })},
	"users:statistics":       {with(nothing)},
	"saveSetting": {
		list(settings.DefaultRoles, "bot").named("guard"),
		list(settings.Language, "de").named("harmless").free(),
	},
	"saveSettings": {
		list([]any{object{"_id": settings.Language, "value": "fr"}, object{"_id": settings.FromEmail, "value": "x@example.org"}}).named("guard"),
		list([]any{object{"_id": settings.Language, "value": "it"}}).named("harmless").free(),
	},
	"settings:reset": {
		list([]any{settings.Language, settings.FromEmail}).named("guard").after(mailsFrom),
		list([]any{settings.Language}).named("harmless").free(),
	},
}
