package sqlstore_test

import (
	"reflect"
	"testing"
	"time"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Standing is UserByID, Connection and SMS in one, and as fresh as they are.
func TestAUserWithItsFactor(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		is := func(why string) {
			t.Helper()
			var want factor.Standing
			var err error
			want.User, err = b.UserByID(t.Context(), u.Tenant, u.ID)
			b.must(err)
			want.Connection, err = b.Connection(t.Context(), u.Tenant)
			b.must(err)
			want.SMS, _ = b.SMS(t.Context(), u.Tenant, u.ID)
			for _, key := range []user.Key{{ID: u.ID}, {Canonical: want.User.Email.Canonical}} {
				if got, err := b.Standing(t.Context(), u.Tenant, key); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: Standing(%+v) = %+v, %v, want %+v", why, key, got, err, want)
				}
			}
		}
		is("no factor")
		pending := newPending(u, "+41791111111")
		b.must(b.PutPendingSMS(t.Context(), pending))
		is("a pending factor is none")
		b.must(b.ConfirmSMS(t.Context(), pending, nil, noon.Add(time.Minute)))
		if got, err := b.Standing(t.Context(), u.Tenant, user.Key{ID: u.ID}); err != nil || got.SMS.Phone != pending.Phone {
			t.Errorf("Standing = %+v, %v, want the factor", got, err)
		}
		is("a factor")
		yes, countries := true, []string{"CH"}
		_, err := b.UpdateConnection(t.Context(), u.Tenant, tenant.ConnectionChange{Active: &yes, Countries: &countries}, noon)
		b.must(err)
		_, err = b.UpdateUser(t.Context(), u.Tenant, u.ID, nil, func(u *user.User) error {
			u.Active, u.Phone, u.Address = false, "", nil
			return nil
		})
		b.must(err)
		is("everything changed")
		for _, key := range []user.Key{{ID: id.UUID()}, {Canonical: "nobody@example.com"}, {}} {
			_, err := b.Standing(t.Context(), u.Tenant, key)
			b.isErr(err, user.ErrNotFound)
		}
	})
}
