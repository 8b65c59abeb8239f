// Package logout decides what a request to sign out may do (OpenID Connect
// RP-Initiated Logout 1.0).
//
// Anybody can send a browser here, so a request alone ends nothing. What ends a
// session at once is a token that was issued in it, or the code of a logout
// that its app has begun by revoking its tokens. In every other case the person
// is asked first, and only the form of that page ends what it names.
//
// Where the browser goes afterwards is no matter of what was proven: to an
// address that the app has registered, character for character, or nowhere.
package logout

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// Apps finds apps of any tenant.
type Apps interface {
	AppByID(ctx context.Context, clientID string) (app.App, error)
}

// Sessions finds and ends sessions of browsers.
type Sessions interface {
	FindIn(ctx context.Context, realm string, token secret.Text) (session.Session, error)
	End(ctx context.Context, t tenant.ID, sessionID string, c session.Cause) error
}

// Hints reads tokens that apps show to say whose session they mean.
type Hints interface {
	// ReadHint reads an ID token, ReadAccessHint an access token; either may
	// have expired. They return token.ErrInvalid.
	ReadHint(ctx context.Context, raw secret.Text) (token.Hint, error)
	ReadAccessHint(ctx context.Context, raw secret.Text) (token.Hint, error)
}

// Codes stand for logouts that have begun and that a browser has to finish.
type Codes interface {
	Offer(ctx context.Context, l session.Logout) (secret.Text, error)
	Take(ctx context.Context, code secret.Text, clientID string) (session.Logout, error)
}

// Organizations finds organizations by their domain.
type Organizations interface {
	Organization(ctx context.Context, account, domain string) (tenant.Organization, error)
}

// Service is the rules of signing out.
type Service struct {
	Organizations Organizations

	Apps     Apps
	Sessions Sessions
	Hints    Hints
	Codes    Codes
}

// Request is what a browser comes with.
type Request struct {
	IDToken     secret.Text // of the session that is meant; empty: none
	AccessToken secret.Text // the same; looked at where there is no ID token
	ClientID    string      // empty: none was named
	Org         string      // domain of the app's organization; empty: not said
	RedirectURI string      // where the app wants the browser afterwards
	State       string      // goes along to RedirectURI
	Browser     session.Set
	TraceID     string // of the HTTP request
}

// Outcome is what became of a request.
type Outcome struct {
	// Left is what the browser may keep.
	Left session.Set
	// To is where the app wants the browser, empty for our own page.
	To secret.Text
	// Ask says that nothing was ended and the person has to be asked. ClientID
	// is then the app that the page may name, empty for none.
	Ask      bool
	ClientID string
}

// View is what the person is asked about.
type View struct {
	App      app.App // a zero one where nobody knows which
	Sessions []session.Session
	To       secret.Text
	// Org is the one organization that it is about, a zero one where there are
	// several or none: the page looks as it wants.
	Org tenant.Organization
}

// Begin ends the session that a good hint was issued in, if it is the
// browser's. Where the browser is not signed in to what is meant there is
// nothing to end or to ask.
func (s *Service) Begin(ctx context.Context, r Request) (Outcome, error) {
	hint, r, err := s.meant(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	return s.end(ctx, r, func(of session.Session) bool {
		return hint.SessionID != "" && hint.SessionID == of.ID && hint.UserID == of.User.ID
	})
}

// Defer reads the hint of a request that its browser has to repeat. It returns
// the app that is meant, empty for none, and what takes the hint's place: a code
// for Finish, empty where there is no session to end.
func (s *Service) Defer(ctx context.Context, r Request) (clientID string, code secret.Text, err error) {
	hint, r, err := s.meant(ctx, r)
	if err != nil || hint.SessionID == "" {
		return r.ClientID, secret.Text{}, err
	}
	of, err := s.app(ctx, r)
	if err != nil || of.ID == "" {
		return r.ClientID, secret.Text{}, err
	}
	code, err = s.Codes.Offer(ctx, session.Logout{Tenant: of.Tenant, SessionID: hint.SessionID, ClientID: of.ID})
	return of.ID, code, err
}

// meant is what a request shows, and the request with the app that it names. A
// hint of another app than the one that is named is none.
func (s *Service) meant(ctx context.Context, r Request) (token.Hint, Request, error) {
	hint, err := s.hint(ctx, r)
	switch {
	case r.ClientID == "":
		r.ClientID = hint.ClientID
	case hint.ClientID != "" && hint.ClientID != r.ClientID:
		// One of the two is not who it says, so neither names the app.
		hint, r.ClientID = token.Hint{}, ""
	}
	return hint, r, err
}

// Finish ends the session that a logout was begun for, if it is the browser's.
// The code is used up in any case.
func (s *Service) Finish(ctx context.Context, code secret.Text, r Request) (Outcome, error) {
	begun, err := s.Codes.Take(ctx, code, r.ClientID)
	if err != nil && !errors.Is(err, session.ErrLogout) {
		return Outcome{}, err
	}
	return s.end(ctx, r, func(of session.Session) bool {
		return err == nil && begun.SessionID != "" && begun.SessionID == of.ID && begun.Tenant == of.Tenant
	})
}

// end ends the session of the browser that is meant, if it is proven to be, and
// else has the person asked.
func (s *Service) end(ctx context.Context, r Request, proven func(session.Session) bool) (Outcome, error) {
	of, err := s.app(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	found, left, err := s.found(ctx, of, r.Browser)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Left: left, To: destination(of, r), ClientID: of.ID}
	if of.ID == "" || len(found) == 0 || !proven(found[0]) {
		out.Ask = len(found) > 0
		return out, nil
	}
	return s.close(ctx, out, found[0], r.TraceID)
}

// Look says what a person is asked about, after Begin or Finish has said that
// they have to be.
func (s *Service) Look(ctx context.Context, r Request) (View, error) {
	of, err := s.app(ctx, r)
	if err != nil {
		return View{}, err
	}
	found, _, err := s.found(ctx, of, r.Browser)
	if err != nil {
		return View{}, err
	}
	org, err := s.org(ctx, of, found)
	return View{App: of, Sessions: found, To: destination(of, r), Org: org}, err
}

// org is the organization of an app, or else of all these sessions.
func (s *Service) org(ctx context.Context, of app.App, found []session.Session) (tenant.Organization, error) {
	account, domain := of.Tenant.Account, of.Org
	for _, one := range found {
		if domain != "" && domain != one.Org {
			return tenant.Organization{}, nil
		}
		account, domain = one.Tenant.Account, one.Org
	}
	if domain == "" {
		return tenant.Organization{}, nil
	}
	org, err := s.Organizations.Organization(ctx, account, domain)
	if fault.KindOf(err) == fault.NotFound || org.Deleted() {
		return tenant.Organization{}, nil
	}
	return org, err
}

// Confirm ends what the person has agreed to end: the session in a realm, or
// with an empty one all that the browser has.
func (s *Service) Confirm(ctx context.Context, r Request, realm string) (Outcome, error) {
	of, err := s.app(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Left: r.Browser, To: destination(of, r)}
	for _, each := range r.Browser.Realms() {
		if realm != "" && realm != each {
			continue
		}
		found, err := s.Sessions.FindIn(ctx, each, r.Browser.Token(each))
		switch {
		case errors.Is(err, session.ErrNone):
			out.Left = out.Left.Without(each)
			continue
		case err != nil:
			return Outcome{}, err
		}
		if out, err = s.close(ctx, out, found, r.TraceID); err != nil {
			return Outcome{}, err
		}
	}
	return out, nil
}

// close ends a session, and then the browser's part of it: when the first fails
// the browser can try again.
func (s *Service) close(ctx context.Context, out Outcome, of session.Session, traceID string) (Outcome, error) {
	why := session.Cause{Why: session.SignedOut, By: activity.By{Actor: activity.User, TraceID: traceID}}
	if err := s.Sessions.End(ctx, of.Tenant, of.ID, why); err != nil {
		return Outcome{}, err
	}
	out.Left = out.Left.Without(session.Realm(of.Org, of.Tenant.Env))
	return out, nil
}

// found are the sessions that a request may be about: that of the app's
// environment, or all of the browser's where the app is not known. Those that
// have ended are left out of what the browser keeps.
func (s *Service) found(ctx context.Context, of app.App, browser session.Set) (found []session.Session, left session.Set, err error) {
	realms := browser.Realms()
	if of.ID != "" {
		realms = []string{session.Realm(of.Org, of.Tenant.Env)}
	}
	left = browser
	for _, each := range realms {
		one, err := s.Sessions.FindIn(ctx, each, browser.Token(each))
		switch {
		case errors.Is(err, session.ErrNone):
			left = left.Without(each)
			continue
		case err != nil:
			return nil, session.Set{}, err
		}
		found = append(found, one)
	}
	return found, left, nil
}

// hint reads the token that says whose session is meant. One that is not good
// is as good as none: the person is asked.
func (s *Service) hint(ctx context.Context, r Request) (hint token.Hint, err error) {
	switch {
	case !r.IDToken.IsZero():
		hint, err = s.Hints.ReadHint(ctx, r.IDToken)
	case !r.AccessToken.IsZero():
		hint, err = s.Hints.ReadAccessHint(ctx, r.AccessToken)
	}
	if errors.Is(err, token.ErrInvalid) {
		return token.Hint{}, nil
	}
	return hint, err
}

// app is the app of a request, a zero one where there is none of that name or
// in that organization.
func (s *Service) app(ctx context.Context, r Request) (app.App, error) {
	if !app.IsID(r.ClientID) {
		return app.App{}, nil
	}
	of, err := s.Apps.AppByID(ctx, r.ClientID)
	if fault.KindOf(err) == fault.NotFound || err == nil && r.Org != "" && r.Org != of.Org {
		return app.App{}, nil
	}
	return of, err
}

// destination is where the app may have the browser sent: to what it has
// registered, as a text, and nowhere else. An app that was deactivated sends
// nobody anywhere.
func destination(of app.App, r Request) secret.Text {
	if !of.Active || !of.LeadsAfterLogout(r.RedirectURI) {
		return secret.Text{}
	}
	if r.State == "" {
		return secret.New(r.RedirectURI)
	}
	join := "?"
	if strings.Contains(r.RedirectURI, "?") {
		join = "&"
	}
	return secret.New(r.RedirectURI + join + "state=" + url.QueryEscape(r.State))
}
