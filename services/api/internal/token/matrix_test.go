package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"maps"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/token"
)

// kind is a kind of token: a good one, and what reads it.
type kind struct {
	raw    string
	reader string
	alg    string
	typ    string
	// lasts: it is read after its end, too.
	lasts bool
	// wrong are claims that this kind is refused with, beside those that any
	// is; nil stands for none.
	wrong map[string]map[string]any
}

func with(name string, value any) map[string]any { return map[string]any{name: value} }

// kinds are all that there are.
func kinds(t *testing.T, s *token.Service) map[string]kind {
	t.Helper()
	headless := issueUser(t, s, loggedIn(), code)
	standard := issueUser(t, s, inApp(app.Standard), code)
	of := inApp(app.Standard)
	of.IDTokenAlg = token.RS256
	rsa := issueUser(t, s, of, code)
	gateway := issueUser(t, s, inApp(app.Gateway), code)

	standardIssuers := map[string]map[string]any{
		"the iss of an organization": with("iss", issuer+"/t/shop"), "the iss with a slash": with("iss", issuer+"/"),
		"the iss in capitals": with("iss", strings.ToUpper(issuer)),
	}
	contractIssuers := map[string]map[string]any{
		"another's iss": with("iss", issuer+"/t/rival"), "the iss without a path": with("iss", issuer), "no org": with("org", nil),
		"an org as a map": with("org", map[string]any{}), "another org": with("org", "rival"), "a nameless org": {"org": "", "iss": issuer + "/t/"},
		"another jtt": with("jtt", "refresh"), "no jtt": with("jtt", nil), "another's sub": with("sub", "saml|"+loggedIn().User.ID),
		"a sub without whose": with("sub", loggedIn().User.ID), "another ver": with("ver", 2), "no ver": with("ver", nil),
	}
	access := map[string]map[string]any{
		"no gid": with("gid", nil), "a gid that is none": with("gid", "x"), "no client": with("client_id", nil), "a client that is none": with("client_id", "x"),
	}
	standardAudience := map[string]map[string]any{
		"the client as aud": with("aud", client), "another's aud": with("aud", []string{"https://evil.example"}), "an empty aud": with("aud", []string{}),
		"the aud as a prefix": with("aud", []string{issuer + ".evil.example"}),
	}
	headlessAudience := map[string]map[string]any{
		"the client as aud": with("aud", key.ID), "another's aud": with("aud", []string{issuer + "/t/rival"}), "an empty aud": with("aud", []string{}),
		"the installation as aud": with("aud", []string{issuer}), "an app as client": with("client_id", client),
	}
	gatewayAudience := map[string]map[string]any{
		"an empty aud": with("aud", ""), "a list as aud": with("aud", []string{client}), "a number as aud": with("aud", 7),
		"the aud of a headless one": with("aud", []string{issuer + "/t/shop"}),
	}
	standardUser := map[string]map[string]any{"the app as sub": with("sub", client), "no auth_time": with("auth_time", nil), "a key as client": with("client_id", key.ID)}
	hint := map[string]map[string]any{
		"another azp": with("azp", "app_1111111111111111111111111111"), "no azp": with("azp", nil), "a list as aud": with("aud", []string{client, "x"}),
		"a key as client": {"aud": key.ID, "azp": key.ID}, "a jtt": with("jtt", "access"), "an org": with("org", "shop"),
	}
	return map[string]kind{
		"a key's token": {raw: issue(t, s), reader: "Read", alg: token.RS256, typ: "JWT", wrong: map[string]map[string]any{
			"another type": with("type", "access"), "no type": with("type", nil), "another account": with("tnt", "rival"), "no account": with("tnt", nil),
			"another jtt": with("jtt", "openid"), "no jtt": with("jtt", nil), "another's iss": with("iss", issuer+"/t/rival"),
			"a nameless account": {"tnt": "", "iss": issuer + "/t/"},
		}},
		"a user's token for a key":     {raw: headless.Access.Reveal(), reader: "ReadUser", alg: token.RS256, typ: "JWT", wrong: all(contractIssuers, access, headlessAudience)},
		"a user's token for an app":    {raw: standard.Access.Reveal(), reader: "ReadUser", alg: token.ES256, typ: "at+jwt", wrong: all(standardIssuers, access, standardAudience, standardUser)},
		"a user's token of a gateway":  {raw: gateway.Access.Reveal(), reader: "ReadUser", alg: token.RS256, typ: "JWT", wrong: all(contractIssuers, access, gatewayAudience)},
		"an app's own token":           {raw: issueApp(t, s).Reveal(), reader: "ReadApp", alg: token.ES256, typ: "at+jwt", wrong: all(standardIssuers, standardAudience, map[string]map[string]any{"a user as sub": with("sub", loggedIn().User.ID), "a gid": with("gid", loggedIn().Grant.ID), "another client": with("client_id", "app_1111111111111111111111111111"), "an auth_time": with("auth_time", now)})},
		"an ID token":                  {raw: standard.ID.Reveal(), reader: "ReadHint", alg: token.ES256, typ: "JWT", lasts: true, wrong: all(standardIssuers, hint)},
		"an ID token signed by RSA":    {raw: rsa.ID.Reveal(), reader: "ReadHint", alg: token.RS256, typ: "JWT", lasts: true, wrong: all(standardIssuers, hint)},
		"an ID token of a gateway":     {raw: gateway.ID.Reveal(), reader: "ReadHint", alg: token.RS256, typ: "JWT", lasts: true, wrong: all(contractIssuers, map[string]map[string]any{"an empty aud": with("aud", ""), "a list as aud": with("aud", []string{client}), "a key as client": with("cid", key.ID), "no client": with("cid", nil)})},
		"an ID token of a key's login": {raw: headless.ID.Reveal()},
	}
}

func all(lists ...map[string]map[string]any) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, list := range lists {
		maps.Copy(out, list)
	}
	return out
}

// readers are all that read a token.
func readers(t *testing.T, s *token.Service) map[string]func(string) error {
	return map[string]func(string) error{
		"Read":     func(raw string) error { _, _, _, err := s.Read(t.Context(), secret.New(raw)); return err },
		"ReadUser": func(raw string) error { _, err := s.ReadUser(t.Context(), secret.New(raw)); return err },
		"ReadApp":  func(raw string) error { _, err := s.ReadApp(t.Context(), secret.New(raw)); return err },
		"ReadHint": func(raw string) error { _, err := s.ReadHint(t.Context(), secret.New(raw)); return err },
	}
}

// Each kind of token is read by what reads it, and by nothing else.
// Covers R-145 for tokens of one kind as another.
func TestNoTokenPassesForAnother(t *testing.T) {
	t.Parallel()
	service, _ := mint(t)
	s := service()
	for name, k := range kinds(t, s) {
		for reader, read := range readers(t, s) {
			err := read(k.raw)
			if reader == k.reader && err != nil {
				t.Errorf("%s: %s: %v", name, reader, err)
			}
			if reader != k.reader && fault.KindOf(err) != fault.Unauthorized {
				t.Errorf("%s passes %s: %v", name, reader, err)
			}
		}
	}
}

// Each token is good but for one thing, and refused for it.
// Covers R-145 for every kind of token: what stands in the header, who has signed, and every claim.
// Covers R-132 for tokens.
func TestTokensThatAreWrong(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	s := m.service()
	for name, k := range kinds(t, s) {
		if k.reader == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := readers(t, s)[k.reader]
			refused := 0
			refuse := func(with, raw string) {
				t.Helper()
				refused++
				if err := read(raw); fault.KindOf(err) != fault.Unauthorized {
					t.Errorf("with %s: %v, want Unauthorized", with, err)
				}
			}
			f := forgery{t: t, m: m, kind: k}
			_, f.claims = opened(t, s, secret.New(k.raw))
			f.kid, f.key = m.newest(t, k.alg)
			if err := read(f.make(nil, nil)); err != nil {
				t.Fatalf("the forged token with nothing changed: %v", err)
			}
			for with, raw := range f.headers() {
				refuse(with, raw)
			}
			for with, raw := range f.shapes() {
				refuse(with, raw)
			}
			for with, changes := range f.wrongClaims() {
				refuse(with, f.make(nil, changes))
			}
			if refused < 40 {
				t.Errorf("%d refusals", refused)
			}
		})
	}
}

// forgery makes tokens of a kind that are wrong in one thing.
type forgery struct {
	t      *testing.T
	m      *minted
	kind   kind
	claims map[string]any
	kid    string
	key    any
}

func changed(whole, changes map[string]any) map[string]any {
	out := maps.Clone(whole)
	for name, value := range changes {
		if out[name] = value; value == nil {
			delete(out, name)
		}
	}
	return out
}

// make signs with the key that would sign, whatever the header says.
func (f forgery) make(header, claims map[string]any) string {
	f.t.Helper()
	return f.by(f.key, header, claims)
}

func (f forgery) by(key any, header, claims map[string]any) string {
	f.t.Helper()
	return forge(f.t, key, changed(map[string]any{"alg": f.kind.alg, "typ": f.kind.typ, "kid": f.kid}, header), changed(f.claims, claims))
}

// headers are tokens with another header, algorithm or key.
func (f forgery) headers() map[string]string {
	f.t.Helper()
	otherAlg := map[string]string{token.ES256: token.RS256, token.RS256: token.ES256}[f.kind.alg]
	otherKid, other := f.m.newest(f.t, otherAlg)
	strange := stranger256(f.t, f.kind.alg)
	out := map[string]string{
		"no typ": f.make(with("typ", nil), nil), "typ in another case": f.make(with("typ", strings.ToLower(f.kind.typ)+"X"), nil),
		"typ application": f.make(with("typ", "application/"+f.kind.typ), nil), "typ a list": f.make(with("typ", []string{f.kind.typ}), nil),
		"alg none": f.by(nil, with("alg", "none"), nil), "alg None, signed": f.make(with("alg", "None"), nil), "no alg": f.make(with("alg", nil), nil),
		"alg none and a signature":     f.make(with("alg", "none"), nil),
		"HS256 by the public key":      f.by(publicPEM(f.t, f.key), with("alg", "HS256"), nil),
		"HS256 by the other key":       f.by(publicPEM(f.t, other), map[string]any{"alg": "HS256", "kid": otherKid}, nil),
		"HS256 by the kid":             f.by(f.kid, with("alg", "HS256"), nil),
		"the other key's algorithm":    f.make(with("alg", otherAlg), nil),
		"the other kid":                f.make(with("kid", otherKid), nil),
		"the other kid and algorithm":  f.make(map[string]any{"alg": otherAlg, "kid": otherKid}, nil),
		"the other key's signature":    f.by(other, nil, nil),
		"RS512":                        f.make(with("alg", "RS512"), nil),
		"PS256":                        f.make(with("alg", "PS256"), nil),
		"ES384":                        f.make(with("alg", "ES384"), nil),
		"EdDSA":                        f.make(with("alg", "EdDSA"), nil),
		"a crit that nobody knows":     f.make(map[string]any{"crit": []string{"x"}, "x": 1}, nil),
		"no kid":                       f.make(with("kid", nil), nil),
		"an empty kid":                 f.make(with("kid", ""), nil),
		"a kid that is a number":       f.make(with("kid", 7), nil),
		"a kid that is a path":         f.make(with("kid", "../../../dev/null"), nil),
		"a kid that is SQL":            f.make(with("kid", "x' UNION SELECT '"+f.kid), nil),
		"a kid of nobody":              f.make(with("kid", "7f3b0a44-0000-4000-8000-00000000000f"), nil),
		"a stranger's signature":       f.by(strange, nil, nil),
		"a stranger's key in jwk":      f.by(strange, with("jwk", publicJWK(f.t, strange)), nil),
		"a stranger's jwk, and no kid": f.by(strange, map[string]any{"jwk": publicJWK(f.t, strange), "kid": nil}, nil),
		"a stranger's jku":             f.by(strange, with("jku", "https://evil.example/keys"), nil),
		"a stranger's x5u":             f.by(strange, with("x5u", "https://evil.example/keys"), nil),
	}
	for _, typ := range []string{"JWT", "at+jwt", "jwt", "JOSE", "logout+jwt"} {
		if typ != f.kind.typ {
			out["typ "+typ] = f.make(with("typ", typ), nil)
		}
	}
	return out
}

// shapes are texts that are no token, or half of one.
func (f forgery) shapes() map[string]string {
	head, rest, _ := strings.Cut(f.kind.raw, ".")
	claims, sign, _ := strings.Cut(rest, ".")
	return map[string]string{
		"nothing": "", "two dots": "..", "one dot": head + "." + claims, "no dot": head, "three dots": f.kind.raw + ".x", "no signature": head + "." + claims + ".",
		"no claims": head + ".." + sign, "no header": "." + claims + "." + sign, "cut short": f.kind.raw[:len(f.kind.raw)-2], "twice": f.kind.raw + f.kind.raw,
		"8 KiB and a byte": strings.Repeat("a", 8<<10+1), "10^5 dots": strings.Repeat(".", 100_000), "a blank in front": " " + f.kind.raw, "a line after": f.kind.raw + "\n",
		"JSON":       `{"payload":"` + claims + `","protected":"` + head + `","signature":"` + sign + `"}`,
		"oversized":  f.make(nil, with("more", strings.Repeat("a", 8<<10))),
		"five parts": head + ".a.b." + claims + "." + sign, "the claims of another": head + "." + encoded(f.t, changed(f.claims, with("sub", "x"))) + "." + sign,
	}
}

// wrongClaims are what any kind is refused for, with what this one is.
func (f forgery) wrongClaims() map[string]map[string]any {
	out := maps.Clone(f.kind.wrong)
	maps.Copy(out, map[string]map[string]any{
		"a foreign iss": with("iss", "https://evil.example"), "no iss": with("iss", nil), "an empty iss": with("iss", ""), "an iss as a list": with("iss", []string{issuer}),
		"iat in the future": with("iat", now+61), "nbf in the future": with("nbf", now+61), "no exp": with("exp", nil), "exp as a text": with("exp", "never"),
	})
	if !f.kind.lasts {
		maps.Copy(out, map[string]map[string]any{"exp at this moment": with("exp", now), "exp long ago": with("exp", 7), "exp below zero": with("exp", -1)})
	}
	if f.kind.reader != "Read" { // a key's token says who it is by its client
		maps.Copy(out, map[string]map[string]any{"no sub": with("sub", nil), "an empty sub": with("sub", ""), "no aud": with("aud", nil)})
	}
	return out
}

func stranger256(t *testing.T, algorithm string) any {
	t.Helper()
	if algorithm == token.RS256 {
		return otherKey(t)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// A hint may have expired: it says who somebody was (OpenID Connect
// RP-Initiated Logout 1.0 4). It says no more when its key is gone.
func TestHintsOutliveTheirEnd(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	s := m.service()
	standard, gateway := issueUser(t, s, inApp(app.Standard), code).ID, issueUser(t, s, inApp(app.Gateway), code).ID
	m.pass(24 * time.Hour)
	end := time.Unix(until, 0).UTC()
	want := map[string]token.Hint{
		standard.Reveal(): {Issuer: issuer, UserID: loggedIn().User.ID, ClientID: client, SessionID: session, Expiry: end},
		gateway.Reveal():  {Issuer: issuer + "/t/shop", Org: "shop", UserID: loggedIn().User.ID, ClientID: client, SessionID: session, Expiry: end},
	}
	for raw, hint := range want {
		if got, err := s.ReadHint(t.Context(), secret.New(raw)); err != nil || got != hint {
			t.Errorf("ReadHint = %+v, %v, want %+v", got, err, hint)
		}
	}
	if _, err := s.Rotate(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	m.pass(25 * time.Hour)
	for raw := range want {
		if _, err := s.ReadHint(t.Context(), secret.New(raw)); fault.KindOf(err) != fault.Unauthorized {
			t.Errorf("by a retired key: %v", err)
		}
	}
}
