package oidc

import (
	"context"
	"net/http"
	"net/url"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/pipeline"
)

// Authorize is where apps send browsers: the authorization endpoint (RFC 6749
// 3.1) and the start of the gateway's clients, which is the same with other
// names.
type Authorize struct {
	Flows   *flow.Service
	BaseURL string // decides names of cookies and paths; no header does
	// WriteFault shows a fault to a person: until it is known that a redirect
	// URI is the app's, nobody is sent there.
	WriteFault func(w http.ResponseWriter, r *http.Request, err error)
	// Landing answers at / where a browser comes for no app.
	Landing func(w http.ResponseWriter, r *http.Request, status int)
}

// The paths.
const (
	AuthorizePath = "/authz-srv/authz"
	AuthorizeToo  = "/oauth2/authorize"
	GatewayPath   = "/a/{account}/"
	RootPath      = "/"
	signInPath    = "/login"
)

// rateStart is for apps' requests: as many as pages, and counted by themselves.
var rateStart = pipeline.Rate{Class: "authorize", Rate: pipeline.RatePages.Rate}

// Routes is the table of these paths.
func (a *Authorize) Routes() []pipeline.Route {
	route := func(method, path, summary string, success int, handler pipeline.Handler) pipeline.Route {
		return pipeline.Route{
			Method: method, Path: path, Summary: summary, Success: success, Page: true, Sessions: true, Cookie: a.cookies().BrowserName(),
			Credential: pipeline.None, Reach: pipeline.Nobody, Rate: rateStart, Handler: handler, Write: pipeline.Depart, WriteFault: a.WriteFault,
		}
	}
	var routes []pipeline.Route
	for _, path := range []string{AuthorizePath, AuthorizeToo} {
		start := pipeline.Handle(a.start)
		routes = append(routes,
			route(http.MethodGet, path, "Sign a user in to an app and send the browser back with a code", http.StatusFound, start),
			// Cookies of SameSite=Lax do not come with what another site posts:
			// the request is checked, and made anew as a GET that they come with.
			route(http.MethodPost, path, "Take an authorization request as a form", http.StatusSeeOther, pipeline.Handle(a.hop(path))),
		)
	}
	root := route(http.MethodGet, RootPath, "Sign a user in to an app of the contract's gateway, or say what this is", http.StatusFound, pipeline.Handle(a.root))
	root.Write = a.writeRoot
	return append(routes, root,
		route(http.MethodGet, GatewayPath, "Sign a user in to an app of the contract's gateway", http.StatusFound, pipeline.Handle(a.gateway)))
}

// authorizeIn says what is read; a request is taken as it came, since what is
// compared or sent back must not change on the way.
type authorizeIn struct {
	ClientID     string `in:"client_id" doc:"The app."`
	RedirectURI  string `in:"redirect_uri" doc:"Where the code is sent: one that the app has registered, character by character."`
	ResponseType string `in:"response_type" doc:"code, and nothing else."`
	ResponseMode string `in:"response_mode" doc:"query, as when it is left out, or fragment."`
	Scope        string `in:"scope" doc:"What the app asks for, of what it may."`
	State        string `in:"state" doc:"Comes back as it is."`
	Nonce        string `in:"nonce" doc:"Comes back in the ID token."`
	Challenge    string `in:"code_challenge" doc:"Of PKCE; every app must send one."`
	Method       string `in:"code_challenge_method" doc:"S256, and nothing else."`
	Prompt       string `in:"prompt" doc:"none, login, consent or select_account."`
	MaxAge       string `in:"max_age" doc:"Seconds since the last proof after which the user signs in again."`
	ACR          string `in:"acr_values" doc:"aal1 or aal2: the levels that the app takes."`
	LoginHint    string `in:"login_hint" doc:"Address of who is expected."`
	IDTokenHint  string `in:"id_token_hint" doc:"An ID token of who is expected, also an expired one."`
	Locales      string `in:"ui_locales" doc:"Languages for the pages, the most wanted first."`
}

// startIn is the same in the words of the contract's clients.
type startIn struct {
	Organization string `in:"organization" doc:"Domain of the organization; it must be the app's."`
	Email        string `in:"email" doc:"Address of who is expected."`
	Locale       string `in:"locale" doc:"Language of the pages: de, en or fr."`
	ClientState  string `in:"client_state" doc:"Comes back as state."`
	Scope        string `in:"scope" doc:"What the app asks for, of what it may."`
	ClientID     string `in:"client_id" doc:"The app."`
	RedirectURI  string `in:"redirect_uri" doc:"Where the code is sent: one that the app has registered, character by character."`
	Method       string `in:"code_challenge_method" doc:"S256, and nothing else."`
	Challenge    string `in:"code_challenge" doc:"Of PKCE."`
}

func (a *Authorize) start(ctx context.Context, c pipeline.Call, _ authorizeIn) (pipeline.Departure, error) {
	return a.begin(ctx, c, flow.Asked{Parameters: c.Form()})
}

func (a *Authorize) gateway(ctx context.Context, c pipeline.Call, _ startIn) (pipeline.Departure, error) {
	return a.begin(ctx, c, flow.Asked{Parameters: c.Form(), Gateway: true, Account: c.Path("account")})
}

func (a *Authorize) root(ctx context.Context, c pipeline.Call, in startIn) (pipeline.Departure, error) {
	if in.ClientID == "" {
		return pipeline.Departure{}, nil
	}
	return a.begin(ctx, c, flow.Asked{Parameters: c.Form(), Gateway: true})
}

func (a *Authorize) writeRoot(w http.ResponseWriter, r *http.Request, status int, answer any) {
	if d, _ := answer.(pipeline.Departure); d.To.IsZero() {
		a.Landing(w, r, http.StatusOK)
		return
	}
	pipeline.Depart(w, r, status, answer)
}

func (a *Authorize) begin(ctx context.Context, c pipeline.Call, in flow.Asked) (pipeline.Departure, error) {
	out, err := a.Flows.Start(ctx, in, flow.Browser{Cookie: c.Cookie, Sessions: c.Sessions, Source: c.Source, TraceID: c.TraceID, Agent: c.Request.UserAgent()})
	if err != nil {
		return pipeline.Departure{}, err
	}
	d := pipeline.Departure{To: out.Back}
	if !out.Cookie.IsZero() {
		d.Cookies = append(d.Cookies, a.cookies().Browser(out.Cookie))
	}
	if out.Back.IsZero() {
		query := url.Values{"requestId": {out.Flow.Reveal()}, "view_type": {"login"}}
		if out.Locale != "" {
			query.Set("lang", out.Locale)
		}
		d.To = secret.New(a.below(signInPath) + "?" + query.Encode())
	}
	return d, nil
}

// hop answers a posted request that is good with the same as a GET.
func (a *Authorize) hop(path string) func(context.Context, pipeline.Call, authorizeIn) (pipeline.Departure, error) {
	return func(ctx context.Context, c pipeline.Call, _ authorizeIn) (pipeline.Departure, error) {
		out, err := a.Flows.Check(ctx, flow.Asked{Parameters: c.Form()})
		if err != nil || !out.Back.IsZero() {
			return pipeline.Departure{To: out.Back}, err
		}
		query := url.Values{}
		for name, value := range c.Form() {
			query.Set(name, value)
		}
		return pipeline.Departure{To: secret.New(a.below(path) + "?" + query.Encode())}, nil
	}
}

func (a *Authorize) cookies() pipeline.Cookies { return pipeline.CookiesOf(a.BaseURL) }

// below is a path below that of the base URL.
func (a *Authorize) below(path string) string {
	base, err := url.Parse(a.BaseURL)
	if err != nil {
		return path
	}
	return base.EscapedPath() + path
}
