package grant_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/tenant"
)

// Covers R-143 for rotation and for the reuse of a rotated token.
func TestAUsedRefreshTokenEndsTheFamily(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		first, beside := w.session(), w.session()
		second := w.next(first.Refresh)
		if second.Refresh.Reveal() == first.Refresh.Reveal() || second.Grant.ID != first.Grant.ID || second.AuthTime != first.AuthTime {
			t.Errorf("refreshed to %+v, from %+v", second.Grant, first.Grant)
		}
		third := w.next(second.Refresh)
		w.pass(grant.Grace + time.Millisecond)
		_, err := w.one.Refresh(t.Context(), first.Refresh, w.key.ID)
		w.refused("a token that was used", err)
		w.dead("reuse", third)
		if got := w.alarms(); len(got) != 1 || got[0].What != "refresh_token" || got[0].Grant.ID != first.Grant.ID {
			t.Errorf("alarms: %+v", got)
		}
		w.next(beside.Refresh)

		// Another client within the grace is no client that lost an answer.
		first = w.session()
		second = w.next(first.Refresh)
		_, err = w.one.Refresh(t.Context(), first.Refresh, w.other.ID)
		w.refused("another client", err)
		w.dead("reuse by another client", second)
	})
}

// Covers R-143 for a client that lost the answer.
func TestALostAnswerIsGivenAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		first := w.session()
		second := w.next(first.Refresh)
		for range 3 {
			w.pass(grant.Grace / 3)
			if again := w.next(first.Refresh); again.Refresh.Reveal() != second.Refresh.Reveal() || again.Grant.ID != first.Grant.ID {
				t.Error("a retry began a second family")
			}
		}
		w.must(w.one.Sweep(t.Context())) // within the grace it forgets nothing
		w.next(first.Refresh)
		third := w.next(second.Refresh)
		w.pass(grant.Grace)
		w.must(w.one.Sweep(t.Context()))
		w.next(second.Refresh)
		w.pass(time.Millisecond)
		w.must(w.one.Sweep(t.Context()))
		_, err := w.one.Refresh(t.Context(), second.Refresh, w.key.ID)
		w.refused("after the grace", err)
		w.dead("after the grace", third)
	})
}

// Of 32 parallel refreshes in two processes all get one successor.
// Covers R-143 for races.
func TestParallelRefreshesHaveOneSuccessor(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		last := w.session()
		for round := range 100 {
			var mu sync.Mutex
			successors := map[string]bool{}
			errs := w.together(32, func(ctx context.Context, s *grant.Service) error {
				next, err := s.Refresh(ctx, last.Refresh, w.key.ID)
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					successors[next.Refresh.Reveal()] = true
				}
				return err
			})
			for _, err := range errs {
				if err != nil && !busy(err) {
					t.Fatalf("round %d: %v", round, err)
				}
			}
			if len(successors) != 1 {
				t.Fatalf("round %d: %d successors, want 1", round, len(successors))
			}
			for successor := range successors {
				last.Refresh = secret.New(successor)
			}
		}
		if n := len(w.alarms()); n != 0 {
			t.Errorf("%d alarms", n)
		}
	})
}

// Covers R-143 for idle and absolute life.
func TestAFamilyEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		idle := w.session()
		w.pass(grant.Idle)
		_, err := w.one.Refresh(t.Context(), idle.Refresh, w.key.ID)
		w.refused("after seven idle days", err)

		busy := w.session()
		for range 29 {
			w.pass(24 * time.Hour)
			busy = w.next(busy.Refresh)
		}
		w.pass(24*time.Hour - time.Millisecond)
		busy = w.next(busy.Refresh)
		w.pass(time.Millisecond)
		w.dead("after thirty days", busy)
		if n := len(w.alarms()); n != 0 {
			t.Errorf("%d alarms", n)
		}
	})
}

// What a session rests on is looked at each time, in both processes.
// Covers R-040 for codes, refresh tokens and grants.
func TestWhatASessionRestsOn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		check := func(what string, end, restore func()) {
			t.Helper()
			session, code := w.session(), w.code(w.login())
			retried := w.next(session.Refresh) // within its grace
			end()
			_, err := w.two.Refresh(t.Context(), session.Refresh, w.key.ID)
			w.refused(what+": a retry", err)
			w.dead(what, retried)
			_, err = w.two.Redeem(t.Context(), code, w.bound())
			w.refused(what+": its code", err)
			if restore != nil {
				restore()
				w.next(retried.Refresh) // nothing was used up
			}
		}
		check("a user who is deactivated", func() { w.activate(w.user, false) }, func() { w.activate(w.user, true) })
		check("all of the user's grants", func() { w.must(w.two.RevokeUser(t.Context(), w.tenant, w.user.ID, "")) }, nil)
		check("a user who is deleted", func() {
			_, err := w.stores[1].DeleteUser(t.Context(), w.tenant, w.user.ID, w.clock())
			w.must(err)
		}, nil)
		w.user = w.newUser("ana@acme.test")
		key := w.key
		check("a key that is revoked", func() {
			_, err := w.stores[1].RevokeKey(t.Context(), w.tenant.Account, w.tenant.Env, w.key.ID, w.clock())
			w.must(err)
		}, nil)
		w.key = w.other
		check("an organization that is deleted", func() {
			_, err := w.stores[1].DeleteOrganization(t.Context(), w.tenant.Account, w.tenant.Org, "", w.clock())
			w.must(err)
		}, nil)
		w.key = key
	})
}

// Covers R-033 for refresh families.
func TestRevokingAUsersGrants(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		one, two, kept := w.session(), w.session(), w.session()
		ana := w.user
		w.user = w.newUser("bob@acme.test")
		bob := w.session()
		w.user = ana
		for _, stranger := range []tenant.ID{
			{Account: w.tenant.Account, Org: w.tenant.Org, Env: tenant.Default}, {Account: "x", Org: w.tenant.Org, Env: w.tenant.Env},
			{Account: w.tenant.Account, Org: "x", Env: w.tenant.Env}, {},
		} {
			w.must(w.one.RevokeUser(t.Context(), stranger, ana.ID, ""))
			w.must(w.one.Revoke(t.Context(), stranger, one.Grant.ID))
		}
		one = w.next(one.Refresh)
		w.must(w.one.RevokeUser(t.Context(), w.tenant, ana.ID, kept.Grant.ID))
		w.dead("the first", one)
		w.dead("the second", two)
		kept = w.next(kept.Refresh)
		bob = w.next(bob.Refresh)
		w.must(w.one.RevokeUser(t.Context(), w.tenant, ana.ID, ""))
		w.dead("the one that was kept", kept)
		w.must(w.one.Revoke(t.Context(), w.tenant, bob.Grant.ID))
		w.dead("one grant", bob)
	})
}

// A refresh may ask for less than was granted, and not for more; neither is
// for longer than this one token.
func TestARefreshMayNarrowItsScope(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		first := w.session()
		for _, wide := range [][]string{{"admin"}, {grant.OpenID, "admin"}, {grant.OpenID, ""}} {
			if _, err := w.one.Refresh(t.Context(), first.Refresh, w.key.ID, wide...); !errors.Is(err, grant.ErrScope) {
				t.Errorf("%q: %v, want invalid_scope", wide, err)
			}
		}
		narrow, err := w.two.Refresh(t.Context(), first.Refresh, w.key.ID, grant.OpenID)
		w.must(err)
		if len(narrow.Scope) != 1 || narrow.Scope[0] != grant.OpenID {
			t.Errorf("narrowed to %q", narrow.Scope)
		}
		if _, err := w.one.Refresh(t.Context(), first.Refresh, w.key.ID, "admin"); !errors.Is(err, grant.ErrScope) {
			t.Errorf("a retry that asks for more: %v", err)
		}
		if next := w.next(narrow.Refresh); len(next.Scope) != 3 {
			t.Errorf("after a narrow one: %q", next.Scope)
		}
	})
}

// Covers R-147 for what a refresh token is worth at this moment.
func TestWhoHoldsARefreshToken(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		held := func(raw secret.Text) (grant.Held, error) { return w.two.Holder(t.Context(), raw) }
		first := w.session()
		found, err := held(first.Refresh)
		w.must(err)
		if found.Grant.ID != first.Grant.ID || found.ClientID != w.key.ID || !found.ExpiresAt.Equal(w.clock().Add(grant.Idle)) {
			t.Errorf("held by %+v", found)
		}
		second := w.next(first.Refresh)
		_, err = held(first.Refresh)
		w.refused("a used one", err)
		for name, raw := range map[string]string{"none": "", "a word": "x", "another organization's": "shop2." + second.Refresh.Reveal()[len(w.org.Domain)+1:]} {
			_, err = held(secret.New(raw))
			w.refused(name, err)
		}
		w.pass(grant.Idle)
		_, err = held(second.Refresh)
		w.refused("an idle one", err)
	})
}

// A refresh token is revoked by the client that it was given to, used or not,
// and takes its grant with it.
func TestARefreshTokenIsRevoked(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		revoke := func(raw secret.Text, clientID string) string {
			ended, err := w.two.RevokeRefresh(t.Context(), raw, clientID)
			w.must(err)
			return ended.ID
		}
		first, beside := w.session(), w.session()
		second := w.next(first.Refresh)
		if got := revoke(second.Refresh, w.other.ID) + revoke(secret.New("x"), w.key.ID) + revoke(secret.Text{}, w.key.ID); got != "" {
			t.Errorf("others have ended %s", got)
		}
		second = w.next(second.Refresh)
		if got := revoke(first.Refresh, w.key.ID); got != first.Grant.ID {
			t.Errorf("a used one ended %q", got)
		}
		w.dead("revoked", second)
		if got := revoke(second.Refresh, w.key.ID); got != "" {
			t.Errorf("twice ended %q", got)
		}
		w.next(beside.Refresh)
	})
}
