package pages

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/pipeline"
)

// SignIn is the page on which people sign in to an app: address and password
// first, then a code of their second factor. It is plain HTML with forms, and
// every form is answered by going on to a page, never by one: nothing
// is sent twice by going back. Recovery codes are not taken here, since one
// obliges to enrol a new factor, for which there is no page.
type SignIn struct {
	Flows   Flows
	BaseURL string // decides names of cookies and paths; no header does
	Now     func() time.Time
}

// Flows is what the page calls; flow.Service implements it.
type Flows interface {
	Look(ctx context.Context, flow secret.Text, b flow.Browser) (flow.View, error)
	Password(ctx context.Context, flow secret.Text, b flow.Browser, email string, plain secret.Text) (flow.Outcome, error)
	Code(ctx context.Context, flow secret.Text, b flow.Browser, typed secret.Text) (flow.Outcome, error)
	Send(ctx context.Context, flow secret.Text, b flow.Browser) (flow.Outcome, error)
}

var _ Flows = (*flow.Service)(nil)

// The paths.
const (
	SignInPath = "/login"
	CodePath   = "/login/code"
	SendPath   = "/login/send"
)

// Routes is the table of the page.
func (p *SignIn) Routes() []pipeline.Route {
	page := func(method, path, summary string, success int) pipeline.Route {
		return pipeline.Route{
			Method: method, Path: path, Summary: summary, Success: success, Page: true, Sessions: true, Cookie: pipeline.CookiesOf(p.BaseURL).BrowserName(),
			Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RatePages, WriteFault: WriteFault,
		}
	}
	form := func(path, summary string, within time.Duration, handler pipeline.Handler) pipeline.Route {
		r := page(http.MethodPost, path, summary, http.StatusSeeOther)
		r.Form, r.Strict, r.BodyOnly, r.Rate, r.Within = true, true, true, rateSignIn, within
		r.Handler, r.Write = handler, pipeline.Depart
		return r
	}
	show := page(http.MethodGet, SignInPath, "Show the sign-in page of a request", http.StatusOK)
	show.Handler, show.Write = pipeline.Handle(p.show), p.write
	return []pipeline.Route{
		show,
		form(SignInPath, "Sign in with address and password", pipeline.WithinHash, pipeline.Handle(p.password)),
		form(CodePath, "Sign in with a code of a second factor", pipeline.WithinCheck, pipeline.Handle(p.code)),
		form(SendPath, "Send a code to the user's phone", pipeline.WithinSend, pipeline.Handle(p.send)),
	}
}

// rateSignIn is for forms with something to compare: refused while they cannot
// be counted.
var rateSignIn = pipeline.Rate{Class: "sign_in", Rate: pipeline.RatePages.Rate, Essential: true}

type signInIn struct {
	Request secret.Text `in:"requestId" doc:"The request that the page is about."`
	View    string      `in:"view_type" doc:"login; looked at by nobody yet."`
	Lang    string      `in:"lang" doc:"Languages for the page, the most wanted first."`
}

type passwordForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"` // read by the pipeline, as in all forms
	Email     string      `in:"email"`
	Password  secret.Text `in:"password"`
}

type codeForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
	Code      secret.Text `in:"code"`
}

type sendForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
}

// signInPage is what the page is made of.
type signInPage struct {
	view    flow.View
	request secret.Text
	token   secret.Text
	lang    string
}

func (p *SignIn) show(ctx context.Context, c pipeline.Call, in signInIn) (signInPage, error) {
	view, err := p.Flows.Look(ctx, in.Request, browserOf(c))
	return signInPage{view, in.Request, c.PageToken, in.Lang}, err
}

func (p *SignIn) password(ctx context.Context, c pipeline.Call, in passwordForm) (pipeline.Departure, error) {
	out, err := p.Flows.Password(ctx, in.Request, browserOf(c), in.Email, in.Password)
	return p.onward(out), err
}

func (p *SignIn) code(ctx context.Context, c pipeline.Call, in codeForm) (pipeline.Departure, error) {
	out, err := p.Flows.Code(ctx, in.Request, browserOf(c), in.Code)
	return p.onward(out), err
}

func (p *SignIn) send(ctx context.Context, c pipeline.Call, in sendForm) (pipeline.Departure, error) {
	out, err := p.Flows.Send(ctx, in.Request, browserOf(c))
	return p.onward(out), err
}

func browserOf(c pipeline.Call) flow.Browser {
	return flow.Browser{Cookie: c.Cookie, Sessions: c.Sessions, Source: c.Source, TraceID: c.TraceID}
}

// onward is where the browser goes: to the app, or to the page again.
func (p *SignIn) onward(out flow.Outcome) pipeline.Departure {
	d := pipeline.Departure{To: out.Back}
	if out.Sessions != nil {
		d.Cookies = append(d.Cookies, pipeline.CookiesOf(p.BaseURL).Sessions(*out.Sessions))
	}
	if out.Back.IsZero() {
		query := url.Values{"requestId": {out.Flow.Reveal()}, "view_type": {"login"}}
		if out.Locale != "" {
			query.Set("lang", out.Locale)
		}
		d.To = secret.New(p.path(SignInPath) + "?" + query.Encode())
	}
	return d
}

// path is below the base URL's own.
func (p *SignIn) path(of string) string {
	base, err := url.Parse(p.BaseURL)
	if err != nil {
		return of
	}
	return base.EscapedPath() + of
}
