package sqlstore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var pauses = guard.DefaultPasswordPolicy()

// budgetOf is a budget of a user, or of nobody.
func budgetOf(of tenant.ID, userID string) guard.PasswordBudget {
	return guard.PasswordBudget{Key: []byte(id.UUID()), Tenant: of, UserID: userID}
}

// counts checks that one guess is counted as the nth in a row.
func (b *bench) counts(g guard.PasswordBudget, at time.Time, inARow int) {
	b.t.Helper()
	got, err := b.CountPassword(b.t.Context(), g, pauses, at)
	b.must(err)
	if want := (guard.PasswordCount{OK: true, InARow: inARow}); got != want {
		b.t.Fatalf("at %v: %+v, want %+v", at.Sub(noon), got, want)
	}
}

// pauses checks that a guess is refused until free.
func (b *bench) pauses(g guard.PasswordBudget, at, free time.Time) {
	b.t.Helper()
	got, err := b.CountPassword(b.t.Context(), g, pauses, at)
	b.must(err)
	if got.OK || !got.Free.Equal(free) {
		b.t.Fatalf("at %v: %+v, want a refusal until %v", at.Sub(noon), got, free.Sub(noon))
	}
}

// onUsersAndNobody runs a test on both engines, for a user and for an address
// that is nobody's: nothing may differ between them.
func onUsersAndNobody(t *testing.T, test func(t *testing.T, b *bench, g guard.PasswordBudget)) {
	t.Helper()
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		test(t, b, budgetOf(of, b.user(of).ID))
		test(t, b, budgetOf(of, ""))
	})
}

// Covers R-007 for the pauses.
// Covers R-066 for users that do not exist.
func TestPausesBeginAtTheFifthAndDouble(t *testing.T) {
	onUsersAndNobody(t, func(_ *testing.T, b *bench, g guard.PasswordBudget) {
		at := noon
		for n := range 4 {
			b.counts(g, at, n+1)
		}
		for n, pause := 5, time.Second; n < 20; n++ {
			b.counts(g, at, n)
			b.pauses(g, at, at.Add(pause))
			b.pauses(g, at.Add(pause-time.Millisecond), at.Add(pause)) // trying during a pause makes it no longer
			at = at.Add(pause)
			pause = min(2*pause, 15*time.Minute)
		}
	})
}

// Covers R-005 for passwords: the cap.
func TestAHundredWrongPasswordsShutIt(t *testing.T) {
	onUsersAndNobody(t, func(t *testing.T, b *bench, g guard.PasswordBudget) {
		at := noon
		for n := range 100 {
			at = at.Add(14*time.Hour + 24*time.Minute) // a hundred in sixty days
			b.counts(g, at, n+1)
		}
		b.pauses(g, at, time.Time{})
		_, err := b.EndSilent(t.Context(), at, at, at, at.Add(150*24*time.Hour))
		b.must(err)
		b.pauses(g, at.Add(150*24*time.Hour), time.Time{})
		b.must(b.SettlePassword(t.Context(), g, true)) // set anew
		b.counts(g, at, 1)
	})
}

func TestPausesBeginAnewAfterAQuietTime(t *testing.T) {
	onUsersAndNobody(t, func(_ *testing.T, b *bench, g guard.PasswordBudget) {
		at := noon
		for n, pause := range []int{0, 0, 0, 0, 1, 2, 4} {
			b.counts(g, at, n+1)
			at = at.Add(time.Duration(pause) * time.Second)
		}
		at = at.Add(48*time.Hour - 5*time.Second)
		b.counts(g, at, 8) // not quiet for long enough: the pause is 8 seconds
		b.pauses(g, at, at.Add(8*time.Second))
		at = at.Add(48 * time.Hour)
		for n := range 4 {
			b.counts(g, at, 9+n)
		}
		b.counts(g, at, 13)
		b.pauses(g, at, at.Add(time.Second))
	})
}

func TestARightPasswordForgetsTheWrongOnes(t *testing.T) {
	onUsersAndNobody(t, func(t *testing.T, b *bench, g guard.PasswordBudget) {
		b.must(b.SettlePassword(t.Context(), g, true)) // there is none
		for n := range 4 {
			b.counts(g, noon, n+1)
		}
		b.must(b.SettlePassword(t.Context(), g, false))
		b.counts(g, noon, 5)
		b.must(b.SettlePassword(t.Context(), g, false))
		b.pauses(g, noon, noon.Add(time.Second))
		b.must(b.SettlePassword(t.Context(), g, true))
		b.counts(g, noon, 1)
	})
}

// Replicas do not agree on the time to the millisecond. That must not refuse
// anybody who has no pause, and a clock that jumps back must not end one.
func TestAClockThatIsBehindOpensNothingAndRefusesNobody(t *testing.T) {
	onUsersAndNobody(t, func(_ *testing.T, b *bench, g guard.PasswordBudget) {
		b.counts(g, noon, 1)
		b.counts(g, noon.Add(-50*time.Millisecond), 2)
		b.counts(g, noon, 3)
		b.counts(g, noon, 4)
		b.counts(g, noon.Add(-50*time.Millisecond), 5)
		for _, back := range []time.Duration{0, time.Minute, 20 * 365 * 24 * time.Hour} {
			b.pauses(g, noon.Add(-back), noon.Add(time.Second))
		}
		b.counts(g, noon.Add(time.Second), 6)
	})
}

// Covers R-003 for passwords.
func TestParallelGuessesOfAPasswordShareOnePause(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u := b.user(of)
		for round := range 100 {
			g := budgetOf(of, "")
			if round%2 == 0 {
				g.UserID = u.ID
			}
			var counted atomic.Int64
			errs := together(t, 32, func(ctx context.Context, _ int) error {
				got, err := b.CountPassword(ctx, g, pauses, noon)
				if got.OK {
					counted.Add(1)
				} else if err == nil && !got.Free.Equal(noon.Add(time.Second)) {
					t.Errorf("free at %v", got.Free)
				}
				return err
			})
			tally(t, errs, nil)
			if n := counted.Load(); n != 5 {
				t.Fatalf("round %d: %d of 32 parallel guesses were counted, want 5", round, n)
			}
		}
	})
}

func TestCountsOfPasswordsAreDropped(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		known, deleted := b.user(of), b.user(of)
		once, twice, theirs, gone := budgetOf(of, ""), budgetOf(of, ""), budgetOf(of, known.ID), budgetOf(of, deleted.ID)
		nowhere := budgetOf(tenant.ID{Account: of.Account, Env: of.Env}, "") // the organization does not exist
		for _, g := range []guard.PasswordBudget{once, twice, theirs, gone, nowhere} {
			b.counts(g, noon, 1)
		}
		b.counts(twice, noon, 2)
		left := func(want int, after time.Duration) {
			t.Helper()
			at := noon.Add(after)
			_, err := b.EndSilent(t.Context(), at, at, at, at)
			b.must(err)
			if n := b.count("password_budgets"); n != want {
				t.Errorf("after %v %d are left, want %d", after, n, want)
			}
		}
		left(5, 48*time.Hour)
		left(3, 48*time.Hour+time.Second) // one guess at nobody is kept for two days
		left(2, 96*time.Hour+time.Second) // two for four
		left(2, 10*365*24*time.Hour)
		_, err := b.DeleteUser(t.Context(), of, deleted.ID, noon)
		b.must(err)
		left(1, 0)
		_, err = b.CountPassword(t.Context(), gone, pauses, noon)
		b.isErr(err, user.ErrNotFound)
	})
}

func TestACountOfAPasswordSurvivesTheConnection(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		g := budgetOf(b.tenant(), "")
		b.counts(g, noon, 1)
		other := &bench{Store: open(t, sqlstore.Config{DSN: b.dsn}), t: t}
		other.counts(g, noon, 2)
	})
}

// passwordCalls makes every call about guesses of passwords, for the test that
// looks for full scans.
func passwordCalls(ctx context.Context, s *sqlstore.Store, u user.User) map[string]func() error {
	g, strict := budgetOf(u.Tenant, u.ID), pauses
	strict.Cap = 1
	count := func(p guard.PasswordPolicy) error {
		_, err := s.CountPassword(ctx, g, p, noon)
		return err
	}
	return map[string]func() error{
		"25a CountPassword":          func() error { return count(pauses) },
		"25b CountPassword, refused": func() error { return count(strict) },
		"25c SettlePassword":         func() error { return s.SettlePassword(ctx, g, true) },
	}
}
