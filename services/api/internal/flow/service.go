package flow

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/consent"
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
	"countersign.dev/services/api/internal/user"
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

// Domains tell whose people the addresses of a domain are.
type Domains interface {
	ByEmailDomain(ctx context.Context, account, env, domain string, reaches func(orgID string) bool) (tenant.Organization, error)
}

// Consents keep what users have allowed apps.
type Consents interface {
	// Given returns the scopes that the user has allowed the app.
	Given(ctx context.Context, t tenant.ID, userID, clientID string) ([]string, error)
	// Give returns consent.ErrNotFound when the user or the app is gone.
	Give(ctx context.Context, a consent.Answer) error
}

// Sessions keep what was proven in browsers.
type Sessions interface {
	Begin(ctx context.Context, n session.New) (secret.Text, session.Session, error)
	FindIn(ctx context.Context, realm string, token secret.Text) (session.Session, error)
	Raise(ctx context.Context, of session.Session, proofs ...string) (secret.Text, session.Session, error)
	RaiseAt(ctx context.Context, of session.Session, at time.Time, proofs ...string) (secret.Text, session.Session, error)
	End(ctx context.Context, t tenant.ID, sessionID string, c session.Cause) error
}

// Passwords check passwords.
type Passwords interface {
	Challenge(ctx context.Context, c link.Caller, email string, plain secret.Text, source netip.Addr) (password.Verdict, error)
	Renew(ctx context.Context, u user.User, l login.Login) (secret.Text, error)
	Set(ctx context.Context, c link.Caller, in password.Set) (password.Done, error)
	Hint(ctx context.Context, t tenant.ID, org tenant.Organization, address string) (password.Hint, error)
	Request(ctx context.Context, c link.Caller, email, redirectURI string, mayCreate bool) (password.Asked, error)
}

// Factors check second factors.
type Factors interface {
	Find(ctx context.Context, t tenant.ID, text string) (factor.Standing, error)
	ReadRecovery(ctx context.Context, source netip.Addr, text secret.Text) (factor.Code, error)
	Enrol(ctx context.Context, w factor.Whose, e factor.Enrolment) (factor.Issued, error)
	ConfirmEnrolment(ctx context.Context, w factor.Whose, code factor.Code) (factor.Confirmed, error)
	ReadDigits(ctx context.Context, source netip.Addr, text secret.Text) (factor.Code, error)
	Validate(ctx context.Context, w factor.Whose, code factor.Code) (factor.Checked, error)
	Challenge(ctx context.Context, w factor.Whose) (factor.Issued, error)
}

// Logins decide whether what was proven is enough.
type Logins interface {
	Complete(ctx context.Context, l login.Login) (login.Completed, error)
	Waits(ctx context.Context, requestID string, t tenant.ID, userID, clientID string) (bool, error)
	Continue(ctx context.Context, requestID string, t tenant.ID, userID, clientID string, proofs ...string) (login.Completed, bool, error)
	Recovered(ctx context.Context, requestID string, t tenant.ID, userID, clientID string) (bool, error)
	Reenrolled(ctx context.Context, requestID string, t tenant.ID, userID, clientID, proof string) (login.Completed, bool, error)
	Current(ctx context.Context, l login.Login) error
}

// Grants make codes.
type Grants interface {
	Begin(ctx context.Context, n grant.New) (grant.Grant, secret.Text, error)
}

// Hints read ID tokens of ours, also expired ones.
type Hints interface {
	// ReadHint returns token.ErrInvalid for what is none of ours.
	ReadHint(ctx context.Context, raw secret.Text) (token.Hint, error)
}

// Devices know from which browsers a user has signed in.
type Devices interface {
	// Know notes a sign-in and returns what the browser is known by from now on;
	// have is what it was known by, to whomever.
	Know(ctx context.Context, t tenant.ID, userID string, have secret.Text) (secret.Text, error)
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
	Realms        Realms
	Domains       Domains
	Consents      Consents
	Sessions      Sessions
	Devices       Devices
	Passwords     Passwords
	Links         Links
	Mails         Mails
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
	return s.begin(ctx, a, r, b)
}

// begin goes on with a request that is good: at once back to the app, or to a
// page.
func (s *Service) begin(ctx context.Context, a app.App, r Request, b Browser) (Outcome, error) {
	has, standing, err := s.signedIn(ctx, a, b)
	if err != nil {
		return Outcome{}, err
	}
	h := at{app: a, held: held{Flow: Flow{Request: r, RequestID: id.Request("authorization-request"), At: s.Now(), Typed: r.Hint, Step: StepPassword}}}
	if r.Finds {
		h.Step = StepAddress
	}
	step, refusal := next(r, has, needs(a, standing), s.Now())
	if step == giveBack {
		return s.back(r, refusal.query())
	}
	if step != signIn {
		h.UserID, h.SessionID = has.User.ID, has.ID
	}
	switch asks, err := s.asks(ctx, h); {
	case err != nil:
		return Outcome{}, err
	case step == finish && asks && r.Prompts(promptNone):
		return s.back(r, refusedConsent.query())
	case step == finish && asks:
		h.Step = StepConsent
	case step == finish:
		out, err := s.lead(ctx, h.Flow, *has)
		if errors.Is(err, ErrOver) { // between its lookup and here
			b.Sessions = b.Sessions.Without(session.Realm(a.Org, a.Tenant.Env))
			return s.begin(ctx, a, r, b)
		}
		return out, err
	case step == secondFactor:
		h.Step = StepCode
	}
	return s.page(ctx, h, b)
}

// page stores a flow that begins, and leads to its page.
func (s *Service) page(ctx context.Context, h at, b Browser) (out Outcome, err error) {
	out.Locale = h.Locale
	if !tokenShaped(b.Cookie) {
		b.Cookie = id.Token()
		out.Cookie = b.Cookie
	}
	h.Browser, h.Network, h.Agent = digest(b.Cookie), session.Mask(b.Source), clip(b.Agent)
	if out.Flow, err = s.put(ctx, h.Flow); err != nil {
		return out, err
	}
	return out, s.putPlace(ctx, keyOf(out.Flow), h.Flow)
}

// longestAgent is how much of what a browser calls itself is kept, in bytes.
const longestAgent = 256

func clip(agent string) string {
	return strings.ToValidUTF8(agent[:min(len(agent), longestAgent)], "")
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

// isNone reports whether there is no session.
func isNone(err error) bool { return fault.KindOf(err) == fault.Unauthorized }

// tokenShaped reports whether a text can be 256 bits of ours.
func tokenShaped(text secret.Text) bool { return challengePattern.MatchString(text.Reveal()) }

func (r *Refusal) query() url.Values {
	return url.Values{"error": {r.Code}, "error_description": {r.Description}}
}
