package token_test

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"countersign.dev/pkg/fault"
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

// forge signs any claims and header with the service's newest key.
func (m *minted) forge(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	rows, err := m.store.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.forgeBy(t, rows[0], header, claims)
}

func (m *minted) forgeBy(t *testing.T, row token.SigningKey, header, claims map[string]any) string {
	t.Helper()
	der, err := m.keys.Open("token.signing_key", row.ID, row.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", row.ID)
	algorithm := jose.SignatureAlgorithm(row.Algorithm)
	for name, value := range header {
		if other, ok := value.(jose.SignatureAlgorithm); ok {
			algorithm = other
			continue
		}
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: private}, options)
	if err != nil {
		t.Fatal(err)
	}
	whole := maps.Clone(claims)
	for name, value := range claims {
		if number, ok := value.(float64); ok {
			whole[name] = int64(number) // 1e9 is no time
		}
	}
	raw, err := jwt.Signed(signer).Claims(whole).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Each token is good but for one thing. Neither reader takes any of them, and
// each takes its own kind and no other.
// Covers R-145 for access tokens of users and of API keys.
// Covers R-132 for access tokens.
func TestTokensOfTheWrongKind(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	s := m.service()
	good := issueUser(t, s, loggedIn(), "code")
	bearer := issue(t, s)
	readUser := func(raw string) error { _, err := s.ReadUser(t.Context(), secret.New(raw)); return err }
	readKey := func(raw string) error { _, _, _, err := s.Read(t.Context(), secret.New(raw)); return err }

	_, access := opened(t, s, good.Access)
	_, keys := opened(t, s, secret.New(bearer))
	now := float64(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC).Unix())
	with := func(claims map[string]any, name string, value any) map[string]any {
		changed := maps.Clone(claims)
		changed[name] = value
		if value == nil {
			delete(changed, name)
		}
		return changed
	}
	for kind, c := range map[string]struct {
		claims map[string]any
		read   func(string) error
		raw    string
	}{"a user's": {access, readUser, good.Access.Reveal()}, "a key's": {keys, readKey, bearer}} {
		if err := c.read(m.forge(t, nil, c.claims)); err != nil {
			t.Fatalf("%s: the forged token with nothing changed: %v", kind, err)
		}
		segments := strings.Split(c.raw, ".")
		wrong := map[string]string{
			"no typ":                m.forge(t, map[string]any{"typ": ""}, c.claims),
			"typ at+jwt":            m.forge(t, map[string]any{"typ": "at+jwt"}, c.claims),
			"typ jwt":               m.forge(t, map[string]any{"typ": "jwt"}, c.claims),
			"a kid that is a path":  m.forge(t, map[string]any{"kid": "../../../dev/null"}, c.claims),
			"a kid that is SQL":     m.forge(t, map[string]any{"kid": "x' UNION SELECT 'y"}, c.claims),
			"an empty kid":          m.forge(t, map[string]any{"kid": ""}, c.claims),
			"a kid that is no text": head(t, c.raw, "kid", 7),
			"a foreign iss":         m.forge(t, nil, with(c.claims, "iss", "https://evil.example/t/shop")),
			"another's iss":         m.forge(t, nil, with(c.claims, "iss", issuer+"/t/rival")),
			"no iss":                m.forge(t, nil, with(c.claims, "iss", nil)),
			"the iss without path":  m.forge(t, nil, with(c.claims, "iss", issuer)),
			"exp at this moment":    m.forge(t, nil, with(c.claims, "exp", now)),
			"no exp":                m.forge(t, nil, with(c.claims, "exp", nil)),
			"iat in the future":     m.forge(t, nil, with(c.claims, "iat", now+61)),
			"nbf in the future":     m.forge(t, nil, with(c.claims, "nbf", now+61)),
			"another jtt":           m.forge(t, nil, with(c.claims, "jtt", "openid")),
			"no jtt":                m.forge(t, nil, with(c.claims, "jtt", nil)),
			"alg none":              base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + segments[1] + ".",
			"alg none, signed":      base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + segments[1] + "." + segments[2],
			"HS256 by the key":      symmetricBy(t, s, c.raw),
			"RS512":                 m.forge(t, map[string]any{"alg": jose.RS512}, c.claims),
			"PS256":                 m.forge(t, map[string]any{"alg": jose.PS256}, c.claims),
			"another crit":          m.forge(t, map[string]any{"crit": []string{"x"}, "x": 1}, c.claims),
			"a stranger's key":      stranger(t, c.raw),
			"a stranger's jwk":      embedded(t, c.raw, "jwk"),
			"a stranger's jku":      embedded(t, c.raw, "jku"),
			"a stranger's x5u":      embedded(t, c.raw, "x5u"),
			"cut short":             c.raw[:len(c.raw)-2],
			"twice":                 c.raw + c.raw,
			"8 KiB and a byte":      strings.Repeat("a", 8<<10+1),
			"10^5 dots":             strings.Repeat(".", 100_000),
			"JSON":                  `{"payload":"` + segments[1] + `","protected":"` + segments[0] + `","signature":"` + segments[2] + `"}`,
			"a blank in front":      " " + c.raw,
		}
		for name, raw := range wrong {
			if err := c.read(raw); fault.KindOf(err) != fault.Unauthorized {
				t.Errorf("%s token with %s: %v, want Unauthorized", kind, name, err)
			}
		}
	}
	for name, raw := range map[string]string{
		"an ID token": good.ID.Reveal(), "a key's token": bearer,
		"no aud": m.forge(t, nil, with(access, "aud", nil)), "the client as aud": m.forge(t, nil, with(access, "aud", key.ID)),
		"another's aud": m.forge(t, nil, with(access, "aud", []string{issuer + "/t/rival", issuer})),
		"another ver":   m.forge(t, nil, with(access, "ver", 1)), "another provider's sub": m.forge(t, nil, with(access, "sub", "saml|"+loggedIn().User.ID)),
		"a sub of nobody": m.forge(t, nil, with(access, "sub", "countersign|")), "another org": m.forge(t, nil, with(access, "org", "rival")),
		"no org": m.forge(t, nil, with(access, "org", nil)), "an org as a map": m.forge(t, nil, with(access, "org", map[string]any{})),
	} {
		if err := readUser(raw); fault.KindOf(err) != fault.Unauthorized {
			t.Errorf("as a user's access token, %s: %v, want Unauthorized", name, err)
		}
	}
	for name, raw := range map[string]string{
		"an ID token": good.ID.Reveal(), "a user's access token": good.Access.Reveal(), "another type": m.forge(t, nil, with(keys, "type", "access")),
		"no type": m.forge(t, nil, with(keys, "type", nil)), "another account": m.forge(t, nil, with(keys, "tnt", "rival")),
	} {
		if err := readKey(raw); fault.KindOf(err) != fault.Unauthorized {
			t.Errorf("as a key's token, %s: %v, want Unauthorized", name, err)
		}
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

// symmetricBy signs with the public key as if it were a shared one.
func symmetricBy(t *testing.T, s *token.Service, raw string) string {
	t.Helper()
	public := published(t, s).Keys[0].Key.(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return resign(t, raw, jose.SigningKey{Algorithm: jose.HS256, Key: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})})
}

// embedded is a token that brings or names the key it is signed with.
func embedded(t *testing.T, raw, how string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(raw, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatal(err)
	}
	options := (&jose.SignerOptions{EmbedJWK: how == "jwk"}).WithType("JWT").WithHeader("kid", parsed.Headers[0].KeyID)
	if how != "jwk" {
		options = options.WithHeader(jose.HeaderKey(how), "https://evil.example/keys")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: otherKey(t)}, options)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}
