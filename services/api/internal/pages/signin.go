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

// SignIn is the page on which people sign in, a step at a time. It is plain
// HTML with forms, and every form is answered by going to the page again:
// nothing is sent twice by going back, and what the page shows is where the
// sign-in has come to.
type SignIn struct {
	Flows   Flows
	BaseURL string // decides names of cookies and paths; no header does
	Now     func() time.Time
}

// Flows is what the page calls; flow.Service implements it.
type Flows interface {
	Look(ctx context.Context, flow secret.Text, b flow.Browser) (flow.View, error)
	Turn(ctx context.Context, flow secret.Text, b flow.Browser, to flow.Step) (flow.Outcome, error)
	Address(ctx context.Context, flow secret.Text, b flow.Browser, email string) (flow.Outcome, error)
	Password(ctx context.Context, flow secret.Text, b flow.Browser, email string, plain secret.Text) (flow.Outcome, error)
	Link(ctx context.Context, flow secret.Text, b flow.Browser, email string) (flow.Outcome, error)
	Shown(ctx context.Context, flow secret.Text, b flow.Browser, typed secret.Text) (flow.Outcome, error)
	Forgot(ctx context.Context, flow secret.Text, b flow.Browser, email string) (flow.Outcome, error)
	Renew(ctx context.Context, flow secret.Text, b flow.Browser, plain secret.Text) (flow.Outcome, error)
	Code(ctx context.Context, flow secret.Text, b flow.Browser, typed secret.Text) (flow.Outcome, error)
	Send(ctx context.Context, flow secret.Text, b flow.Browser) (flow.Outcome, error)
	Recover(ctx context.Context, flow secret.Text, b flow.Browser, typed secret.Text) (flow.Outcome, error)
	Enrol(ctx context.Context, flow secret.Text, b flow.Browser, method, number string) (flow.Outcome, error)
	Confirm(ctx context.Context, flow secret.Text, b flow.Browser, typed secret.Text) (flow.Outcome, error)
	Recovery(ctx context.Context, flow secret.Text, b flow.Browser) ([]string, error)
	Saved(ctx context.Context, flow secret.Text, b flow.Browser, saved bool) (flow.Outcome, error)
	Consent(ctx context.Context, flow secret.Text, b flow.Browser, given bool) (flow.Outcome, error)
	Again(ctx context.Context, flow secret.Text, b flow.Browser) (flow.Outcome, error)
	Place(ctx context.Context, flow secret.Text, b flow.Browser) (flow.Place, error)
}

var _ Flows = (*flow.Service)(nil)

// The paths. What follows SignInPath in the others is the step, or what is done
// there.
const (
	SignInPath = "/login"
	CodePath   = "/login/code"
	SendPath   = "/login/send"
	// SavePath is where the recovery codes are handed out as a file.
	SavePath = "/login/recovery-codes.txt"
)

// Routes is the table of the page.
func (p *SignIn) Routes() []pipeline.Route {
	show := p.page(http.MethodGet, SignInPath, "Show the sign-in page of a request, or lead on when it is done", http.StatusOK)
	show.Handler, show.Write = pipeline.Handle(p.show), p.write
	save := p.page(http.MethodGet, SavePath, "Save new recovery codes as a text file", http.StatusOK)
	save.Handler, save.Write = pipeline.Handle(p.save), p.writeFile
	return []pipeline.Route{
		show, save,
		p.form(SignInPath, "Sign in with address and password", pipeline.WithinHash, pipeline.Handle(p.password)),
		p.step("/login/turn", "Turn to another way of signing in", pipeline.Handle(p.turn)),
		p.step("/login/address", "Say whose address it is", pipeline.Handle(p.address)),
		p.form("/login/link", "Have a link sent to sign in with", pipeline.WithinSend, pipeline.Handle(p.link)),
		p.form("/login/shown", "Sign in with the code that another browser shows", pipeline.WithinCheck, pipeline.Handle(p.shown)),
		p.form("/login/forgot", "Have a link sent to set another password with", pipeline.WithinSend, pipeline.Handle(p.forgot)),
		p.form("/login/renew", "Set another password in place of one that must change", pipeline.WithinHash, pipeline.Handle(p.renew)),
		p.form(CodePath, "Sign in with a code of a second factor", pipeline.WithinCheck, pipeline.Handle(p.code)),
		p.form(SendPath, "Send a code to the user's phone", pipeline.WithinSend, pipeline.Handle(p.send)),
		p.form("/login/recovery", "Use a recovery code in place of a second factor", pipeline.WithinHash, pipeline.Handle(p.recover)),
		p.form("/login/enrol", "Begin to enrol an authenticator app or a phone", pipeline.WithinSend, pipeline.Handle(p.enrol)),
		p.form("/login/confirm", "Confirm an enrolment with its first code", pipeline.WithinHash, pipeline.Handle(p.confirm)),
		p.step("/login/codes", "Go on from the recovery codes", pipeline.Handle(p.saved)),
		p.step("/login/consent", "Say whether an app may have what it asks for", pipeline.Handle(p.consent)),
		p.step("/login/again", "Go on to the app once more", pipeline.Handle(p.again)),
	}
}

func (p *SignIn) page(method, path, summary string, success int) pipeline.Route {
	return pipeline.Route{
		Method: method, Path: path, Summary: summary, Success: success, Page: true, Sessions: true, Cookie: pipeline.CookiesOf(p.BaseURL).BrowserName(),
		Credential: pipeline.None, Reach: pipeline.Nobody, Rate: rateShow, WriteFault: WriteFault, Locate: p.locate,
	}
}

func (p *SignIn) form(path, summary string, within time.Duration, handler pipeline.Handler) pipeline.Route {
	r := p.page(http.MethodPost, path, summary, http.StatusSeeOther)
	r.Form, r.Strict, r.BodyOnly, r.Rate, r.Within = true, true, true, rateSignIn, within
	r.Handler, r.Write = handler, pipeline.Depart
	return r
}

// step is a form with nothing to compare or to send.
func (p *SignIn) step(path, summary string, handler pipeline.Handler) pipeline.Route {
	r := p.form(path, summary, 0, handler)
	r.Rate = rateStep
	return r
}

// locate finds where a sign-in began that a fault is about.
func (p *SignIn) locate(ctx context.Context, c pipeline.Call, err error) error {
	request := c.Form()["requestId"]
	if !placeable(err) || !tokenShape.MatchString(request) {
		return err
	}
	at, unknown := p.Flows.Place(ctx, secret.New(request), browserOf(c))
	if unknown != nil {
		return err
	}
	return begunAt(err, at, p.BaseURL)
}

// rateShow is for looking at the page, which every form leads to.
var rateShow = pipeline.Rate{Class: "sign_in_page", Rate: pipeline.RatePages.Rate}

// rateStep is counted apart: a person who turns to and fro must not run out of
// tries.
var rateStep = pipeline.Rate{Class: "sign_in_step", Rate: pipeline.RatePages.Rate}

// rateSignIn is for forms with something to compare: refused while they cannot
// be counted.
var rateSignIn = pipeline.Rate{Class: "sign_in", Rate: pipeline.RatePages.Rate, Essential: true}

func browserOf(c pipeline.Call) flow.Browser {
	return flow.Browser{
		Cookie: c.Cookie, Device: c.Device, Sessions: c.Sessions,
		Source: c.Source, TraceID: c.TraceID, Agent: c.Request.UserAgent(),
	}
}

// onward is where the browser goes: to the app, or to the page again.
func (p *SignIn) onward(out flow.Outcome) pipeline.Departure {
	d := pipeline.Departure{To: out.Back}
	if out.Sessions != nil {
		d.Cookies = append(d.Cookies, pipeline.CookiesOf(p.BaseURL).Sessions(*out.Sessions))
	}
	if !out.Device.IsZero() {
		d.Cookies = append(d.Cookies, pipeline.CookiesOf(p.BaseURL).Device(out.Device))
	}
	switch {
	case out.Realm != "":
		d.To = secret.New(p.path("/account/" + out.Realm))
	case out.Back.IsZero():
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
