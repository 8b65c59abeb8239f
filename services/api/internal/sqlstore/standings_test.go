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

// Standing is UserByID, Connection and the factors in one, and as fresh as they
// are.
func TestAUserWithItsFactors(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		var factors []factor.Factor
		var waiting factor.Factor
		var codes factor.Set
		is := func(why string) {
			t.Helper()
			want := factor.Standing{Factors: factors, Waiting: waiting, Recovery: codes}
			var err error
			want.User, err = b.UserByID(t.Context(), u.Tenant, u.ID)
			b.must(err)
			want.Connection, err = b.Connection(t.Context(), u.Tenant)
			b.must(err)
			for _, key := range []user.Key{{ID: u.ID}, {Canonical: want.User.Email.Canonical}} {
				if got, err := b.Standing(t.Context(), u.Tenant, key); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: Standing(%+v) = %+v, %v, want %+v", why, key, got, err, want)
				}
			}
		}
		is("no factor")
		waiting = newPhone(u, "+41791111111")
		b.must(b.PutWaiting(t.Context(), waiting, nil))
		is("one that waits")
		codes = newSet()
		factors, waiting = []factor.Factor{b.enrolled(waiting, codes, noon.Add(time.Minute))}, factor.Factor{}
		is("a phone")
		app := newApp(u, factor.Add)
		app.CreatedAt = noon.Add(time.Minute)
		factors = append(factors, b.enrolled(app, factor.Set{}, noon.Add(time.Minute)))
		waiting = newApp(u, factor.Reset)
		b.must(b.PutWaiting(t.Context(), waiting, nil))
		is("a phone, an app, and one that waits")
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
