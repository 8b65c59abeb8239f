package api_test

import (
	"net/url"
	"strings"
	"testing"

	apps "countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/tenant"
)

const (
	introspectPath = "/token-srv/introspect"
	revokePath     = "/token-srv/revoke"
	inactive       = `{"active":false}`
)

func (c *client) introspect(raw string) *reply {
	c.t.Helper()
	return c.post(introspectPath, with(c.proof(), "token", raw)).want(200)
}

func (c *client) revoke(raw string) *reply {
	c.t.Helper()
	return c.post(revokePath, with(c.proof(), "token", raw))
}

// own is an access token of the app for itself.
func (c *client) own() string {
	c.t.Helper()
	return c.post(tokenPath, with(c.proof(), "grant_type", "client_credentials")).want(200).text("access_token")
}

// Covers R-147: what a token is worth is told to who may know of it, and to
// everybody else with the bytes that an unknown token has.
func TestWhatATokenIsWorth(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	c, beside, public, gateway := h.confidentialApp(), h.confidentialApp(), h.publicApp(), h.gatewayApp()
	live := c.app.Tenant
	live.Env = tenant.Default
	elsewhere := h.client(apps.New{Type: apps.Confidential}, live)
	key := h.app("acme", "sandbox")
	rival := h.app("rival", "sandbox")
	byKey := func(a *app, raw string) *reply { return a.call("POST", introspectPath, "token="+raw).want(200) }
	first := c.session()
	access, refresh, own := first.text("access_token"), first.text("refresh_token"), c.own()
	told := c.introspect(access)
	for name, want := range map[string]any{
		"active": true, "scope": "openid email profile", "client_id": c.app.ID, "token_type": "Bearer", "sub": h.user, "iss": h.public, "aud": h.public,
		"org": h.org, "env": "sandbox", "acr": "aal1",
	} {
		if told.body[name] != want {
			t.Errorf("an access token's %s is %v, want %v", name, told.body[name], want)
		}
	}
	if told.body["email"] != nil || told.body["username"] != nil || told.header.Get("Cache-Control") != "no-store" {
		t.Errorf("an access token tells %s", told.raw)
	}
	for name, answer := range map[string]*reply{
		"its own refresh token": c.introspect(refresh), "its own app token": c.introspect(own), "another app's user, of the same place": beside.introspect(access),
		"another app's own token, of the same place": beside.introspect(own), "a public app's": c.introspect(public.session().text("access_token")),
		"a gateway's": c.introspect(gateway.session().text("access_token")), "to a key that reaches it": byKey(key, access),
		"an app's own to a key": byKey(key, own), "a key's own refresh token": byKey(key, key.session().text("refresh_token")),
	} {
		if answer.body["active"] != true || answer.body["client_id"] == nil {
			t.Errorf("%s: %s", name, answer.raw)
		}
	}
	revoked := c.session()
	c.revoke(revoked.text("access_token")).want(200)
	used := c.session().text("refresh_token")
	c.post(tokenPath, c.refreshing(used)).want(200)
	off := h.confidentialApp()
	ofOff, ownOff := off.session().text("access_token"), off.own()
	off.switchTo(false)
	for name, answer := range map[string]*reply{
		"unknown":                          c.introspect("x"),
		"long":                             c.introspect(strings.Repeat("x", 20_000)),
		"cut short":                        c.introspect(access[:len(access)-2]),
		"an ID token":                      c.introspect(first.text("id_token")),
		"a key's token":                    c.introspect(key.token),
		"the secret":                       c.introspect(c.secret),
		"another app's refresh token":      beside.introspect(refresh),
		"a key's of an app":                byKey(key, refresh),
		"of the other environment":         elsewhere.introspect(access),
		"own of the other environment":     c.introspect(elsewhere.own()),
		"refresh of the other environment": elsewhere.introspect(refresh),
		"another account's key":            byKey(rival, access),
		"another account's key, own":       byKey(rival, own),
		"revoked":                          c.introspect(revoked.text("access_token")),
		"revoked refresh":                  c.introspect(revoked.text("refresh_token")),
		"used refresh":                     c.introspect(used),
		"of an app that is off":            c.introspect(ofOff),
		"own of an app that is off":        c.introspect(ownOff),
	} {
		if strings.TrimSpace(answer.raw) != inactive {
			t.Errorf("%s: %s", name, answer.raw)
		}
	}
	meant := gateway.session().text("access_token")
	h.userinfo("GET", meant).want(200)
	gateway.meanFor("https://api.example.test")
	h.userinfo("GET", meant).want(401)
	h.userinfo("GET", gateway.session().text("access_token")).want(200)
	if got := c.introspect(meant); strings.TrimSpace(got.raw) != inactive {
		t.Errorf("for whom the app does not mean its tokens any more: %s", got.raw)
	}
	h.call("PUT", "/api/v2/org/"+h.org+"/users/"+h.user, "active=false").want(200)
	if got := c.introspect(access); strings.TrimSpace(got.raw) != inactive {
		t.Errorf("of a user who is deactivated: %s", got.raw)
	}
}

// Covers R-144 for introspection and revocation.
func TestWhoMayAskAboutTokens(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	c, public := h.confidentialApp(), h.publicApp()
	token := c.session().text("access_token")
	for _, path := range []string{introspectPath, revokePath} {
		for name, form := range map[string]url.Values{
			"nobody": {}, "no secret": {"client_id": {c.app.ID}}, "a wrong secret": {"client_id": {c.app.ID}, "client_secret": {"x"}}, "unknown": {"client_id": {"x"}},
		} {
			c.post(path, with(form, "token", token)).wantOAuth(path+" by "+name, 401, "invalid_client")
		}
		c.post(path, c.proof()).wantOAuth(path+" without a token", 400, "invalid_request")
		c.post(path, with(c.proof(), "token", token), basic(c.app.ID, c.secret)).wantOAuth(path+" proven twice", 400, "invalid_request")
	}
	public.post(introspectPath, with(public.proof(), "token", token)).wantOAuth("a public app", 401, "invalid_client")
	if got := c.post(introspectPath, url.Values{"token": {token}}, basic(c.app.ID, c.secret)).want(200); got.body["active"] != true {
		t.Errorf("by Basic, after all that: %s", got.raw)
	}
}

// Covers R-147 for revocation: one's own ends with all that came of it, and for
// what is somebody else's nothing happens, in the same words.
func TestRevocation(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	c, beside, public := h.confidentialApp(), h.confidentialApp(), h.publicApp()
	first, other := c.session(), c.session()
	unknown := beside.revoke("x").want(200).raw
	for name, answer := range map[string]*reply{
		"another's access token": beside.revoke(first.text("access_token")), "another's refresh token": beside.revoke(first.text("refresh_token")),
		"another's, by a public app": public.revoke(first.text("access_token")), "another's own": beside.revoke(c.own()),
		"an ID token": c.revoke(first.text("id_token")), "by a key": h.app("acme", "sandbox").call("POST", revokePath, "token="+first.text("refresh_token")),
	} {
		if answer.want(200).raw != unknown {
			t.Errorf("%s: %s, want %s", name, answer.raw, unknown)
		}
	}
	first = c.post(tokenPath, c.refreshing(first.text("refresh_token"))).want(200) // nothing of it has ended
	c.revoke(c.own()).wantOAuth("an app's own token", 400, "unsupported_token_type")
	for name, end := range map[string]*reply{"an access token": first, "a refresh token": other} {
		raw := end.text(strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(name, "an "), "a "), " ", "_"))
		if answer := c.revoke(raw).want(200); answer.raw != unknown {
			t.Errorf("%s: %s", name, answer.raw)
		}
		c.revoke(raw).want(200)
		if got := c.introspect(end.text("access_token")); strings.TrimSpace(got.raw) != inactive {
			t.Errorf("after %s the access token is %s", name, got.raw)
		}
		c.post(tokenPath, c.refreshing(end.text("refresh_token"))).wantOAuth("a refresh after "+name, 400, "invalid_grant")
	}
	mine := public.session()
	public.revoke(mine.text("refresh_token")).want(200)
	public.post(tokenPath, public.refreshing(mine.text("refresh_token"))).wantOAuth("a public app's", 400, "invalid_grant")
	key := h.app("acme", "sandbox")
	ofKey := key.session()
	key.call("POST", revokePath, "token="+ofKey.text("access_token")).want(200)
	key.refresh(ofKey.text("refresh_token")).wantOAuth("a key's", 400, "invalid_grant")
}

// userinfo asks about the user of an access token.
func (h *house) userinfo(method, raw string) *reply {
	h.t.Helper()
	return h.as(raw).call(method, "/users-srv/userinfo")
}

// Userinfo tells what the scope of the token covers, by the subject that the ID
// token names.
func TestUserinfo(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	h.call("PUT", "/api/v2/org/"+h.org+"/users/"+h.user, "profile[given_name]=Ana", "profile[family_name]=Test", "profile[preferred_username]=ana").want(200)
	c, gateway := h.confidentialApp(), h.gatewayApp()
	session := c.session()
	for _, method := range []string{"GET", "POST"} {
		info := h.userinfo(method, session.text("access_token")).want(200)
		for name, want := range map[string]any{
			"sub": h.user, "email": "ana@acme.test", "email_verified": false, "name": "Ana Test", "given_name": "Ana", "family_name": "Test",
			"preferred_username": "ana", "phone_number": nil, "mobile_number": nil,
		} {
			if info.body[name] != want {
				t.Errorf("%s: %s is %v, want %v", method, name, info.body[name], want)
			}
		}
		if info.body["updated_at"] == nil || !strings.HasPrefix(info.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %s", method, info.raw)
		}
	}
	login := c.login()
	login.Scope = []string{"openid", "phone"}
	code, _ := c.codeOf(login, 0)
	phone := h.userinfo("GET", c.post(tokenPath, c.exchange(code)).want(200).text("access_token")).want(200)
	if phone.body["mobile_number"] != "+4915112345678" || phone.body["phone_number"] != "+4915112345678" || phone.body["email"] != nil || phone.body["name"] != nil {
		t.Errorf("with phone: %s", phone.raw)
	}
	narrow := c.post(tokenPath, with(c.refreshing(session.text("refresh_token")), "scope", "openid")).want(200)
	if info := h.userinfo("GET", narrow.text("access_token")).want(200); info.body["email"] != nil || narrow.body["scope"] != "openid" {
		t.Errorf("after a narrower refresh: %s", info.raw)
	}
	if info := h.userinfo("GET", gateway.session().text("access_token")).want(200); info.body["sub"] != "countersign|"+h.user {
		t.Errorf("of the gateway: %s", info.raw)
	}
	none := c.post(tokenPath, with(c.refreshing(narrow.text("refresh_token")), "scope", "email")).want(200)
	refused := h.userinfo("GET", none.text("access_token"))
	refused.wantOAuth("without openid", 403, "insufficient_scope")
	if got := refused.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="insufficient_scope"`) {
		t.Errorf("without openid: %q", got)
	}
	for name, raw := range map[string]string{
		"an ID token": session.text("id_token"), "a key's": h.token, "an app's own": c.own(), "a refresh token": none.text("refresh_token"), "a word": "x",
	} {
		answer := h.userinfo("GET", raw)
		answer.wantOAuth(name, 401, "invalid_token")
		if got := answer.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
			t.Errorf("%s: %q", name, got)
		}
	}
	c.revoke(none.text("refresh_token")).want(200)
	h.userinfo("GET", session.text("access_token")).wantOAuth("revoked", 401, "invalid_token")
}
