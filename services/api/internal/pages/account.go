package pages

import (
	"context"
	"net/http"
	"slices"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// Account is the page of whoever is signed in, in the realm of its path: what
// they are signed in with, and how to end it. It is plain HTML with
// forms, and every form is answered by going on to a page.
type Account struct {
	Sessions OwnSessions
	BaseURL  string // decides the cookie's name and the paths; no header does
}

// OwnSessions is what the page calls; session.Service implements it.
type OwnSessions interface {
	List(ctx context.Context, t tenant.ID, userID string) ([]session.Session, error)
	End(ctx context.Context, t tenant.ID, sessionID string) error
}

var _ OwnSessions = (*session.Service)(nil)

// The paths.
const (
	AccountPath         = "/account/{realm}"
	AccountSessionsPath = "/account/{realm}/sessions"
)

// Routes is the table of the page. Its forms are bound to the cookie that has
// the sessions, as the question of a logout is.
func (a *Account) Routes() []pipeline.Route {
	page := func(method, path, summary string, success int) pipeline.Route {
		return pipeline.Route{
			Method: method, Path: path, Summary: summary, Success: success, Page: true, Sessions: true, Cookie: pipeline.CookiesOf(a.BaseURL).SessionsName(),
			Credential: pipeline.Browser, Reach: pipeline.Nobody, Rate: pipeline.RatePages, WriteFault: WriteFault,
		}
	}
	show := page(http.MethodGet, AccountPath, "Show who is signed in, and where", http.StatusOK)
	show.Handler, show.Write = pipeline.Handle(a.show), a.write
	end := page(http.MethodPost, AccountSessionsPath, "End one of one's own sessions", http.StatusSeeOther)
	end.Form, end.Strict, end.BodyOnly, end.Handler, end.Write = true, true, true, pipeline.Handle(a.end), pipeline.Depart
	return []pipeline.Route{show, end}
}

type accountIn struct {
	Lang string `in:"lang" doc:"Languages for the page, the most wanted first."`
}

// accountPage is what the page is made of.
type accountPage struct {
	of       session.Session
	sessions []session.Session
	token    secret.Text
	lang     string
}

func (a *Account) show(ctx context.Context, c pipeline.Call, in accountIn) (accountPage, error) {
	all, err := a.Sessions.List(ctx, c.Tenant, c.Session.User.ID)
	return accountPage{c.Session, all, c.PageToken, in.Lang}, err
}

type endSessionForm struct {
	PageToken secret.Text `in:"page_token"` // read by the pipeline, as in all forms
	Session   string      `in:"session"`
}

// end ends a session of the user. One that is another's, or none, is no
// session of theirs: nothing is to be done.
func (a *Account) end(ctx context.Context, c pipeline.Call, in endSessionForm) (pipeline.Departure, error) {
	all, err := a.Sessions.List(ctx, c.Tenant, c.Session.User.ID)
	if err != nil {
		return pipeline.Departure{}, err
	}
	if slices.ContainsFunc(all, func(of session.Session) bool { return of.ID == in.Session }) {
		if err := a.Sessions.End(ctx, c.Tenant, in.Session); err != nil {
			return pipeline.Departure{}, err
		}
	}
	if in.Session != c.Session.ID {
		return a.back(c), nil
	}
	left := c.Sessions.Without(c.Path(pipeline.RealmParameter))
	return pipeline.Departure{
		To: secret.New(below(a.BaseURL, SignedOutPath)), Cookies: []*http.Cookie{pipeline.CookiesOf(a.BaseURL).Sessions(left)},
	}, nil
}

// back leads to the page again.
func (a *Account) back(c pipeline.Call) pipeline.Departure {
	return pipeline.Departure{To: secret.New(a.path(c.Session))}
}

// path is the page of a session. A realm has no characters that a path escapes.
func (a *Account) path(of session.Session) string {
	return below(a.BaseURL, "/account/"+session.Realm(of.Org, of.Tenant.Env))
}
