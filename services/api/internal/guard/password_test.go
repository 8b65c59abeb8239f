package guard_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/hashing"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
)

// onBoth runs a test on each engine.
func onBoth(t *testing.T, s settings, test func(t *testing.T, g *gate)) {
	t.Helper()
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := s
			s.dsn = database(t, engine)
			test(t, open(t, s))
		})
	}
}

// refusedFor checks that a guess was refused with a time, and not compared.
func (g *gate) refusedFor(w guard.Whose, typed secret.Text, why *fault.Error, after time.Duration) {
	g.tb.Helper()
	before := g.evaluated.Load()
	got, err := g.tries(w, typed, g.phc)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || !errors.Is(err, why) || f.After != after || got != (guard.Compared{}) {
		g.tb.Errorf("%+v, %v (after %v), want %s after %v", got, err, f, why.Code, after)
	}
	if did := g.evaluated.Load() - before; did != 0 {
		g.tb.Errorf("%d evaluations for a refused guess", did)
	}
}

// Covers R-006 for passwords.
func TestParallelLoginsWithTheRightPasswordAllSucceed(t *testing.T) {
	onBoth(t, settings{pool: hashing.Config{Slots: 4, Wait: time.Minute}}, func(t *testing.T, g *gate) {
		for round := range 5 {
			w := g.known()
			g.fails(w, 4) // one more in between would pause
			var logins sync.WaitGroup
			for range 20 {
				logins.Go(func() {
					if got, err := g.tries(w, right, g.phc); err != nil || !got.OK {
						t.Errorf("%+v, %v", got, err)
					}
				})
			}
			logins.Wait()
			if n := g.seen("password right"); n != int64(round+1)*20 {
				t.Errorf("%d right passwords were compared", n)
			}
			g.fails(w, 5) // the count began anew: the fifth has no pause before it
			g.refusedFor(w, right, guard.ErrPaused, time.Second)
		}
	})
}

// Covers R-003 for passwords.
//
// The pause begins at the fifth: of many parallel guesses five are compared.
func TestParallelGuessesAreCountedBeforeTheyAreCompared(t *testing.T) {
	onBoth(t, settings{pool: hashing.Config{Slots: 8, PerSlot: 16, Wait: time.Minute}}, func(t *testing.T, g *gate) {
		// A second process has a pool of its own: keys do not hold it back.
		other := g.Passwords
		other.Turns = hashing.New(hashing.Config{Slots: 8, PerSlot: 16, Wait: time.Minute})
		for round := range 40 {
			w := g.known()
			if round%2 == 0 {
				w = g.nobody()
			}
			var guesses sync.WaitGroup
			before := g.evaluated.Load()
			for i := range 32 {
				guesses.Go(func() {
					process := &g.Passwords
					if i%2 == 0 {
						process = &other
					}
					if _, err := process.Password(t.Context(), w, wrong, g.phc); err != nil && !errors.Is(err, guard.ErrPaused) {
						t.Error(err)
					}
				})
			}
			guesses.Wait()
			if n := g.evaluated.Load() - before; n != 5 {
				t.Fatalf("round %d: %d of 32 parallel guesses were compared, want 5", round, n)
			}
		}
	})
}

// Covers R-007 for accounts.
//
// An attacker who guesses at every moment at which he may, and knows all of
// this, has so many guesses in a day, and on the next.
func TestAnOptimalAttackerHasFewGuessesADay(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	g.Policy.Cap = 1_000_000 // the pauses alone
	for name, w := range map[string]guard.Whose{"a user": g.known(), "nobody": g.nobody()} {
		for day := range 2 {
			guesses := 0
			for rest := 24 * time.Hour; rest > 0; {
				_, err := g.tries(w, wrong, g.phc)
				if err == nil {
					guesses++
					continue
				}
				f, ok := errors.AsType[*fault.Error](err)
				if !ok || !errors.Is(err, guard.ErrPaused) || f.After <= 0 {
					t.Fatal(err)
				}
				g.pass(f.After)
				rest -= f.After
			}
			if guesses > 120 || guesses < 90 {
				t.Errorf("%s: %d guesses on day %d, want 120 at most", name, guesses, day)
			}
		}
	}
}

// Covers R-007 for what is sent during a pause.
func TestTryingDuringAPauseMakesItNoLonger(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	w := g.known()
	g.fails(w, 5)
	for _, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		g.pass(pause)
		g.fails(w, 1)
	}
	for _, pause := range []time.Duration{8 * time.Second, 16 * time.Second} {
		for left := pause; left > 0; left -= time.Second {
			for range 3 {
				g.refusedFor(w, right, guard.ErrPaused, left)
			}
			g.pass(time.Second)
		}
		g.fails(w, 1)
	}
	g.pass(32 * time.Second)
	if got, err := g.tries(w, right, g.phc); err != nil || !got.OK {
		t.Errorf("after the pause: %+v, %v", got, err)
	}
	g.fails(w, 4)
}

// Covers R-005 for passwords.
// Covers R-066 for passwords that are shut.
func TestAHundredWrongPasswordsShutAPassword(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	for name, w := range map[string]guard.Whose{"a user": g.known(), "nobody": g.nobody()} {
		for n := 1; n <= 100; n++ {
			g.pass(14*time.Hour + 24*time.Minute) // a hundred in sixty days
			got, err := g.tries(w, wrong, g.phc)
			if err != nil || got.OK || got.Shut != (n == 100) {
				t.Fatalf("%s, guess %d: %+v, %v", name, n, got, err)
			}
		}
		for range 3 {
			g.refusedFor(w, right, guard.ErrOff, 0)
			g.pass(24 * time.Hour)
		}
	}
	w := g.known()
	for range 100 {
		g.pass(time.Hour)
		g.fails(w, 1)
	}
	g.refusedFor(w, right, guard.ErrOff, 0)
	g.must(g.ClearPassword(t.Context(), w)) // set anew, by a link
	if got, err := g.tries(w, right, g.phc); err != nil || !got.OK {
		t.Errorf("%+v, %v", got, err)
	}
}

// Covers R-064 for the guard: evaluations and statements are counted.
// Covers R-066 for the refusals and when they come.
func TestEveryLoginDoesTheSameWork(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	type work struct{ counted, evaluated, settled int64 }
	did := func(w guard.Whose, typed secret.Text, stored string) (work, guard.Compared, error) {
		before := work{g.counted.Load(), g.evaluated.Load(), g.settled.Load()}
		got, err := g.tries(w, typed, stored)
		return work{g.counted.Load() - before.counted, g.evaluated.Load() - before.evaluated, g.settled.Load() - before.settled}, got, err
	}
	if w, got, err := did(g.known(), right, g.phc); w != (work{1, 1, 1}) || !got.OK || err != nil {
		t.Errorf("the right password: %+v, %+v, %v", w, got, err)
	}
	// What follows a wrong password is the same, guess by guess, to the letter.
	var first []string
	for name, c := range map[string]struct {
		whose  guard.Whose
		stored string
	}{
		"a user with a password":                     {g.known(), g.phc},
		"a user without one":                         {g.known(), ""},
		"an address without a user":                  {g.nobody(), ""},
		"an organization that does not exist":        {guard.Whose{Tenant: tenant.ID{Account: g.where.Account, Env: tenant.Default}, Canonical: "x@x.test"}, ""},
		"somebody else's password, and one's own id": {guard.Whose{Tenant: g.where, Canonical: "other@acme.test"}, g.phc},
	} {
		var lines []string
		for range 12 {
			w, got, err := did(c.whose, wrong, c.stored)
			after := time.Duration(-1)
			if f, ok := errors.AsType[*fault.Error](err); ok {
				after = f.After
				g.pass(f.After)
			}
			lines = append(lines, fmt.Sprint(w, got, err, after))
		}
		if first == nil {
			first = lines
		}
		if !reflect.DeepEqual(lines, first) {
			t.Errorf("%s differs:\n%s\nfrom\n%s", name, strings.Join(lines, "\n"), strings.Join(first, "\n"))
		}
	}
	if n := strings.Count(strings.Join(first, "\n"), "password_paused"); n != 4 {
		t.Errorf("%d of 12 guesses were refused, want every second one from the fifth on", n)
	}
}

// An empty stored password fits nothing, not even the tag of no password.
func TestNoPasswordIsNeverRight(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	g.Hasher = matching{g.Hasher}
	for _, typed := range []secret.Text{right, secret.New("")} {
		if got, err := g.tries(g.known(), typed, ""); err != nil || got.OK {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if same, err := g.SamePassword(t.Context(), g.where.Org, right, ""); err != nil || same {
		t.Errorf("%v, %v", same, err)
	}
}

// matching finds the tag of no password.
type matching struct{ guard.Hasher }

func (m matching) Tags(typed secret.Text, stored string) (want, got []byte, err error) {
	want, _, err = m.Hasher.Tags(typed, stored)
	return want, want, err
}

// Covers R-053 for a password to check: nothing is counted or hashed.
func TestWhatIsNoPasswordIsNoGuess(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	w := g.known()
	for _, typed := range []string{strings.Repeat("x", 1025), "\xff"} {
		if _, err := g.tries(w, secret.New(typed), g.phc); fault.KindOf(err) != fault.Malformed {
			t.Errorf("err = %v", err)
		}
		if _, err := g.SamePassword(t.Context(), g.where.Org, secret.New(typed), g.phc); fault.KindOf(err) != fault.Malformed {
			t.Errorf("err = %v", err)
		}
	}
	if g.counted.Load()+g.evaluated.Load() != 0 {
		t.Error("something was counted or evaluated")
	}
}

func TestSamePasswordCountsNothing(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	for range 10 {
		for typed, want := range map[*secret.Text]bool{&right: true, &wrong: false} {
			if same, err := g.SamePassword(t.Context(), g.where.Org, *typed, g.phc); err != nil || same != want {
				t.Errorf("same = %v, %v, want %v", same, err, want)
			}
		}
	}
	if g.counted.Load() != 0 || g.evaluated.Load() != 20 {
		t.Errorf("%d counted, %d evaluated", g.counted.Load(), g.evaluated.Load())
	}
}

// lost is a store whose answers do not come; before says whether it did what
// it was asked to.
type lost struct {
	guard.PasswordStore
	count, settle bool
}

func (l lost) CountPassword(ctx context.Context, b guard.PasswordBudget, p guard.PasswordPolicy, now time.Time) (guard.PasswordCount, error) {
	count, err := l.PasswordStore.CountPassword(ctx, b, p, now)
	if l.count {
		return guard.PasswordCount{}, sqlstore.ErrUnavailable
	}
	return count, err
}

func (l lost) SettlePassword(ctx context.Context, b guard.PasswordBudget, right bool) error {
	if l.settle {
		return sqlstore.ErrUnavailable
	}
	return l.PasswordStore.SettlePassword(ctx, b, right)
}

// Covers R-012 for passwords.
func TestNoCountNoPasswordIsCompared(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	w := g.known()
	store := g.Store
	g.Store = lost{PasswordStore: store, count: true}
	if got, err := g.tries(w, right, g.phc); fault.KindOf(err) != fault.Unavailable || got.OK || g.evaluated.Load() != 0 {
		t.Errorf("%+v, %v, %d evaluations", got, err, g.evaluated.Load())
	}
	g.Store = lost{PasswordStore: store, settle: true}
	if got, err := g.tries(w, right, g.phc); fault.KindOf(err) != fault.Unavailable || got.OK {
		t.Errorf("%+v, %v", got, err)
	}
	g.Store = store
	g.fails(w, 3) // both tries stand as guesses
	g.refusedFor(w, right, guard.ErrPaused, time.Second)
	g.must(g.store.Close())
	if got, err := g.tries(w, right, g.phc); err == nil || got.OK {
		t.Errorf("a closed store: %+v, %v", got, err)
	}
}

// hangsUp ends the caller's context while a password is evaluated.
type hangsUp struct {
	guard.Hasher
	stop context.CancelFunc
}

func (h hangsUp) Tags(typed secret.Text, stored string) (want, got []byte, err error) {
	h.stop()
	return h.Hasher.Tags(typed, stored)
}

// A caller who hangs up while his right password is evaluated has not failed.
func TestARightPasswordIsClearedEvenIfNobodyWaits(t *testing.T) {
	onBoth(t, settings{}, func(t *testing.T, g *gate) {
		w := g.known()
		hasher := g.Hasher
		for range 8 {
			ctx, stop := context.WithCancel(t.Context())
			g.Hasher = hangsUp{hasher, stop}
			if got, err := g.Password(ctx, w, right, g.phc); err != nil || !got.OK {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		g.Hasher = hasher
		g.fails(w, 4)
	})
}

// Covers R-003 for a crash between the count and the comparison of a password.
func TestACrashAfterTheCountLeavesItCounted(t *testing.T) {
	onBoth(t, settings{}, func(t *testing.T, g *gate) {
		w := g.known()
		hasher := g.Hasher
		g.Hasher = crashing{hasher}
		for range 5 {
			func() {
				defer func() { _ = recover() }()
				_, _ = g.tries(w, right, g.phc)
				t.Error("it did not crash")
			}()
		}
		g.Hasher = hasher
		g.refusedFor(w, right, guard.ErrPaused, time.Second)
	})
}

type crashing struct{ guard.Hasher }

func (crashing) Tags(secret.Text, string) (want, got []byte, err error) { panic("boom") }

// Guesses that get no turn are not counted.
func TestWhoGetsNoTurnHasNotGuessed(t *testing.T) {
	t.Parallel()
	g := open(t, settings{pool: hashing.Config{Slots: 1, PerSlot: 1, Wait: time.Minute}})
	w := g.known()
	w.Source = v4
	hold, held := make(chan struct{}), make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		_ = g.Turns.Do(t.Context(), "org", "", func(context.Context) error { close(held); <-hold; return nil })
	})
	<-held
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	for range 30 {
		if _, err := g.Password(ctx, w, wrong, g.phc); !errors.Is(err, hashing.ErrBusy) {
			t.Errorf("err = %v", err)
		}
	}
	close(hold)
	others.Wait()
	if g.counted.Load() != 0 {
		t.Errorf("%d were counted", g.counted.Load())
	}
	g.fails(w, 4)
}

func TestBudgetsOfPasswordsAreOfOneUserOfOneTenant(t *testing.T) {
	t.Parallel()
	g := open(t, settings{})
	one := g.known()
	g.fails(one, 5)
	g.refusedFor(one, right, guard.ErrPaused, time.Second)
	byAnotherName := one
	byAnotherName.Canonical = "another@acme.test"
	g.refusedFor(byAnotherName, right, guard.ErrPaused, time.Second)
	address := g.nobody()
	g.fails(address, 5)
	elsewhere := address
	elsewhere.Tenant.Env = tenant.Sandbox
	for _, w := range []guard.Whose{g.known(), {Tenant: one.Tenant, Canonical: one.Canonical}, {Tenant: one.Tenant, Canonical: one.UserID}, elsewhere} {
		g.fails(w, 1)
	}
}
