package api_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	apps "countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
)

// sendJSON sends what the contract's gateway clients send.
func (c *client) sendJSON(path string, form url.Values) *reply {
	c.t.Helper()
	return c.raw("POST", path, asJSON, strings.NewReader(jsonOf(form)))
}

// atGateway is what the gateway's clients send for a code.
func (c *client) atGateway(code, grantID string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {c.app.ID}, "authorization_id": {grantID}, "code": {code}, "code_verifier": {verifierOK},
		"nonce": {"nonce-of-this"}, "request_id": {"x"}, "client_state": {"y"},
	}
}

func (c *client) sessionAtGateway(change ...func(*grant.New)) *reply {
	c.t.Helper()
	n := c.login()
	for _, f := range change {
		f(&n)
	}
	code, grantID := c.codeOf(n, 0)
	return c.sendJSON("/org/"+c.app.Org+"/oauth2/token", c.atGateway(code, grantID)).want(200)
}

// beginSession signs the app's user in with a browser.
func (c *client) beginSession() session.Session {
	c.t.Helper()
	_, begun, err := c.service.BeginSession(c.t.Context(), session.New{
		Tenant: c.app.Tenant, UserID: c.user, AMR: []string{grant.Password}, Source: netip.MustParseAddr("192.0.2.7"),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return begun
}

// meanFor sets whom the app's tokens are for.
func (c *client) meanFor(audience string) {
	c.t.Helper()
	if err := c.service.ChangeApp(c.t.Context(), c.app, apps.Change{Audience: &audience}); err != nil {
		c.t.Fatal(err)
	}
}

// Code, refresh on both paths and revocation as the contract's clients do it.
func TestTheGatewaysTokens(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	c := h.gatewayApp()
	first := c.sessionAtGateway()
	for name, want := range map[string]any{
		"token_type": "Bearer", "expires_in": 600.0, "scope": "openid email profile", "nonce": "nonce-of-this", "refresh_leeway": 60.0, "refresh_retry": 5.0, "sub": nil,
	} {
		if first.body[name] != want {
			t.Errorf("%s is %v, want %v", name, first.body[name], want)
		}
	}
	ends, err := time.Parse(time.RFC3339, first.text("refresh_expiration_date"))
	if wait := time.Until(ends); err != nil || wait > grant.Idle || wait < grant.Idle-time.Minute {
		t.Errorf("the refresh token ends %s", first.text("refresh_expiration_date"))
	}
	if !strings.HasPrefix(first.text("refresh_token"), h.org+".") {
		t.Errorf("the refresh token is of %s", first.raw)
	}
	claims := claimsOf(t, h.keysAt("/t/"+h.org+"/.well-known"), first.text("id_token"))
	if claims["nonce"] != "nonce-of-this" || claims["aud"] != c.app.ID || claims["iss"] != h.public+"/t/"+h.org {
		t.Errorf("the ID token says %v", claims)
	}
	again := func(nonce, name, raw string) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "client_id": {c.app.ID}, "nonce": {nonce}, name: {raw}}
	}
	second := c.sendJSON("/oauth/token", again("two", "token", first.text("refresh_token"))).want(200)
	path := "/api/v1/tenants/" + h.org + "/" + c.app.ID + "/7d2f3d8e-0000-4000-8000-000000000000/oauth/client/token"
	third := c.sendJSON(path, again("three", "refresh_token", second.text("refresh_token"))).want(200)
	if second.body["nonce"] != "two" || third.body["nonce"] != "three" {
		t.Errorf("nonces: %v, %v", second.body["nonce"], third.body["nonce"])
	}
	ended := c.sendJSON("/oauth/revoke", url.Values{"client_id": {c.app.ID}, "token": {third.text("access_token")}, "token_type_hint": {"access_token"}}).want(200)
	if ended.body["token_type_hint"] != "access_token" || ended.text("revoked_at") == "" || ended.body["slo_code"] != nil {
		t.Errorf("a revocation without a browser session: %s", ended.raw)
	}
	c.sendJSON(path, again("four", "refresh_token", third.text("refresh_token"))).wantOAuth("a refresh after that", 400, "invalid_grant")
	old := "/api/v1/tenants/" + h.org + "/" + c.app.ID + "/oauth/token/revoke"
	begun := c.beginSession()
	signedIn := c.sessionAtGateway(func(n *grant.New) { n.SessionID = begun.ID })
	for range 2 { // a lost answer is asked for again, and finds nothing to end
		c.sendJSON(old, url.Values{"token": {"x"}}).want(200)
	}
	if code := c.sendJSON(old, url.Values{"token": {signedIn.text("refresh_token")}, "token_type_hint": {"refresh_token"}}).want(200).text("slo_code"); len(code) != 43 {
		t.Errorf("the code of the logout is %q", code)
	}
	if twice := c.sendJSON(old, url.Values{"token": {signedIn.text("refresh_token")}}).want(200); twice.body["slo_code"] != nil {
		t.Errorf("a second revocation: %s", twice.raw)
	}
}

// The gateway's paths are for apps of its profile and of the organization that
// they name. What comes to them wrongly has used its code up.
// Covers R-140 for the gateway's paths.
func TestTheGatewaysPathsAreForItsApps(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	c, standard := h.gatewayApp(), h.publicApp()
	second := h.as(h.token)
	second.org = h.call("POST", "/api/v2/organizations", "name=Another").want(201).text("domain")
	gateway := apps.Gateway
	beside := second.client(apps.New{Change: apps.Change{Profile: &gateway}})
	good := "/org/" + h.org + "/oauth2/token"
	for name, f := range map[string]struct {
		by     *client
		path   string
		change func(url.Values)
		status int
		code   string
	}{
		"a standard app":            {standard, good, nil, 400, "unauthorized_client"},
		"another organization":      {c, "/org/" + second.org + "/oauth2/token", nil, 401, "invalid_client"},
		"no organization":           {c, "/org/nobody/oauth2/token", nil, 401, "invalid_client"},
		"another organization's":    {c, good, set("client_id", beside.app.ID), 401, "invalid_client"},
		"another in the path":       {c, "/api/v1/tenants/" + h.org + "/" + beside.app.ID + "/x/oauth/client/token", nil, 401, "invalid_client"},
		"another grant":             {c, good, set("authorization_id", "00000000-0000-4000-8000-000000000000"), 400, "invalid_grant"},
		"another redirect URI":      {c, good, set("redirect_uri", callbackURL+"/2"), 400, "invalid_grant"},
		"no verifier":               {c, good, del("code_verifier"), 400, "invalid_grant"},
		"a secret for a public app": {c, good, set("client_secret", "x"), 401, "invalid_client"},
	} {
		code, grantID := f.by.codeOf(f.by.login(), 0)
		form := f.by.atGateway(code, grantID)
		if f.change != nil {
			f.change(form)
		}
		f.by.sendJSON(f.path, form).wantOAuth(name, f.status, f.code)
		f.by.post(tokenPath, f.by.exchange(code)).wantOAuth(name+", then all right", 400, "invalid_grant")
	}
	session := standard.session()
	revoke := url.Values{"client_id": {standard.app.ID}, "token": {session.text("refresh_token")}}
	standard.sendJSON("/oauth/revoke", revoke).wantOAuth("a standard app's revocation", 400, "unauthorized_client")
	c.sendJSON("/oauth/revoke", with(revoke, "client_id", c.app.ID)).want(200)
	beside.sendJSON("/api/v1/tenants/"+h.org+"/"+beside.app.ID+"/oauth/token/revoke", url.Values{"token": {"x"}}).wantOAuth("another's path", 401, "invalid_client")
	standard.post(tokenPath, standard.refreshing(session.text("refresh_token"))).want(200) // nobody has ended it
}
