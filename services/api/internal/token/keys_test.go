package token_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/token"
)

// rotate adds the next key of RS256, which signs what an API key gets.
func rotate(t *testing.T, s *token.Service, lead time.Duration) token.KeyStatus {
	t.Helper()
	added, err := s.Rotate(t.Context(), lead, token.RS256)
	if err != nil {
		t.Fatal(err)
	}
	if len(added) != 1 || added[0].Algorithm != token.RS256 {
		t.Fatalf("rotated %+v, want one key of RS256", added)
	}
	return added[0]
}

// state is the list of a replica's keys of RS256 in words, newest first, and
// how many are published.
func state(t *testing.T, s *token.Service) string { return stateOf(t, s, token.RS256) }

func stateOf(t *testing.T, s *token.Service, algorithm string) string {
	t.Helper()
	all, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, k := range all {
		if k.Algorithm == algorithm {
			words = append(words, string(k.State))
		}
	}
	count := 0
	for _, k := range published(t, s).Keys {
		if k.Algorithm == algorithm {
			count++
		}
	}
	return fmt.Sprint(strings.Join(words, " "), ", ", count, " published")
}

// kid is the key that has signed a token.
func kid(t *testing.T, raw string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(raw, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0].KeyID
}

// A new key is published, then signs; the old one verifies for as long as
// somebody can have a token of it, and a day; then it is gone.
// Covers R-048 for how long keys are published.
func TestTheLifeOfASigningKey(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	one, two, operator := m.service(), m.service(), m.service()
	first := issue(t, one)
	issue(t, two)
	want := func(when, words string) {
		t.Helper()
		for name, s := range map[string]*token.Service{"one": one, "two": two, "the operator": operator} {
			if got := state(t, s); got != words {
				t.Errorf("%s, %s: %s, want %s", when, name, got, words)
			}
		}
	}
	want("at first", "signing, 1 published")
	next := rotate(t, operator, token.Lead)
	if next.State != token.Next || !next.StartsAt.Equal(m.clock().Add(token.Lead)) || !next.LeavesAt.IsZero() {
		t.Errorf("rotated to %+v", next)
	}
	want("before its start", "next signing, 2 published")
	m.pass(token.Lead - time.Millisecond)
	late := issue(t, one)
	if kid(t, late) != kid(t, first) {
		t.Error("the new key signs before its start")
	}
	m.pass(time.Millisecond)
	want("at its start", "signing verifying, 2 published")
	for _, s := range []*token.Service{one, two} {
		if kid(t, issue(t, s)) != next.ID {
			t.Error("the new key does not sign")
		}
		if _, _, _, err := s.Read(t.Context(), secret.New(late)); err != nil {
			t.Errorf("the old key does not verify: %v", err)
		}
	}
	m.pass(25*time.Hour - time.Millisecond)
	want("25 hours later, nearly", "signing verifying, 2 published")
	old := m.signedBy(t, kid(t, first), 1)
	if _, _, _, err := one.Read(t.Context(), secret.New(old)); err != nil {
		t.Errorf("to the last moment: %v", err)
	}
	m.pass(time.Millisecond)
	for _, s := range []*token.Service{one, two} {
		if _, _, _, err := s.Read(t.Context(), secret.New(old)); fault.KindOf(err) != fault.Unauthorized {
			t.Errorf("a retired key verifies: %v", err)
		}
	}
	want("25 hours later", "signing retired, 1 published")

	// In a hurry: it overtakes one that waits.
	rotate(t, operator, time.Hour)
	rotate(t, operator, 0)
	want("at once", "signing next verifying retired, 3 published")
	m.pass(time.Hour)
	want("the overtaken one never signs", "signing verifying verifying retired, 3 published")
	m.pass(24*time.Hour - time.Millisecond)
	want("nearly 25 hours after it was overtaken", "signing verifying verifying retired, 3 published")
	m.pass(time.Millisecond)
	want("a key leaves by the first of its successors", "signing retired retired retired, 1 published")
	if _, err := operator.Rotate(t.Context(), -time.Second); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a start in the past: %v", err)
	}
}

// Each algorithm rotates for itself, and what has no name is none.
func TestAlgorithmsRotateApart(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	s := m.service()
	if _, err := s.Rotate(t.Context(), time.Hour, token.ES256); err != nil {
		t.Fatal(err)
	}
	if rsa, elliptic := state(t, s), stateOf(t, s, token.ES256); rsa != "signing, 1 published" || elliptic != "next signing, 2 published" {
		t.Errorf("RS256: %s; ES256: %s", rsa, elliptic)
	}
	m.pass(time.Hour)
	rotate(t, s, 0)
	if rsa, elliptic := state(t, s), stateOf(t, s, token.ES256); rsa != "signing verifying, 2 published" || elliptic != "signing verifying, 2 published" {
		t.Errorf("RS256: %s; ES256: %s", rsa, elliptic)
	}
	m.pass(25 * time.Hour)
	if rsa, elliptic := state(t, m.service()), stateOf(t, s, token.ES256); rsa != "signing retired, 1 published" || elliptic != "signing retired, 1 published" {
		t.Errorf("RS256: %s; ES256: %s", rsa, elliptic)
	}
	if _, err := s.Rotate(t.Context(), 0, "HS256"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("HS256: %v", err)
	}
}

// signedBy makes a good token of any of the keys; back is its place from the
// newest.
func (m *minted) signedBy(t *testing.T, kid string, back int) string {
	t.Helper()
	rows, err := m.store.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if rows[back].ID != kid {
		t.Fatal("the test looks at another key")
	}
	now := m.clock().Unix()
	return forge(t, m.opened(t, rows[back]), map[string]any{"alg": "RS256", "typ": "JWT", "kid": kid}, map[string]any{
		"type": "api_v2", "jtt": "api_key", "cid": key.ID, "tnt": "acme", "iss": issuer + "/t/acme", "iat": now - 1, "exp": now + 3600,
	})
}

// Every replica publishes the same bytes.
func TestReplicasPublishTheSame(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	rotate(t, m.service(), 0)
	var first string
	for range 4 {
		all, err := m.service().PublicKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(all)
		if first == "" {
			first = got
		}
		if got != first || len(all) != 3 {
			t.Errorf("published:\n%s, want\n%s", got, first)
		}
	}
	for _, k := range published(t, m.service()).Keys {
		certificate := k.Certificates[0]
		if err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
			t.Errorf("the certificate is not signed by its key: %v", err)
		}
		if certificate.NotBefore.After(m.clock()) || certificate.NotAfter.Before(m.clock().AddDate(10, 0, 0)) {
			t.Errorf("the certificate is good from %v to %v", certificate.NotBefore, certificate.NotAfter)
		}
	}
}

// A key id that nobody has asks the store once a second.
func TestUnknownKeysAskSeldom(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	s := m.service()
	strange := stranger(t, issue(t, s)) // with a key id that is known
	unknown := head(t, strange, "kid", "7f3b0a44-0000-4000-8000-00000000000f")
	if _, _, _, err := s.Read(t.Context(), secret.New(unknown)); fault.KindOf(err) != fault.Unauthorized {
		t.Fatal(err)
	}
	rotate(t, m.service(), 0)
	fresh := issue(t, m.service())
	if _, _, _, err := s.Read(t.Context(), secret.New(fresh)); fault.KindOf(err) != fault.Unauthorized {
		t.Errorf("within the second: %v: it asked the store again", err)
	}
	m.pass(time.Second)
	if _, _, _, err := s.Read(t.Context(), secret.New(fresh)); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

// What is known goes on while the database is away.
func TestTokensOutliveTheDatabase(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	s := m.service()
	raw := issue(t, s)
	if err := m.store.Close(); err != nil {
		t.Fatal(err)
	}
	m.pass(2 * time.Minute)
	issue(t, s)
	if _, _, _, err := s.Read(t.Context(), secret.New(raw)); err != nil {
		t.Error(err)
	}
	if _, err := s.PublicKeys(t.Context()); err == nil {
		t.Error("published keys that may be old")
	}
}

// A retired key is not opened: the keyring that sealed it may be gone.
func TestARetiredKeyIsNotOpened(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	issue(t, m.service())
	before := m.keys
	fresh, err := seal.Parse("keys", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	adding := m.service()
	if err := adding.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	adding.Keys = fresh
	if _, err := adding.Rotate(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	m.pass(25*time.Hour - time.Millisecond)
	m.keys = fresh
	if err := m.service().Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_SEAL_KEYS") {
		t.Errorf("while the old key verifies: %v, want to hear of the keyring", err)
	}
	m.pass(time.Millisecond)
	issue(t, m.service())
	m.keys = before
	if err := m.service().Prepare(t.Context()); err == nil {
		t.Error("the new key opened with the old keyring")
	}
}

// The clock of whoever made the only key may be ahead.
func TestTheOnlyKeySignsWhateverTheClockSays(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	issue(t, m.service())
	m.pass(-time.Minute)
	issue(t, m.service())
}
