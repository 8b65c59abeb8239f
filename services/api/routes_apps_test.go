package api_test

import (
	"net/url"
	"strings"

	"countersign.dev/pkg/fault"
	apps "countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
)

// What the routes of apps need is made here: an app of the gateway with a
// secret, and the login of the realm's user for it.

// addGatewayApp registers the app and logs the user in to it.
func (r *realm) addGatewayApp() {
	r.t.Helper()
	r.id("user")
	keyID := r.key(r.account, r.env).ClientID
	place, err := r.service.TenantOf(r.t.Context(), keyID, r.org)
	if err != nil {
		r.t.Fatal(err)
	}
	gateway, name, uris := apps.Gateway, r.word("label"), []string{backURL}
	registered, value, err := r.service.RegisterApp(r.t.Context(), place, apps.New{
		Type: apps.Confidential, Change: apps.Change{Name: &name, Profile: &gateway, RedirectURIs: &uris},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	c := &client{r.as(""), registered, r.note("secret", value.Reveal())}
	r.gatewayApp, r.ids["gateway app"] = c, registered.ID
	given := c.post("/org/"+r.org+"/oauth2/token", with(c.exchange(r.newGatewayCode()), "redirect_uri", backURL)).want(200)
	r.learn(given)
	r.gatewayRefresh, r.gatewayAccess = given.text("refresh_token"), given.text("access_token")
}

// newGatewayCode is a code for the app of the realm, with its grant.
func (r *realm) newGatewayCode() string {
	r.t.Helper()
	n := r.gatewayApp.login()
	n.RedirectURI, n.UserID = backURL, r.id("user")
	code, grantID := r.gatewayApp.codeOf(n, 0)
	r.gatewayGrant = grantID
	return r.note("authorization code", code)
}

// userToken is an access token of the user's login for the app, the first one
// where the login is over.
func (r *realm) userToken() string {
	r.t.Helper()
	r.id("gateway app")
	access, err := r.service.AccessOf(r.t.Context(), r.gatewayGrant)
	if fault.KindOf(err) == fault.Malformed {
		return r.gatewayAccess
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return r.note("token", access.Reveal())
}

// ofGateway reports whether a route is called by the realm's app.
func ofGateway(route pipeline.Route) bool {
	return strings.Contains(route.Path, "{organization}") || route.Path == "/oauth/revoke" || strings.HasPrefix(route.Path, "/token-srv/") && route.Path != tokenPath
}

// gatewaySamples are values for the parameters of routes that apps call, where
// they are others than on the routes of API keys.
var gatewaySamples = map[string]func(r *realm) string{
	"grant_type":       func(*realm) string { return "refresh_token" },
	"client_secret":    func(r *realm) string { r.id("gateway app"); return r.gatewayApp.secret },
	"refresh_token":    func(r *realm) string { r.id("gateway app"); return r.gatewayRefresh },
	"token":            func(r *realm) string { r.id("gateway app"); return r.gatewayRefresh },
	"authorization_id": func(r *realm) string { r.id("gateway app"); return r.gatewayGrant },
	"token_type_hint":  func(*realm) string { return "refresh_token" },
	"scope":            func(*realm) string { return grant.OpenID },
	"nonce":            func(r *realm) string { return r.word("nonce") },
}

// gatewayVariants are other requests of the app that succeed.
var gatewayVariants = map[string]func(r *realm, s *shot){
	"a code": func(r *realm, s *shot) {
		r.id("gateway app")
		s.form = with(r.gatewayApp.exchange(r.newGatewayCode()), "redirect_uri", backURL)
		s.form.Set("nonce", r.word("nonce"))
	},
	"an access token": func(r *realm, s *shot) {
		s.form = with(r.appProof(), "token", r.userToken())
	},
}

func (r *realm) appProof() url.Values {
	r.t.Helper()
	r.id("gateway app")
	return r.gatewayApp.proof()
}
