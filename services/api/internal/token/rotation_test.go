package token_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/token"
)

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

// check verifies, and looks for keys once where the token's is not known.
func (p *relyingParty) check(raw string) {
	if err := p.verify(raw); errors.Is(err, jose.ErrJWKSKidNotFound) {
		p.fetch()
	}
	if err := p.verify(raw); err != nil {
		p.t.Errorf("a client cannot verify a token: %v", err)
	}
}

// Three replicas sign by both algorithms while an operator rotates both keys at
// once, five times. Clients that look for keys they do not know never fail,
// whichever replica they ask, and neither do the replicas.
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
				signs, reads := replicas[(worker+i)%3], replicas[(worker+i+1)%3]
				raw := issue(t, signs)
				p.check(raw)
				if _, _, _, err := reads.Read(t.Context(), secret.New(raw)); err != nil {
					t.Errorf("a replica cannot verify a key's token: %v", err)
				}
				own := issueApp(t, signs)
				p.check(own.Reveal())
				if _, err := reads.ReadApp(t.Context(), own); err != nil {
					t.Errorf("a replica cannot verify an app's token: %v", err)
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
		added, err := operator.Rotate(t.Context(), 0)
		if err != nil || len(added) != 2 {
			t.Fatalf("rotated %v, %v", added, err)
		}
		wait(20)
		m.pass(time.Minute) // by now everybody has loaded it
		wait(20)
		for _, s := range replicas {
			// One call of a replica loads; those beside it do not wait.
			for end := time.Now().Add(time.Minute); kid(t, issue(t, s)) != added[0].ID || kid(t, issueApp(t, s).Reveal()) != added[1].ID; {
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
