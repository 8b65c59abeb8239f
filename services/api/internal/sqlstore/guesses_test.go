package sqlstore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/user"
)

var window = guard.Window{Guesses: 5, Cap: 100, Spans: [3]int64{
	(15 * time.Minute).Milliseconds(), time.Hour.Milliseconds(), (24 * time.Hour).Milliseconds(),
}}

func subject(u user.User) guard.Subject {
	return guard.Subject{Tenant: u.Tenant, UserID: u.ID, Class: guard.SecondFactor}
}

// guesses counts how many of n guesses are allowed and checks when the next
// one is free; the zero time stands for never.
func (b *bench) guesses(g guard.Subject, n int, at time.Time, want int, free time.Time) {
	b.t.Helper()
	allowed := 0
	for range n {
		count, err := b.CountGuess(b.t.Context(), g, window, at)
		b.must(err)
		if count.OK {
			allowed++
		} else if !count.Free.Equal(free) {
			b.t.Errorf("at %v the next guess is free at %v, want %v", at, count.Free, free)
		}
	}
	if allowed != want {
		b.t.Errorf("at %v: %d of %d guesses allowed, want %d", at, allowed, n, want)
	}
}

//
func TestParallelGuessesShareOneBudget(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		for range 50 {
			g := subject(b.user(of))
			var allowed atomic.Int64
			errs := together(t, 64, func(ctx context.Context, _ int) error {
				count, err := b.CountGuess(ctx, g, window, noon)
				if count.OK {
					allowed.Add(1)
				} else if err == nil && !count.Free.Equal(noon.Add(15*time.Minute)) {
					t.Errorf("free at %v", count.Free)
				}
				return err
			})
			tally(t, errs, nil)
			if n := allowed.Load(); n != 5 {
				t.Fatalf("%d of 64 parallel guesses allowed, want 5", n)
			}
		}
	})
}

// Covers R-001 for the windows of 15 minutes, 1 hour and 24 hours.
func TestASpentBudgetStaysShutLongerEachTime(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		g := subject(b.user(b.tenant()))
		at := noon
		for _, span := range []time.Duration{15 * time.Minute, time.Hour, 24 * time.Hour, 24 * time.Hour} {
			end := at.Add(span)
			b.guesses(g, 6, at, 5, end)
			b.guesses(g, 1, end.Add(-time.Millisecond), 0, end)
			at = end
		}
	})
}

func TestAWindowThatWasNotSpentLeadsToOneLikeIt(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		g := subject(b.user(b.tenant()))
		at := noon
		for range 3 { // never spent: always 15 minutes
			b.guesses(g, 4, at, 4, time.Time{})
			at = at.Add(15 * time.Minute)
		}
		b.guesses(g, 6, at, 5, at.Add(15*time.Minute))
		at = at.Add(15 * time.Minute)
		for range 2 { // after a spent one: an hour, and it stays an hour
			b.guesses(g, 4, at, 4, time.Time{})
			at = at.Add(time.Hour)
		}
		b.guesses(g, 6, at, 5, at.Add(time.Hour))
	})
}

func TestAClockThatJumpsBackOpensNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		g := subject(b.user(b.tenant()))
		end := noon.Add(15 * time.Minute)
		b.guesses(g, 6, noon, 5, end)
		for _, back := range []time.Duration{time.Minute, 24 * time.Hour, 20 * 365 * 24 * time.Hour} {
			b.guesses(g, 2, noon.Add(-back), 0, end)
		}
		b.guesses(g, 1, end, 1, time.Time{})
	})
}

func TestTheCapShutsForGood(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		g := subject(b.user(b.tenant()))
		at := noon
		for range 20 {
			b.guesses(g, 5, at, 5, time.Time{})
			at = at.Add(25 * time.Hour)
		}
		b.guesses(g, 3, at, 0, time.Time{})
		b.guesses(g, 1, at.Add(1000*24*time.Hour), 0, time.Time{})
		b.must(b.ClearGuesses(t.Context(), g)) // an administrator's new factor
		b.guesses(g, 6, at, 5, at.Add(15*time.Minute))
	})
}

func TestGuessesAreGivenBackAndForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		g := subject(b.user(b.tenant()))
		b.must(b.ReturnGuess(t.Context(), g)) // there is none
		b.must(b.ClearGuesses(t.Context(), g))
		end := noon.Add(15 * time.Minute)
		b.guesses(g, 6, noon, 5, end)
		for range 2 {
			b.must(b.ReturnGuess(t.Context(), g))
		}
		b.guesses(g, 3, noon, 2, end)
		for range 9 { // never below none
			b.must(b.ReturnGuess(t.Context(), g))
		}
		b.guesses(g, 6, noon, 5, end)
		b.must(b.ClearGuesses(t.Context(), g))
		b.guesses(g, 6, noon, 5, end)
	})
}

func TestBudgetsAreOfOneUserAndClass(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		spent := subject(b.user(of))
		end := noon.Add(15 * time.Minute)
		b.guesses(spent, 6, noon, 5, end)
		password := spent
		password.Class = "password"
		for _, g := range []guard.Subject{password, subject(b.user(of)), subject(b.user(b.tenant()))} {
			b.guesses(g, 1, noon, 1, time.Time{})
			b.must(b.ReturnGuess(t.Context(), g))
			b.must(b.ClearGuesses(t.Context(), g))
		}
		b.guesses(spent, 1, noon, 0, end)

		ghost := spent
		ghost.UserID = id.UUID()
		_, err := b.CountGuess(t.Context(), ghost, window, noon)
		b.isErr(err, user.ErrNotFound)
	})
}
