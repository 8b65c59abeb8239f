// Package pipeline owns the checks of every request.
//
// REQUEST -> challenge -> event -> worker -> provider
//
// Each edge declares its routes in a table; the table says which credential a
// route takes, which scope, whose data it touches, how large its body may be
// and how often it may be called. [Pipeline.Mount] builds the router from the
// tables. A handler gets a typed input and a verified caller and tenant, and
// returns a value or a fault: it cannot forget a check, because it never had
// to remember one.
package pipeline

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/input"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// Credential is what a route asks of its caller.
type Credential string

// The credentials. None is for routes that hand credentials out or that check
// a signature of their own.
const (
	None   Credential = "none"
	APIKey Credential = "api_key" // a Bearer token made for an API key
	// Optional is APIKey for requests that bring one, and None for the others. A
	// bad token is as good as none: whoever gets a new one may send the old one
	// along. What needs a caller asks for Call.Key.
	Optional Credential = "optional"
	// UserToken is the Bearer access token of a user, whose grant is good at
	// this moment. What else comes is refused as RFC 6750 3.1 says.
	UserToken Credential = "user_token"
	// Browser is the session that a browser has in the {realm} of the path.
	Browser Credential = "browser"
)

// Reach is whose data a route touches.
type Reach string

// The reaches. With Organization the path names it as {org}, and the pipeline
// has found it within the caller's account, environment and key.
const (
	Nobody       Reach = "nobody"
	Account      Reach = "account"
	Organization Reach = "organization"
	// Remembered is Organization, but a deleted one is found too.
	Remembered Reach = "remembered"
)

// Route declares one method on one path.
type Route struct {
	Method     string
	Path       string
	Summary    string
	Credential Credential
	Scope      string
	Reach      Reach
	// TellsOrg names a parameter that tells the organization by itself, such
	// as a code that was made in it. Beside it a Named route does not ask the
	// domain of an address, which may be anybody's.
	TellsOrg string
	Rate     Rate
	// Within is how long a request may take, once it has arrived, until it is
	// refused as unavailable; zero sets no bound.
	Within  time.Duration
	MaxBody int64 // bytes; zero means DefaultBody
	// Strict refuses parameters that the input does not name. The vendors'
	// contract demands that they are ignored on its own calls.
	Strict bool
	// BodyOnly refuses a query: it would end up in logs.
	BodyOnly bool
	// InQuery names the one parameter, no secret, that a query may hold for all
	// that: a client names an operation by it.
	InQuery string
	// Page marks what a browser shows. It answers under the host of the base
	// URL alone, and takes HEAD where it takes GET.
	Page bool
	// Cookie names the cookie that a page is about; [Call] has its value.
	Cookie string
	// Form marks what a page's form sends. It is taken from our own pages
	// only, with the token that was made for the browser's cookie.
	Form bool
	// CORS lets pages of origins that an app lists call the path, never with
	// credentials of the browser.
	CORS bool
	// Sessions gives the handler the browser's cookies of sessions and of what it
	// is known by.
	Sessions bool
	// Fresh wants, beside Browser, a proof of the last minutes at the highest
	// level that the user has.
	Fresh bool
	// Idempotent takes an Idempotency-Key: every route that sends or creates.
	Idempotent bool
	Success    int // status; zero means 200
	// CacheFor is how long anybody may keep the answer; zero means not at all.
	CacheFor time.Duration
	Faults   []int
	// WriteFault renders faults for the surface; nil means the API's shape.
	WriteFault func(w http.ResponseWriter, r *http.Request, err error)
	// Locate adds to a fault what WriteFault shows of where its person was, as far
	// as the call was verified by then; nil adds nothing.
	Locate func(ctx context.Context, c Call, err error) error
	// Envelope says that WriteFault writes the errors of the verification flow,
	// which the documents describe by their own shape.
	Envelope bool
	// Write renders the answer; nil means JSON.
	Write func(w http.ResponseWriter, r *http.Request, status int, answer any)
	// AnswersToo says that Write leads a browser on that has sent a form, and
	// writes JSON for all others, which the documents describe.
	AnswersToo bool
	Handler    Handler
}

// inOrganization reports whether the path names an organization.
func (r Route) inOrganization() bool { return r.Reach == Organization || r.Reach == Remembered }

// refusesQuery reports whether a query holds what belongs into the body.
func (r Route) refusesQuery(raw string) bool {
	if !r.BodyOnly || raw == "" {
		return false
	}
	query, err := url.ParseQuery(raw)
	return err != nil || len(query) != 1 || r.InQuery == "" || !query.Has(r.InQuery)
}

// How long calls about codes may take. Somebody waits for the answer, and one
// that says "try again" in time is worth more than a late one.
const (
	WithinCheck = 1750 * time.Millisecond // an answer in 2 s at most
	WithinSend  = 2500 * time.Millisecond // holds the 2 s that the bus may take
	WithinHash  = 4 * time.Second         // holds the 2 s that a turn at hashing may take
)

// DefaultBody is the size of a body in bytes that a route accepts.
const DefaultBody = 64 << 10

// Call is what the pipeline has verified about a request.
type Call struct {
	Key     apikey.Key          // the caller; empty on routes with no credential, and with an optional one where none came
	Tenant  tenant.ID           // filled as far as the reach goes
	Org     tenant.Organization // with Reach Organization and Remembered; with Named where the input names one
	Source  netip.Addr          // the client's address, for limits
	TraceID string
	// Cookie is the value of the route's cookie, empty when the browser has
	// none; PageToken goes into the form of a page that is about it.
	Cookie    secret.Text
	PageToken secret.Text
	// User and Access are there with UserToken, Session with Browser, Sessions and
	// Device where the route asks for them.
	User     grant.Session
	Access   token.Access
	Session  session.Session
	Sessions session.Set
	Device   secret.Text
	serveApp func(app.App)
	path     func(name string) string
	form     func() map[string]string
	Request  *http.Request // its headers; the body has been read
}

// Path returns a path parameter, unescaped.
func (c Call) Path(name string) string { return c.path(name) }

// Form returns every top-level text parameter as it came, for signatures that
// cover parameters nobody here knows; none before they were read.
func (c Call) Form() map[string]string {
	if c.form == nil {
		return nil
	}
	return c.form()
}

// ServeApp says for whose app the answer is, once that is known: from then on
// pages of its own origins alone may read it.
func (c Call) ServeApp(a app.App) { c.serveApp(a) }

// Handler is a typed handler made by [Handle].
type Handler interface {
	serve(ctx context.Context, c Call, v *input.Values, strict bool) (any, error)
	// Types are those of input and output, for the generated documents.
	Types() (in, out reflect.Type)
}

// Maybe is an answer that there may be none of: 204 then, without a body.
type Maybe interface{ None() bool }

// Nothing is the input of routes that take no parameters.
type Nothing struct{}

type handler[In, Out any] struct {
	fn func(context.Context, Call, In) (Out, error)
}

// Handle makes a Handler of a function. In is decoded as package input says.
func Handle[In, Out any](fn func(context.Context, Call, In) (Out, error)) Handler {
	return handler[In, Out]{fn}
}

func (h handler[In, Out]) serve(ctx context.Context, c Call, v *input.Values, strict bool) (any, error) {
	var in In
	if err := v.Decode(&in, strict); err != nil {
		return nil, err
	}
	return h.fn(ctx, c, in)
}

func (h handler[In, Out]) Types() (in, out reflect.Type) {
	return reflect.TypeFor[In](), reflect.TypeFor[Out]()
}
