package rest_test

import (
	"fmt"
	"strings"

	"ddpserver/internal/settings"
	"ddpserver/internal/testkit"
)

func req(body func(s *stage) any) scene { return scene{body: body} }

func post(body object) scene { return req(func(*stage) any { return body }) }

// at is a scene of a route whose query or path says what it is about.
func at(path string, args ...func(s *stage) any) scene {
	return scene{path: func(s *stage) string {
		v := make([]any, len(args))
		for i, f := range args {
			v[i] = f(s)
		}
		return fmt.Sprintf(path, v...)
	}}
}

func (c scene) to(path string) scene { c.path = func(*stage) string { return path }; return c }

func plain(*stage) any { return nil }

func userID(s *stage) any { return object{"userId": s.other.ID} }

// scenesOfRoutes has every route; those of rooms are in surface_rooms_test.go.
var scenesOfRoutes = map[string][]scene{
	"POST login":  {req(func(s *stage) any { return object{"user": s.admin.Username, "password": "wrong"} }).hears("Unauthorized")},
	"POST logout": {req(plain)},
	"GET logout":  {req(plain)},
	"GET me":      {req(plain)},
	"POST users.register": {req(func(s *stage) any {
		n := fmt.Sprint("new", s.n)
		return object{"username": n, "email": n + "@example.org", "pass": testkit.Password, "name": "New"}
	})},
	"POST users.updateOwnBasicInfo": {
		req(func(s *stage) any { return object{"data": object{"email": fmt.Sprintf("moved%d@example.org", s.n)}} }).named("email"),
		post(object{"data": object{"newPassword": "another password"}}).named("password"),
		req(func(s *stage) any { return object{"data": object{"username": fmt.Sprint("renamed", s.n)}} }).named("username").free(),
		post(object{"data": object{"name": "Another"}}).named("realname").free(),
		post(object{"data": object{"statusText": "away", "statusType": "busy"}}).named("status").free(),
	},
	"POST users.logoutOtherClients":    {req(plain)},
	"POST users.removeOtherTokens":     {req(plain)},
	"POST users.forgotPassword":        {req(func(s *stage) any { return object{"email": s.other.Emails[0].Address} })},
	"POST users.sendConfirmationEmail": {req(func(s *stage) any { return object{"email": s.other.Emails[0].Address} }).after(unproven)},
	"POST users.verifyEmail":           {req(func(s *stage) any { return object{"token": s.token} }).after(mailed("verify", "users.sendConfirmationEmail"))},
	"POST users.resetPassword": {req(func(s *stage) any { return object{"token": s.token, "password": "another password"} }).after(mailed("reset",
		"users.forgotPassword"))},
	"POST users.deleteOwnAccount": {req(func(s *stage) any {
		if s.proven {
			return object{"password": testkit.Proof()}
		}
		return object{"password": strings.Repeat("0", 64)}
	}).refuses("error-invalid-password")},

	"GET users.info":                      {at("users.info?userId=%s", func(s *stage) any { return s.other.ID })},
	"GET users.list":                      {req(plain), at("users.list?search=ann&factor=none&order=-lastLogin").named("found")},
	"GET server.surface":                  {req(plain), at("server.surface?protectedCalls=users.*").named("preview")},
	"GET server.status":                   {req(plain)},
	"GET outbox.list":                     {req(plain)},
	"POST users.sendPasswordLink":         {req(userID)},
	"GET users.listByStatus":              {at("users.listByStatus?status=active&hasLoggedIn=false")},
	"GET users.statistics":                {req(plain)},
	"GET users.getUsernameSuggestion":     {req(plain)},
	"GET users.checkUsernameAvailability": {at("users.checkUsernameAvailability?username=nobody")},
	"POST users.create": {
		req(func(s *stage) any {
			n := fmt.Sprint("made", s.n)
			return object{"name": "Made", "username": n, "email": n + "@example.org", "password": testkit.Password}
		}),
		req(func(s *stage) any {
			n := fmt.Sprint("made", s.n)
			return object{"name": "Made", "username": n, "email": n + "@example.org", "password": testkit.Password, "verified": true, "roles": []string{"admin"}}
		}).named("administrator"),
	},
	"POST users.update": {
		req(func(s *stage) any {
			return object{"userId": s.other.ID, "data": object{"roles": []string{"admin", "user"}}}
		}).named("roles"),
		req(func(s *stage) any { return object{"userId": s.other.ID, "data": object{"active": false}} }).named("active"),
		req(func(s *stage) any {
			return object{"userId": s.other.ID, "data": object{"username": fmt.Sprint("renamed", s.n)}}
		}).named("username"),
		req(func(s *stage) any {
			return object{"userId": s.other.ID, "data": object{"email": fmt.Sprintf("moved%d@example.org", s.n)}}
		}).named("email"),
		req(func(s *stage) any { return object{"userId": s.other.ID, "data": object{"verified": false}} }).named("verified"),
		req(func(s *stage) any {
			return object{"userId": s.other.ID, "data": object{"password": "another password"}}
		}).named("password"),
		req(func(s *stage) any {
			return object{"userId": s.admin.ID, "data": object{"password": "another password"}}
		}).named("own password"),
		req(func(s *stage) any { return object{"userId": s.other.ID, "data": object{"name": "Another"}} }).named("name").free(),
	},
	"POST users.setActiveStatus": {req(func(s *stage) any { return object{"userId": s.other.ID, "activeStatus": false} })},
	"POST users.delete":          {req(userID)},
	"POST users.logout": {
		req(userID).named("somebody else"),
		post(object{}).named("oneself"),
	},

	"POST users.generatePersonalAccessToken":   {post(object{"tokenName": "another", "bypassTwoFactor": true})},
	"POST users.regeneratePersonalAccessToken": {post(object{"tokenName": "bot"})},
	"POST users.removePersonalAccessToken":     {post(object{"tokenName": "bot"})},
	"GET users.getPersonalAccessTokens":        {req(plain)},

	"POST users.2fa.enableEmail":              {req(plain).mailbox()},
	"POST users.2fa.disableEmail":             {req(plain)},
	"POST users.2fa.cancelReset":              {req(plain)},
	"POST users.2fa.sendEmailCode":            {post(object{"emailOrUsername": "x"})},
	"POST users.enableTotp":                   {req(plain)},
	"POST users.validateTotp":                 {req(func(s *stage) any { return object{"code": s.appCode()} }).after(halfApp)},
	"POST users.disableTotp":                  {req(func(s *stage) any { return object{"code": s.appCode()} }).after(wholeApp)},
	"POST users.regenerateTotpCodes":          {req(func(s *stage) any { return object{"code": s.appCode()} }).after(wholeApp)},
	"GET users.totpCodesRemaining":            {req(plain).after(wholeApp)},
	"POST users.resetTOTP":                    {req(userID).named("somebody else"), post(object{}).named("oneself")},
	"POST users.resetEmail2FA":                {req(userID).named("somebody else"), post(object{}).named("oneself")},
	"POST users.webauthn.registrationOptions": {post(object{"mode": "addCredential"})},
	"POST users.webauthn.signUpOptions":       {post(object{"userData": object{"username": "newcomer"}}).after(signUps)},
	"POST users.resetWebAuthn":                {req(func(s *stage) any { return object{"userId": s.theirKey()} })},
	"POST login.webauthn.options":             {post(object{"mode": "login"})},
	"POST users.webauthn.register": {req(func(s *stage) any { return object{"credential": s.newKey()} }).
		refuses("invalid-webauthn-registration")},
	"GET users.webauthn.list":    {req(plain)},
	"POST users.webauthn.rename": {req(func(s *stage) any { return object{"id": s.hasKey(), "name": "another"} })},
	"POST users.webauthn.remove": {req(func(s *stage) any { return object{"id": s.hasKey()} })},

	"GET settings.public": {req(plain)},
	"GET settings":        {req(plain)},
	"POST settings": {post(object{"settings": []any{object{"_id": settings.Language, "value": "fr"},
		object{"_id": settings.FromEmail, "value": "x@example.org"}}})},
	"GET settings/:_id": {at("settings/Site_Name")},
	"POST settings/:_id": {
		post(object{"value": "bot"}).to("settings/" + settings.DefaultRoles).named("guard"),
		post(object{"value": "de"}).to("settings/" + settings.Language).named("harmless").free(),
	},
	"POST settings.reset":        {post(object{"settings": []string{settings.Language, settings.FromEmail}}).after(mailsFrom)},
	"GET service.configurations": {req(plain)},
	"GET settings.oauth":         {req(plain)},
	"GET info":                   {req(plain)},
	"GET roles.list":             {req(plain)},
	"GET roles.sync":             {req(plain)},
	"GET roles.getUsersInRole":   {at("roles.getUsersInRole?role=admin")},
	"GET pw.getPolicy":           {req(plain)},
	"GET permissions.listAll":    {req(plain)},

	// What travels in these is walked method by method.
	"POST method.call/:method":     {post(object{"message": `{"msg":"method","id":"1","method":"getServerInfo","params":[]}`}).to("method.call/getServerInfo")},
	"POST method.callAnon/:method": {post(object{"message": `{"msg":"method","id":"1","method":"getServerTime","params":[]}`}).to("method.callAnon/getServerTime")},
}
