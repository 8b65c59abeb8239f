package token_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
	"countersign.dev/services/api/internal/user"
)

var nickname = "Ana"

// loggedIn is a session of ana at the shop.
func loggedIn() grant.Session {
	return grant.Session{
		Grant: grant.Grant{
			ID: "11111111-0000-4000-8000-000000000000", Tenant: tenant.ID{Account: "a", Org: "o", Env: "sandbox"},
			UserID: "22222222-0000-4000-8000-000000000000", ClientID: key.ID, Scope: []string{"openid", "email", "profile"},
			AMR: []string{"mfa", "pwd", "sms"}, ACR: "aal2", AuthTime: time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC),
		},
		User: user.User{
			ID: "22222222-0000-4000-8000-000000000000", Email: user.Address{Written: "Ana@acme.test"}, EmailVerified: true, Phone: "+4915112345678",
			PhoneVerified: true, Profile: user.Profile{Nickname: &nickname},
		},
		Org: "shop", Nonce: "n-1",
	}
}

func issueUser(t *testing.T, s *token.Service, of grant.Session, code string) token.Tokens {
	t.Helper()
	made, err := s.IssueUser(t.Context(), of, secret.New(code))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// opened verifies a token with the published keys, as an app does, and returns
// its header and claims.
func opened(t *testing.T, s *token.Service, raw secret.Text) (header, claims map[string]any) {
	t.Helper()
	parsed, err := jwt.ParseSigned(raw.Reveal(), algorithms)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Claims(published(t, s), &claims); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(raw.Reveal(), ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	return header, claims
}

// published is the key set of a replica as go-jose reads it.
func published(t *testing.T, s *token.Service) *jose.JSONWebKeySet {
	t.Helper()
	all, err := s.PublicKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set := &jose.JSONWebKeySet{}
	for _, k := range all {
		fields := map[string]any{"kty": k.Type, "use": "sig", "alg": k.Algorithm, "kid": k.ID, "x5c": []string{k.Certificate}}
		for name, value := range map[string]string{"n": k.Modulus, "e": k.Exponent, "crv": k.Curve, "x": k.X, "y": k.Y} {
			if value != "" {
				fields[name] = value
			}
		}
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		var one jose.JSONWebKey
		if err := json.Unmarshal(text, &one); err != nil { // also compares the key with that in the certificate
			t.Fatal(err)
		}
		if !one.Valid() || !one.IsPublic() || len(one.Certificates) != 1 {
			t.Fatalf("a published key is not whole: %s", text)
		}
		set.Keys = append(set.Keys, one)
	}
	return set
}

// The claims are those that the contract has recorded, and those of the proofs.
// Covers R-035 for amr, acr and auth_time in tokens.
func TestTokensOfAUser(t *testing.T) {
	t.Parallel()
	service, _ := mint(t)
	s := service()
	const code = "the code"
	made := issueUser(t, s, loggedIn(), code)
	const at, until = 1893553444.0, 1893554045.0 // 03:04:04, since iat lies in the past, and ten minutes after 03:04:05
	common := map[string]any{
		"iss": issuer + "/t/shop", "sub": "countersign|22222222-0000-4000-8000-000000000000", "ver": 3.0, "env": "sandbox", "org": "shop",
		"iat": at, "exp": until, "auth_time": 1893553200.0, "amr": []any{"mfa", "pwd", "sms"}, "acr": "aal2", "email": "Ana@acme.test",
	}
	access := maps.Clone(common)
	maps.Copy(access, map[string]any{
		"aud": []any{issuer + "/t/shop"}, "client_id": key.ID, "gid": "11111111-0000-4000-8000-000000000000", "jtt": "access",
		"scope": []any{"openid", "email", "profile"},
	})
	header, claims := opened(t, s, made.Access)
	if header["typ"] != "JWT" || header["alg"] != "RS256" || header["iss"] != issuer+"/t/shop" || header["kid"] == nil || len(header) != 4 {
		t.Errorf("header: %v", header)
	}
	wantClaims(t, claims, access)

	identity := maps.Clone(common)
	maps.Copy(identity, map[string]any{
		"aud": key.ID, "jtt": "openid", "nonce": "n-1", "at_hash": leftHalf(made.Access.Reveal()), "c_hash": leftHalf(code), "email_verified": true,
		"phone_number_verified": true, "identities": []any{}, "meta_data": map[string]any{}, "profile": map[string]any{
			"given_name": nil, "family_name": nil, "nickname": "Ana", "gender": nil, "birthdate": nil, "locale": nil, "picture": nil,
			"preferred_username": nil, "website": nil, "zoneinfo": nil,
		},
	})
	header, claims = opened(t, s, made.ID)
	if header["typ"] != "JWT" || header["iss"] != issuer+"/t/shop" {
		t.Errorf("header: %v", header)
	}
	wantClaims(t, claims, identity)

	got, err := s.ReadUser(t.Context(), made.Access)
	want := token.Access{
		ID: got.ID, GrantID: loggedIn().Grant.ID, UserID: loggedIn().User.ID, ClientID: key.ID, Org: "shop", Env: "sandbox", Scope: loggedIn().Scope,
		AMR: loggedIn().AMR, ACR: "aal2", AuthTime: loggedIn().AuthTime, Audience: issuer + "/t/shop",
		IssuedAt: time.Unix(at, 0).UTC(), Expiry: time.Unix(until, 0).UTC(),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadUser = %+v, %v, want %+v", got, err, want)
	}
}

func wantClaims(t *testing.T, got, want map[string]any) {
	t.Helper()
	if jti, _ := got["jti"].(string); !id.IsUUID(jti) {
		t.Errorf("jti is %v", got["jti"])
	}
	delete(got, "jti")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("claims:\n%v, want\n%v", got, want)
	}
}

func leftHalf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// What a scope does not cover is in no token, and a refresh has no code.
func TestScopesLimitClaims(t *testing.T) {
	t.Parallel()
	service, _ := mint(t)
	s := service()
	of := loggedIn()
	of.Scope = []string{"openid"}
	made := issueUser(t, s, of, "")
	for _, raw := range []secret.Text{made.Access, made.ID} {
		_, claims := opened(t, s, raw)
		for _, name := range []string{"email", "email_verified", "profile", "c_hash"} {
			if claims[name] != nil {
				t.Errorf("%s: %v", name, claims[name])
			}
		}
	}
	of.Scope = []string{"email"}
	if made := issueUser(t, s, of, ""); !made.ID.IsZero() {
		t.Error("an ID token without openid")
	}
}

// head is a token with one field of its header changed, and the old signature.
func head(t *testing.T, raw, name string, value any) string {
	t.Helper()
	first, rest, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	header[name] = value
	if text, err = json.Marshal(header); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text) + "." + rest
}
