package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/grant"
)

// keysAt reads the published keys as an app's library does.
func (h *house) keysAt(path string) *jose.JSONWebKeySet {
	h.t.Helper()
	answer := h.as("").call("GET", path).want(200)
	if got := answer.header.Get("Cache-Control"); got != "public, max-age=60" {
		h.t.Errorf("%s: Cache-Control %q", path, got)
	}
	for _, private := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"dq"`, `"qi"`, "PRIVATE"} {
		if strings.Contains(answer.raw, private) {
			h.t.Errorf("%s publishes %s", path, private)
		}
	}
	set := &jose.JSONWebKeySet{}
	if err := json.Unmarshal([]byte(answer.raw), set); err != nil {
		h.t.Fatal(err)
	}
	for _, k := range set.Keys {
		if !k.IsPublic() || !k.Valid() || k.Use != "sig" || !slices.Contains(api.SigningAlgorithms(), k.Algorithm) || k.KeyID == "" || len(k.Certificates) != 1 {
			h.t.Errorf("%s: a key is not whole: %s", path, answer.raw)
		}
	}
	return set
}

// claimsOf verifies a token.
func claimsOf(t *testing.T, set *jose.JSONWebKeySet, raw string) map[string]any {
	t.Helper()
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := parsed.Claims(set, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// Every recorded way to ask for a user's tokens, verified by what is published.
// Covers R-145 for what an app verifies.
func TestTokensOfUsersInAllVariants(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		a := start(t, p).app("acme", "sandbox")
		const asForm, asJSON = "application/x-www-form-urlencoded", "application/json"
		for name, c := range map[string]struct{ path, contentType, body string }{
			"a form":                    {"/api/v2/oauth/token", asForm, "grant_type=authorization_code&code=%s"},
			"the code alone":            {"/oauth/token", asForm, "code=%s"},
			"JSON":                      {"/oauth/token", asJSON, `{"grant_type":"authorization_code","code":"%s"}`},
			"JSON labelled as a form":   {"/api/v2/oauth/token", asForm, `{"code":"%s"}`},
			"with the account's domain": {"/oauth/token", asForm, "code=%s&tenant_domain=acme"},
		} {
			answer := a.raw("POST", c.path, c.contentType, strings.NewReader(fmt.Sprintf(c.body, a.code()))).want(200)
			a.wantTokens(name, answer)
			a.wantTokens(name+", refreshed", a.refresh(answer.text("refresh_token")).want(200))
		}
	})
}

func (a *app) wantTokens(name string, answer *reply) {
	a.t.Helper()
	if answer.body["token_type"] != "Bearer" || answer.body["expires_in"] != 600.0 || fmt.Sprint(answer.body["scope"]) != "[openid email profile]" ||
		answer.header.Get("Cache-Control") != "no-store" || len(answer.body) != 6 {
		a.t.Errorf("%s: %s", name, answer.raw)
	}
	if org, rest, _ := strings.Cut(answer.text("refresh_token"), "."); org != a.org || len(rest) != 43 {
		a.t.Errorf("%s: the refresh token is one of %q", name, org)
	}
	set := a.keysAt("/t/" + a.org + "/.well-known")
	access, identity := claimsOf(a.t, set, answer.text("access_token")), claimsOf(a.t, set, answer.text("id_token"))
	for _, claims := range []map[string]any{access, identity} {
		if claims["iss"] != a.public+"/t/"+a.org || claims["sub"] != "countersign|"+a.user || claims["email"] != "ana@acme.test" ||
			claims["env"] != "sandbox" || claims["org"] != a.org {
			a.t.Errorf("%s: claims %v", name, claims)
		}
		if left := claims["exp"].(float64) - float64(time.Now().Unix()); left > 600 || left < 500 {
			a.t.Errorf("%s: the token lives for %v s", name, left)
		}
	}
	if access["jtt"] != "access" || access["client_id"] != a.key.ClientID || identity["jtt"] != "openid" || identity["aud"] != a.key.ClientID {
		a.t.Errorf("%s: access %v, identity %v", name, access, identity)
	}
}

func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		one := start(t, p)
		two := open(t, p)
		paths := []string{
			"/t/" + one.org + "/.well-known", "/t/" + one.org + "/.well-known/jwks", "/t/acme/.well-known", "/t/acme/.well-known/jwks", "/.well-known/jwks.json",
		}
		same := func(keys int) {
			t.Helper()
			for _, path := range paths {
				first, second := one.as("").call("GET", path).want(200), two.as("").call("GET", path).want(200)
				if first.raw != second.raw || len(one.keysAt(path).Keys) != keys {
					t.Errorf("%s: %s, and the other replica says %s; want %d keys", path, first.raw, second.raw, keys)
				}
			}
		}
		same(2)
		before := one.signIn(one.key("acme", "sandbox"))
		if _, err := one.admin.RotateSigningKeys(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		same(4)
		after := one.signIn(one.key("acme", "sandbox"))
		set := two.keysAt(paths[0])
		for _, raw := range []string{before, after} {
			claimsOf(t, set, raw)
			two.as(raw).call("GET", "/api/v2/organizations").want(200)
		}
		for _, domain := range []string{"nobody", "ACME", "acme%2f", "a..b", strings.Repeat("a", 64), "%00", "acme'--"} {
			for _, rest := range []string{"", "/jwks"} {
				one.as("").call("GET", "/t/"+domain+"/.well-known"+rest).wantFault(404, "not_found")
			}
		}
		one.call("DELETE", "/api/v2/organizations/"+one.org).want(200)
		one.as("").call("GET", paths[0]).wantFault(404, "not_found")
	})
}

// Whatever a client says of proofs, the tokens say what was recorded.
// Covers R-035 for the token paths.
func TestNobodySaysWhatWasProven(t *testing.T) {
	t.Parallel()
	a := start(t, embedded(t)).app("acme", "sandbox")
	forged := []string{
		"amr=mfa", "amr[]=otp", "acr=aal2", "acr_values=aal2", "auth_time=1", "max_age=0", "usage_type=MULTIFACTOR_AUTHENTICATION", "verificationType=TOTP",
		"scope=openid admin", "sub=countersign|x", "mfa=true",
	}
	for _, forgery := range append(forged, "") {
		more := []string{"x=y"}
		if forgery != "" {
			more = append(more, forgery)
		}
		when := time.Now().Add(-time.Minute)
		first := a.redeem("/oauth/token", a.code(func(n *grant.New) { n.AuthTime = when }), more...).want(200)
		second := a.refresh(first.text("refresh_token"), more...).want(200)
		set := a.keysAt("/.well-known/jwks.json")
		for _, answer := range []*reply{first, second} {
			for _, token := range []string{"access_token", "id_token"} {
				claims := claimsOf(t, set, answer.text(token))
				if fmt.Sprint(claims["amr"]) != "[pwd]" || claims["acr"] != "aal1" || claims["auth_time"] != float64(when.Unix()) || claims["sub"] != "countersign|"+a.user {
					t.Errorf("%s with %s: %v", token, forgery, claims)
				}
				if scope, listed := claims["scope"].([]any); listed && slices.Contains(scope, any("admin")) {
					t.Errorf("%s with %s: %v", token, forgery, claims)
				}
			}
		}
	}
}

// Tokens of users open nothing that an API key's does.
// Covers R-145 for tokens of users on the headless API.
func TestTokensOfUsersAreNoKeys(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	session := h.app("acme", "sandbox").session()
	for _, name := range []string{"access_token", "id_token", "refresh_token"} {
		h.as(session.text(name)).call("GET", "/api/v2/organizations").wantFault(401, "unauthorized")
	}
}
