package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"ddpserver/internal/dberr"
	"ddpserver/internal/ejson"
	"ddpserver/internal/fault"
	"ddpserver/internal/methods"
	"ddpserver/internal/ratelimit"
	"ddpserver/internal/rpc"
	"ddpserver/internal/settings"
	"ddpserver/internal/twofactor"
	"ddpserver/internal/user"
)

// Auth says whether a route needs a login. The zero value does.
type Auth uint8

// The kinds of routes. The zero value is what the route's method asks for, and
// LoginRequired where there is none.
const (
	authOfMethod Auth = iota
	LoginRequired
	// LoginOptional takes a login if there is a valid one.
	LoginOptional
	// NoLogin does not look at the authentication headers.
	NoLogin
)

// Route is one line of the REST surface. The zero value of every policy is the
// safe one: login required, default limit, no result but success. A route that
// stands for a method names it, and says beside that only what is different.
type Route struct {
	// Verb is the HTTP method; Path is relative to /api/v1/ and may have ":name" segments.
	Verb, Path string
	Tag        string
	Summary    string
	Auth       Auth
	Permission string
	Factor     twofactor.Policy
	// Raise is what this very request asks for, beyond Factor; nil raises nothing.
	// It runs after the schemas were checked.
	Raise func(r *Request) twofactor.Policy
	// Inside is the most that Raise or the handler asks for.
	Inside twofactor.Policy
	// Proofs say which factors are a proof (methods.Spec), for a route that stands for no
	// method: one that does takes those that its method takes.
	Proofs rpc.Proofs
	// Effects say what the route changes, Instead what proves the caller where a
	// factor is not asked for (methods.Spec).
	Effects methods.Effects
	Instead string
	// Action names what a route does that stands for no method (methods.Spec).
	Action string
	// Carries are further actions that its parameters may ask for, Carried those that this
	// very request does (methods.Spec).
	Carries []string
	Carried func(r *Request) []string
	// Limit is the route's own limit; the zero value is the configured default.
	Limit ratelimit.Rule
	// Unlimited leaves the REST limit out, for routes that the method limits cover.
	Unlimited bool
	// Enrolment keeps the route open to users who must set up a factor first.
	Enrolment bool
	// Passage keeps the administrator's list of protected calls off (methods.Spec).
	Passage bool
	// Form also takes form-encoded bodies.
	Form bool
	// Upload takes a body in parts instead, which the handler reads (Request.Form).
	Upload bool
	// Parts describes such a body.
	Parts Schema
	// LoginShape renders refusals as 401 with the code in "error".
	LoginShape bool
	// Query and Body are checked before the handler and published; nil takes none.
	Query, Body Schema
	// Result describes the answer; BadRequest that of 400 when it is not the general one.
	Result, BadRequest Schema
	// Files are the media types of a route that answers a File instead of an object.
	Files []string
	// Redirects says that the route answers a Redirect instead.
	Redirects bool
	// Errors lists the codes of the route's own refusals, Never those of its method
	// that the route does not answer.
	Errors, Never []string
	// Method names the DDP method that the route stands for: who puts one of the two
	// under a second factor means both. What the line does not say otherwise is the
	// method's: login, permission, factor, effects, actions, errors, who may call it
	// before setting up a factor, and the handler. A factor is never weaker here.
	Method string
	// Params makes the method's parameters; nil sends none. Shape makes the answer out
	// of the method's result; nil answers success alone.
	Params func(ctx context.Context, r *Request) ([]any, error)
	Shape  func(result any) (ejson.Doc, error)
	// Do handles routes that are no method, and those that do something beside their
	// method: Request.Run runs that.
	Do func(ctx context.Context, r *Request) (any, error)

	// reads says that a login in the query or in cookies counts too (Outside).
	reads       bool
	spec        methods.Spec
	run         methods.Handler // the method's
	body, query *checker
}

// Request is one request on its way through a route.
type Request struct {
	// Call is the request as the router sees it; Call.User is set on routes with a login.
	*rpc.Call
	HTTP *http.Request
	// Query is what the route's schema declares.
	Query query
	body  body
	// status overrides 200 for answers made by the handler itself.
	status int
	server *Server
	route  *Route
	// control is the connection's.
	control *http.ResponseController
}

// Redirect is an answer that sends the client to another address of this server, for now.
type Redirect string

// Raw is an answer that is rendered by the handler itself.
type Raw struct {
	ContentType string
	Body        []byte
}

// File is an answer that is written piece by piece, however long it is. It is made by
// a handler that has checked everything that can be refused.
type File struct {
	// Type is the media type, one of the route's Files, of a text in UTF-8; Name what a browser calls the file.
	Type, Name string
	// Write writes the file. ctx ends with the request. After an error the connection is
	// cut, so that nobody takes a part for the whole.
	Write func(ctx context.Context, w io.Writer) error
}

// Bind decodes the body into a struct with `ejson` tags; the route's schema has
// been checked already.
func (r *Request) Bind(dst any) error {
	if err := ejson.Unmarshal(r.body.raw, dst); err != nil {
		return fault.New("invalid-params", "The request body does not fit").Because(err)
	}
	return nil
}

// Has tells whether the body has that member.
func (r *Request) Has(name string) bool {
	_, ok := r.body.value[name]
	return ok
}

// Text is a text member of the body, or "".
func (r *Request) Text(name string) string {
	s, _ := r.body.value[name].(string)
	return s
}

// Texts is a list of texts in the body; members that are no texts are left out.
func (r *Request) Texts(name string) []string { return texts(r.body.value[name]) }

// Value is a member of the body as JSON has it, and nil when it is not there.
func (r *Request) Value(name string) any { return r.body.value[name] }

// Segment is the part of the path that the route calls ":name".
func (r *Request) Segment(name string) string { return r.HTTP.PathValue(name) }

// Param is a text member of the body, or else of the query.
func (r *Request) Param(name string) string { return cmp.Or(r.Text(name), r.Query.Get(name)) }

// Run runs the method that the route stands for, with these parameters, as the
// caller of the route. Its policies are the route's and not asked again.
func (r *Request) Run(ctx context.Context, params ...any) (any, error) {
	r.Call.Params = nil
	if len(params) > 0 {
		var err error
		if r.Call.Params, err = ejson.Append(nil, params); err != nil {
			return nil, err
		}
	}
	return r.route.run(ctx, r.Call)
}

// Challenge asks for a second factor where one of the actions, which the route
// carries out besides its own, is on the administrator's list of protected calls.
func (r *Request) Challenge(ctx context.Context, actions ...string) error {
	return r.server.router.ChallengeActions(ctx, r.Call, actions...)
}

// Ask asks for a second factor where the handler finds that one is needed (Route.Inside).
func (r *Request) Ask(ctx context.Context, p twofactor.Policy) error {
	return r.server.router.Challenge(ctx, r.Call, p)
}

// Guess runs check, which looks at a token that stands in the request, unless too many wrong
// ones came from its network; what check refuses is counted and audited as a wrong token.
func (r *Request) Guess(token string, check func() error) error {
	return r.server.router.Guess(r.Peer, token, check)
}

// Parsed makes an object of a text in the body, by the rules of bodies, and binds it.
func (r *Request) Parsed(text string, dst any) error {
	b, err := parseBody([]byte(text), depthAnonymous)
	if err != nil {
		return err
	}
	r.body = b
	return r.Bind(dst)
}

// Still refuses a caller who might not begin the call now: for bodies that take long.
func (r *Request) Still(ctx context.Context) error {
	return r.server.router.Still(ctx, r.Call, &r.route.spec)
}

// Account is the account that the request names by userId, username or user; the
// caller's when it names none.
func (r *Request) Account(ctx context.Context) (*user.User, error) {
	id, err := r.server.target(ctx, r)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return r.User, nil
	}
	u, err := r.server.accounts.User(ctx, id)
	if errors.Is(err, dberr.NotFound) {
		err = errUserNotFound
	}
	return u, err
}

// Flag is a boolean member of the body, or false.
func (r *Request) Flag(name string) bool {
	b, _ := r.body.value[name].(bool)
	return b
}

// Page is the part of a list that a query asks for: offset from 0, and count, by
// default the setting API_Default_Count. 0 asks for everything. All of them end at the
// setting API_Upper_Count_Limit, and whoever wants more asks with an offset.
func (r *Request) Page() (offset, count int) {
	return r.PageOf(r.server.settings.Int(settings.DefaultCount))
}

// PageOf is Page for a list with a default of its own.
func (r *Request) PageOf(usual int) (offset, count int) {
	offset, count = r.Query.number("offset", 0), r.Query.number("count", usual)
	most := r.server.settings.Int(settings.UpperCountLimit)
	if count == 0 {
		count = most
	}
	return offset, min(count, most)
}

// Date is a moment in the query, in any spelling that DDP reads; zero when there is none.
func (r *Request) Date(name string) (time.Time, error) {
	text := r.Query.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, ok := ejson.ParseDate(text)
	if !ok {
		return time.Time{}, fault.New("error-invalid-params", "'"+name+"' must be a date, such as 2026-11-28T20:16:57Z")
	}
	return t, nil
}

// compile prepares the checkers and the policy line for the router.
func (rt *Route) compile(method methods.Lookup) error {
	if err := rt.borrow(method); err != nil {
		return err
	}
	if rt.Unlimited {
		rt.Limit = ratelimit.Rule{Count: -1}
	}
	rt.spec = methods.Spec{
		Action: rt.spec.Action, Also: rt.spec.Also, Carries: rt.spec.Carries, Enrols: rt.spec.Enrols,
		Name: rt.Path, Anonymous: rt.Auth != LoginRequired, LoginError: nil, Factor: rt.Factor,
		Effects: rt.Effects, Permission: rt.Permission, Proofs: rt.Proofs, Rest: rt.Limit, Enrolment: rt.Enrolment, Passage: rt.Passage, Doc: rt.Summary,
	}
	rt.body = newChecker(rt.Verb+"/"+rt.Path+"/body", rt.Body)
	rt.query = newChecker(rt.Verb+"/"+rt.Path+"/query", rt.Query)
	return nil
}

// borrow takes from the line of the route's method what the route does not say
// itself, and refuses a line that asks for less than its effects need.
func (rt *Route) borrow(method methods.Lookup) error {
	m := methods.Spec{}
	if rt.Method != "" {
		var ok bool
		if m, ok = method(rt.Method); !ok {
			return fmt.Errorf("rest: %s %s: no method %q", rt.Verb, rt.Path, rt.Method)
		}
	}
	switch {
	case rt.Auth == authOfMethod && m.Anonymous:
		rt.Auth = LoginOptional
	case rt.Auth == authOfMethod:
		rt.Auth = LoginRequired
	}
	rt.Permission = cmp.Or(rt.Permission, m.Permission)
	rt.Enrolment, rt.Passage = rt.Enrolment || m.Enrolment, rt.Passage || m.Passage
	switch {
	case rt.Method != "" && rt.Proofs.Narrow():
		return fmt.Errorf("rest: %s %s says itself which factors count, and not its method", rt.Verb, rt.Path)
	case rt.Method != "":
		rt.Proofs = m.Proofs
	}
	rt.Factor, rt.Inside = max(rt.Factor, m.Factor), max(rt.Inside, m.Inside)
	if rt.Effects == 0 {
		rt.Effects, rt.Instead = m.Effects, m.Instead
	}
	rt.spec.Enrols = m.Enrols
	rt.spec.Action, rt.spec.Also, rt.spec.Carries = cmp.Or(rt.Action, m.Action, rt.Path), m.Also, slices.Concat(m.Carries, rt.Carries)
	rt.Errors = append(rt.inherited(m), rt.Errors...)
	rt.run = m.Do
	if rt.Do == nil {
		rt.Do = rt.runMethod
	}
	if err := twofactor.CheckEffects(rt.Effects, max(rt.Factor, rt.Inside), rt.Instead); err != nil {
		return fmt.Errorf("rest: %s %s %w", rt.Verb, rt.Path, err)
	}
	return nil
}

// inherited are the errors of the method that the route answers too. Parameters of
// wrong types are no error of their own: the schema finds them.
func (rt *Route) inherited(m methods.Spec) []string {
	codes := slices.DeleteFunc(ErrorsOf(m), func(code string) bool { return slices.Contains(rt.Never, code) })
	if i := slices.Index(codes, "too-many-requests"); i >= 0 {
		codes[i] = "error-too-many-requests" // as REST spells it
	}
	return codes
}

// ErrorsOf lists the errors that a method's line names, without that of parameters
// of wrong types.
func ErrorsOf(m methods.Spec) []string {
	var codes []string
	for _, code := range strings.FieldsFunc(m.Errors, func(c rune) bool { return c == ';' || c == ',' }) {
		if code = strings.TrimSpace(code); code != "-" && code != fault.MatchFailed.ID()+" "+fault.MatchFailed.Reason {
			codes = append(codes, code)
		}
	}
	return codes
}

// runMethod is the handler of a route that is its method under another name.
func (rt *Route) runMethod(ctx context.Context, r *Request) (any, error) {
	var params []any
	if rt.Params != nil {
		var err error
		if params, err = rt.Params(ctx, r); err != nil {
			return nil, err
		}
	}
	result, err := r.Run(ctx, params...)
	if err != nil || rt.Shape == nil {
		return nil, err
	}
	return rt.Shape(result)
}

// Actions are all that the route may do (methods.Spec).
func (rt *Route) Actions() []string { return rt.spec.Actions() }

// Always are the actions that the route does whatever its parameters say.
func (rt *Route) Always() []string { return append([]string{rt.spec.Action}, rt.spec.Also...) }

// check reads query and body, and validates them (docs/wire/rocketchat.md 5.2).
func (rt *Route) check(r *Request) (err error) {
	if r.Query, err = readQuery(r.HTTP.URL.RawQuery, rt.Query); err != nil {
		return err
	}
	if err := r.body.settle(rt.Body); err != nil {
		return errBadJSON.Because(err)
	}
	if rt.query != nil {
		if wrong := rt.query.check(r.Query.typed(rt.Query)); wrong != "" {
			return fault.New("error-invalid-params", wrong)
		}
	}
	if rt.body != nil {
		if wrong := rt.body.check(r.body.value); wrong != "" {
			return fault.New("invalid-params", wrong)
		}
	}
	return nil
}
