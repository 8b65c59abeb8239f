package api_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// shared makes all services of the parts stand on one short-lived store, which
// the test sees too.
func (p *parts) shared(t *testing.T) ephemeral.Store {
	t.Helper()
	store := p.short(t)
	p.short = func(*testing.T) ephemeral.Store { return store }
	return store
}

// slo finishes a logout that an app has begun.
func (b *browser) slo(org, app string, code secret.Text, target string) *reply {
	b.h.t.Helper()
	query := url.Values{"slo_code": {code.Reveal()}, "target_url": {target}}
	return b.visit(http.MethodGet, "/api/v1/tenants/"+org+"/"+app+"/oauth/token/slo-after-revoke-token?"+query.Encode(), nil)
}

// The code of a logout ends the session that it was made for in the browser
// that has it, once; whatever else comes with it is asked.
//
// Covers R-022 for the codes of a single logout.
// Covers R-028 for the codes of a single logout.
func TestACodeOfALogoutEndsItsSessionOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		logouts := &session.Logouts{Values: p.shared(t)}
		s := newStage(t, start(t, p))
		app, another, other := s.app(), s.app("Another shop"), s.elsewhere()
		offer := func(l login, client string) secret.Text {
			t.Helper()
			code, err := logouts.Offer(t.Context(), session.Logout{Tenant: l.session.Tenant, SessionID: l.session.ID, ClientID: client})
			if err != nil {
				t.Fatal(err)
			}
			return code
		}
		b := s.browser()
		l := s.signIn(b, app, s.user)
		kept := s.signIn(b, other.app, other.user)
		code := offer(l, app)
		if b.slo(s.org, app, code, afterLogout).wantTo(afterLogout); s.lives(l) || !s.lives(kept) || len(b.set().Realms()) != 1 {
			t.Error("not exactly the session of the code has ended")
		}
		l = s.signIn(b, app, s.user)
		wrong := offer(l, app)
		moved := session.Logout{Tenant: tenant.ID{Account: l.session.Tenant.Account, Org: l.session.Tenant.Org, Env: tenant.Default}, SessionID: l.session.ID, ClientID: app}
		misplaced, err := logouts.Offer(t.Context(), moved)
		if err != nil {
			t.Fatal(err)
		}
		// In this order: each try spoils the code that it shows.
		for _, c := range []struct {
			name, org, app string
			code           secret.Text
		}{
			{"used before", s.org, app, code},
			{"none", s.org, app, secret.Text{}},
			{"one that never was", s.org, app, secret.New(l.id[:43])},
			{"another client's", s.org, another, wrong},
			{"one that a stranger has seen", s.org, app, wrong},
			{"another session's", s.org, app, offer(s.signIn(s.browser(), app, s.user), app)},
			{"another environment's", s.org, app, misplaced},
			{"in another organization", other.org, app, offer(l, app)},
		} {
			asked := b.slo(c.org, c.app, c.code, afterLogout).wantTo(signOut)
			if !s.lives(l) {
				t.Fatalf("%s: the session has ended", c.name)
			}
			if c.name == "used before" {
				b.visit(http.MethodGet, asked.header.Get("Location"), nil).want(http.StatusOK)
			}
		}
		b.press(b.slo(s.org, app, code, afterLogout), session.Realm(s.org, "sandbox")).wantTo(afterLogout)
		if s.lives(l) {
			t.Error("the person has agreed, and the session is good")
		}
	})
}

// Covers R-022 for the codes of a single logout, on two services at once.
func TestACodeOfALogoutIsForOneOfMany(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		logouts := &session.Logouts{Values: p.shared(t)}
		s := newStage(t, start(t, p))
		second := *s.house
		second.base = open(t, p).base
		app := s.app()
		for range 3 {
			wanted := s.signIn(s.browser(), app, s.user)
			code, err := logouts.Offer(t.Context(), session.Logout{Tenant: wanted.session.Tenant, SessionID: wanted.session.ID, ClientID: app})
			if err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			var mu sync.Mutex
			ended := 0
			for i := range 32 {
				b := s.browser()
				if i%2 == 1 {
					b = second.browser()
				}
				b.keep(wanted.set())
				group.Go(func() {
					if b.slo(s.org, app, code, afterLogout).status != http.StatusSeeOther {
						t.Error("refused")
					}
					mu.Lock()
					defer mu.Unlock()
					if len(b.set().Realms()) == 0 {
						ended++
					}
				})
			}
			group.Wait()
			if s.lives(wanted) || ended == 0 {
				t.Error("nobody has ended the session")
			}
			again := s.signIn(s.browser(), app, s.user)
			if again.slo(s.org, app, code, afterLogout).wantTo(signOut); !s.lives(again) {
				t.Error("the code works twice")
			}
		}
	})
}
