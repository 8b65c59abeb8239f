package pipeline_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
	"countersign.dev/services/api/internal/user"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// crowd is one user with one access token, one grant and one session, all of
// which a case may change.
type crowd struct {
	raw      string
	access   token.Access
	of       grant.Session
	live     error
	session  session.Session
	token    secret.Text
	enrolled bool
}

func newCrowd() *crowd {
	of := grant.Session{Grant: grant.Grant{
		ID: id.UUID(), UserID: id.UUID(), ClientID: "app_1", Tenant: tenant.ID{Account: "a", Org: "o", Env: tenant.Sandbox},
	}, Org: "acme"}
	return &crowd{
		raw: "the-token", of: of, token: id.Token(),
		access:  token.Access{GrantID: of.Grant.ID, UserID: of.UserID, ClientID: of.ClientID, Org: "acme", Env: tenant.Sandbox, Scope: []string{"openid"}},
		session: session.Session{ID: "s", Tenant: of.Tenant, Org: "acme", User: user.User{ID: of.UserID}, ACR: grant.TwoFactors, AuthTime: noon},
	}
}

func (c *crowd) ReadUser(_ context.Context, raw secret.Text) (token.Access, error) {
	if raw.Reveal() != c.raw {
		return token.Access{}, token.ErrInvalid
	}
	return c.access, nil
}

func (c *crowd) Live(_ context.Context, grantID string) (grant.Session, error) {
	if c.live == nil && grantID != c.of.Grant.ID {
		return grant.Session{}, grant.ErrInvalid
	}
	return c.of, c.live
}

func (c *crowd) FindIn(_ context.Context, realm string, token secret.Text) (session.Session, error) {
	if realm != "acme.sandbox" || token.Reveal() != c.token.Reveal() {
		return session.Session{}, session.ErrNone
	}
	return c.session, nil
}

func (c *crowd) Enrolled(context.Context, tenant.ID, string) (bool, error) { return c.enrolled, nil }

// router has one route of each kind.
func (c *crowd) router() http.Handler {
	mux := chi.NewRouter()
	p := &pipeline.Pipeline{
		Limits: ephemeral.NewMemory(time.Now), Log: slog.New(slog.DiscardHandler), BaseURL: "https://id.test",
		People: pipeline.People{Tokens: c, Grants: c, Sessions: c, Factors: c, Now: func() time.Time { return noon }},
	}
	answer := pipeline.Handle(func(_ context.Context, c pipeline.Call, _ pipeline.Nothing) (map[string]string, error) {
		return map[string]string{"user": c.User.UserID, "session": c.Session.ID, "org": c.Tenant.Org}, nil
	})
	people := pipeline.Route{Method: "GET", Path: "/me", Credential: pipeline.UserToken, Reach: pipeline.Nobody, Rate: pipeline.RateAPI, Handler: answer}
	scoped := people
	scoped.Path, scoped.Scope = "/mail", "email"
	page := pipeline.Route{Method: "GET", Path: "/account/{realm}", Credential: pipeline.Browser, Page: true, Rate: pipeline.RateAPI, Handler: answer}
	fresh := page
	fresh.Path, fresh.Fresh = "/account/{realm}/fresh", true
	p.Mount(mux, []pipeline.Route{people, scoped, page, fresh})
	return mux
}

func (c *crowd) get(path string, change func(r *http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "https://id.test"+path, http.NoBody)
	change(r)
	w := httptest.NewRecorder()
	c.router().ServeHTTP(w, r)
	return w
}

// gatewayFor is a token of the gateway profile for an audience, of an app that
// says another one now.
func gatewayFor(audience, now string) func(c *crowd) {
	return func(c *crowd) {
		c.access.Profile, c.access.Audience, c.of.Audience = app.Gateway, audience, now
	}
}

func TestAnAccessTokenIsBelievedWhileItsGrantIsGood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		authorization string
		change        func(c *crowd)
		status        int
	}{
		"good":                         {"Bearer the-token", nil, 200},
		"another scheme":               {"Basic the-token", nil, 401},
		"none":                         {"", nil, 401},
		"another token":                {"Bearer another", nil, 401},
		"its grant has ended":          {"Bearer the-token", func(c *crowd) { c.live = grant.ErrInvalid }, 401},
		"its grant is another user's":  {"Bearer the-token", func(c *crowd) { c.of.UserID = id.UUID() }, 401},
		"its grant is another app's":   {"Bearer the-token", func(c *crowd) { c.of.ClientID = "app_2" }, 401},
		"its grant is in another org":  {"Bearer the-token", func(c *crowd) { c.of.Org = "rival" }, 401},
		"its grant is in another env":  {"Bearer the-token", func(c *crowd) { c.of.Tenant.Env = tenant.Default }, 401},
		"of the gateway, for its app":  {"Bearer the-token", gatewayFor("app_1", ""), 200},
		"for whom the app says":        {"Bearer the-token", gatewayFor("https://api.test", "https://api.test"), 200},
		"for whom it said before":      {"Bearer the-token", gatewayFor("https://api.test", "https://other.test"), 401},
		"for somebody set since":       {"Bearer the-token", gatewayFor("app_1", "https://api.test"), 401},
		"for whom nobody says":         {"Bearer the-token", gatewayFor("https://api.test", ""), 401},
		"the database is not reached":  {"Bearer the-token", func(c *crowd) { c.live = context.DeadlineExceeded }, 500},
		"of a token without any grant": {"Bearer the-token", func(c *crowd) { c.access.GrantID = "" }, 401},
	} {
		of := newCrowd()
		if c.change != nil {
			c.change(of)
		}
		w := of.get("/me", func(r *http.Request) {
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
		})
		told := w.Header().Get("WWW-Authenticate")
		if w.Code != c.status || (w.Code == 401) != (told == `Bearer error="invalid_token"`) {
			t.Errorf("%s: %d %q %s, want %d", name, w.Code, told, w.Body, c.status)
		}
	}
	of := newCrowd()
	with := func(r *http.Request) { r.Header.Set("Authorization", "Bearer the-token") }
	if w := of.get("/mail", with); w.Code != 403 {
		t.Errorf("without the scope: %d %s", w.Code, w.Body)
	}
	of.access.Scope = append(of.access.Scope, "email")
	if w := of.get("/mail", with); w.Code != 200 {
		t.Errorf("with the scope: %d %s", w.Code, w.Body)
	}
}

// Covers R-037 (the pipeline: six minutes, and a session of less than the user has).
func TestASessionIsOfItsRealmAndFreshWhereThatIsAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, cookie string
		change       func(c *crowd)
		status       int
	}{
		"good":                          {"/account/acme.sandbox", "__Host-cs_sessions", nil, 200},
		"of another name":               {"/account/acme.sandbox", "cs_sessions", nil, 401},
		"of another realm":              {"/account/acme.default", "__Host-cs_sessions", nil, 401},
		"of another organization":       {"/account/rival.sandbox", "__Host-cs_sessions", nil, 401},
		"ended":                         {"/account/acme.sandbox", "__Host-cs_sessions", func(c *crowd) { c.token = id.Token() }, 401},
		"fresh":                         {"/account/acme.sandbox/fresh", "__Host-cs_sessions", func(c *crowd) { c.enrolled = true }, 200},
		"of five minutes ago":           {"/account/acme.sandbox/fresh", "__Host-cs_sessions", func(c *crowd) { c.session.AuthTime = noon.Add(-5 * time.Minute) }, 200},
		"of six minutes ago":            {"/account/acme.sandbox/fresh", "__Host-cs_sessions", func(c *crowd) { c.session.AuthTime = noon.Add(-6 * time.Minute) }, 403},
		"of six minutes ago, not asked": {"/account/acme.sandbox", "__Host-cs_sessions", func(c *crowd) { c.session.AuthTime = noon.Add(-6 * time.Minute) }, 200},
		"one factor of two":             {"/account/acme.sandbox/fresh", "__Host-cs_sessions", func(c *crowd) { c.enrolled, c.session.ACR = true, grant.OneFactor }, 403},
		"one factor of one":             {"/account/acme.sandbox/fresh", "__Host-cs_sessions", func(c *crowd) { c.session.ACR = grant.OneFactor }, 200},
	} {
		of := newCrowd()
		sent := pipeline.Cookies{Secure: true}.Sessions(session.Set{}.With("acme.sandbox", of.token))
		sent.Name = c.cookie
		if c.change != nil {
			c.change(of)
		}
		if w := of.get(c.path, func(r *http.Request) { r.AddCookie(sent) }); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.status)
		}
	}
	of := newCrowd()
	sent := pipeline.Cookies{Secure: true}.Sessions(session.Set{}.With("acme.sandbox", of.token))
	if w := of.get("/account/acme.sandbox", func(r *http.Request) { r.AddCookie(sent); r.AddCookie(sent) }); w.Code != 401 {
		t.Errorf("two cookies of one name: %d", w.Code)
	}
	if w := of.get("/account/acme.sandbox", func(r *http.Request) { r.AddCookie(sent); r.Host = "evil.test" }); w.Code != 421 {
		t.Errorf("under another host: %d", w.Code)
	}
}

// Covers R-155 (how cookies of browsers are made).
func TestCookiesAreBoundToTheHost(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		cookies := pipeline.Cookies{Secure: secure}
		for _, cookie := range []*http.Cookie{cookies.Browser(id.Token()), cookies.Sessions(session.Set{}.With("acme.sandbox", id.Token())), cookies.Sessions(session.Set{})} {
			if cookie.Secure != secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Domain != "" || cookie.Path != "/" ||
				(cookie.Name[:2] == "__") != secure || len(cookie.String()) > 4096 {
				t.Errorf("secure %v: %s", secure, cookie)
			}
		}
	}
	if gone := (pipeline.Cookies{}).Sessions(session.Set{}); gone.MaxAge >= 0 || gone.Value != "" {
		t.Errorf("the cookie of no session: %s", gone)
	}
}
