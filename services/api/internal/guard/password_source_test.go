package guard_test

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/tenant"
)

var (
	v4      = netip.MustParseAddr("192.0.2.1")
	otherV4 = netip.MustParseAddr("192.0.2.2")
	mapped  = netip.MustParseAddr("::ffff:192.0.2.1")
)

// from is somebody new, at a source.
func (g *gate) from(source netip.Addr) guard.Whose {
	w := g.nobody()
	w.Source = source
	return w
}

// onStores runs a test on each store of short-lived state.
func onStores(t *testing.T, test func(t *testing.T, g *gate)) {
	t.Helper()
	t.Parallel()
	t.Run("memory", func(t *testing.T) { t.Parallel(); test(t, open(t, settings{})) })
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		redis, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: secret.New(rig.Redis(t).URL)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = redis.Close() })
		test(t, open(t, settings{short: redis}))
	})
}

// Covers R-007 for sources.
func TestWrongPasswordsOfOneSource(t *testing.T) {
	onStores(t, func(t *testing.T, g *gate) {
		own := g.known() // the attacker's own account, to clear his count with
		own.Source = v4
		logsIn := func() {
			t.Helper()
			if got, err := g.tries(own, right, g.phc); err != nil || !got.OK {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		for range 20 {
			logsIn()
			logsIn()
			g.fails(g.from(v4), 1)
			g.pass(time.Second)
		}
		left := 10*time.Minute - 20*time.Second
		g.refusedFor(g.from(v4), wrong, guard.ErrPaused, left)
		g.refusedFor(own, right, guard.ErrPaused, left)
		g.refusedFor(g.from(mapped), right, guard.ErrPaused, left)
		g.fails(g.from(otherV4), 1)
		g.fails(g.from(netip.Addr{}), 1)
		g.pass(left - time.Millisecond)
		g.refusedFor(own, right, guard.ErrPaused, time.Second) // never less than a second
		g.pass(time.Millisecond)
		g.fails(g.from(v4), 1) // the oldest is past, one is free
		g.refusedFor(g.from(v4), wrong, guard.ErrPaused, time.Second)
		g.pass(10 * time.Minute)
		for range 20 {
			g.fails(g.from(v4), 1)
		}
		g.refusedFor(g.from(v4), wrong, guard.ErrPaused, 10*time.Minute)
	})
}

// Who says where a person is may be wrong, or lie: that shuts nobody out of
// another account or environment.
// Covers R-122 for sources of wrong passwords.
func TestASourceIsOneOfItsAccount(t *testing.T) {
	onStores(t, func(t *testing.T, g *gate) {
		for range 20 {
			g.fails(g.from(v4), 1)
		}
		g.refusedFor(g.from(v4), right, guard.ErrPaused, 10*time.Minute)
		for name, change := range map[string]func(w *guard.Whose){
			"another account":         func(w *guard.Whose) { w.Tenant.Account, w.Tenant.Org = "another", "another" },
			"the other environment":   func(w *guard.Whose) { w.Tenant.Env = tenant.Sandbox },
			"an account of that name": func(w *guard.Whose) { w.Tenant.Account += "|" + w.Tenant.Env },
		} {
			w := g.from(v4)
			change(&w)
			if _, err := g.tries(w, wrong, g.phc); err != nil {
				t.Errorf("%s is shut out: %v", name, err)
			}
		}
		elsewhere := g.from(v4)
		elsewhere.Tenant.Org = "another of the account"
		g.refusedFor(elsewhere, right, guard.ErrPaused, 10*time.Minute)
	})
}

// Covers R-010 for wrong passwords.
func TestNetworksOfOneSource(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	at := func(block, host byte) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, 0, block, 15: host})
	}
	for n := range 20 {
		g.fails(g.from(at(0, byte(n))), 1)
	}
	g.refusedFor(g.from(at(0, 200)), wrong, guard.ErrPaused, 10*time.Minute)
	for block := byte(1); block < 8; block++ {
		for n := range 20 {
			g.fails(g.from(at(block, byte(n))), 1)
		}
	}
	// Eight networks' worth: the wide one is shut, and a refusal there takes
	// nothing from the narrow ones.
	g.pass(9 * time.Minute)
	for range 30 {
		g.refusedFor(g.from(at(9, 1)), right, guard.ErrPaused, time.Minute)
	}
	g.pass(time.Minute)
	for range 20 {
		g.fails(g.from(at(9, 1)), 1)
	}
}

// Nobody shuts out a source by trying at an account that pauses: nothing was
// compared there.
func TestRefusedGuessesCountForNoSource(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	w := g.from(v4)
	g.fails(w, 5)
	for range 50 {
		g.refusedFor(w, wrong, guard.ErrPaused, time.Second)
	}
	for range 15 {
		g.fails(g.from(v4), 1)
	}
	g.refusedFor(g.from(v4), wrong, guard.ErrPaused, 10*time.Minute)
}

func TestParallelGuessesOfOneSource(t *testing.T) {
	onStores(t, func(t *testing.T, g *gate) {
		for round := range 10 {
			before := g.evaluated.Load()
			var guesses sync.WaitGroup
			for range 32 {
				w := g.from(v4)
				guesses.Go(func() {
					if _, err := g.tries(w, wrong, g.phc); err != nil && !errors.Is(err, guard.ErrPaused) {
						t.Error(err)
					}
				})
			}
			guesses.Wait()
			if n := g.evaluated.Load() - before; n != 20 {
				t.Fatalf("round %d: %d of 32 guesses were compared, want 20", round, n)
			}
			g.pass(10 * time.Minute)
		}
	})
}

// Covers R-012 for the store of short-lived state, where a source is known.
func TestNoNotesNoPasswordIsCompared(t *testing.T) {
	t.Parallel()
	redis, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: secret.New("redis://127.0.0.1:1")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	g := open(t, settings{short: redis})
	w := g.known()
	w.Source = v4
	if got, err := g.tries(w, right, g.phc); fault.KindOf(err) != fault.Unavailable || got.OK || g.evaluated.Load()+g.counted.Load() != 0 {
		t.Errorf("%+v, %v, %d evaluations", got, err, g.evaluated.Load())
	}
}
