package sqlstore_test

import (
	"context"
	"testing"
	"time"

	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var spraying = guard.SprayLimit{Span: 10 * time.Minute, Fails: 100, Users: 20, Pause: 15 * time.Minute}

// paused checks until when the breaker of a tenant is open.
func (b *bench) paused(of tenant.ID, want time.Time) {
	b.t.Helper()
	until, err := b.PausedUntil(b.t.Context(), of)
	b.must(err)
	if want.IsZero() && !until.Before(noon) || !want.IsZero() && !until.Equal(want) {
		b.t.Errorf("paused until %v, want %v", until, want)
	}
}

func (b *bench) fail(u user.User, at time.Time) guard.Spray {
	b.t.Helper()
	spray, err := b.CountFailure(b.t.Context(), guard.Failure{Subject: subject(u), Limit: spraying, At: at})
	b.must(err)
	return spray
}

func (b *bench) users(of tenant.ID, n int) []user.User {
	b.t.Helper()
	out := make([]user.User, n)
	for i := range out {
		out[i] = b.user(of)
	}
	return out
}

// Covers R-009 for the count: one wrong code for each of many users.
func TestSprayingTripsTheBreaker(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		n := 1000
		if testing.Short() {
			n = 120
		}
		users := b.users(of, n)
		trippedAt := 0
		for i, u := range users {
			spray := b.fail(u, noon.Add(time.Duration(i)*100*time.Millisecond))
			if spray.Tripped && trippedAt != 0 {
				t.Fatalf("tripped again by failure %d", i+1)
			}
			if spray.Tripped {
				trippedAt = i + 1
			}
			if spray.Fails != i+1 || spray.Users != i+1 {
				t.Fatalf("failure %d is counted as %+v", i+1, spray)
			}
		}
		if trippedAt != 100 {
			t.Errorf("tripped by failure %d, want 100", trippedAt)
		}
		b.paused(of, noon.Add(99*100*time.Millisecond+15*time.Minute))
		for _, stranger := range b.strangers(of) {
			b.paused(stranger, time.Time{})
		}
	})
}

func TestWhatDoesNotTripTheBreaker(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		few, many, slow := b.tenant(), b.tenant(), b.tenant()
		people := b.users(few, 19)
		for i := range 500 { // somebody who hammers at a few users is stopped by their budgets
			if b.fail(people[i%19], noon).Tripped {
				t.Fatal("19 users tripped the breaker")
			}
		}
		for _, u := range b.users(many, 99) {
			if b.fail(u, noon).Tripped {
				t.Fatal("99 failures tripped the breaker")
			}
		}
		people = b.users(slow, 30)
		for i := range 300 { // 90 in ten minutes
			if b.fail(people[i%30], noon.Add(time.Duration(i)*6700*time.Millisecond)).Tripped {
				t.Fatalf("the slow trickle of an organization tripped the breaker at %d", i)
			}
		}
		b.paused(few, time.Time{})
		b.paused(many, time.Time{})
	})
}

// The breaker shuts after its pause and trips again when it goes on.
func TestTheBreakerTripsAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		people := b.users(of, 25)
		trip := func(at time.Time) (trips int) {
			for i := range 100 {
				if b.fail(people[i%25], at).Tripped {
					trips++
				}
			}
			return trips
		}
		if n := trip(noon); n != 1 {
			t.Fatalf("tripped %d times", n)
		}
		b.paused(of, noon.Add(15*time.Minute))
		if n := trip(noon.Add(11 * time.Minute)); n != 0 { // paused already
			t.Errorf("tripped %d times while it was open", n)
		}
		b.paused(of, noon.Add(15*time.Minute))
		if !b.fail(people[0], noon.Add(15*time.Minute)).Tripped {
			t.Error("it did not trip again although the spraying goes on")
		}
		b.paused(of, noon.Add(30*time.Minute))
	})
}

func TestParallelFailuresTripOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		for range 5 {
			of := b.tenant()
			people := b.users(of, 25)
			tripped := make([]int, 32)
			errs := together(t, 32, func(ctx context.Context, i int) error {
				for step := range 4 {
					spray, err := b.CountFailure(ctx, guard.Failure{Subject: subject(people[(i+step)%25]), Limit: spraying, At: noon})
					if err != nil {
						return err
					}
					if spray.Tripped {
						tripped[i]++
					}
				}
				return nil
			})
			tally(t, errs, nil)
			sum := 0
			for _, n := range tripped {
				sum += n
			}
			last := b.fail(people[0], noon)
			if sum != 1 || last.Fails != 129 || last.Users != 25 {
				t.Fatalf("tripped %d times, counted %+v, want once, 129 and 25", sum, last)
			}
		}
	})
}

func TestFailuresOfNobodyAreNotCounted(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		nobody := u
		nobody.ID = id.UUID()
		_, err := b.CountFailure(t.Context(), guard.Failure{Subject: subject(nobody), Limit: spraying, At: noon})
		b.isErr(err, user.ErrNotFound)
		for name, stranger := range b.strangers(u.Tenant) {
			theirs := u
			theirs.Tenant = stranger
			if _, err := b.CountFailure(t.Context(), guard.Failure{Subject: subject(theirs), Limit: spraying, At: noon}); err == nil {
				t.Errorf("%s: the failure was counted", name)
			}
		}
		if n := b.count("sprays") + b.count("spray_users"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		b.fail(u, noon)
		_, err = b.DeleteUser(t.Context(), u.Tenant, u.ID, noon)
		b.must(err)
		if n := b.count("spray_users"); n != 0 {
			t.Errorf("%d rows of a user that is gone", n)
		}
	})
}
