package guard_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/device"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/tenant"
)

// knows makes a browser known to a user, and returns the guesses from it.
func (g *gate) knows(w guard.Whose) guard.Whose {
	g.tb.Helper()
	token, err := (&device.Service{Store: g.store, Now: g.clock}).Know(g.tb.Context(), w.Tenant, w.UserID, w.Device)
	g.must(err)
	w.Device = token
	return w
}

// passes guesses right, and is let through.
func (g *gate) passes(w guard.Whose) {
	g.tb.Helper()
	if got, err := g.tries(w, right, g.phc); err != nil || !got.OK {
		g.tb.Fatalf("%+v, %v", got, err)
	}
}

// onDevices runs a test on both databases, with a gate that knows devices.
func onDevices(t *testing.T, test func(t *testing.T, g *gate)) {
	t.Helper()
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			g := open(t, settings{dsn: database(t, engine)})
			g.Devices = g.store
			test(t, g)
		})
	}
}

// A stranger guesses a thousand times, as fast as he may and from many places,
// which pauses the password and in the end shuts it. The user's own browser is
// let in at the first try, and that opens the password again.
// Covers R-008 for the guard.
func TestStrangersDoNotLockAKnownDeviceOut(t *testing.T) {
	onDevices(t, func(t *testing.T, g *gate) {
		w := g.known()
		known := g.knows(w)
		shut := false
		for n := range 1000 {
			if !shut {
				g.pass(15 * time.Minute)
			}
			w.Source = netip.AddrFrom4([4]byte{198, 51, byte(n / 250), byte(n)})
			got, err := g.tries(w, wrong, g.phc)
			if got.OK || err != nil && !errors.Is(err, guard.ErrOff) {
				t.Fatalf("guess %d: %+v, %v", n, got, err)
			}
			shut = shut || got.Shut
			if n == 4 || n == 50 {
				g.fails(known, 1) // and not refused for what others did
			}
		}
		g.refusedFor(w, right, guard.ErrOff, 0)
		g.passes(known)
		g.passes(w)
	})
}

// Whoever shares the source with somebody who guesses is let in, too.
func TestAKnownDeviceIsNoMatterOfItsSource(t *testing.T) {
	onDevices(t, func(t *testing.T, g *gate) {
		w := g.known()
		w.Source = v4
		known := g.knows(w)
		for range 20 {
			g.fails(g.from(v4), 1)
		}
		g.refusedFor(w, right, guard.ErrPaused, 10*time.Minute)
		g.passes(known)
		g.refusedFor(w, right, guard.ErrPaused, 10*time.Minute) // which gives the source nothing back
	})
}

// The guesses from a device are its own: ten in a row at most, with pauses.
// From then on it is one like any other.
// Covers R-007 for known devices.
func TestADeviceHasTenGuesses(t *testing.T) {
	onDevices(t, func(t *testing.T, g *gate) {
		w := g.known()
		known, second := g.knows(w), g.knows(w)
		g.fails(known, 4)
		for _, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second} {
			g.fails(known, 1)
			g.refusedFor(known, right, guard.ErrPaused, pause)
			g.passes(second)
			g.passes(w) // nobody else pauses
			g.pass(pause)
		}
		g.fails(known, 1)
		g.pass(time.Hour)
		g.fails(w, 5)
		g.refusedFor(known, right, guard.ErrPaused, time.Second) // known no more
		g.passes(second)
		g.passes(known) // like anybody, now that the pause is over
		g.fails(w, 5)
		g.refusedFor(known, right, guard.ErrPaused, time.Second) // a right password makes it none again
		again := g.knows(known)
		g.passes(again) // a sign-in does
	})
}

func TestARightPasswordForgetsTheDevicesWrongOnes(t *testing.T) {
	onDevices(t, func(_ *testing.T, g *gate) {
		known := g.knows(g.known())
		for range 5 {
			g.fails(known, 4)
			g.passes(known)
		}
	})
}

// What a browser is known by is worth something to its users alone.
func TestADeviceOfSomebodyElseIsNone(t *testing.T) {
	onDevices(t, func(t *testing.T, g *gate) {
		w, other := g.known(), g.knows(g.known())
		stolen := w
		stolen.Device = other.Device
		elsewhere := g.knows(w)
		foreign := elsewhere
		foreign.Tenant.Env = tenant.Sandbox
		g.fails(w, 5)
		for name, bad := range map[string]guard.Whose{
			"another user's":  stolen,
			"an invented one": {Tenant: w.Tenant, UserID: w.UserID, Device: secret.New(strings.Repeat("A", 43))},
			"one of no shape": {Tenant: w.Tenant, UserID: w.UserID, Device: secret.New("x")},
			"one that was replaced": func() guard.Whose {
				old := elsewhere
				elsewhere = g.knows(old)
				return old
			}(),
		} {
			if _, err := g.tries(bad, right, g.phc); !errors.Is(err, guard.ErrPaused) {
				t.Errorf("%s is let through: %v", name, err)
			}
		}
		d := guard.DeviceBudget{Digest: device.Digest(elsewhere.Device), Tenant: foreign.Tenant, UserID: w.UserID}
		if _, known, err := g.store.CountDevice(t.Context(), d, g.Policy, g.clock()); known || err != nil {
			t.Errorf("known in another environment: %v, %v", known, err)
		}
		g.passes(elsewhere)
		// A browser of a year ago is one like any other.
		g.pass(device.Life)
		g.fails(w, 5)
		g.refusedFor(elsewhere, right, guard.ErrPaused, time.Second)
	})
}

// An address that is nobody's takes the work of a user's, with a device, too.
// Covers R-064 for devices.
func TestADeviceTellsNobodyWhoHasAnAccount(t *testing.T) {
	onDevices(t, func(t *testing.T, g *gate) {
		mine := g.knows(g.known())
		for name, w := range map[string]guard.Whose{"a user": g.known(), "nobody": g.nobody()} {
			w.Device = mine.Device
			before := [3]int64{g.counted.Load(), g.evaluated.Load(), g.settled.Load()}
			g.fails(w, 5)
			if n := [3]int64{g.counted.Load() - before[0], g.evaluated.Load() - before[1], g.settled.Load() - before[2]}; n != [3]int64{5, 5, 5} {
				t.Errorf("%s: %v", name, n)
			}
			g.refusedFor(w, right, guard.ErrPaused, time.Second)
		}
	})
}

// Covers R-003 for known devices.
func TestParallelGuessesOfADeviceShareItsBudget(t *testing.T) {
	onDevices(t, func(t *testing.T, g *gate) {
		w := g.known()
		for round := range 20 {
			w = g.knows(w)
			before := g.evaluated.Load()
			var guesses sync.WaitGroup
			for range 32 {
				guesses.Go(func() {
					if _, err := g.tries(w, wrong, g.phc); err != nil && !errors.Is(err, guard.ErrPaused) {
						t.Error(err)
					}
				})
			}
			guesses.Wait()
			if n := g.evaluated.Load() - before; n != 5 {
				t.Fatalf("round %d: %d of 32 guesses were compared, want 5", round, n)
			}
		}
	})
}
