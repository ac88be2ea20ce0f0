package methods_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"

	"ddpserver/internal/ejson"
	"ddpserver/internal/testkit"
)

// shapes are right parameters of every method of accounts. A key that ends in
// "?" may be missing or null. "T" stands for a text, 1 for nothing that any of
// them takes, true for a boolean.
var shapes = map[string]string{
	"login":                                `[{"user":{"username":"T"},"password":"T","code?":"T"}]`,
	"login ":                               `[{"user":{"email":"T"},"password":{"digest":"T","algorithm":"T"}}]`,
	"login  ":                              `[{"user":{"id":"T"},"password":"T"}]`,
	"login   ":                             `[{"resume":"T"}]`,
	"logout":                               `[]`,
	"getNewToken":                          `[]`,
	"removeOtherTokens":                    `[]`,
	"logoutOtherClients":                   `[]`,
	"createUser":                           `[{"username?":"T","email?":"T","password?":"T","profile?":{}}]`,
	"registerUser":                         `[{"email":"T","pass":"T","name?":"T","username?":"T","reason?":"T"}]`,
	"forgotPassword":                       `[{"email":"T"}]`,
	"resetPassword":                        `["T","T"]`,
	"resetPassword ":                       `["T",{"digest":"T","algorithm":"T"}]`,
	"verifyEmail":                          `["T"]`,
	"sendConfirmationEmail":                `["T"]`,
	"saveUserProfile":                      `[{"realname?":"T","username?":"T","email?":"T","newPassword?":"T","statusText?":"T","statusType?":"T","language?":"T"}]`,
	"changePassword":                       `["T","T"]`,
	"setUsername":                          `["T"]`,
	"setRealName":                          `["T"]`,
	"getUsernameSuggestion":                `[]`,
	"deleteUserOwnAccount":                 `["T"]`,
	"personalAccessTokens:generateToken":   `[{"tokenName":"T","bypassTwoFactor?":true}]`,
	"personalAccessTokens:regenerateToken": `[{"tokenName":"T"}]`,
	"personalAccessTokens:removeToken":     `[{"tokenName":"T"}]`,
	"personalAccessTokens:list":            `[]`,
	"setUserActiveStatus":                  `["T",true]`,
	"deleteUser":                           `["T"]`,
}

// misfits are values of every kind, operators of a database among them
// (docs/security-tests.md S070, S071).
var misfits = map[string][]string{
	"text":    {`"x"`},
	"boolean": {`true`, `false`},
	"number":  {`5`, `0`, `-1.5`},
	"list":    {`[]`, `["x"]`},
	"object": {`{}`, `{"$ne":null}`, `{"$regex":"^a"}`, `{"$gt":""}`, `{"$in":["a"]}`, `{"$where":"sleep(1000)"}`, `{"$date":1}`, `{"$binary":"eA=="}`,
		`{"$InfNaN":1}`},
	"null": {`null`},
}

// variants are the parameter lists that have one value of a wrong kind.
func variants(t *testing.T, shape string) []string {
	t.Helper()
	v, err := ejson.Decode([]byte(shape))
	if err != nil {
		t.Fatal(shape, err)
	}
	var out []string
	spoil(v, false, func(bad string) { out = append(out, bad) })
	list := v.([]any)
	if len(list) > 0 {
		if _, optional := list[len(list)-1].(ejson.Doc); !optional || len(list) == 1 {
			out = append(out, written(list[:len(list)-1])) // one too few
		}
	}
	// Too many; some take one more, optional parameter, none of them a text.
	return append(out, written(append(slices.Clone(list), ejson.Raw(`"x"`), ejson.Raw(`"y"`))))
}

// spoil calls f with every text of v in which one value is of a wrong kind.
func spoil(v any, optional bool, f func(string)) {
	kind := ""
	switch v := v.(type) {
	case string:
		kind = "text"
	case bool:
		kind = "boolean"
	case ejson.Doc:
		kind = "object"
		for i, m := range v {
			spoil(m.Value, strings.HasSuffix(m.Key, "?"), func(bad string) {
				w := slices.Clone(v)
				w[i].Value = ejson.Raw(bad)
				f(written(w))
			})
			if !strings.HasSuffix(m.Key, "?") {
				f(written(slices.Delete(slices.Clone(v), i, i+1)))
			}
		}
	case []any:
		for i := range v {
			spoil(v[i], false, func(bad string) {
				w := slices.Clone(v)
				w[i] = ejson.Raw(bad)
				f(written(w))
			})
		}
		return
	}
	for other, values := range misfits {
		if other == kind || other == "null" && optional || other == "text" && isDigest(v) {
			continue
		}
		for _, bad := range values {
			f(bad)
		}
	}
	if kind == "text" {
		for _, bad := range misfits["object"] {
			f(bad)
		}
	}
}

// isDigest tells a hashed password, in whose place a plain one is right too.
func isDigest(v any) bool {
	d, ok := v.(ejson.Doc)
	return ok && len(d) > 0 && d[0].Key == "digest"
}

// written is v as text, without the marks of optional keys.
func written(v any) string {
	raw, err := ejson.Append(nil, v)
	if err != nil {
		panic(err)
	}
	return strings.ReplaceAll(string(raw), `?":`, `":`)
}

func TestWrongTypesAreRefused(t *testing.T) { // S070, S071
	for name, shape := range shapes {
		method := strings.TrimSpace(name)
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.Unlimited()
				w.User("root", "role=admin", "role=user")
				c := w.As("root")
				for _, params := range variants(t, shape) {
					// the factor comes before the parameters
					if strings.HasPrefix(method, "personalAccessTokens:") || method == "setUserActiveStatus" || method == "deleteUser" {
						params = strings.TrimSuffix(params, "]")
						if params != "[" {
							params += ","
						}
						params += fmt.Sprintf(`{"twoFactorCode":%q,"twoFactorMethod":"password"}]`, testkit.DigestOf("root"))
					}
					result, fail := c.CallRaw(method, params)
					refused := fail != nil && fail.Error == float64(400) && (fail.Reason == "Match failed" || method == "login" &&
						fail.Reason == "Unrecognized options for login request")
					if !refused {
						t.Errorf("%s(%s) = %s, %+v", method, params, result, fail)
					}
				}
				if n := len(w.Logs.FilterMessage("call").FilterLevelExact(zapcore.ErrorLevel).All()); n != 0 {
					t.Errorf("%d internal errors", n)
				}
			})
		})
	}
}

func TestEveryAccountMethodHasAShape(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, s := range w.Router.Specs() {
			if !strings.Contains("login logout getNewToken removeOtherTokens logoutOtherClients createUser registerUser forgotPassword resetPassword verifyEmail"+
				" sendConfirmationEmail saveUserProfile changePassword setUsername setRealName getUsernameSuggestion "+
				"deleteUserOwnAccount setUserActiveStatus deleteUser", s.Name) &&
				!strings.HasPrefix(s.Name, "personalAccessTokens:") {
				continue
			}
			if shapes[s.Name] == "" {
				t.Errorf("%s has no shape to be tested with", s.Name)
			}
		}
	})
}

// FuzzLogin gives any object to login. There is no account, so nothing may log
// in, and nothing may be an internal error.
func FuzzLogin(f *testing.F) {
	for _, shape := range []string{
		`{"user":{"username":"ada"},"password":"secret"}`,
		`{"user":{"email":"a@x.com"},"password":{"digest":"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b","algorithm":"sha-256"}}`,
		`{"resume":"x"}`, `{"totp":{"login":{"user":{"id":"x"},"password":"y"},"code":"123456"}}`, `{"totp":{"login":{"totp":{}},"code":{}}}`,
		`{"user":{"$ne":null},"password":{"$InfNaN":0}}`, `{"resume":{"$date":0}}`, `5`, `[]`, `{"password":"\u0000","user":{"username":"\ufeff"}}`,
	} {
		f.Add(shape)
	}
	f.Fuzz(func(t *testing.T, object string) {
		if !json.Valid([]byte(object)) || ejson.Scan([]byte(object), 30) != nil {
			t.Skip()
		}
		bubble(t, func(t *testing.T, w *world) {
			result, fail := w.Connect().CallRaw("login", "["+object+"]")
			if fail == nil || fail.Code() == "500" {
				t.Fatalf("%s = %s %+v", object, result, fail)
			}
		})
	})
}
