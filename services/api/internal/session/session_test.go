package session_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

//
func TestASessionEndsWhenItIsIdleAndAfterADay(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		idle, _ := w.begin()
		w.pass(60*time.Minute - time.Millisecond)
		w.good("idle for almost an hour", idle)
		w.pass(60 * time.Minute)
		w.dead("idle for an hour", idle)

		used, of := w.begin()
		for range 48 {
			w.pass(30*time.Minute - time.Millisecond)
			w.good("in steady use", used)
		}
		w.pass(of.ExpiresAt.Sub(w.clock()) + time.Second)
		w.dead("24:00:01 with steady use", used)
		w.must(w.two.Sweep(t.Context()))
		if list, err := w.one.List(t.Context(), w.tenant, w.user.ID); err != nil || len(list) != 0 {
			t.Errorf("after the sweep %v, %v", list, err)
		}
	})
}

// Covers R-031 (a step up replaces the token, and the old one is dead at once).
func TestRaisingReplacesTheTokenAndAddsTheProof(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old, of := w.begin()
		if of.ACR != grant.OneFactor || !of.AuthTime.Equal(w.clock()) || of.Source != "192.0.2.0/24" {
			t.Errorf("it begins as %+v", of)
		}
		w.pass(10 * time.Minute)
		token, raised, err := w.two.Raise(t.Context(), w.good("before", old), grant.App)
		w.must(err)
		w.dead("the token of before", old)
		found := w.good("the new token", token)
		if found.ID != of.ID || found.ACR != grant.TwoFactors || !slices.Equal(found.AMR, []string{grant.Several, grant.App, grant.Password}) ||
			!found.AuthTime.Equal(of.AuthTime) || !found.ExpiresAt.Equal(of.ExpiresAt) || raised.ACR != found.ACR {
			t.Errorf("raised to %+v", found)
		}
		if _, _, err := w.one.Raise(t.Context(), of, grant.SMS); !errors.Is(err, session.ErrNone) {
			t.Errorf("raised once more from what it was: %v", err)
		}
		same, _, err := w.one.Raise(t.Context(), found, grant.App)
		w.must(err)
		if got := w.good("the same factor again", same); got.ACR != grant.TwoFactors || len(got.AMR) != 3 {
			t.Errorf("two codes of one factor: %+v", got)
		}
		w.good("the same factor again", same)
		w.pass(59 * time.Minute)
		w.good("an hour after the sign-in, and less after the proof", same)
		w.pass(59 * time.Minute)
		found = w.good("in use for two hours", same)
		same, _, err = w.two.Raise(t.Context(), found, grant.App)
		w.must(err)
		w.pass(59 * time.Minute)
		found = w.good("a proof that is younger than the hour, of a sign-in that is older", same)
		anew, _, err := w.one.Raise(t.Context(), found, grant.Password, grant.App)
		w.must(err)
		if got := w.good("signed in from the start", anew); !got.AuthTime.Equal(w.clock()) {
			t.Errorf("signed in from the start at %v, and it says %v", w.clock(), got.AuthTime)
		}
		if _, _, err := w.one.Raise(t.Context(), found, "face"); err == nil {
			t.Error("an unknown proof counts")
		}
	})
}

// Covers R-034 (rules: lists and ends; the grants of it end with it).
func TestASessionEndsWithWhatCameOfIt(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		token, of := w.begin()
		other, beside := w.begin()
		mine, offline := w.grant(of.ID, "api"), w.grant(of.ID, "api", grant.Offline)
		theirs, headless := w.grant(beside.ID), w.grant("")
		list, err := w.two.List(t.Context(), w.tenant, w.user.ID)
		w.must(err)
		if len(list) != 2 || list[0].Source == "" || list[0].CreatedAt.IsZero() || list[0].SeenAt.IsZero() {
			t.Errorf("the list is %+v", list)
		}
		stranger := w.tenant
		stranger.Env = tenant.Default
		w.must(w.one.End(t.Context(), stranger, of.ID, closed()))
		w.good("ended in another environment", token)
		w.must(w.two.End(t.Context(), w.tenant, of.ID, closed()))
		w.dead("ended", token)
		w.lives("of the session", mine, false)
		w.lives("offline", offline, true)
		w.lives("of another session", theirs, true)
		w.lives("of none", headless, true)

		third, of := w.begin()
		kept := w.grant(of.ID)
		w.must(w.one.EndUser(t.Context(), session.Whose{Tenant: w.tenant, UserID: w.user.ID}, of.ID, closed()))
		w.dead("another one", other)
		w.good("the one that is kept", third)
		w.lives("of another one", theirs, false)
		w.lives("of the one that is kept", kept, true)
		w.lives("of none", headless, true)
		w.must(w.one.EndUser(t.Context(), session.Whose{Tenant: w.tenant, UserID: w.user.ID}, "", closed()))
		w.dead("all", third)
	})
}

// Covers R-040 for sessions: users and organizations.
func TestWhoIsGoneHasNoSession(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		token, of := w.begin()
		mine, headless := w.grant(of.ID, grant.Offline), w.grant("")
		w.activate(false)
		w.dead("a user who is deactivated", token)
		if _, _, err := w.one.Begin(t.Context(), session.New{Tenant: w.tenant, UserID: w.user.ID, AMR: []string{grant.Password}}); !errors.Is(err, user.ErrNotFound) {
			t.Errorf("a deactivated user begins one: %v", err)
		}
		w.activate(true)
		w.dead("a user who is activated again", token)
		w.lives("of the session", mine, false)
		w.lives("of none", headless, true)

		token, of = w.begin()
		if _, err := w.stores[0].DeleteOrganization(t.Context(), w.tenant.Account, w.tenant.Org, "", w.clock()); err != nil {
			t.Fatal(err)
		}
		w.dead("an organization that is deleted", token)
		if _, _, err := w.one.Raise(t.Context(), of, grant.App); !errors.Is(err, session.ErrNone) {
			t.Errorf("raised in an organization that is deleted: %v", err)
		}
	})
}

// A token opens its own environment of its own organization and no other.
func TestATokenIsOfOneRealm(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		token, _ := w.begin()
		tenants := &tenant.Service{Store: w.stores[0], Now: w.clock}
		other, err := tenants.CreateOrganization(t.Context(), w.tenant.Account, tenant.NewOrganization{Name: "Other"})
		w.must(err)
		for _, realm := range []string{"", ".", w.org.Domain, w.org.Domain + ".default", other.Domain + ".sandbox", w.org.Domain + ".sandbox.", "none.sandbox", "shop.SANDBOX"} {
			if _, err := w.one.FindIn(t.Context(), realm, token); !errors.Is(err, session.ErrNone) {
				t.Errorf("in %q: %v", realm, err)
			}
		}
		for _, of := range []tenant.ID{
			{}, {Account: w.tenant.Account, Org: other.ID, Env: w.tenant.Env}, {Account: w.tenant.Account, Org: w.tenant.Org, Env: tenant.Default},
			{Account: id.UUID(), Org: w.tenant.Org, Env: w.tenant.Env},
		} {
			if _, err := w.one.Find(t.Context(), of, token); !errors.Is(err, session.ErrNone) {
				t.Errorf("in %+v: %v", of, err)
			}
		}
		for _, wrong := range []string{"", "x", token.Reveal() + "A", token.Reveal()[1:], id.Token().Reveal()} {
			w.dead("another text", secretOf(wrong))
		}
		w.good("its own", token)
	})
}

// Covers R-034 (addresses are masked).
func TestAddressesAreMasked(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"192.0.2.77": "192.0.2.0/24", "::ffff:192.0.2.77": "192.0.2.0/24", "2001:db8:1:2:3:4:5:6": "2001:db8:1::/48", "fe80::1%eth0": "fe80::/48",
	} {
		if got := session.Mask(netip.MustParseAddr(from)); got != want {
			t.Errorf("%s is shown as %q, want %q", from, got, want)
		}
	}
	if got := session.Mask(netip.Addr{}); got != "" {
		t.Errorf("no address is shown as %q", got)
	}
}

// Covers R-033 (a reset of factors: three sessions and two families end at once, in two processes).
func TestAResetEndsAllSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		one, of := w.begin()
		two, _ := w.begin()
		three, _ := w.begin()
		mine, headless := w.grant(of.ID, grant.Offline), w.grant("")
		bystander := w.user
		w.user = w.newUser("bob@acme.test")
		theirs, beside := w.begin()
		kept := w.grant(beside.ID)
		w.must(w.stores[1].Reset(t.Context(), w.tenant, bystander.ID, nil, w.clock()))
		w.dead("the first", one)
		w.dead("the second", two)
		w.dead("the third", three)
		w.lives("of the first", mine, false)
		w.lives("of none", headless, false)
		w.good("somebody else's", theirs)
		w.lives("of somebody else", kept, true)
	})
}
