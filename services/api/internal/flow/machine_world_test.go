package flow_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
	"countersign.dev/services/api/internal/user"
)

// world is the sign-in page over the rules of logins and of sessions, which are
// real, and over stand-ins for all that proves something: what is tested here is
// the order of the steps. It has two organizations: acme has second factors
// switched on, plain has not.
type world struct {
	*flow.Service
	now      time.Time
	apps     []app.App
	orgs     map[string]tenant.Organization // by domain
	users    []*someone
	sessions map[string]*session.Session // by id
	consents map[string][]string         // scopes by user and app
	letters  []*letter
	grants   []grant.New
	counter  int // makes codes that there have not been
}

// letter is a mail with a link.
type letter struct {
	key    string // of the flow that it is for
	to     *someone
	reset  bool // sets a password; signs in otherwise
	opened bool
}

const (
	acme  = "acme"
	plain = "plain"
	back  = "https://app.example/cb"
)

// The apps, by their place.
const (
	anyMethod   = iota // takes all methods, and is acme's own
	ofOthers           // takes all methods, and asks for consent
	appsAlone          // takes passwords and authenticator apps
	noSecond           // takes passwords and links, and no second factor
	ofPlain            // takes all methods, and is plain's own
	noMoreApps         // how many there are
	accountPage = -1   // that of acme: no app at all
)

func newWorld(t tester) *world {
	t.Helper()
	w := &world{
		now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), orgs: map[string]tenant.Organization{},
		sessions: map[string]*session.Session{}, consents: map[string][]string{},
	}
	clock := func() time.Time { return w.now }
	keys, err := seal.Parse("keys", seal.NewKey())
	if err != nil {
		t.Fatalf("%v", err)
	}
	store := ephemeral.NewMemory(clock)
	logins := &login.Service{Factors: factors{w}, Passwords: passwords{w: w}, Waiting: store, Now: clock}
	w.Service = &flow.Service{
		Store: store, Keys: keys, Apps: w, Organizations: w, Realms: w, Domains: w, Consents: w, Sessions: &session.Service{Store: kept{w}, Outbox: &outbox.Composer{Now: clock}, Relay: w, Now: clock},
		Devices: w, Passwords: passwords{w, logins}, Links: links{w}, Mails: mails{w}, Factors: factors{w}, Logins: logins, Grants: w, Hints: w, Notices: w,
		BaseURL: "https://login.example.com", Now: clock,
	}
	for _, domain := range []string{acme, plain} {
		of := tenantOf(domain)
		w.orgs[domain] = tenant.Organization{ID: of.Org, AccountID: of.Account, Domain: domain, Name: domain}
	}
	for i, a := range []app.App{
		anyMethod: {Org: acme, Methods: app.Methods(), FirstParty: true},
		ofOthers:  {Org: acme, Methods: app.Methods()},
		appsAlone: {Org: acme, Methods: []string{app.Password, app.TOTP}, FirstParty: true},
		noSecond:  {Org: acme, Methods: []string{app.Password, app.Email}, FirstParty: true},
		ofPlain:   {Org: plain, Methods: app.Methods(), FirstParty: true},
	} {
		a.ID, a.Tenant, a.Account, a.Name, a.Type = fmt.Sprintf("app_%027d", i), tenantOf(a.Org), "account", "App", app.Public
		a.RedirectURIs, a.Scopes, a.Active = []string{back}, []string{"openid", "email"}, true
		w.apps = append(w.apps, a)
	}
	w.populate(t)
	return w
}

func tenantOf(org string) tenant.ID {
	return tenant.ID{Account: "account", Org: org + "-id", Env: tenant.Default}
}

// tester is a test, of this package or of package rapid.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// AppByID stands in for the rules of apps.
func (w *world) AppByID(_ context.Context, clientID string) (app.App, error) {
	if i := slices.IndexFunc(w.apps, func(a app.App) bool { return a.ID == clientID }); i >= 0 {
		return w.apps[i], nil
	}
	return app.App{}, app.ErrNotFound
}

// Organization and its like stand in for the rules of tenants.
func (w *world) Organization(_ context.Context, _, domain string) (tenant.Organization, error) {
	if org, ok := w.orgs[domain]; ok {
		return org, nil
	}
	return tenant.Organization{}, tenant.ErrNotFound
}

func (w *world) LivingOrganization(ctx context.Context, domain string) (tenant.Organization, error) {
	return w.Organization(ctx, "", domain)
}

func (w *world) ByEmailDomain(context.Context, string, string, string, func(string) bool) (tenant.Organization, error) {
	return tenant.Organization{}, tenant.ErrNotFound
}

// Given and Give stand in for the rules of consent.
func (w *world) Given(_ context.Context, _ tenant.ID, userID, clientID string) ([]string, error) {
	return w.consents[userID+clientID], nil
}

func (w *world) Give(_ context.Context, a consent.Answer) error {
	if p := w.find(a.Tenant, user.Key{ID: a.UserID}); p == nil || !p.user.Active {
		return consent.ErrNotFound
	}
	w.consents[a.UserID+a.ClientID] = append(slices.Clone(w.consents[a.UserID+a.ClientID]), a.Scopes...)
	return nil
}

// Know stands in for the rules of devices, ReadHint for tokens, Tell for notices.
func (*world) Know(context.Context, tenant.ID, string, secret.Text) (secret.Text, error) {
	return secret.Text{}, nil
}

func (*world) ReadHint(context.Context, secret.Text) (token.Hint, error) {
	return token.Hint{}, token.ErrInvalid
}

func (*world) Tell(context.Context, notice.About, string, string) error { return nil }

// Begin records what a code was made for.
func (w *world) Begin(_ context.Context, n grant.New) (grant.Grant, secret.Text, error) {
	if w.sessions[n.SessionID] == nil {
		return grant.Grant{}, secret.Text{}, session.ErrNone
	}
	if a, _ := w.AppByID(context.Background(), n.ClientID); !a.FirstParty && len(w.consents[n.UserID+n.ClientID]) == 0 {
		return grant.Grant{}, secret.Text{}, user.ErrNotFound // no grant without the consent that it rests on
	}
	w.grants = append(w.grants, n)
	return grant.Grant{ID: id.UUID()}, secret.New(fmt.Sprint("code-", len(w.grants))), nil
}

// Wake implements outbox.Waker: nobody publishes here.
func (w *world) Wake() {}

// kept is the store of sessions.
type kept struct{ *world }

func (k kept) AddSession(_ context.Context, s session.Session) (session.Session, error) {
	p := k.find(s.Tenant, user.Key{ID: s.User.ID})
	if p == nil || !p.user.Active {
		return session.Session{}, user.ErrNotFound
	}
	s.User, s.Org = p.user, p.org
	k.sessions[s.ID] = &s
	return s, nil
}

// good finds the session of a digest that is not idle for too long.
func (w *world) good(digest []byte) *session.Session {
	for _, s := range w.sessions {
		if slices.Equal(s.Digest, digest) && w.now.Before(s.ExpiresAt) && w.now.Sub(s.SeenAt) < session.Idle {
			return s
		}
	}
	return nil
}

func (k kept) FindSession(_ context.Context, q session.Query) (session.Session, error) {
	s := k.good(q.Digest)
	if s == nil || s.Org != q.Org || s.Tenant.Env != q.Env {
		return session.Session{}, session.ErrNone
	}
	s.SeenAt = q.At
	return *s, nil
}

func (k kept) RaiseSession(_ context.Context, old []byte, s session.Session, _ time.Duration) (session.Session, error) {
	found := k.good(old)
	if found == nil || found.ID != s.ID {
		return session.Session{}, session.ErrNone
	}
	k.sessions[s.ID] = &s
	return s, nil
}

func (k kept) EndSession(_ context.Context, t tenant.ID, sessionID string, _ session.Ending) error {
	if s := k.sessions[sessionID]; s != nil && s.Tenant == t {
		delete(k.sessions, sessionID)
	}
	return nil
}

func (k kept) EndUserSessions(_ context.Context, w session.Whose, except string, _ session.Ending) error {
	for sessionID, s := range k.sessions {
		if s.Tenant == w.Tenant && s.User.ID == w.UserID && sessionID != except {
			delete(k.sessions, sessionID)
		}
	}
	return nil
}

func (kept) Sessions(context.Context, tenant.ID, string, time.Time, time.Duration) ([]session.Session, error) {
	return nil, nil
}

func (kept) EndTenantSessions(context.Context, tenant.ID, time.Time, func(int) outbox.Entry) (int, bool, error) {
	return 0, false, nil
}

func (kept) SweepSessions(context.Context, time.Time) (bool, error) { return false, nil }
