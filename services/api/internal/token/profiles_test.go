package token_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

const (
	client  = "app_2Dw3Fz0Yq8nS1m5kT7vB9xC4hJ6"
	session = "33333333-0000-4000-8000-000000000000"
	code    = "the code"
	// 03:04:05 and ten minutes after it, and when ana had proven who she is.
	now, until, proven = 1893553445.0, 1893554045.0, 1893553200.0
)

// inApp is ana's session with an app at the shop.
func inApp(profile string) grant.Session {
	of := loggedIn()
	given, family := "Ana", "Lima"
	of.ClientID, of.SessionID, of.Profile, of.IDTokenAlg = client, session, profile, token.ES256
	of.Scope = []string{"openid", "email", "profile", "phone"}
	of.User.Profile.GivenName, of.User.Profile.FamilyName = &given, &family
	of.User.UpdatedAt = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return of
}

func machine() app.App {
	return app.App{ID: client, Org: "shop", Tenant: tenant.ID{Account: "a", Org: "o", Env: "sandbox"}}
}

func issueApp(t *testing.T, s *token.Service) secret.Text {
	t.Helper()
	raw, err := s.IssueApp(t.Context(), machine(), []string{"orders:read", "orders:write"})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// wantHeader compares a header, the key id apart.
func wantHeader(t *testing.T, header map[string]any, want string) {
	t.Helper()
	if kid, _ := header["kid"].(string); kid == "" {
		t.Error("no kid")
	}
	delete(header, "kid")
	if text, _ := json.Marshal(header); string(text) != want {
		t.Errorf("header %s, want %s", text, want)
	}
}

func asJTI(claims map[string]any) map[string]any {
	claims["jti"] = "7f3b0a44-0000-4000-8000-000000000000"
	return claims
}

// The claims of the standard shape: RFC 9068 and OpenID Connect Core.
// Covers R-035 for tokens of apps.
// Covers R-146 for lives and claims of standard tokens.
func TestStandardTokens(t *testing.T) {
	t.Parallel()
	service, _ := mint(t)
	s := service()
	made := issueUser(t, s, inApp(app.Standard), code)
	if made.ExpiresIn != 600 {
		t.Errorf("expires in %d s, want 600", made.ExpiresIn)
	}
	header, claims := opened(t, s, made.Access)
	wantHeader(t, header, `{"alg":"ES256","typ":"at+jwt"}`)
	wantClaims(t, claims, map[string]any{
		"iss": issuer, "aud": []any{issuer}, "sub": loggedIn().User.ID, "client_id": client, "iat": now, "exp": until,
		"scope": "openid email profile phone", "scopes": []any{"openid", "email", "profile", "phone"}, "org": "shop", "env": "sandbox",
		"auth_time": proven, "amr": []any{"mfa", "pwd", "sms"}, "acr": "aal2", "sid": session, "gid": loggedIn().Grant.ID,
	})
	identity := map[string]any{
		"iss": issuer, "aud": client, "azp": client, "sub": loggedIn().User.ID, "iat": now, "exp": until, "nonce": "n-1", "auth_time": proven,
		"amr": []any{"mfa", "pwd", "sms"}, "acr": "aal2", "sid": session, "at_hash": leftHalf(made.Access.Reveal()), "c_hash": leftHalf(code),
		"email": "Ana@acme.test", "email_verified": true, "phone_number": "+4915112345678", "phone_number_verified": true,
		"name": "Ana Lima", "given_name": "Ana", "family_name": "Lima", "nickname": "Ana", "updated_at": 1893456000.0,
	}
	header, claims = opened(t, s, made.ID)
	wantHeader(t, header, `{"alg":"ES256","typ":"JWT"}`)
	wantClaims(t, asJTI(claims), maps.Clone(identity))

	// After a refresh, with an ID token for who reads RSA alone.
	of := inApp(app.Standard)
	of.Nonce, of.IDTokenAlg, of.Scope = "", token.RS256, []string{"openid"}
	made = issueUser(t, s, of, "")
	for _, name := range []string{
		"nonce", "c_hash", "email", "email_verified", "phone_number", "phone_number_verified", "name", "given_name", "family_name", "nickname", "updated_at",
	} {
		delete(identity, name)
	}
	identity["at_hash"] = leftHalf(made.Access.Reveal())
	header, claims = opened(t, s, made.ID)
	wantHeader(t, header, `{"alg":"RS256","typ":"JWT"}`)
	wantClaims(t, asJTI(claims), identity)

	header, claims = opened(t, s, issueApp(t, s))
	wantHeader(t, header, `{"alg":"ES256","typ":"at+jwt"}`)
	wantClaims(t, claims, map[string]any{
		"iss": issuer, "aud": []any{issuer}, "sub": client, "client_id": client, "iat": now, "exp": until, "org": "shop", "env": "sandbox",
		"scope": "orders:read orders:write", "scopes": []any{"orders:read", "orders:write"},
	})
}

// The claims that clients of both versions of the gateway read.
// Covers R-146 for lives and claims of the gateway's tokens.
func TestGatewayTokens(t *testing.T) {
	t.Parallel()
	service, _ := mint(t)
	s := service()
	of := inApp(app.Gateway)
	of.Audience = "https://shop.example"
	made := issueUser(t, s, of, code)
	common := map[string]any{
		"iss": issuer + "/t/shop", "sub": "countersign|" + loggedIn().User.ID, "aud": "https://shop.example", "client_id": client, "cid": client,
		"scp": "openid email profile phone", "tnt": "shop", "dbs": "sandbox", "env": "sandbox", "org": "shop", "ver": 1.0, "iat": now - 1, "exp": until,
		"auth_time": proven, "amr": []any{"mfa", "pwd", "sms"}, "acr": "aal2", "sid": session,
	}
	access := maps.Clone(common)
	maps.Copy(access, map[string]any{"jtt": "access", "gid": loggedIn().Grant.ID, "scope": []any{"openid", "email", "profile", "phone"}})
	header, claims := opened(t, s, made.Access)
	wantHeader(t, header, `{"alg":"RS256","iss":"`+issuer+`/t/shop","typ":"JWT"}`)
	wantClaims(t, claims, access)

	identity := maps.Clone(common)
	maps.Copy(identity, map[string]any{
		"jtt": "openid", "nonce": "n-1", "at_hash": leftHalf(made.Access.Reveal()), "c_hash": leftHalf(code), "email": "Ana@acme.test",
		"email_verified": true, "phone_number_verified": true, "identities": []any{}, "meta_data": map[string]any{}, "profile": map[string]any{
			"given_name": "Ana", "family_name": "Lima", "nickname": "Ana", "gender": nil, "birthdate": nil, "locale": nil, "picture": nil,
			"preferred_username": nil, "website": nil, "zoneinfo": nil,
		},
	})
	header, claims = opened(t, s, made.ID)
	wantHeader(t, header, `{"alg":"RS256","iss":"`+issuer+`/t/shop","typ":"JWT"}`)
	wantClaims(t, claims, identity)

	// Without an audience of its own, the app is it; clients of version 1 look
	// for c_hash and nonce also where there are none.
	of.Audience, of.Nonce = "", ""
	_, claims = opened(t, s, issueUser(t, s, of, "").ID)
	if claims["aud"] != client || claims["c_hash"] != "" || claims["nonce"] != "" {
		t.Errorf("after a refresh: %v", claims)
	}
}

// Access tokens of apps tell nothing of who their user is: they go to servers
// that need not know.
// Covers R-146 for addresses, numbers and names in access tokens.
func TestAccessTokensNameNobody(t *testing.T) {
	t.Parallel()
	service, _ := mint(t)
	s := service()
	for _, profile := range []string{app.Standard, app.Gateway} {
		made := issueUser(t, s, inApp(profile), code)
		_, claims := opened(t, s, made.Access)
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		for _, private := range []string{"acme.test", "4915112345678", "Lima", "Ana"} {
			if strings.Contains(string(text), private) {
				t.Errorf("%s: an access token has %s: %s", profile, private, text)
			}
		}
	}
}

// A profile that nobody knows gets no tokens.
func TestTokensOfNoProfile(t *testing.T) {
	t.Parallel()
	service, _ := mint(t)
	if made, err := service().IssueUser(t.Context(), inApp("other"), secret.Text{}); err == nil {
		t.Errorf("made %v", made)
	}
}
