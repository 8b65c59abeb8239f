package pages

import (
	"context"
	"net/http"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// Account is the page of whoever is signed in, in the realm of its path: what
// they are signed in with, and how to end it. It is plain HTML with
// forms, and every form is answered by going on to a page.
type Account struct {
	Sessions      OwnSessions
	Passwords     OwnPasswords
	Organizations Organizations
	Factors       OwnFactors
	Consents      OwnConsents
	SignIns       SignIns
	// Forms makes the token of the form on a page that refuses something: what
	// renders a fault knows nothing of the request but its cookies.
	Forms   pipeline.Forms
	BaseURL string // decides the cookie's name and the paths; no header does
	Now     func() time.Time
}

// OwnSessions is what the page calls; session.Service implements it.
type OwnSessions interface {
	List(ctx context.Context, t tenant.ID, userID string) ([]session.Session, error)
	EndOf(ctx context.Context, w session.Whose, sessionID string, c session.Cause) (session.Session, error)
	FindIn(ctx context.Context, realm string, token secret.Text) (session.Session, error)
	Raise(ctx context.Context, of session.Session, proofs ...string) (secret.Text, session.Session, error)
}

// OwnPasswords changes passwords; password.Service implements it.
type OwnPasswords interface {
	Change(ctx context.Context, in password.Own) error
	Hint(ctx context.Context, t tenant.ID, org tenant.Organization, address string) (password.Hint, error)
}

// Organizations finds the organization of a session, and the realm of somebody
// without one; tenant.Service implements it.
type Organizations interface {
	Organization(ctx context.Context, account, domain string) (tenant.Organization, error)
	// Place finds where the people of an e-mail domain sign in, or returns
	// tenant.ErrNotFound.
	Place(ctx context.Context, domain string) (org tenant.Organization, env string, err error)
}

var (
	_ OwnSessions  = (*session.Service)(nil)
	_ OwnPasswords = (*password.Service)(nil)
)

// The paths.
const (
	AccountPath         = "/account/{realm}"
	AccountSessionsPath = "/account/{realm}/sessions"
	AccountPasswordPath = "/account/{realm}/password"
)

// Routes is the table of the page. Its forms are bound to the cookie that has
// the sessions, as the question of a logout is.
func (a *Account) Routes() []pipeline.Route {
	show := a.page(http.MethodGet, AccountPath, "Show who is signed in, where, and with what", http.StatusOK)
	show.Handler, show.Write = pipeline.Handle(a.show), a.write
	end := a.form(AccountSessionsPath, "End one of one's own sessions", 0, pipeline.Handle(a.end))
	end.Fresh = false // whoever finds a browser open may close it
	change := a.form(AccountPasswordPath, "Change one's own password", pipeline.WithinHash, pipeline.Handle(a.password))
	change.WriteFault = a.refusePassword
	return slices.Concat([]pipeline.Route{show, end, change}, a.consentRoutes(), a.factorRoutes(), a.signInRoutes())
}

func (a *Account) page(method, path, summary string, success int) pipeline.Route {
	return pipeline.Route{
		Method: method, Path: path, Summary: summary, Success: success, Page: true, Sessions: true, Cookie: pipeline.CookiesOf(a.BaseURL).SessionsName(),
		Credential: pipeline.Browser, Reach: pipeline.Nobody, Rate: rateAccount, WriteFault: a.refuse, Locate: a.locate,
	}
}

// form is a change of what somebody proves with.
func (a *Account) form(path, summary string, within time.Duration, handler pipeline.Handler) pipeline.Route {
	r := a.page(http.MethodPost, path, summary, http.StatusSeeOther)
	r.Form, r.Strict, r.BodyOnly, r.Fresh, r.Within = true, true, true, true, within
	r.Handler, r.Write = handler, pipeline.Depart
	return r
}

// locate finds the organization of whoever is signed in: the realm of the path
// alone says nothing.
func (a *Account) locate(ctx context.Context, c pipeline.Call, err error) error {
	if !placeable(err) || c.Session.ID == "" {
		return err
	}
	org, unknown := a.Organizations.Organization(ctx, c.Tenant.Account, c.Session.Org)
	if unknown != nil {
		return err
	}
	return placed{error: err, org: org}
}

// rateAccount is counted apart from the pages of people who are not signed in.
var rateAccount = pipeline.Rate{Class: "account", Rate: pipeline.RatePages.Rate}

type accountIn struct {
	Lang string `in:"lang" doc:"Languages for the page, the most wanted first."`
}

// accountPage is what the page is made of.
type accountPage struct {
	of       session.Session
	sessions []session.Session
	self     factor.Self
	consents []consent.Consent
	unsaved  bool   // there are recovery codes to be saved
	username string // whole, where the password may be changed now
	hint     password.Hint
	token    secret.Text
	lang     string
}

func (a *Account) show(ctx context.Context, c pipeline.Call, in accountIn) (accountPage, error) {
	all, err := a.Sessions.List(ctx, c.Tenant, c.Session.User.ID)
	if err != nil {
		return accountPage{}, err
	}
	allowed, err := a.Consents.List(ctx, c.Tenant, c.Session.User.ID)
	if err != nil {
		return accountPage{}, err
	}
	self, err := a.self(ctx, c)
	if err != nil {
		return accountPage{}, err
	}
	codes, err := a.Factors.Codes(ctx, self)
	if err != nil {
		return accountPage{}, err
	}
	// Whoever finds a browser open does not learn the address that it is of.
	username := ""
	if c.Session.Fresh(a.Now(), self.Connection.Active && self.Enrolled()) {
		username = c.Session.User.Email.Written
	}
	hint, err := a.Passwords.Hint(ctx, c.Tenant, self.Org, username)
	return accountPage{c.Session, all, self, allowed, len(codes) > 0, username, hint, c.PageToken, in.Lang}, err
}

type endSessionForm struct {
	PageToken secret.Text `in:"page_token"` // read by the pipeline, as in all forms
	Session   string      `in:"session"`
}

// end ends a session of the user. One that is another's, or none, is no
// session of theirs: nothing is to be done.
func (a *Account) end(ctx context.Context, c pipeline.Call, in endSessionForm) (pipeline.Departure, error) {
	whose := session.Whose{Tenant: c.Tenant, UserID: c.Session.User.ID}
	why := session.Cause{Why: session.Closed, By: activity.By{Actor: activity.User, TraceID: c.TraceID}}
	if _, err := a.Sessions.EndOf(ctx, whose, in.Session, why); err != nil && fault.KindOf(err) != fault.NotFound {
		return pipeline.Departure{}, err
	}
	if in.Session != c.Session.ID {
		return a.back(c), nil
	}
	left := c.Sessions.Without(c.Path(pipeline.RealmParameter))
	return pipeline.Departure{
		To:      secret.New(below(a.BaseURL, SignedOutPath)),
		Cookies: []*http.Cookie{pipeline.CookiesOf(a.BaseURL).Sessions(left), Looks{BaseURL: a.BaseURL}.leave(c.Session.Org)},
	}, nil
}

type newPasswordForm struct {
	PageToken secret.Text `in:"page_token"`
	Password  secret.Text `in:"password"`
}

func (a *Account) password(ctx context.Context, c pipeline.Call, in newPasswordForm) (pipeline.Departure, error) {
	org, err := a.Organizations.Organization(ctx, c.Tenant.Account, c.Session.Org)
	if err != nil {
		return pipeline.Departure{}, err
	}
	by := activity.By{Actor: activity.User, TraceID: c.TraceID}
	err = a.Passwords.Change(ctx, password.Own{Org: org, By: by, Session: c.Session, Plain: in.Password})
	return a.back(c), err
}

// back leads to the page again.
func (a *Account) back(c pipeline.Call) pipeline.Departure {
	return pipeline.Departure{To: secret.New(a.path(c.Session))}
}

// to leads to a page below it.
func (a *Account) to(c pipeline.Call, rest string) pipeline.Departure {
	return pipeline.Departure{To: secret.New(a.path(c.Session) + rest)}
}

// path is the page of a session. A realm has no characters that a path escapes.
func (a *Account) path(of session.Session) string {
	return below(a.BaseURL, "/account/"+session.Realm(of.Org, of.Tenant.Env))
}
