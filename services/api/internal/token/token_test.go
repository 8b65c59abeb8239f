package token_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/token"
)

const issuer = "https://login.example.com"

// algorithms are those that a token may have.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256}

var key = apikey.Key{ID: "7f3b0a44-0000-4000-8000-000000000000", AccountDomain: "acme", Env: "sandbox", Scopes: []string{"users:read"}}

// minted is a token service on a real store, with a clock of its own.
type minted struct {
	store *sqlstore.Store
	keys  *seal.Keyring
	now   atomic.Int64
}

func newMinted(t *testing.T) *minted {
	t.Helper()
	m := &minted{}
	var err error
	if m.keys, err = seal.Parse("keys", seal.NewKey()); err != nil {
		t.Fatal(err)
	}
	if m.store, err = sqlstore.Open(t.Context(), sqlstore.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "x.db"), Keys: m.keys}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.store.Close() })
	if err := m.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.now.Store(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli())
	return m
}

func (m *minted) clock() time.Time { return time.UnixMilli(m.now.Load()).UTC() }

func (m *minted) pass(d time.Duration) { m.now.Add(d.Milliseconds()) }

// service is one more replica.
func (m *minted) service() *token.Service {
	return &token.Service{Store: m.store, Keys: m.keys, Issuer: issuer, Now: m.clock}
}

// mint is the parts of it that most tests need.
func mint(t *testing.T) (service func() *token.Service, pass func(time.Duration)) {
	t.Helper()
	m := newMinted(t)
	return m.service, m.pass
}

func issue(t *testing.T, s *token.Service) string {
	t.Helper()
	raw, err := s.Issue(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return raw.Reveal()
}

// Replicas that start at once share one signing key, and each reads what
// another has signed.
func TestReplicasShareTheirKey(t *testing.T) {
	t.Parallel()
	service, _ := mint(t)
	var group sync.WaitGroup
	tokens := make(chan string, 8)
	for range cap(tokens) {
		group.Go(func() {
			s := service()
			raw, err := s.Issue(context.WithoutCancel(t.Context()), key)
			if err != nil {
				t.Error(err)
				return
			}
			tokens <- raw.Reveal()
		})
	}
	group.Wait()
	close(tokens)
	reader := service()
	for raw := range tokens {
		id, account, env, err := reader.Read(t.Context(), secret.New(raw))
		if err != nil || id != key.ID || account != "acme" || env != "sandbox" {
			t.Errorf("Read = %s, %s, %s, %v", id, account, env, err)
		}
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	service, pass := mint(t)
	s := service()
	good := issue(t, s)
	elsewhere := service()
	elsewhere.Issuer = "https://other.example.com"
	foreign := issue(t, elsewhere)
	segments := strings.Split(good, ".")
	forged := segments[0] + "." + edit(t, segments[1], "cid", "somebody-else") + "." + segments[2]
	for name, raw := range map[string]string{
		"empty":                    "",
		"two segments":             segments[0] + "." + segments[1],
		"four segments":            good + ".x",
		"a changed claim":          forged,
		"no signature":             segments[0] + "." + segments[1] + ".",
		"alg none":                 base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + segments[1] + ".",
		"HS256 with a known key":   symmetric(t, good),
		"a key of nobody":          stranger(t, good),
		"another issuer":           foreign,
		"9 KiB":                    strings.Repeat("a", 9<<10),
		"a hundred thousand dots":  strings.Repeat(".", 100_000),
		"something that is no JWT": "a.b.c",
	} {
		if _, _, _, err := s.Read(t.Context(), secret.New(raw)); fault.KindOf(err) != fault.Unauthorized {
			t.Errorf("%s: %v, want Unauthorized", name, err)
		}
	}
	pass(token.Life - time.Second)
	if _, _, _, err := s.Read(t.Context(), secret.New(good)); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	pass(time.Second)
	if _, _, _, err := s.Read(t.Context(), secret.New(good)); fault.KindOf(err) != fault.Unauthorized {
		t.Errorf("at its end: %v, want Unauthorized", err)
	}
}

// edit changes one claim of an encoded segment.
func edit(t *testing.T, segment, name, value string) string {
	t.Helper()
	var claims map[string]any
	raw, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	claims[name] = value
	if raw, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// resign makes a token with the claims and header of another one.
func resign(t *testing.T, raw string, signer jose.SigningKey) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(raw, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatal(err)
	}
	made, err := jose.NewSigner(signer, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", parsed.Headers[0].KeyID))
	if err != nil {
		t.Fatal(err)
	}
	out, err := jwt.Signed(made).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func symmetric(t *testing.T, raw string) string {
	t.Helper()
	return resign(t, raw, jose.SigningKey{Algorithm: jose.HS256, Key: []byte("a public value of 32 bytes or so")})
}

func stranger(t *testing.T, raw string) string {
	t.Helper()
	return resign(t, raw, jose.SigningKey{Algorithm: jose.RS256, Key: otherKey(t)})
}

// otherKey is one that this service does not have.
func otherKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return private
}
