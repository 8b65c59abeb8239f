package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

func TestUsersAreReadAsWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		full := newUser(of, "full@example.com")
		bare := user.User{ID: id.UUID(), Tenant: of, Email: user.Address{Written: "b@x.example", Canonical: "b@x.example"}, CreatedAt: noon, UpdatedAt: noon}
		for _, want := range []user.User{full, bare} {
			b.must(b.CreateUser(t.Context(), want))
			if got, err := b.UserByID(t.Context(), of, want.ID); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("UserByID = %+v, %v, want %+v", got, err, want)
			}
			if got, err := b.UserByEmail(t.Context(), of, want.Email.Canonical); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("UserByEmail = %+v, %v, want %+v", got, err, want)
			}
		}
		_, err := b.UserByID(t.Context(), of, id.UUID())
		b.isErr(err, user.ErrNotFound)
		_, err = b.UserByEmail(t.Context(), of, full.Email.Written)
		b.isErr(err, user.ErrNotFound)

		again := newUser(of, "full@example.com")
		again.Email.Written = "another.spelling@example.com"
		b.isErr(b.CreateUser(t.Context(), again), user.ErrEmailTaken)
		b.isErr(b.CreateUser(t.Context(), newUser(tenant.ID{Account: of.Account, Org: id.UUID(), Env: of.Env}, "x@example.com")), tenant.ErrNotFound)

		// The same address elsewhere is somebody else.
		for _, elsewhere := range []tenant.ID{{Account: of.Account, Org: of.Org, Env: tenant.Default}, b.tenant()} {
			b.must(b.CreateUser(t.Context(), newUser(elsewhere, "full@example.com")))
		}
	})
}

func TestUsersAreListedNewestFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		b.user(b.tenant())
		var want []user.User
		for i := range 5 {
			u := newUser(of, fmt.Sprint(i, "@example.com"))
			u.ID, u.CreatedAt = fmt.Sprintf("%d%s", i, id.UUID()[1:]), noon.Add(time.Duration(i/2)*time.Minute) // pairs of one moment
			b.must(b.CreateUser(t.Context(), u))
			want = append([]user.User{u}, want...)
		}
		for page, want := range map[listing.Page][]user.User{listing.Of(1, 3): want[:3], listing.Of(2, 3): want[3:], listing.Of(3, 3): {}} {
			got, err := b.Users(t.Context(), of, page)
			if err != nil || got.Total != 5 || got.Page != page || names(got.Items) != names(want) {
				t.Errorf("page %+v = %s of %d, %v, want %s", page, names(got.Items), got.Total, err, names(want))
			}
		}
	})
}

func TestUpdatingAUser(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		want, other := b.user(of), b.user(of)
		got, err := b.UpdateUser(t.Context(), of, want.ID, nil, func(u *user.User) error {
			if !reflect.DeepEqual(*u, want) {
				t.Errorf("change got %+v, want %+v", *u, want)
			}
			u.Email, u.Phone, u.Active, u.Address = user.Address{Written: "N@x.example", Canonical: "n@x.example"}, "", false, nil
			u.UpdatedAt = noon.Add(time.Hour)
			// None of these is the caller's to change.
			u.ID, u.Tenant, u.CreatedAt = other.ID, tenant.ID{}, noon.Add(time.Hour)
			return nil
		})
		want.Email, want.Phone, want.Active, want.Address = user.Address{Written: "N@x.example", Canonical: "n@x.example"}, "", false, nil
		want.UpdatedAt = noon.Add(time.Hour)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("UpdateUser = %+v, %v, want %+v", got, err, want)
		}

		errNo := errors.New("no")
		_, err = b.UpdateUser(t.Context(), of, want.ID, nil, func(u *user.User) error { u.Active = true; return errNo })
		if !errors.Is(err, errNo) {
			t.Errorf("err = %v, want what change returned", err)
		}
		_, err = b.UpdateUser(t.Context(), of, want.ID, nil, func(u *user.User) error { u.Email = other.Email; return nil })
		b.isErr(err, user.ErrEmailTaken)
		_, err = b.UpdateUser(t.Context(), of, id.UUID(), nil, func(*user.User) error { t.Error("change of nobody"); return nil })
		b.isErr(err, user.ErrNotFound)
		if got, err := b.UserByID(t.Context(), of, want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("refused changes left %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestNoUpdateIsLost(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u := b.user(of)
		const calls = 32
		errs := together(t, calls, func(ctx context.Context, _ int) error {
			_, err := b.UpdateUser(ctx, of, u.ID, nil, func(u *user.User) error {
				more := *u.Profile.Nickname + "!"
				u.Profile.Nickname = &more
				return nil
			})
			return err
		})
		tally(t, errs, nil)
		got, err := b.UserByID(t.Context(), of, u.ID)
		b.must(err)
		if n := len(*got.Profile.Nickname) - len("Ana"); n != calls {
			t.Errorf("%d of %d updates are there", n, calls)
		}
	})
}

func TestOneOfManyGetsTheAddress(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		for round := range 20 {
			address := fmt.Sprint(round, "@example.com")
			errs := together(t, 32, func(ctx context.Context, _ int) error { return b.CreateUser(ctx, newUser(of, address)) })
			if ok := tally(t, errs, user.ErrEmailTaken); ok != 1 {
				t.Fatalf("%d of 32 got the address, want 1", ok)
			}
		}
		one, two := b.user(of), b.user(of)
		errs := together(t, 32, func(ctx context.Context, i int) error {
			_, err := b.UpdateUser(ctx, of, []string{one.ID, two.ID}[i%2], nil, func(u *user.User) error {
				u.Email = user.Address{Written: "both@example.com", Canonical: "both@example.com"}
				return nil
			})
			return err
		})
		if ok := tally(t, errs, user.ErrEmailTaken); ok != 16 {
			t.Errorf("%d of 32 changes to one address succeeded, want the 16 of one user", ok)
		}
	})
}

func TestDeletingAUserTakesEverythingAlong(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		gone, stays := b.inhabit(of), b.inhabit(of)
		deleted, err := b.DeleteUser(t.Context(), of, gone.ID, noon)
		if err != nil || !reflect.DeepEqual(deleted, gone) {
			t.Errorf("DeleteUser = %+v, %v, want %+v", deleted, err, gone)
		}
		for _, table := range []string{"users", "factors", "recovery_sets", "guess_budgets", "deliveries", "delivery_attempts", "sandbox_messages"} {
			if n := b.count(table); n != 1 {
				t.Errorf("%d rows in %s, want those of the other user", n, table)
			}
		}
		_, err = b.DeleteUser(t.Context(), of, gone.ID, noon)
		b.isErr(err, user.ErrNotFound)
		if _, err := b.UserByID(t.Context(), of, stays.ID); err != nil {
			t.Error(err)
		}
		b.must(b.CreateUser(t.Context(), func() user.User { u := newUser(of, "x"); u.Email = gone.Email; return u }()))
	})
}
