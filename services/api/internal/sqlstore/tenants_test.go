package sqlstore_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

func TestAccounts(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		a := b.account()
		got, err := b.AccountByDomain(t.Context(), a.Domain)
		if err != nil || got != a {
			t.Errorf("AccountByDomain = %+v, %v, want %+v", got, err, a)
		}
		b.isErr(b.CreateAccount(t.Context(), tenant.Account{ID: id.UUID(), Domain: a.Domain, Name: "x", CreatedAt: noon}), tenant.ErrAccountTaken)
		_, err = b.AccountByDomain(t.Context(), "nobody")
		b.isErr(err, tenant.ErrNotFound)
	})
}

func TestOrganizationsAreReadAsWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account()
		o, connections := newOrganization(account.ID, "acme")
		b.must(b.CreateOrganization(t.Context(), o, connections))
		got, err := b.Organization(t.Context(), account.ID, "acme")
		if err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("Organization = %+v, %v, want %+v", got, err, o)
		}
		for _, want := range connections {
			if got, err := b.Connection(t.Context(), want.Tenant); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Connection = %+v, %v, want %+v", got, err, want)
			}
		}
		_, err = b.Organization(t.Context(), account.ID, "other")
		b.isErr(err, tenant.ErrNotFound)
		_, err = b.Organization(t.Context(), b.account().ID, "acme")
		b.isErr(err, tenant.ErrNotFound)

		same, connections := newOrganization(b.account().ID, "acme")
		b.isErr(b.CreateOrganization(t.Context(), same, connections), tenant.ErrDomainTaken)
		orphan, connections := newOrganization(id.UUID(), "orphan")
		b.isErr(b.CreateOrganization(t.Context(), orphan, connections), tenant.ErrNotFound)
		if n := b.count("connections"); n != 2 {
			t.Errorf("%d connections are left of what was refused, want 2", n)
		}
	})
}

func TestADeletedOrganizationLeavesItsDomain(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account().ID
		var old []tenant.Organization
		for i := range 2 {
			o, connections := newOrganization(account, "acme")
			b.must(b.CreateOrganization(t.Context(), o, connections))
			later := noon.Add(time.Duration(i) * time.Hour)
			deleted, err := b.DeleteOrganization(t.Context(), account, o.ID, "", later)
			b.must(err)
			o.DeletedAt, o.UpdatedAt = later, later
			if !reflect.DeepEqual(deleted, o) {
				t.Errorf("DeleteOrganization = %+v, want %+v", deleted, o)
			}
			old = append(old, o)
		}
		if got, err := b.Organization(t.Context(), account, "acme"); err != nil || !reflect.DeepEqual(got, old[1]) {
			t.Errorf("Organization = %+v, %v, want the last deleted one", got, err)
		}
		_, err := b.DeleteOrganization(t.Context(), account, old[1].ID, "", noon)
		b.isErr(err, tenant.ErrNotFound)
		_, err = b.Connection(t.Context(), tenant.ID{Account: account, Org: old[1].ID, Env: tenant.Sandbox})
		b.isErr(err, tenant.ErrNotFound)

		living, connections := newOrganization(account, "acme")
		b.must(b.CreateOrganization(t.Context(), living, connections))
		if got, err := b.Organization(t.Context(), account, "acme"); err != nil || got.ID != living.ID || got.Deleted() {
			t.Errorf("Organization = %+v, %v, want the living one", got, err)
		}
		list, err := b.Organizations(t.Context(), account, nil, first(10))
		b.must(err)
		if list.Total != 1 || list.Items[0].ID != living.ID {
			t.Errorf("Organizations = %+v, want the living one alone", list)
		}
		b.isErr(b.CreateUser(t.Context(), newUser(tenant.ID{Account: account, Org: old[0].ID, Env: tenant.Sandbox}, "x@example.com")), tenant.ErrNotFound)
	})
}

func TestDeletingAnOrganizationTakesItsUsersAlong(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		sandbox := b.tenant()
		production := tenant.ID{Account: sandbox.Account, Org: sandbox.Org, Env: tenant.Default}
		other := b.tenant()
		for _, of := range []tenant.ID{sandbox, production, other} {
			b.inhabit(of)
		}
		_, err := b.DeleteOrganization(t.Context(), sandbox.Account, sandbox.Org, tenant.Default, noon)
		b.isErr(err, tenant.ErrNotEmpty)
		_, err = b.DeleteOrganization(t.Context(), other.Account, sandbox.Org, "", noon)
		b.isErr(err, tenant.ErrNotFound)
		tables := []string{"users", "factors", "recovery_sets", "guess_budgets", "deliveries", "delivery_attempts", "sandbox_messages"}
		for _, table := range tables {
			if n := b.count(table); n != 3 {
				t.Errorf("%d rows in %s, want 3: a refused deletion removed some", n, table)
			}
		}
		users, err := b.Users(t.Context(), production, first(1))
		b.must(err)
		_, err = b.DeleteUser(t.Context(), production, users.Items[0].ID, noon)
		b.must(err)
		for range 600 { // more than one portion
			b.user(sandbox)
		}
		_, err = b.DeleteOrganization(t.Context(), sandbox.Account, sandbox.Org, tenant.Default, noon)
		b.must(err)
		for _, table := range tables {
			if n := b.count(table); n != 1 {
				t.Errorf("%d rows in %s, want the other tenant's alone", n, table)
			}
		}
		if n := b.count("connections"); n != 2 {
			t.Errorf("%d connections, want the other tenant's alone", n)
		}
	})
}

func TestNoUserOutlivesItsOrganization(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		for range 30 {
			of := b.tenant()
			errs := together(t, 8, func(ctx context.Context, i int) error {
				if i == 0 {
					_, err := b.DeleteOrganization(ctx, of.Account, of.Org, "", noon)
					return err
				}
				return b.CreateUser(ctx, newUser(of, fmt.Sprint(i, "@example.com")))
			})
			tally(t, errs, tenant.ErrNotFound)
			if n := b.count("users"); n != 0 {
				t.Fatalf("%d users live in a deleted organization", n)
			}
		}
	})
}

func TestASandboxKeyNeverDeletesPeople(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		for range 30 {
			of := b.tenant()
			of.Env = tenant.Default
			var deleted, created error
			together(t, 2, func(ctx context.Context, i int) error {
				if i == 0 {
					_, deleted = b.DeleteOrganization(ctx, of.Account, of.Org, tenant.Default, noon)
				} else {
					created = b.CreateUser(ctx, newUser(of, "x@example.com"))
				}
				return nil
			})
			if (deleted == nil) == (created == nil) {
				t.Fatalf("deletion: %v, creation: %v; want exactly one to succeed", deleted, created)
			}
		}
	})
}

func TestOneOfManyGetsTheDomain(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account().ID
		for round := range 10 {
			errs := together(t, 32, func(ctx context.Context, _ int) error {
				o, connections := newOrganization(account, fmt.Sprint("race-", round))
				return b.CreateOrganization(ctx, o, connections)
			})
			if ok := tally(t, errs, tenant.ErrDomainTaken); ok != 1 {
				t.Fatalf("%d of 32 got the domain, want 1", ok)
			}
		}
	})
}

func TestOrganizationsAreListedNewestFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account().ID
		b.organization(b.account().ID)
		var made []tenant.Organization
		for i := range 5 {
			o, connections := newOrganization(account, fmt.Sprint("org-", i))
			o.CreatedAt = noon.Add(time.Duration(i) * time.Minute)
			b.must(b.CreateOrganization(t.Context(), o, connections))
			made = append([]tenant.Organization{o}, made...)
		}
		name := func(o tenant.Organization) string { return o.Domain }
		for page, want := range map[listing.Page][]tenant.Organization{
			listing.Of(1, 2):       made[:2],
			listing.Of(3, 2):       made[4:],
			listing.Of(4, 2):       {},
			listing.Of(1<<62, 200): {},
			{}:                     made, // brought within the bounds
		} {
			got, err := b.Organizations(t.Context(), account, nil, page)
			if err != nil || got.Total != 5 || ids(got.Items, name) != ids(want, name) || got.Items == nil || got.Page.Per == 0 {
				t.Errorf("page %+v = %s of %d, %v, want %s", page, ids(got.Items, name), got.Total, err, ids(want, name))
			}
		}
		got, err := b.Organizations(t.Context(), account, []string{made[0].ID, made[3].ID, id.UUID()}, first(10))
		if want := []tenant.Organization{made[0], made[3]}; err != nil || got.Total != 2 || !reflect.DeepEqual(got.Items, want) {
			t.Errorf("within = %+v, %v", got, err)
		}
	})
}

func TestAConnectionChangesOnlyWhatIsSaid(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		want, err := b.Connection(t.Context(), of)
		b.must(err)
		yes, no, caller, ten, hundred := true, false, tenant.DeliverCaller, 10, 100
		issuer, sha256, six, eight, sixty := "Acme & Co", "SHA256", 6, 8, 60
		steps := []struct {
			change tenant.ConnectionChange
			expect func()
		}{
			{tenant.ConnectionChange{}, func() {}},
			{tenant.ConnectionChange{Active: &yes}, func() { want.Active = true }},
			{tenant.ConnectionChange{Delivery: &caller}, func() { want.Delivery = caller }},
			{tenant.ConnectionChange{Countries: &[]string{"CH", "DE"}}, func() { want.Countries = []string{"CH", "DE"} }},
			{tenant.ConnectionChange{SMSPerHour: &ten}, func() { want.SMSPerHour = 10 }},
			{tenant.ConnectionChange{SMSPerDay: &hundred}, func() { want.SMSPerDay = 100 }},
			{tenant.ConnectionChange{Issuer: &issuer, Digits: &eight}, func() { want.Issuer, want.App.Digits = issuer, 8 }},
			{tenant.ConnectionChange{Algorithm: &sha256, Period: &sixty}, func() { want.App.Algorithm, want.App.Period = sha256, 60 }},
			{tenant.ConnectionChange{Passwordless: &yes}, func() { want.Passwordless = true }},
			{tenant.ConnectionChange{Digits: &six}, func() { want.App.Digits = 6 }},
			{tenant.ConnectionChange{Passwordless: &no}, func() { want.Passwordless = false }},
			{tenant.ConnectionChange{Countries: &[]string{}}, func() { want.Countries = []string{} }},
		}
		for i, step := range steps {
			now := noon.Add(time.Duration(i+1) * time.Second)
			got, err := b.UpdateConnection(t.Context(), of, step.change, now)
			step.expect()
			want.UpdatedAt = now
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("step %d: %+v, %v, want %+v", i, got, err, want)
			}
			if read, err := b.Connection(t.Context(), of); err != nil || !reflect.DeepEqual(read, want) {
				t.Fatalf("step %d: read %+v, %v, want %+v", i, read, err, want)
			}
		}
		other := of
		other.Env = tenant.Default
		if c, err := b.Connection(t.Context(), other); err != nil || c.Active || c.Passwordless {
			t.Errorf("the other environment: %+v, %v", c, err)
		}
	})
}

func names(users []user.User) string {
	return ids(users, func(u user.User) string { return u.Email.Canonical })
}
