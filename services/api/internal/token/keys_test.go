package token_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
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
	return m.forgeBy(t, rows[back], map[string]any{"kid": kid}, map[string]any{
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

// relyingParty verifies tokens with the keys that it has, as an app does. It
// asks any of the replicas.
type relyingParty struct {
	t        *testing.T
	replicas []*token.Service
	set      *jose.JSONWebKeySet
	asked    int
}

func (p *relyingParty) fetch() {
	p.set = published(p.t, p.replicas[p.asked%len(p.replicas)])
	p.asked++
}

func (p *relyingParty) verify(raw string) error {
	parsed, err := jwt.ParseSigned(raw, algorithms)
	if err != nil {
		return err
	}
	return parsed.Claims(p.set, &map[string]any{})
}

// Three replicas sign while an operator rotates at once, five times. Clients
// that look for keys they do not know never fail, whichever replica they ask,
// and neither do the replicas.
// Covers R-048 for rotation under load.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	replicas := []*token.Service{m.service(), m.service(), m.service()}
	operator := m.service()
	for _, s := range replicas {
		issue(t, s)
	}
	ctx, stop := context.WithCancel(t.Context())
	rounds := make(chan struct{}, 10_000)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			p := &relyingParty{t: t, replicas: replicas, asked: worker}
			p.fetch()
			for i := 0; ctx.Err() == nil; i++ {
				raw := issue(t, replicas[(worker+i)%3])
				if err := p.verify(raw); errors.Is(err, jose.ErrJWKSKidNotFound) {
					p.fetch()
				}
				if err := p.verify(raw); err != nil {
					t.Errorf("a client cannot verify a token: %v", err)
				}
				if _, _, _, err := replicas[(worker+i+1)%3].Read(t.Context(), secret.New(raw)); err != nil {
					t.Errorf("a replica cannot verify a token: %v", err)
				}
				rounds <- struct{}{}
			}
		})
	}
	wait := func(n int) {
		for range n {
			<-rounds
		}
	}
	wait(20)
	for range 5 {
		m.pass(2 * time.Second) // the load makes no unknown key id before this one
		next := rotate(t, operator, 0)
		wait(20)
		m.pass(time.Minute) // by now everybody has loaded it
		wait(20)
		for _, s := range replicas {
			// One call of a replica loads; those beside it do not wait.
			for end := time.Now().Add(time.Minute); kid(t, issue(t, s)) != next.ID; {
				if time.Now().After(end) {
					t.Fatal("a replica goes on signing with an old key")
				}
			}
		}
	}
	stop()
	group.Wait()
}

// The first tokens of a new key come to a replica many at once, before it has
// heard of the key: one of them has it ask, and none is refused meanwhile.
// Covers R-048 for the first moment of a key.
func TestANewKeyIsKnownToAllWhoBringItAtOnce(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	reads, operator := m.service(), m.service()
	issue(t, reads)
	for range 20 {
		m.pass(2 * time.Second)
		rotate(t, operator, 0)
		raw := secret.New(issue(t, operator))
		var group sync.WaitGroup
		start := make(chan struct{})
		for range 32 {
			group.Go(func() {
				<-start
				if _, _, _, err := reads.Read(t.Context(), raw); err != nil {
					t.Errorf("refused: %v", err)
				}
			})
		}
		close(start)
		group.Wait()
	}
}

// Clients that keep the keys for as long as they may, and never look before,
// do not fail either when the new key is published before it signs.
// Covers R-048 for clients with caches.
func TestRotationBehindCaches(t *testing.T) {
	t.Parallel()
	m := newMinted(t)
	replicas := []*token.Service{m.service(), m.service()}
	var clients [12]struct {
		relyingParty
		until time.Time
	}
	kids := map[string]bool{}
	for step := range 80 { // of five seconds
		m.pass(5 * time.Second)
		if step == 13 {
			rotate(t, m.service(), token.Lead)
		}
		raw := issue(t, replicas[step%2])
		kids[kid(t, raw)] = true
		for i := range clients {
			c := &clients[i]
			c.t, c.replicas = t, replicas
			if step%len(clients) == i && !m.clock().Before(c.until) || c.set == nil {
				c.fetch()
				c.until = m.clock().Add(token.PublicLife)
			}
			if err := c.verify(raw); err != nil {
				t.Errorf("step %d: client %d: %v", step, i, err)
			}
		}
	}
	if len(kids) != 2 {
		t.Errorf("%d keys have signed, want 2", len(kids))
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
