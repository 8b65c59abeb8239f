package sqlstore_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/user"
)

func newPending(u user.User, number string) factor.SMS {
	return factor.SMS{ID: id.UUID(), Tenant: u.Tenant, UserID: u.ID, Phone: number, CreatedAt: noon, ExpiresAt: noon.Add(10 * time.Minute)}
}

func TestAFactorIsInForceUntilTheNextIsConfirmed(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		inForce := func(want factor.SMS) {
			t.Helper()
			if got, err := b.SMS(t.Context(), u.Tenant, u.ID); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("SMS = %+v, %v, want %+v", got, err, want)
			}
		}
		confirm := func(f factor.SMS, at time.Time) factor.SMS {
			t.Helper()
			b.must(b.ConfirmSMS(t.Context(), f, nil, at))
			f.ConfirmedAt, f.ExpiresAt = at, time.Time{}
			return f
		}
		first := newPending(u, "+41791111111")
		b.must(b.PutPendingSMS(t.Context(), first))
		_, err := b.SMS(t.Context(), u.Tenant, u.ID)
		b.isErr(err, factor.ErrNotEnrolled)
		if got, err := b.PendingSMS(t.Context(), u.Tenant, u.ID, noon); err != nil || !reflect.DeepEqual(got, first) {
			t.Errorf("PendingSMS = %+v, %v, want %+v", got, err, first)
		}
		first = confirm(first, noon.Add(time.Minute))
		inForce(first)
		_, err = b.PendingSMS(t.Context(), u.Tenant, u.ID, noon)
		b.isErr(err, factor.ErrNoPending)

		abandoned, second := newPending(u, "+41792222222"), newPending(u, "+41793333333")
		b.must(b.PutPendingSMS(t.Context(), abandoned))
		b.must(b.PutPendingSMS(t.Context(), second))
		inForce(first)
		b.isErr(b.ConfirmSMS(t.Context(), abandoned, nil, noon.Add(time.Minute)), factor.ErrNoPending)
		inForce(first) // a confirmation that failed took nothing away
		if got, err := b.PendingSMS(t.Context(), u.Tenant, u.ID, noon); err != nil || !reflect.DeepEqual(got, second) {
			t.Errorf("PendingSMS = %+v, %v, want the last one", got, err)
		}
		second = confirm(second, noon.Add(2*time.Minute))
		inForce(second)
		b.isErr(b.ConfirmSMS(t.Context(), second, nil, noon.Add(2*time.Minute)), factor.ErrNoPending)
		inForce(second)
		if n := b.count("sms_factors"); n != 1 {
			t.Errorf("%d factors, want 1", n)
		}
		ghost := newPending(u, "+41791111111")
		ghost.UserID = id.UUID()
		b.isErr(b.PutPendingSMS(t.Context(), ghost), user.ErrNotFound)
	})
}

func TestAPendingFactorDies(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		f := newPending(u, u.Phone)
		b.must(b.PutPendingSMS(t.Context(), f))
		if _, err := b.PendingSMS(t.Context(), u.Tenant, u.ID, f.ExpiresAt.Add(-time.Millisecond)); err != nil {
			t.Errorf("in its last moment: %v", err)
		}
		_, err := b.PendingSMS(t.Context(), u.Tenant, u.ID, f.ExpiresAt)
		b.isErr(err, factor.ErrNoPending)
		b.isErr(b.ConfirmSMS(t.Context(), f, nil, f.ExpiresAt), factor.ErrNoPending)
	})
}

func TestConfirmingVerifiesTheUsersOwnNumberOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		for number, verified := range map[string]bool{newUser(of, "").Phone: true, "+41790000000": false} {
			u := b.user(of)
			f := newPending(u, number)
			b.must(b.PutPendingSMS(t.Context(), f))
			b.must(b.ConfirmSMS(t.Context(), f, nil, noon.Add(time.Minute)))
			got, err := b.UserByID(t.Context(), of, u.ID)
			if err != nil || got.PhoneVerified != verified || got.Phone != u.Phone {
				t.Errorf("after a code to %s: %+v, %v, want verified = %v", number, got, err, verified)
			}
			if changed := got.UpdatedAt.Equal(noon.Add(time.Minute)); changed != verified {
				t.Errorf("updated_at = %v", got.UpdatedAt)
			}
		}
	})
}

func TestOneOfManyConfirms(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		for range 20 {
			f := newPending(u, u.Phone)
			b.must(b.PutPendingSMS(t.Context(), f))
			errs := together(t, 32, func(ctx context.Context, _ int) error { return b.ConfirmSMS(ctx, f, nil, noon) })
			if ok := tally(t, errs, factor.ErrNoPending); ok != 1 {
				t.Fatalf("%d of 32 confirmed, want 1", ok)
			}
			if got, err := b.SMS(t.Context(), u.Tenant, u.ID); err != nil || got.ID != f.ID {
				t.Fatalf("SMS = %+v, %v, want the confirmed one", got, err)
			}
		}
	})
}
