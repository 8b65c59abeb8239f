package sqlstore_test

import (
	"context"
	"errors"
	"testing"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/user"
)

// taken reports whether a call was, and not refused for why.
func taken(err, why error) (bool, error) {
	if errors.Is(err, why) {
		return false, nil
	}
	return err == nil, err
}

// Of two factors that are removed at once, one stays, and one that takes codes.
func TestTheLastFactorStays(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		for range 25 {
			u := b.user(of)
			both := []factor.Factor{b.enrolled(newApp(u, factor.First), newSet(), noon), b.enrolled(newApp(u, factor.Add), factor.Set{}, noon)}
			n := won(t, 2, func(ctx context.Context, i int) (bool, error) {
				return taken(b.RemoveSpare(ctx, both[i], nil), factor.ErrLast)
			})
			if left := b.standing(u).Factors; n != 1 || len(left) != 1 {
				t.Fatalf("%d were removed, %d are left", n, len(left))
			}
		}
		u := b.user(of)
		app, phone := b.enrolled(newApp(u, factor.First), newSet(), noon), newPhone(u, u.Phone)
		phone.Mode = factor.Add
		phone = b.enrolled(phone, factor.Set{}, noon)
		_, err := b.Disable(t.Context(), factor.Stop{Tenant: of, UserID: u.ID, Factor: app.ID, By: factor.ByAdministrator, At: noon}, nil)
		b.must(err)
		b.isErr(b.RemoveSpare(t.Context(), phone, nil), factor.ErrLast)
		b.must(b.RemoveSpare(t.Context(), app, nil))
		b.isErr(b.RemoveSpare(t.Context(), app, nil), factor.ErrNotFound)
		for name, stranger := range b.strangers(of) {
			theirs := phone
			theirs.Tenant = stranger
			if err := b.RemoveSpare(t.Context(), theirs, nil); !errors.Is(err, factor.ErrNotFound) && !errors.Is(err, user.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// New recovery codes stand in place of those that somebody has looked at, while
// nobody is obliged to enrol anew and a factor takes codes.
func TestASetIsReplacedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		replace := func(ctx context.Context, u user.User, old string) error {
			return b.ReplaceSet(ctx, factor.Replacement{Tenant: u.Tenant, UserID: u.ID, Old: old, Set: newSet()}, nil)
		}
		for range 25 {
			u, set := b.user(of), newSet()
			b.enrolled(newApp(u, factor.First), set, noon)
			n := won(t, 32, func(ctx context.Context, _ int) (bool, error) {
				return taken(replace(ctx, u, set.ID), factor.ErrChanged)
			})
			if n != 1 {
				t.Fatalf("%d of 32 have replaced one set", n)
			}
			b.recovers(u, set, 0, noon, false)
		}

		u, set := b.user(of), newSet()
		b.isErr(replace(t.Context(), u, ""), factor.ErrChanged) // without a factor
		app := b.enrolled(newApp(u, factor.First), factor.Set{}, noon)
		b.must(replace(t.Context(), u, ""))
		b.isErr(replace(t.Context(), u, ""), factor.ErrChanged) // there is one by now
		b.isErr(replace(t.Context(), u, set.ID), factor.ErrChanged)
		for name, stranger := range b.strangers(of) {
			r := factor.Replacement{Tenant: stranger, UserID: u.ID, Old: b.standing(u).Recovery.ID, Set: newSet()}
			if err := b.ReplaceSet(t.Context(), r, nil); !errors.Is(err, factor.ErrChanged) && !errors.Is(err, user.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := b.Disable(t.Context(), factor.Stop{Tenant: of, UserID: u.ID, Factor: app.ID, By: factor.ByGuesses, At: noon}, nil)
		b.must(err)
		b.isErr(replace(t.Context(), u, b.standing(u).Recovery.ID), factor.ErrChanged)

		used := b.user(of)
		b.enrolled(newApp(used, factor.First), set, noon)
		b.recovers(used, set, 0, noon, true)
		b.isErr(replace(t.Context(), used, set.ID), factor.ErrChanged)
		b.enrolled(newApp(used, factor.Renew), factor.Set{}, noon)
		b.must(replace(t.Context(), used, set.ID))
		if got := b.standing(used).Recovery; got.Left() != 5 || got.Obliged || !got.LastUsedAt.Equal(noon) {
			t.Errorf("after it: %+v", got)
		}
	})
}
