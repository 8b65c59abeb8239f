package flow

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// Apps find apps.
type Apps interface {
	// AppByID finds an app of any tenant, or returns app.ErrNotFound.
	AppByID(ctx context.Context, clientID string) (app.App, error)
}

// Organizations find organizations.
type Organizations interface {
	Organization(ctx context.Context, account, domain string) (tenant.Organization, error)
}

// Sessions keep what was proven in browsers.
type Sessions interface {
	Begin(ctx context.Context, n session.New) (secret.Text, session.Session, error)
	FindIn(ctx context.Context, realm string, token secret.Text) (session.Session, error)
	Raise(ctx context.Context, of session.Session, proofs ...string) (secret.Text, session.Session, error)
	End(ctx context.Context, t tenant.ID, sessionID string) error
}

// Passwords check passwords.
type Passwords interface {
	Challenge(ctx context.Context, c link.Caller, email string, plain secret.Text, source netip.Addr) (password.Verdict, error)
}

// Factors check second factors.
type Factors interface {
	Find(ctx context.Context, t tenant.ID, text string) (factor.Standing, error)
	Enrolled(ctx context.Context, t tenant.ID, userID string) (bool, error)
	ReadDigits(ctx context.Context, source netip.Addr, text secret.Text) (factor.Code, error)
	Validate(ctx context.Context, w factor.Whose, code factor.Code) (factor.Checked, error)
	Challenge(ctx context.Context, w factor.Whose) (factor.Issued, error)
}

// Logins decide whether what was proven is enough.
type Logins interface {
	Waits(ctx context.Context, requestID string, t tenant.ID, userID, clientID string) (bool, error)
	Continue(ctx context.Context, requestID string, t tenant.ID, userID, clientID string, proofs ...string) (login.Completed, bool, error)
	Current(ctx context.Context, l login.Login) error
}

// Grants make codes.
type Grants interface {
	Begin(ctx context.Context, n grant.New) (grant.Grant, secret.Text, error)
	Revoke(ctx context.Context, t tenant.ID, grantID string) error
}

// Hints read ID tokens of ours, also expired ones.
type Hints interface {
	// ReadHint returns token.ErrInvalid for what is none of ours.
	ReadHint(ctx context.Context, raw secret.Text) (token.Hint, error)
}

// Notices tell users what happened to their accounts.
type Notices interface {
	Tell(ctx context.Context, a notice.About, kind, typ string) error
}

// Service is the rules of authorization requests.
type Service struct {
	Store         Store
	Keys          Sealer
	Apps          Apps
	Organizations Organizations
	Sessions      Sessions
	Passwords     Passwords
	Factors       Factors
	Logins        Logins
	Grants        Grants
	Hints         Hints
	Notices       Notices
	BaseURL       string // the issuer; nothing else decides it
	Now           func() time.Time
}

// Browser is who sends a request.
type Browser struct {
	Cookie   secret.Text // what flows are bound to; empty where it has none
	Device   secret.Text // what it is known by to users who have signed in here
	Agent    string      // User-Agent, as it came
	Sessions session.Set
	Source   netip.Addr
	TraceID  string
}

func (b Browser) by() activity.By { return activity.By{Actor: activity.User, TraceID: b.TraceID} }

// Outcome is where a browser goes.
type Outcome struct {
	// Flow goes to the sign-in page; Back leads to the app; Realm names the
	// account page that a sign-in without an app was for. One of them is set.
	Flow  secret.Text
	Back  secret.Text
	Realm string
	// Locale is the language that the app asks for, with Flow.
	Locale string
	// Cookie is what the browser is known by from now on, where it has none.
	Cookie secret.Text
	// Device is what the browser is known by to the user who has signed in, for
	// a year; empty where that stays as it is.
	Device secret.Text
	// Sessions replaces the browser's set where it is set.
	Sessions *session.Set
}

// Start answers an authorization request. It returns a fault while it is not
// known that the redirect URI is the app's; from then on whatever is wrong with
// the request goes back to the app.
func (s *Service) Start(ctx context.Context, in Asked, b Browser) (Outcome, error) {
	a, err := s.client(ctx, in)
	if err != nil {
		return Outcome{}, err
	}
	r, refusal, err := s.read(ctx, a, in)
	if err != nil {
		return Outcome{}, err
	}
	if refusal != nil {
		return s.back(r, refusal.query())
	}
	has, enrolled, err := s.signedIn(ctx, a, b)
	if err != nil {
		return Outcome{}, err
	}
	f := Flow{Request: r, RequestID: id.Request("authorization-request"), At: s.Now()}
	switch step, refusal := next(r, has, enrolled, s.Now()); step {
	case giveBack:
		return s.back(r, refusal.query())
	case finish:
		out, err := s.code(ctx, f, *has)
		if errors.Is(err, ErrOver) { // between its lookup and here
			b.Sessions = b.Sessions.Without(session.Realm(a.Org, a.Tenant.Env))
			return s.Start(ctx, in, b)
		}
		return out, err
	case secondFactor:
		f.UserID, f.SessionID = has.User.ID, has.ID
	case signIn:
		f.Typed = r.Hint
	}
	out := Outcome{Locale: r.Locale}
	if !tokenShaped(b.Cookie) {
		b.Cookie = id.Token()
		out.Cookie = b.Cookie
	}
	f.Browser = digest(b.Cookie)
	out.Flow, err = s.put(ctx, f)
	return out, err
}

// Check reads a request as Start does and begins nothing: it returns the
// fault or the way back with a refusal, and a zero Outcome for a good one.
func (s *Service) Check(ctx context.Context, in Asked) (Outcome, error) {
	a, err := s.client(ctx, in)
	if err != nil {
		return Outcome{}, err
	}
	r, refusal, err := s.read(ctx, a, in)
	if err != nil || refusal == nil {
		return Outcome{}, err
	}
	return s.back(r, refusal.query())
}

// client finds the app of a request and verifies where the request wants to go
// back to.
func (s *Service) client(ctx context.Context, in Asked) (app.App, error) {
	p := in.Parameters
	a, _, err := s.app(ctx, p[parClient])
	if err != nil {
		return app.App{}, err
	}
	if in.Account != "" && in.Account != a.Account || in.Gateway && p[parOrganization] != "" && p[parOrganization] != a.Org {
		return app.App{}, ErrClient
	}
	if !a.Redirects(p[parRedirect]) {
		return app.App{}, ErrRedirect
	}
	return a, nil
}

// app is ActiveApp.
func (s *Service) app(ctx context.Context, clientID string) (app.App, tenant.Organization, error) {
	return ActiveApp(ctx, s.Apps, s.Organizations, clientID)
}

// ActiveApp finds an active app with its living organization, or returns
// ErrClient.
func ActiveApp(ctx context.Context, apps Apps, organizations Organizations, clientID string) (app.App, tenant.Organization, error) {
	if !app.IsID(clientID) {
		return app.App{}, tenant.Organization{}, ErrClient
	}
	a, err := apps.AppByID(ctx, clientID)
	if fault.KindOf(err) == fault.NotFound || err == nil && !a.Active {
		return app.App{}, tenant.Organization{}, ErrClient
	}
	if err != nil {
		return app.App{}, tenant.Organization{}, err
	}
	org, err := organizations.Organization(ctx, a.Tenant.Account, a.Org)
	if fault.KindOf(err) == fault.NotFound || err == nil && (org.Deleted() || org.ID != a.Tenant.Org) {
		return app.App{}, tenant.Organization{}, ErrClient
	}
	return a, org, err
}

// signedIn is the browser's session with the app's organization, nil for none,
// and whether its user has a second factor.
func (s *Service) signedIn(ctx context.Context, a app.App, b Browser) (has *session.Session, enrolled bool, err error) {
	realm := session.Realm(a.Org, a.Tenant.Env)
	held := b.Sessions.Token(realm)
	if held.IsZero() {
		return nil, false, nil
	}
	found, err := s.Sessions.FindIn(ctx, realm, held)
	if fault.KindOf(err) == fault.Unauthorized || err == nil && found.Tenant != a.Tenant {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	enrolled, err = s.Factors.Enrolled(ctx, a.Tenant, found.User.ID)
	return &found, enrolled, err
}

// tokenShaped reports whether a text can be 256 bits of ours.
func tokenShaped(text secret.Text) bool { return challengePattern.MatchString(text.Reveal()) }

func (r *Refusal) query() url.Values {
	return url.Values{"error": {r.Code}, "error_description": {r.Description}}
}
