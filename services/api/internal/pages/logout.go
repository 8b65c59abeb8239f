package pages

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/logout"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// Logout is where apps send a browser to sign out (OpenID Connect RP-Initiated
// Logout 1.0), and where a person is asked whether they want to be. What may
// end without a question is decided by package logout.
//
// The paths that apps know show nothing themselves: what they are sent would
// stand in the address of the page, for whoever looks at it.
type Logout struct {
	Logouts *logout.Service
	Looks   Looks
	BaseURL string // decides the cookie's name and the paths; no header does
}

// The paths. Apps know EndSessionPath, from discovery, and SingleLogoutPath,
// from the contract.
const (
	EndSessionPath   = "/session/end_session"
	SingleLogoutPath = "/api/v1/tenants/{app_org}/{app_id}/oauth/token/slo-after-revoke-token"
	SignOutPath      = "/session/sign-out"
	SignedOutPath    = "/session/signed-out"
)

// Routes is the table of these paths. The form of the question is bound to the
// cookie that has the sessions: where that changes, another question belongs
// to it.
func (l *Logout) Routes() []pipeline.Route {
	page := func(method, path, summary string, success int) pipeline.Route {
		return pipeline.Route{
			Method: method, Path: path, Summary: summary, Success: success, Page: true, Cookie: l.cookies().SessionsName(),
			Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RatePages, WriteFault: WriteFault, Write: pipeline.Depart,
		}
	}
	end := page(http.MethodGet, EndSessionPath, "Sign out, by a token of the session or after a question (OpenID Connect RP-Initiated Logout)", http.StatusSeeOther)
	end.Handler = pipeline.Handle(l.end)
	posted := page(http.MethodPost, EndSessionPath, "Sign out, as with GET", http.StatusSeeOther)
	posted.Page, posted.Cookie, posted.BodyOnly, posted.Handler = false, "", true, pipeline.Handle(l.posted)
	single := page(http.MethodGet, SingleLogoutPath, "Sign out after the tokens of the session were revoked", http.StatusSeeOther)
	single.Handler = pipeline.Handle(l.single)
	ask := page(http.MethodGet, SignOutPath, "Ask whether to sign out", http.StatusOK)
	ask.Handler, ask.Write = pipeline.Handle(l.ask), l.writeQuestion
	confirm := page(http.MethodPost, SignOutPath, "Sign out, as the person has said", http.StatusSeeOther)
	confirm.Form, confirm.Strict, confirm.BodyOnly, confirm.Handler = true, true, true, pipeline.Handle(l.confirm)
	done := page(http.MethodGet, SignedOutPath, "Say that the browser is signed out", http.StatusOK)
	done.Cookie, done.Handler, done.Write = "", pipeline.Handle(l.done), l.writeDone
	return []pipeline.Route{end, posted, single, ask, confirm, done}
}

func (l *Logout) cookies() pipeline.Cookies { return pipeline.CookiesOf(l.BaseURL) }

// endIn are the parameters of RP-Initiated Logout 1.0 part 2, and one of the
// contract.
type endIn struct {
	IDTokenHint     secret.Text `in:"id_token_hint" doc:"An ID token of the session, which may have expired: it ends without a question."`
	AccessTokenHint secret.Text `in:"access_token_hint" doc:"An access token of the session, in place of id_token_hint."`
	Code            secret.Text `in:"slo_code" doc:"What a posted request was repeated with in place of its hint. It works once, for five minutes, in the browser of the session."`
	ClientID        string      `in:"client_id" doc:"The app; it has to be the one of the hint where both are sent."`
	RedirectURI     string      `in:"post_logout_redirect_uri" doc:"Where the browser goes afterwards: one of the app's logout URIs, character for character."`
	State           string      `in:"state" doc:"Goes along to post_logout_redirect_uri."`
	LogoutHint      string      `in:"logout_hint" doc:"Ignored: the browser knows who is signed in."`
	Locales         string      `in:"ui_locales" doc:"Languages of the pages, the best first, with blanks between."`
}

// singleIn are the parameters of the contract's single logout.
type singleIn struct {
	Code   secret.Text `in:"slo_code" doc:"What the revocation has answered. It works once, for five minutes, in the browser of the session."`
	Target string      `in:"target_url" doc:"Where the browser goes afterwards: one of the app's logout URIs, character for character."`
}

// questionIn is what is left of a request when its hints have been read.
type questionIn struct {
	ClientID    string `in:"client_id" doc:"The app that asks."`
	RedirectURI string `in:"post_logout_redirect_uri" doc:"Where the browser goes afterwards."`
	State       string `in:"state" doc:"Goes along to post_logout_redirect_uri."`
	Locales     string `in:"ui_locales" doc:"Languages of the page."`
}

// confirmIn is the form of the question.
type confirmIn struct {
	PageToken   secret.Text `in:"page_token"`
	ClientID    string      `in:"client_id"`
	RedirectURI string      `in:"post_logout_redirect_uri"`
	State       string      `in:"state"`
	Locales     string      `in:"ui_locales"`
	Realm       string      `in:"realm"` // empty: all that the browser is signed in to
}

func (in questionIn) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"client_id": in.ClientID, "post_logout_redirect_uri": in.RedirectURI, "state": in.State, "ui_locales": in.Locales,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

func (l *Logout) end(ctx context.Context, c pipeline.Call, in endIn) (pipeline.Departure, error) {
	var out logout.Outcome
	var err error
	if r := in.request(c); r.IDToken.IsZero() && r.AccessToken.IsZero() && !in.Code.IsZero() {
		out, err = l.Logouts.Finish(ctx, in.Code, r)
	} else {
		out, err = l.Logouts.Begin(ctx, r)
	}
	return l.depart(c, out, questionIn{RedirectURI: in.RedirectURI, State: in.State, Locales: in.Locales}, err)
}

func (in endIn) request(c pipeline.Call) logout.Request {
	return logout.Request{
		IDToken: in.IDTokenHint, AccessToken: in.AccessTokenHint, ClientID: in.ClientID, RedirectURI: in.RedirectURI, State: in.State,
		Browser: session.ParseSet(c.Cookie), TraceID: c.TraceID,
	}
}

// posted repeats a request as GET: browsers send no cookie of ours along with a
// form of another site, and without it nobody is signed in. Its tokens stay here:
// an address ends up in histories and logs.
func (l *Logout) posted(ctx context.Context, c pipeline.Call, in endIn) (pipeline.Departure, error) {
	clientID, code, err := l.Logouts.Defer(ctx, in.request(c))
	if err != nil {
		return pipeline.Departure{}, err
	}
	query := questionIn{clientID, in.RedirectURI, in.State, in.Locales}.query()
	if !code.IsZero() {
		query.Set("slo_code", code.Reveal())
	}
	return pipeline.Departure{To: l.at(EndSessionPath, query)}, nil
}

func (l *Logout) single(ctx context.Context, c pipeline.Call, in singleIn) (pipeline.Departure, error) {
	out, err := l.Logouts.Finish(ctx, in.Code, logout.Request{
		ClientID: c.Path("app_id"), Org: c.Path("app_org"), RedirectURI: in.Target, Browser: session.ParseSet(c.Cookie), TraceID: c.TraceID,
	})
	return l.depart(c, out, questionIn{RedirectURI: in.Target}, err)
}

// question is what the page of the question is made of.
type question struct {
	logout.View
	in    questionIn
	token secret.Text
}

func (l *Logout) ask(ctx context.Context, c pipeline.Call, in questionIn) (question, error) {
	view, err := l.Logouts.Look(ctx, logout.Request{
		ClientID: in.ClientID, RedirectURI: in.RedirectURI, State: in.State, Browser: session.ParseSet(c.Cookie), TraceID: c.TraceID,
	})
	if in.ClientID = view.App.ID; view.To.IsZero() {
		in.RedirectURI, in.State = "", ""
	}
	return question{view, in, c.PageToken}, err
}

func (l *Logout) confirm(ctx context.Context, c pipeline.Call, in confirmIn) (pipeline.Departure, error) {
	out, err := l.Logouts.Confirm(ctx, logout.Request{
		ClientID: in.ClientID, RedirectURI: in.RedirectURI, State: in.State, Browser: session.ParseSet(c.Cookie), TraceID: c.TraceID,
	}, in.Realm)
	return l.depart(c, out, questionIn{Locales: in.Locales}, err)
}

// doneIn is what the last page is told.
type doneIn struct {
	Locales string `in:"ui_locales" doc:"Languages of the page."`
}

// donePage is what the last page is made of.
type donePage struct {
	in  doneIn
	org tenant.Organization
}

func (l *Logout) done(ctx context.Context, c pipeline.Call, in doneIn) (donePage, error) {
	return donePage{in, l.Looks.of(ctx, c.Request)}, nil
}

// endedAt is the domain of the one organization that a browser was signed out
// of; empty where there are several, or none.
func endedAt(before, left session.Set) string {
	ended := before.Realms()
	ended = slices.DeleteFunc(ended, func(realm string) bool { return slices.Contains(left.Realms(), realm) })
	if len(ended) != 1 {
		return ""
	}
	domain, _, _ := session.OfRealm(ended[0])
	return domain
}

// depart sends the browser on: to the question, to where the app wants it, or
// to the page that says that it is signed out. What leads nowhere is left
// behind.
func (l *Logout) depart(c pipeline.Call, out logout.Outcome, in questionIn, err error) (pipeline.Departure, error) {
	if err != nil {
		return pipeline.Departure{}, err
	}
	if in.ClientID = out.ClientID; out.To.IsZero() {
		in.RedirectURI, in.State = "", ""
	}
	if in.Locales != "" {
		in.Locales = logoutWordsFor(c.Request, in.Locales).Lang
	}
	var d pipeline.Departure
	switch {
	case out.Ask:
		d.To = l.at(SignOutPath, in.query())
	case !out.To.IsZero():
		d.To = out.To
	default:
		d.To = l.at(SignedOutPath, questionIn{Locales: in.Locales}.query())
	}
	if before := session.ParseSet(c.Cookie); len(out.Left.Realms()) != len(before.Realms()) {
		d.Cookies = append(d.Cookies, l.cookies().Sessions(out.Left), l.Looks.leave(endedAt(before, out.Left)))
	}
	return d, nil
}

// at is one of our own paths, below the base URL's.
func (l *Logout) at(path string, query url.Values) secret.Text {
	to := below(l.BaseURL, path)
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	return secret.New(to)
}
