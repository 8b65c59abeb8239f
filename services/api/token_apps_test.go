package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	apps "countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/tenant"
)

const (
	tokenPath   = "/token-srv/token"
	callbackURL = "https://shop.example.test/callback"
	verifierOK  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ" // 43 characters
)

// tokenPathsOfApps all do the same for an app.
var tokenPathsOfApps = []string{tokenPath, "/oauth/token", "/api/v2/oauth/token"}

// client is an app with what it calls the token paths with.
type client struct {
	*house
	app    apps.App
	secret string // empty for a public app
}

// client registers an app in the house's organization. A tenant that is not
// zero is another place.
func (h *house) client(in apps.New, at ...tenant.ID) *client {
	h.t.Helper()
	place := append(at, h.place())[0]
	uris := []string{callbackURL, callbackURL + "/2"}
	if in.RedirectURIs == nil {
		in.RedirectURIs = &uris
	}
	registered, value, err := h.service.RegisterApp(h.t.Context(), place, in)
	if err != nil {
		h.t.Fatal(err)
	}
	return &client{h.as(""), registered, value.Reveal()}
}

// place is the house's organization, in the sandbox.
func (h *house) place() tenant.ID {
	h.t.Helper()
	t, err := h.service.TenantOf(h.t.Context(), h.key("acme", "sandbox").ClientID, h.org)
	if err != nil {
		h.t.Fatal(err)
	}
	return t
}

func (h *house) publicApp() *client { return h.client(apps.New{}) }

func (h *house) confidentialApp() *client { return h.client(apps.New{Type: apps.Confidential}) }

func (h *house) gatewayApp() *client {
	gateway := apps.Gateway
	return h.client(apps.New{Change: apps.Change{Profile: &gateway}})
}

// on is the same app at another process.
func (c *client) on(h *house) *client {
	other := h.as("")
	other.org, other.user = c.org, c.user
	return &client{other, c.app, c.secret}
}

// login is what a login for the app ends in.
func (c *client) login() grant.New {
	return grant.New{
		Tenant: c.app.Tenant, UserID: c.user, ClientID: c.app.ID, RedirectURI: callbackURL, Challenge: challengeOf(verifierOK),
		Scope: []string{grant.OpenID, grant.Email, grant.Profile}, AMR: []string{grant.Password},
	}
}

// codeOf makes a code with its grant, some time ago.
func (c *client) codeOf(n grant.New, ago time.Duration) (code, grantID string) {
	c.t.Helper()
	made, grantID, err := c.service.AppCode(c.t.Context(), n, ago)
	if err != nil {
		c.t.Fatal(err)
	}
	return made.Reveal(), grantID
}

func (c *client) code() string {
	c.t.Helper()
	code, _ := c.codeOf(c.login(), 0)
	return code
}

// proof are the parameters that the app authenticates with.
func (c *client) proof() url.Values {
	form := url.Values{"client_id": {c.app.ID}}
	if c.secret != "" {
		form.Set("client_secret", c.secret)
	}
	return form
}

// exchange is a good token request for a code.
func (c *client) exchange(code string) url.Values {
	form := c.proof()
	form.Set("grant_type", "authorization_code")
	form.Set("code", code)
	form.Set("redirect_uri", callbackURL)
	form.Set("code_verifier", verifierOK)
	return form
}

func (c *client) refreshing(raw string) url.Values {
	form := c.proof()
	form.Set("grant_type", "refresh_token")
	form.Set("refresh_token", raw)
	return form
}

// post sends a form; change edits the request before it goes.
func (c *client) post(path string, form url.Values, change ...func(*http.Request)) *reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, f := range change {
		f(req)
	}
	return c.send(req)
}

func (c *client) session() *reply {
	c.t.Helper()
	return c.post(tokenPath, c.exchange(c.code())).want(200)
}

// basic authenticates with both halves form-encoded.
func basic(id, value string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(value)) }
}

// A code of a standard app is answered as OpenID Connect says, on every path
// and in every form of authentication.
func TestAnAppRedeemsItsCode(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	public, private := h.publicApp(), h.confidentialApp()
	for _, path := range tokenPathsOfApps {
		for name, answer := range map[string]*reply{
			"public": public.post(path, public.exchange(public.code())),
			"post":   private.post(path, private.exchange(private.code())),
			"basic":  private.post(path, without(private.exchange(private.code()), "client_id", "client_secret"), basic(private.app.ID, private.secret)),
			"JSON":   public.raw("POST", path, asJSON, strings.NewReader(jsonOf(public.exchange(public.code())))),
		} {
			answer.want(200)
			if answer.body["scope"] != "openid email profile" || answer.body["sub"] != h.user || answer.body["token_type"] != "Bearer" ||
				answer.body["expires_in"] != 600.0 || answer.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s at %s: %s", name, path, answer.raw)
			}
			claims := claimsOf(t, h.keysAt("/.well-known/jwks.json"), answer.text("id_token"))
			if claims["sub"] != h.user || claims["iss"] != h.public {
				t.Errorf("%s at %s: %v", name, path, claims)
			}
		}
		next := public.post(path, public.refreshing(public.session().text("refresh_token"))).want(200)
		if next.body["scope"] != "openid email profile" || next.body["sub"] != h.user {
			t.Errorf("refreshed at %s to %s", path, next.raw)
		}
	}
}

func without(form url.Values, names ...string) url.Values {
	for _, name := range names {
		form.Del(name)
	}
	return form
}

func with(form url.Values, name, value string) url.Values {
	form.Set(name, value)
	return form
}

func jsonOf(form url.Values) string {
	plain := map[string]string{}
	for name := range form {
		plain[name] = form.Get(name)
	}
	raw, err := json.Marshal(plain)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
