package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/input"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// Tokens reads access tokens.
type Tokens interface {
	Read(ctx context.Context, raw secret.Text) (keyID, account, env string, err error)
}

// Keys finds API keys.
type Keys interface {
	KeyByID(ctx context.Context, keyID string) (apikey.Key, error)
	// KeyIn is KeyByID and, in the same reading, the organization of the
	// key's account that has the domain: a living one, else the last deleted
	// one, else a zero one.
	KeyIn(ctx context.Context, keyID, domain string) (apikey.Key, tenant.Organization, error)
}

// Limits takes units from rate limits.
type Limits interface {
	Allow(ctx context.Context, key string, rate ephemeral.Rate) (ephemeral.Allowance, error)
}

// Pipeline checks requests and calls handlers.
type Pipeline struct {
	Tokens  Tokens
	Keys    Keys
	Limits  Limits
	Answers Answers
	Sealer  Sealer
	Log     *slog.Logger
	// Organizations is for routes that reach what their input names.
	Organizations Organizations
	// Forms and BaseURL are for pages: see [Route].
	Forms   Forms
	BaseURL string
	People  People
	Origins Origins // nil knows none
	// Surfaces say how paths answer that no route takes.
	Surfaces []Surface
	hosts    map[string]bool // what the base URL's host may be called
	cookies  Cookies
}

// Rate is how often one caller may call a route of a class.
type Rate struct {
	Class string
	Rate  ephemeral.Rate
	// Essential routes are refused while the limiter cannot be reached;
	// others go on, so that administration outlives a lost Redis.
	Essential bool
}

// The rate classes. A caller is a key, or an address where there is no key.
var (
	RateAPI    = Rate{Class: "api", Rate: ephemeral.Rate{Burst: 5000, Per: 5 * time.Second}}
	RateSecond = Rate{Class: "second_factor", Rate: ephemeral.Rate{Burst: 5000, Per: 5 * time.Second}, Essential: true}
	RateTokens = Rate{Class: "tokens", Rate: ephemeral.Rate{Burst: 600, Per: time.Minute}, Essential: true}
	// RateEstimates lets a hundred people or so type passwords at once.
	RateEstimates = Rate{Class: "estimates", Rate: ephemeral.Rate{Burst: 1000, Per: 5 * time.Second}}
	RateReceipt   = Rate{Class: "receipts", Rate: ephemeral.Rate{Burst: 10000, Per: 10 * time.Second}}
)

// Mount builds the router of the tables. Unknown paths and methods answer as
// faults of the API, always JSON.
func (p *Pipeline) Mount(mux chi.Router, tables ...[]Route) {
	p.hosts, p.cookies = hostsOf(p.BaseURL), CookiesOf(p.BaseURL)
	for _, route := range slices.Concat(tables...) {
		handler := p.serve(route)
		mux.Method(route.Method, route.Path, handler)
		if route.CORS {
			mux.Method(http.MethodOptions, route.Path, p.preflights(mux, route.Path))
		}
		if route.Page && route.Method == http.MethodGet {
			mux.Method(http.MethodHead, route.Path, handler)
		}
	}
	mux.NotFound(p.notFound(mux))
	mux.MethodNotAllowed(p.methodNotAllowed(mux))
}

// Allowed names the methods that the router takes on the path of a request.
func Allowed(mux chi.Router, r *http.Request) string {
	var methods []string
	for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut} {
		if mux.Match(chi.NewRouteContext(), method, r.URL.EscapedPath()) {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, ", ")
}

func (p *Pipeline) serve(route Route) http.HandlerFunc {
	writeFault := route.WriteFault
	if writeFault == nil {
		writeFault = web.WriteFault
	}
	write := route.Write
	if write == nil {
		write = func(w http.ResponseWriter, _ *http.Request, status int, answer any) { web.WriteJSON(w, status, answer) }
	}
	success := route.Success
	if success == 0 {
		success = http.StatusOK
	}
	return func(w http.ResponseWriter, r *http.Request) {
		web.SetRoute(r.Context(), route.Path)
		from := p.crossOrigin(w, r, route.CORS)
		web.SetFail(r.Context(), func(w http.ResponseWriter, r *http.Request, err error) {
			from.write(w.Header()) // a panic has cleared all that was said
			writeFault(w, r, err)
		})
		answer, err := p.answer(w, r, route, from)
		if err != nil {
			writeFault(w, r, err)
			return
		}
		if route.CacheFor > 0 {
			w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(route.CacheFor.Seconds())))
		}
		if maybe, ok := answer.(Maybe); ok && maybe.None() {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		write(w, r, success, answer)
	}
}

// answer runs the checks in their order: credential, rate, scope, tenant,
// size and form of the input. Nothing of the body is read before the caller
// is known to be allowed.
func (p *Pipeline) answer(w http.ResponseWriter, r *http.Request, route Route, from *crossing) (answer any, err error) {
	ctx := r.Context()
	call := Call{TraceID: logs.RequestID(ctx), Source: web.ClientIP(ctx), Request: r, path: pathOf(r)}
	call.serveApp = func(a app.App) { from.narrow(w.Header(), a) }
	if route.Locate != nil {
		defer func() {
			if err != nil {
				err = route.Locate(ctx, call, err)
			}
		}()
	}
	clock := watch{within: route.Within}
	if err := clock.run(ctx, func(ctx context.Context) error { return p.admit(ctx, w, r, route, &call) }); err != nil {
		return nil, err
	}
	if route.refusesQuery(r.URL.RawQuery) {
		return nil, fault.New(fault.Malformed, "query_not_allowed", "send the parameters in the body: a query ends up in logs")
	}
	most := route.MaxBody
	if most == 0 {
		most = DefaultBody
	}
	web.LimitBody(w, r, most)
	body, err := input.Buffer(r)
	if err != nil {
		return nil, err
	}
	values, err := input.Read(r)
	if err != nil {
		return nil, err
	}
	call.form = values.Texts
	if err := p.checkForm(route, call); err != nil {
		return nil, err
	}
	if err := clock.run(ctx, func(ctx context.Context) error { return p.name(ctx, route, &call, values) }); err != nil {
		return nil, err
	}
	return p.once(ctx, r, route, call, body, func(ctx context.Context) (answer any, err error) {
		err = clock.run(ctx, func(ctx context.Context) (err error) {
			answer, err = route.Handler.serve(ctx, call, values, route.Strict)
			return err
		})
		return answer, err
	})
}

// admit finds out who calls, how often, and whether and where they may.
func (p *Pipeline) admit(ctx context.Context, w http.ResponseWriter, r *http.Request, route Route, call *Call) error {
	if err := p.authenticate(ctx, r, route, call); err != nil {
		return err
	}
	rate := route.Rate
	if route.Credential == Optional && call.Key.ID != "" {
		rate = RateAPI // a known key is limited as everywhere
	}
	if err := p.limit(ctx, rate, *call); err != nil {
		return err
	}
	if err := p.visit(r, route, call); err != nil {
		return err
	}
	if err := p.person(ctx, w, r, route, call); err != nil {
		return err
	}
	if route.Scope != "" && !call.has(route.Scope) {
		return fault.Newf(fault.Forbidden, "insufficient_scope", "this call needs the scope %s, which the API key or access token does not have", route.Scope)
	}
	return place(route, call)
}

// watch bounds the time that we take ourselves. It stands still while a body
// arrives and while a repeat waits for the first request's answer.
type watch struct{ within, spent time.Duration }

func (w *watch) run(ctx context.Context, do func(ctx context.Context) error) error {
	if w.within == 0 {
		return do(ctx)
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, w.within-w.spent)
	defer cancel()
	err := do(ctx)
	w.spent += time.Since(begun)
	return err
}

func (p *Pipeline) authenticate(ctx context.Context, r *http.Request, route Route, call *Call) error {
	switch route.Credential {
	case None, UserToken, Browser: // see person
		return nil
	case Optional:
		if err := p.identify(ctx, r, route, call); fault.KindOf(err) != fault.Unauthorized {
			return err
		}
		return nil
	default:
		return p.identify(ctx, r, route, call)
	}
}

// identify reads the caller's token. There is no caller unless it is good.
func (p *Pipeline) identify(ctx context.Context, r *http.Request, route Route, call *Call) error {
	raw, ok := bearer(r)
	if !ok {
		return token.ErrInvalid
	}
	keyID, account, env, err := p.Tokens.Read(ctx, raw)
	if err != nil {
		return err
	}
	key, err := p.caller(ctx, route, call, keyID)
	if fault.KindOf(err) == fault.NotFound {
		return token.ErrInvalid
	}
	if err != nil {
		return err
	}
	if key.Revoked() || key.AccountDomain != account || key.Env != env {
		return token.ErrInvalid
	}
	call.Key = key
	call.Tenant = tenant.ID{Account: key.AccountID, Env: key.Env}
	return nil
}

// caller reads the key and, where the path names one, the organization with
// it: nobody is asked twice for what one reading can tell. Whether the caller
// may know of the organization is decided by place.
func (p *Pipeline) caller(ctx context.Context, route Route, call *Call, keyID string) (key apikey.Key, err error) {
	if !route.inOrganization() || !tenant.IsDomain(call.Path("org")) {
		return p.Keys.KeyByID(ctx, keyID)
	}
	key, call.Org, err = p.Keys.KeyIn(ctx, keyID, call.Path("org"))
	return key, err
}

func (p *Pipeline) limit(ctx context.Context, rate Rate, call Call) error {
	allowance, err := p.take(ctx, rate, call)
	switch {
	case err != nil && rate.Essential:
		return err
	case err != nil:
		p.Log.WarnContext(ctx, "rate limit not counted", "class", rate.Class, "error", err)
		return nil
	case !allowance.OK:
		return fault.New(fault.Limited, "rate_limited", "too many requests; slow down").RetryIn(allowance.RetryAfter)
	}
	return nil
}

func (p *Pipeline) take(ctx context.Context, rate Rate, call Call) (ephemeral.Allowance, error) {
	if call.Key.ID == "" {
		return ephemeral.AllowFrom(ctx, p.Limits, "rate|"+rate.Class, call.Source, rate.Rate)
	}
	return p.Limits.Allow(ctx, "rate:{"+rate.Class+"|"+call.Key.ID+"}", rate.Rate)
}

// place puts the call into the organization of the path. One of another
// account, one out of the key's reach and one that never was answer alike.
func place(route Route, call *Call) error {
	if !route.inOrganization() {
		return nil
	}
	org := call.Org
	if org.ID == "" || !call.Key.Reaches(org.ID) || org.Deleted() && route.Reach != Remembered {
		return tenant.ErrNotFound
	}
	call.Tenant.Org = org.ID
	return nil
}

// pathOf unescapes path parameters: the router hands them on as they stand in
// the path when that holds escapes (ana%40acme.test).
func pathOf(r *http.Request) func(string) string {
	return func(name string) string {
		text := chi.URLParam(r, name)
		if r.URL.RawPath == "" {
			return text
		}
		if plain, err := url.PathUnescape(text); err == nil {
			return plain
		}
		return text
	}
}
