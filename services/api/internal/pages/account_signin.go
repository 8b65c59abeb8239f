package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// SignIns begins sign-ins to the page of a realm; flow.Service implements it.
type SignIns interface {
	Own(ctx context.Context, realm string, b flow.Browser) (flow.Outcome, error)
}

var _ SignIns = (*flow.Service)(nil)

// PlacesPath is where people come who know nothing but this service's name.
const PlacesPath = "/account"

// signInRoutes are the part of the table by which people get to their page, and
// to a sign-in that is fresh enough for a change.
func (a *Account) signInRoutes() []pipeline.Route {
	again := a.form(AccountPath+"/sign-in", "Sign in again, to change something", 0, pipeline.Handle(a.again))
	again.Fresh = false // it makes it so
	public := func(method, summary string, success int) pipeline.Route {
		return pipeline.Route{
			Method: method, Path: PlacesPath, Summary: summary, Success: success, Page: true, Sessions: true,
			Cookie: pipeline.CookiesOf(a.BaseURL).BrowserName(), Credential: pipeline.None, Reach: pipeline.Nobody, Rate: rateAccount, WriteFault: WriteFault,
		}
	}
	places := public(http.MethodGet, "List the accounts that a browser is signed in to, or ask whose to open", http.StatusOK)
	places.Handler, places.Write = pipeline.Handle(a.places), a.writePlaces
	find := public(http.MethodPost, "Find the organization of an e-mail address and sign in to one's account there", http.StatusSeeOther)
	find.Form, find.Strict, find.BodyOnly, find.Handler, find.Write = true, true, true, pipeline.Handle(a.find), pipeline.Depart
	return []pipeline.Route{again, places, find}
}

func (a *Account) again(ctx context.Context, c pipeline.Call, _ ownStepForm) (pipeline.Departure, error) {
	return a.begin(ctx, c, c.Path(pipeline.RealmParameter))
}

// begin sends the browser to a sign-in that comes back to the page of a realm.
func (a *Account) begin(ctx context.Context, c pipeline.Call, realm string) (pipeline.Departure, error) {
	cookies, browser := pipeline.CookiesOf(a.BaseURL), browserOf(c)
	browser.Cookie = secret.Text{}
	if given := c.Request.CookiesNamed(cookies.BrowserName()); len(given) == 1 {
		browser.Cookie = secret.New(given[0].Value)
	}
	out, err := a.SignIns.Own(ctx, realm, browser)
	if err != nil {
		return pipeline.Departure{}, err
	}
	query := url.Values{"requestId": {out.Flow.Reveal()}, "view_type": {"login"}}
	d := pipeline.Departure{To: secret.New(below(a.BaseURL, SignInPath) + "?" + query.Encode())}
	if !out.Cookie.IsZero() {
		d.Cookies = append(d.Cookies, cookies.Browser(out.Cookie))
	}
	return d, nil
}

type placesIn struct {
	Lang string `in:"lang" doc:"Languages for the page, the most wanted first."`
	Said string `in:"said" doc:"none where no organization was found."`
}

// placesPage is what the page without a realm is made of.
type placesPage struct {
	signedIn []session.Session
	none     bool
	cookie   secret.Text // for a browser without one: the form is bound to it
	token    secret.Text
	lang     string
}

func (a *Account) places(ctx context.Context, c pipeline.Call, in placesIn) (placesPage, error) {
	page := placesPage{none: in.Said == "none", token: c.PageToken, lang: in.Lang}
	for _, realm := range c.Sessions.Realms() {
		of, err := a.Sessions.FindIn(ctx, realm, c.Sessions.Token(realm))
		if fault.KindOf(err) == fault.Unauthorized {
			continue // it has ended
		}
		if err != nil {
			return placesPage{}, err
		}
		page.signedIn = append(page.signedIn, of)
	}
	if c.Cookie.IsZero() {
		page.cookie = id.Token()
		page.token = a.Forms.Token(page.cookie)
	}
	return page, nil
}

type findForm struct {
	PageToken secret.Text `in:"page_token"`
	Email     string      `in:"email"`
}

// find goes to the sign-in of the organization that an address belongs to. Who
// has an account there is not told by it.
func (a *Account) find(ctx context.Context, c pipeline.Call, in findForm) (pipeline.Departure, error) {
	_, domain, _ := strings.Cut(in.Email, "@")
	org, env, err := a.Organizations.Place(ctx, domain)
	if errors.Is(err, tenant.ErrNotFound) {
		return pipeline.Departure{To: secret.New(below(a.BaseURL, PlacesPath) + "?said=none")}, nil
	}
	if err != nil {
		return pipeline.Departure{}, err
	}
	return a.begin(ctx, c, session.Realm(org.Domain, env))
}

// ownPlace is a page that the browser may open.
type ownPlace struct{ Path, Name string }

func (a *Account) writePlaces(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(placesPage) // what places returns
	account := accountWordsFor(r, page.lang)
	words := ownFactorWordsFor(account.Lang)
	of, said := words.Find, ""
	var places []ownPlace
	for _, s := range page.signedIn {
		name := s.Org
		if s.Tenant.Env == tenant.Sandbox {
			name = strings.ReplaceAll(account.Sandbox, "{place}", name)
		}
		places, of = append(places, ownPlace{a.path(s), name}), words.Places
	}
	if page.none {
		said = words.NoPlace
	}
	if !page.cookie.IsZero() {
		http.SetCookie(w, pipeline.CookiesOf(a.BaseURL).Browser(page.cookie))
	}
	data := map[string]any{
		"Words": words, "Lang": words.Lang, "Heading": of.Heading, "Text": of.Text,
		"Places": places, "Action": below(a.BaseURL, PlacesPath), "PageToken": page.token.Reveal(),
	}
	mistake(data, said)
	if err := send(w, r, status, accountTemplates.Lookup("own places"), "'self'", data); err != nil {
		WriteFault(w, r, err)
	}
}

// refuse renders a fault of the page with a way on: back to the page, or to
// another sign-in where that is what is missing.
func (a *Account) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a.refuseAs(w, r, err, func(lang string, f *fault.Error) notice { return faultWordsFor(lang).says(f) })
}

// refuseAs is refuse in words of one's own.
func (a *Account) refuseAs(w http.ResponseWriter, r *http.Request, err error, say func(lang string, f *fault.Error) notice) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		web.WriteFault(w, r, err) // nobody is left to read a page
		return
	}
	noteFault(r, err)
	f := web.Public(err)
	web.FaultHeaders(w.Header(), f)
	words := ownFactorWordsFor(accountWordsFor(r, "").Lang)
	says := say(words.Lang, f)
	_, rest, _ := strings.Cut(r.URL.Path, PlacesPath+"/")
	realm, _, _ := strings.Cut(rest, "/")
	data := map[string]any{
		"Words": words, "Lang": words.Lang, "Heading": says.Heading, "Text": says.Text, "Back": below(a.BaseURL, PlacesPath+"/"+realm),
		"ReferenceWord": faultWordsFor(words.Lang).Reference, "Code": f.Code, "RequestID": w.Header().Get("X-Request-Id"),
	}
	switch given := r.CookiesNamed(pipeline.CookiesOf(a.BaseURL).SessionsName()); {
	case f.Code == session.ErrNone.Code:
		data["Back"] = below(a.BaseURL, PlacesPath)
	case f.Code == session.ErrReauth.Code && len(given) == 1:
		data["Action"] = below(a.BaseURL, PlacesPath+"/"+realm+"/sign-in")
		data["PageToken"] = a.Forms.Token(secret.New(given[0].Value)).Reveal()
	}
	if err := send(w, r, web.Status(f.Kind), accountTemplates.Lookup("own refusal"), "'self'", named(data, placeOf(err).org)); err != nil {
		web.WriteFault(w, r, err)
	}
}
