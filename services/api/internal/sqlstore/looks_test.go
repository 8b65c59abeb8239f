package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"countersign.dev/services/api/internal/tenant"
)

// logoOf is a picture that the store takes: it does not look into it.
func logoOf(hash string) *tenant.Logo {
	return &tenant.Logo{Hash: hash, MediaType: "image/png", Content: []byte("picture " + hash)}
}

func TestALogoIsKeptWithItsOrganization(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account().ID
		one, two := b.organization(account), b.organization(b.account().ID)
		put := func(account string, o tenant.Organization, logo *tenant.Logo) error {
			got, err := b.UpdateOrganization(t.Context(), account, o.ID, tenant.Default, tenant.OrganizationChange{Logo: logo}, noon)
			if err == nil && logo != nil && got.LogoHash != logo.Hash {
				t.Errorf("the organization names %q, want %q", got.LogoHash, logo.Hash)
			}
			return err
		}
		serves := func(hash string, want bool) {
			t.Helper()
			got, err := b.Logo(t.Context(), hash)
			if want && (err != nil || !reflect.DeepEqual(got, *logoOf(hash))) {
				t.Errorf("Logo(%s) = %v, %v", hash, got, err)
			}
			if !want {
				b.isErr(err, tenant.ErrNotFound)
			}
		}
		serves("a", false)
		b.must(put(account, one, logoOf("a")))
		b.must(put(account, one, nil)) // leaves it
		b.must(put(two.AccountID, two, logoOf("a")))
		serves("a", true)
		b.isErr(put(two.AccountID, one, logoOf("b")), tenant.ErrNotFound)
		serves("b", false)
		b.must(put(account, one, logoOf("b")))
		serves("a", true) // of the other one
		serves("b", true)
		b.must(put(two.AccountID, two, &tenant.Logo{}))
		serves("a", false)

		// Nobody changes what people who log in see from the sandbox.
		resident := b.user(tenant.ID{Account: account, Org: one.ID, Env: tenant.Default})
		b.isErr(put(account, one, logoOf("c")), tenant.ErrInhabited)
		b.isErr(put(account, one, &tenant.Logo{}), tenant.ErrInhabited)
		serves("b", true)
		_, err := b.DeleteUser(t.Context(), resident.Tenant, resident.ID, noon)
		b.must(err)
		gone, err := b.DeleteOrganization(t.Context(), account, one.ID, "", noon)
		if serves("b", false); err != nil || gone.LogoHash != "" || b.count("organization_logos") != 0 {
			t.Errorf("%+v, %v; %d pictures are left", gone, err, b.count("organization_logos"))
		}
		b.isErr(put(account, one, logoOf("d")), tenant.ErrNotFound)
	})
}

func TestPageTextsAreChangedUnderTheOrganizationsLock(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account().ID
		o := b.organization(account)
		edit := tenant.Edit{Tenant: tenant.ID{Account: account, Org: o.ID, Env: tenant.Sandbox}, Sparing: tenant.Default, At: noon.Add(time.Hour)}
		want := tenant.PageTexts{"de": {Welcome: `"Grüezi"`, Help: "\\"}, "fr": {Help: "a"}}
		got, err := b.ChangePageTexts(t.Context(), edit, func(before tenant.PageTexts) (tenant.PageTexts, error) {
			if before != nil {
				t.Errorf("an organization begins with %v", before)
			}
			return want, nil
		})
		if err != nil || !reflect.DeepEqual(got.Texts, want) || !got.UpdatedAt.Equal(edit.At) {
			t.Errorf("%+v, %v", got, err)
		}
		is := func(want tenant.PageTexts) {
			t.Helper()
			if got, err := b.OrganizationByID(t.Context(), account, o.ID); err != nil || !reflect.DeepEqual(got.Texts, want) {
				t.Errorf("%v, %v, want %v", got.Texts, err, want)
			}
		}
		is(want)

		wrong := errors.New("no")
		replaced := func(tenant.PageTexts) (tenant.PageTexts, error) { return tenant.PageTexts{"xx": {Help: "x"}}, nil }
		_, err = b.ChangePageTexts(t.Context(), edit, func(tenant.PageTexts) (tenant.PageTexts, error) { return nil, wrong })
		if !errors.Is(err, wrong) {
			t.Errorf("%v, want what the change returned", err)
		}
		stranger := edit
		stranger.Tenant.Account = b.account().ID
		_, err = b.ChangePageTexts(t.Context(), stranger, replaced)
		b.isErr(err, tenant.ErrNotFound)
		resident := b.user(tenant.ID{Account: account, Org: o.ID, Env: tenant.Default})
		_, err = b.ChangePageTexts(t.Context(), edit, replaced)
		b.isErr(err, tenant.ErrInhabited)
		is(want)
		_, err = b.DeleteUser(t.Context(), resident.Tenant, resident.ID, noon)
		b.must(err)

		// Of many at once none is lost.
		for _, err := range together(t, 16, func(ctx context.Context, i int) error {
			_, err := b.ChangePageTexts(ctx, edit, func(before tenant.PageTexts) (tenant.PageTexts, error) {
				all := tenant.PageTexts{fmt.Sprint("q", i): {Help: "x"}}
				maps.Copy(all, before)
				return all, nil
			})
			return err
		}) {
			b.must(err)
		}
		all, err := b.OrganizationByID(t.Context(), account, o.ID)
		if b.must(err); len(all.Texts) != 18 {
			t.Errorf("%d languages are left of 18", len(all.Texts))
		}
		_, err = b.ChangePageTexts(t.Context(), edit, func(tenant.PageTexts) (tenant.PageTexts, error) { return tenant.PageTexts{}, nil })
		b.must(err)
		is(nil)
		_, err = b.DeleteOrganization(t.Context(), account, o.ID, "", noon)
		b.must(err)
		_, err = b.ChangePageTexts(t.Context(), edit, replaced)
		b.isErr(err, tenant.ErrNotFound)
	})
}
