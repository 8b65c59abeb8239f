package sqlstore_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/user"
)

func use(u user.User, set factor.Set, i int, at time.Time) factor.Use {
	return factor.Use{Tenant: u.Tenant, UserID: u.ID, Set: set.ID, Bit: 1 << i, At: at}
}

// recovers uses a code and checks whether it was taken.
func (b *bench) recovers(u user.User, set factor.Set, i int, at time.Time, want bool) {
	b.t.Helper()
	ok, err := b.UseRecoveryCode(b.t.Context(), use(u, set, i, at), nil)
	if err != nil || ok != want {
		b.t.Errorf("code %d at %v: %v, %v, want %v", i, at.Sub(noon), ok, err, want)
	}
}

// Two different codes at once, and one code many times at once: one is taken,
// over two processes.
// Covers R-022 for recovery codes.
// Covers R-025 for the store: the race of different codes and the sliding day.
func TestOneRecoveryCodeInADay(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		stores := []*sqlstore.Store{b.Store, b.Store}
		if b.Dialect() == "postgres" {
			stores[1] = open(t, sqlstore.Config{DSN: b.dsn, Keys: b.keys, Index: b.index})
		}
		of := b.tenant()
		for round := range 100 {
			u, set := b.user(of), newSet()
			b.enrolled(newApp(u, factor.First), set, noon)
			codes := 5
			if round%2 == 1 {
				codes = 1
			}
			n := won(t, 32, func(ctx context.Context, i int) (bool, error) {
				return stores[i%2].UseRecoveryCode(ctx, use(u, set, i%codes, noon), nil)
			})
			if n != 1 {
				t.Fatalf("round %d: %d of 32 uses of %d codes were taken, want 1", round, n, codes)
			}
		}

		u, set := b.user(of), newSet()
		b.enrolled(newApp(u, factor.First), set, noon)
		b.recovers(u, set, 0, noon, true)
		b.recovers(u, set, 1, noon.Add(-time.Hour), false) // a clock that jumped back opens nothing
		b.recovers(u, set, 1, noon.Add(24*time.Hour-time.Second), false)
		b.recovers(u, set, 0, noon.Add(24*time.Hour), false) // used
		b.recovers(u, newSet(), 1, noon.Add(24*time.Hour), false)
		b.recovers(u, set, 1, noon.Add(24*time.Hour), true)
		b.recovers(u, set, 2, noon.Add(47*time.Hour), false) // sliding: a day after the last
	})
}

// Covers R-026 for what a used code stops, in the store.
func TestARecoveryCodeStopsTheOldFactors(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u, set := b.user(b.tenant()), newSet()
		b.enrolled(newPhone(u, u.Phone), set, noon)
		b.enrolled(newApp(u, factor.Add), factor.Set{}, noon)
		b.must(b.PutWaiting(t.Context(), newApp(u, factor.Add), nil))
		b.guesses(subject(u), 5, noon, 5, time.Time{})
		b.recovers(u, set, 3, noon, true)
		s := b.standing(u)
		if len(s.Factors) != 2 || s.Waiting.ID != "" || !s.Recovery.Obliged || s.Recovery.Left() != 4 || !s.Recovery.IsUsed(3) || !s.Recovery.LastUsedAt.Equal(noon) {
			t.Errorf("after a recovery code: %+v", s)
		}
		for _, f := range s.Factors {
			if f.Takes() || f.DisabledBy != factor.ByRecovery {
				t.Errorf("an old factor is left in force: %+v", f)
			}
		}
		b.guesses(subject(u), 6, noon, 5, noon.Add(15*time.Minute)) // it was a right code

		// Enrolling anew keeps what is left and ends the obligation.
		renewed := b.enrolled(newApp(u, factor.Renew), factor.Set{}, noon)
		s = b.standing(u)
		if len(s.Factors) != 1 || s.Factors[0].ID != renewed.ID || s.Recovery.Obliged || s.Recovery.Renewals != 1 || s.Recovery.Left() != 4 || !reflect.DeepEqual(s.Recovery.Tags, set.Tags) {
			t.Errorf("after enrolling anew: %+v", s)
		}
		// Nobody enrols anew who has used no code since.
		again := newApp(u, factor.Renew)
		b.must(b.PutWaiting(t.Context(), again, nil))
		b.isErr(b.Confirm(t.Context(), factor.Confirmation{Factor: again, At: noon}), factor.ErrNoWaiting)
		if got := b.standing(u).Factors; len(got) != 1 || got[0].ID != renewed.ID {
			t.Errorf("factors %+v", got)
		}
	})
}

// Covers R-027 for the counters, which last.
func TestAResetReplacesTheCodesAndNotTheDay(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u, set := b.user(b.tenant()), newSet()
		b.enrolled(newApp(u, factor.First), set, noon)
		at := noon
		for i := range 5 {
			b.recovers(u, set, i, at, true)
			b.enrolled(newApp(u, factor.Renew), factor.Set{}, noon)
			at = at.Add(24 * time.Hour)
		}
		if got := b.standing(u).Recovery; got.Left() != 0 || got.Renewals != 5 || got.Obliged {
			t.Errorf("after five: %+v", got)
		}
		for i := range 5 {
			b.recovers(u, set, i, at, false)
		}
		fresh := newSet()
		b.enrolled(newApp(u, factor.Reset), fresh, noon)
		got := b.standing(u).Recovery
		if got.Left() != 5 || got.Renewals != 0 || got.ID != fresh.ID || !got.LastUsedAt.Equal(noon.Add(4*24*time.Hour)) {
			t.Errorf("after a reset: %+v", got)
		}
		b.recovers(u, set, 0, at, false)
		b.recovers(u, fresh, 0, at.Add(-time.Second), false)
		b.recovers(u, fresh, 0, at, true)

		b.must(b.Reset(t.Context(), u.Tenant, u.ID, nil, at))
		s := b.standing(u)
		if s.Enrolled() || s.Recovery.ID != "" || s.Recovery.Left() != 0 || !s.Recovery.LastUsedAt.Equal(at) {
			t.Errorf("after taking everything away: %+v", s)
		}
		b.recovers(u, fresh, 1, at.Add(48*time.Hour), false)
		b.isErr(b.Reset(t.Context(), u.Tenant, "nobody", nil, at), user.ErrNotFound)
	})
}
