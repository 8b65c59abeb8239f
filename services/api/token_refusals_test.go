package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	apps "countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/tenant"
)

// flip is one thing about a good token request that is not as it should be.
type flip struct {
	path   string
	form   func(url.Values)
	header func(*http.Request)
	login  func(*grant.New)
	ago    time.Duration
	other  bool // it says nothing of this code, and leaves it alone
}

func set(name, value string) func(url.Values) {
	return func(form url.Values) { form.Set(name, value) }
}

func del(names ...string) func(url.Values) {
	return func(form url.Values) { without(form, names...) }
}

// flips are all that can be wrong for an app.
func (c *client) flips(h *house) map[string]flip {
	twin, live := h.client(apps.New{Type: c.app.Type, Change: apps.Change{Profile: &c.app.Profile}}), c.app.Tenant
	live.Env = tenant.Default
	inLive := h.client(apps.New{Type: c.app.Type}, live)
	off := h.client(apps.New{Type: c.app.Type})
	if err := h.service.ChangeApp(h.t.Context(), off.app, apps.Change{Active: new(false)}); err != nil {
		h.t.Fatal(err)
	}
	flips := map[string]flip{
		"client: another app":                {form: func(f url.Values) { f.Set("client_id", twin.app.ID); setSecret(f, twin) }},
		"client: another environment's":      {form: func(f url.Values) { f.Set("client_id", inLive.app.ID); setSecret(f, inLive) }},
		"client: one that is switched off":   {form: func(f url.Values) { f.Set("client_id", off.app.ID); setSecret(f, off) }},
		"client: unknown":                    {form: set("client_id", apps.NewID())},
		"client: two names":                  {header: basic(twin.app.ID, twin.secret)},
		"redirect_uri: another of the app's": {form: set("redirect_uri", callbackURL+"/2")},
		"redirect_uri: longer":               {form: set("redirect_uri", callbackURL+"/")},
		"redirect_uri: another case":         {form: set("redirect_uri", strings.ToUpper(callbackURL))},
		"redirect_uri: with a query":         {form: set("redirect_uri", callbackURL+"?x=y")},
		"verifier: none":                     {form: del("code_verifier")},
		"verifier: wrong":                    {form: set("code_verifier", strings.Repeat("a", 43))},
		"verifier: the challenge itself":     {form: set("code_verifier", challengeOf(verifierOK))},
		"verifier: 42 characters":            {form: set("code_verifier", verifierOK[:42])},
		"verifier: 129 characters":           {form: set("code_verifier", strings.Repeat("a", 129))},
		"verifier: of another code":          {login: func(n *grant.New) { n.Challenge = challengeOf(strings.Repeat("b", 43)) }},
		"expiry: 61 seconds":                 {ago: 61 * time.Second},
		"expiry: a minute":                   {ago: time.Minute},
		"code: none":                         {form: del("code"), other: true},
		"issuer: of the gateway":             {path: "/org/" + c.app.Org + "/oauth2/token"},
		"organization: another":              {path: "/org/nobody/oauth2/token"},
	}
	if c.app.Confidential() {
		flips["client authentication: none"] = flip{form: del("client_secret")}
		flips["client authentication: wrong"] = flip{form: set("client_secret", strings.Repeat("x", 43))}
		flips["client authentication: another app's"] = flip{form: set("client_secret", twin.secret)}
		flips["client authentication: both kinds"] = flip{header: basic(c.app.ID, c.secret)}
		flips["client authentication: Basic, wrong"] = flip{form: del("client_secret", "client_id"), header: basic(c.app.ID, "x")}
	} else {
		flips["client authentication: a secret"] = flip{form: set("client_secret", "x")}
	}
	if c.app.Profile == apps.Gateway {
		delete(flips, "issuer: of the gateway")
		flips["verifier: of a code without"] = flip{login: func(n *grant.New) { n.Challenge = "" }}
		flips["authorization_id: another"] = flip{path: "/org/" + c.app.Org + "/oauth2/token", form: set("authorization_id", apps.NewID())}
		return flips
	}
	flips["redirect_uri: none"] = flip{form: del("redirect_uri")}
	return flips
}

func setSecret(form url.Values, c *client) {
	form.Del("client_secret")
	if c.secret != "" {
		form.Set("client_secret", c.secret)
	}
}

// One thing is wrong, everything else is right: nothing is given, and the code
// is dead after it. Each change of the code itself is another code, and leaves
// this one as good as it was.
// Covers R-140 for apps: client, its authentication, redirect URI, verifier,
// every change of the code, organization, expiry and path.
// Covers R-139 for the token paths.
func TestACodeIsForItsOwnApp(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	for kind, c := range map[string]*client{"public": h.publicApp(), "confidential": h.confidentialApp(), "gateway": h.gatewayApp()} {
		for name, f := range c.flips(h) {
			c.flipped(kind+", "+name, f)
		}
		code := c.code()
		for i := range len(code) {
			changed := code[:i] + string(other64(code[i])) + code[i+1:]
			c.post(tokenPath, c.exchange(changed)).wantOAuth(fmt.Sprintf("%s, code changed at %d", kind, i), 400, "invalid_grant")
			c.post(tokenPath, c.exchange(code[:i]+code[i+1:])).wantOAuth(fmt.Sprintf("%s, code without %d", kind, i), 400, "invalid_grant")
		}
		for _, more := range []string{"A", ".", " ", "%00"} {
			c.post(tokenPath, c.exchange(code+more)).wantOAuth(kind+", a longer code", 400, "invalid_grant")
		}
		c.post(tokenPath, c.exchange(code)).want(200)
		long, _ := c.codeOf(with2(c.login(), func(n *grant.New) { n.Challenge = challengeOf(strings.Repeat("~", 128)) }), 0)
		c.post(tokenPath, with(c.exchange(long), "code_verifier", strings.Repeat("~", 128))).want(200)
	}
}

// A code that was made without a challenge, as the verification flow may make
// one, takes any verifier or none; all else of it is compared as ever.
func TestAVerifierForNoChallengeIsIdle(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	for kind, c := range map[string]*client{"public": h.publicApp(), "confidential": h.confidentialApp()} {
		for name, change := range map[string]func(url.Values){
			"a verifier": func(url.Values) {}, "none": del("code_verifier"), "an empty one": set("code_verifier", ""), "one of a letter": set("code_verifier", "x"),
		} {
			code, _ := c.codeOf(with2(c.login(), func(n *grant.New) { n.Challenge = "" }), 0)
			form := c.exchange(code)
			change(form)
			c.post(tokenPath, form).want(200)
			c.post(tokenPath, form).wantOAuth(kind+", "+name+", once more", 400, "invalid_grant")

			code, _ = c.codeOf(with2(c.login(), func(n *grant.New) { n.Challenge = "" }), 0)
			form = c.exchange(code)
			change(form)
			c.post(tokenPath, with(form, "redirect_uri", callbackURL+"/2")).wantOAuth(kind+", "+name+", elsewhere", 400, "invalid_grant")
			c.post(tokenPath, with(form, "redirect_uri", callbackURL)).wantOAuth(kind+", "+name+", then all right", 400, "invalid_grant")
		}
	}
}

func with2(n grant.New, change func(*grant.New)) grant.New {
	change(&n)
	return n
}

// other64 is another character of base64url. The last one of a code holds two
// bits alone, so any change of it must change those.
func other64(c byte) byte {
	if c == 'Q' {
		return 'g'
	}
	return 'Q'
}

func (c *client) flipped(name string, f flip) {
	c.t.Helper()
	login := c.login()
	if f.login != nil {
		f.login(&login)
	}
	code, _ := c.codeOf(login, f.ago)
	form, path := c.exchange(code), tokenPath
	if f.form != nil {
		f.form(form)
	}
	if f.path != "" {
		path = f.path
	}
	header := f.header
	if header == nil {
		header = func(*http.Request) {}
	}
	answer := c.post(path, form, header)
	switch answer.body["error"] {
	case "invalid_grant", "invalid_client", "unauthorized_client":
	default:
		if f.other || name[strings.Index(name, ", ")+2:] == "client: two names" || strings.HasSuffix(name, "both kinds") {
			answer.wantOAuth(name, 400, "invalid_request")
		} else {
			c.t.Errorf("%s: %d %s", name, answer.status, answer.raw)
		}
	}
	if answer.body["access_token"] != nil {
		c.t.Errorf("%s: %s", name, answer.raw)
	}
	again := c.post(tokenPath, c.exchange(code))
	if f.other {
		again.want(200)
		return
	}
	again.wantOAuth(name+", then all right", 400, "invalid_grant")
}

// Whoever is gone or deactivated gets nothing, and their codes are dead.
// Covers R-140 for users, apps and organizations that are gone.
// Covers R-143 for users, apps and organizations that are gone.
func TestAppsOfWhoIsGone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		user := "/api/v2/org/" + h.org + "/users/" + h.user
		ends := map[string]func(c *client) (undo func()){
			"user": func(*client) func() {
				h.call("PUT", user, "active=false").want(200)
				return func() { h.call("PUT", user, "active=true").want(200) }
			},
			"app": func(c *client) func() {
				c.switchTo(false)
				return func() { c.switchTo(true) }
			},
		}
		for name, end := range ends {
			c := h.publicApp()
			code, session := c.code(), c.session()
			undo := end(c)
			status, want := 400, "invalid_grant"
			if name == "app" {
				status, want = 401, "invalid_client"
			}
			c.post(tokenPath, c.exchange(code)).wantOAuth("a code without its "+name, status, want)
			c.post(tokenPath, c.refreshing(session.text("refresh_token"))).wantOAuth("a refresh without its "+name, status, want)
			undo()
			c.post(tokenPath, c.exchange(code)).wantOAuth("a code, with its "+name+" back", 400, "invalid_grant")
		}
		c := h.confidentialApp()
		code, session := c.code(), c.session()
		h.call("DELETE", "/api/v2/organizations/"+h.org).want(200)
		c.post(tokenPath, c.exchange(code)).wantOAuth("a code of an organization that is gone", 401, "invalid_client")
		c.post(tokenPath, c.refreshing(session.text("refresh_token"))).wantOAuth("a refresh of one", 401, "invalid_client")
	})
}

func (c *client) switchTo(active bool) {
	c.t.Helper()
	if err := c.service.ChangeApp(c.t.Context(), c.app, apps.Change{Active: &active}); err != nil {
		c.t.Fatal(err)
	}
}

// Covers R-142 for apps: no other grant, and client_credentials for
// confidential apps alone.
func TestOtherGrantsOfApps(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	public := h.publicApp()
	scopes := []string{"openid", "orders:read", "orders:write"}
	private := h.client(apps.New{Type: apps.Confidential, Change: apps.Change{Scopes: &scopes}})
	for _, c := range []*client{public, private} {
		for _, kind := range []string{
			"password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange", "AUTHORIZATION_CODE", "authorization_code ",
		} {
			code := c.code()
			form := with(with(with(c.exchange(code), "grant_type", kind), "username", "ana@acme.test"), "password", "x")
			c.post(tokenPath, form).wantOAuth(kind, 400, "unsupported_grant_type")
			c.post(tokenPath, c.exchange(code)).want(200)
		}
		c.post(tokenPath, without(c.exchange(c.code()), "grant_type")).wantOAuth("no grant_type", 400, "invalid_request")
		c.post(tokenPath, without(c.refreshing("x"), "refresh_token")).wantOAuth("no refresh token", 400, "invalid_request")
	}
	own := func(c *client, scope string) *reply {
		return c.post(tokenPath, with(with(c.proof(), "grant_type", "client_credentials"), "scope", scope))
	}
	own(public, "").wantOAuth("client_credentials of a public app", 400, "unauthorized_client")
	all := own(private, "").want(200)
	if all.body["scope"] != "orders:read orders:write" || all.body["refresh_token"] != nil || all.body["id_token"] != nil || all.body["sub"] != nil {
		t.Errorf("for itself an app got %s", all.raw)
	}
	if less := own(private, "orders:read").want(200); less.body["scope"] != "orders:read" {
		t.Errorf("less is %s", less.raw)
	}
	for _, wide := range []string{"openid", "orders:read openid", "admin", "email"} {
		own(private, wide).wantOAuth(wide, 400, "invalid_scope")
	}
	own(&client{private.house, private.app, "x"}, "").wantOAuth("a wrong secret", 401, "invalid_client")
}

// Covers R-144: one answer for every wrong credential, a challenge of the kind
// that was tried, no secret in the query, and a pause after too many.
func TestSecretsOfApps(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	c, public := h.confidentialApp(), h.publicApp()
	first := c.post(tokenPath, with(c.refreshing("x"), "client_secret", "x"))
	first.wantOAuth("a wrong secret", 401, "invalid_client")
	for name, form := range map[string]url.Values{
		"no secret":     without(c.refreshing("x"), "client_secret"),
		"unknown app":   with(c.refreshing("x"), "client_id", apps.NewID()),
		"a public one":  with(public.refreshing("x"), "client_secret", "x"),
		"another's one": with(c.refreshing("x"), "client_secret", h.confidentialApp().secret),
	} {
		answer := c.post(tokenPath, form)
		if answer.status != 401 || answer.raw != first.raw || answer.header.Get("WWW-Authenticate") != first.header.Get("WWW-Authenticate") {
			t.Errorf("%s: %d %s %v", name, answer.status, answer.raw, answer.header)
		}
	}
	byHeader := c.post(tokenPath, without(c.refreshing("x"), "client_id", "client_secret"), basic(c.app.ID, "x"))
	byHeader.wantOAuth("Basic", 401, "invalid_client")
	if !strings.HasPrefix(byHeader.header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("Basic was answered with %q", byHeader.header.Get("WWW-Authenticate"))
	}
	code := c.code()
	for _, path := range []string{tokenPath, "/token-srv/introspect", "/token-srv/revoke"} {
		c.post(path+"?client_secret="+c.secret, without(c.exchange(code), "client_secret")).wantOAuth("a secret in the query of "+path, 400, "invalid_request")
	}
	c.post(tokenPath, c.exchange(code)).want(200)
	limited := 0
	for range 100 {
		if c.post(tokenPath, with(c.refreshing("x"), "client_secret", "x")).status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 60 {
		t.Errorf("%d of 100 wrong secrets were told to wait", limited)
	}
	if c.post(tokenPath, c.exchange(c.code())).status != http.StatusTooManyRequests {
		t.Error("during the pause a secret was compared")
	}
	h.confidentialApp().session() // another app is not in the way of
}
