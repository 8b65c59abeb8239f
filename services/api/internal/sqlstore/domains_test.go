package sqlstore_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
)

// claimant makes an organization that claims these domains.
func (b *bench) claimant(account string, domains ...string) tenant.Organization {
	b.t.Helper()
	o, connections := newOrganization(account, "org-"+id.UUID())
	o.EmailDomains = domains
	b.must(b.CreateOrganization(b.t.Context(), o, connections))
	return o
}

// claim reads a claim and gives it a token.
func (b *bench) claim(o tenant.Organization, domain string) tenant.DomainClaim {
	b.t.Helper()
	c, err := b.DomainClaim(b.t.Context(), o.AccountID, o.ID, domain, id.UUID())
	b.must(err)
	return c
}

func (b *bench) claimants(account, domain string, proven bool) []string {
	b.t.Helper()
	ids, err := b.DomainClaimants(b.t.Context(), account, domain, proven, "", 10)
	b.must(err)
	return ids
}

func TestClaimsFollowTheList(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account().ID
		o := b.claimant(account, "Acme.test", "bare name", "b.test", "acme.TEST")
		first := b.claim(o, "acme.test")
		if again := b.claim(o, "acme.test"); again != first || first.Token == "" || first.OrgID != o.ID || first.AccountID != account {
			t.Errorf("a claim reads %+v, and again %+v", first, again)
		}
		_, err := b.DomainClaim(t.Context(), account, o.ID, "bare name", "x")
		b.isErr(err, tenant.ErrNotFound)
		_, err = b.DomainClaim(t.Context(), b.account().ID, o.ID, "acme.test", "x")
		b.isErr(err, tenant.ErrNotFound)
		b.must(b.ProveDomain(t.Context(), first, []string{first.Token}, noon))

		later := noon.Add(time.Hour)
		list := []string{"c.test", "acme.test"}
		changed, err := b.UpdateOrganization(t.Context(), account, o.ID, "", tenant.OrganizationChange{EmailDomains: &list}, later)
		o.EmailDomains, o.UpdatedAt = list, later
		if err != nil || !reflect.DeepEqual(changed, o) {
			t.Errorf("UpdateOrganization = %+v, %v, want %+v", changed, err, o)
		}
		if kept := b.claim(o, "acme.test"); kept.Token != first.Token || !kept.ProvenAt.Equal(noon) {
			t.Errorf("a claim that stays = %+v, was %+v", kept, first)
		}
		if n := b.count("organization_domains"); n != 2 {
			t.Errorf("%d claims, want 2", n)
		}
		// Given up and made again, it has to be proven again.
		for _, list := range [][]string{{}, {"acme.test"}} {
			_, err := b.UpdateOrganization(t.Context(), account, o.ID, "", tenant.OrganizationChange{EmailDomains: &list}, later)
			b.must(err)
		}
		if got := b.claimants(account, "acme.test", true); len(got) != 0 {
			t.Errorf("proven by %q", got)
		}
		b.isErr(b.ProveDomain(t.Context(), first, []string{first.Token}, noon), tenant.ErrNotFound)
		if fresh := b.claim(o, "acme.test"); fresh.Token == first.Token {
			t.Error("the new claim has the old token")
		}
		_, err = b.DeleteOrganization(t.Context(), account, o.ID, "", later)
		b.must(err)
		if n := b.count("organization_domains"); n != 0 {
			t.Errorf("%d claims outlive their organization", n)
		}
		_, err = b.UpdateOrganization(t.Context(), account, o.ID, "", tenant.OrganizationChange{}, later)
		b.isErr(err, tenant.ErrNotFound)
		_, err = b.OrganizationByID(t.Context(), account, o.ID)
		b.isErr(err, tenant.ErrNotFound)
	})
}

func TestAnOrganizationChangesOnlyWhatIsSaid(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account().ID
		want := b.organization(account)
		name, color, locale, logo, none := "Other", "#ffffff", "fr", "https://cdn.example.com/l.png", ""
		for i, change := range []tenant.OrganizationChange{
			{}, {Name: &name}, {Color: &color}, {Locale: &locale}, {LogoURL: &logo}, {RedirectURIs: &[]string{"https://a.test/cb"}},
			{EmailDomains: &[]string{"x.test"}}, {Color: &none}, {LogoURL: &none}, {RedirectURIs: &[]string{}}, {EmailDomains: &[]string{}},
		} {
			assign(change.Name, &want.Name)
			assign(change.Color, &want.Color)
			assign(change.Locale, &want.Locale)
			assign(change.LogoURL, &want.LogoURL)
			assign(change.RedirectURIs, &want.RedirectURIs)
			assign(change.EmailDomains, &want.EmailDomains)
			want.UpdatedAt = noon.Add(time.Duration(i) * time.Minute)
			got, err := b.UpdateOrganization(t.Context(), account, want.ID, tenant.Default, change, want.UpdatedAt)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("step %d: %+v, %v, want %+v", i, got, err, want)
			}
		}
		if got, err := b.OrganizationByID(t.Context(), account, want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("OrganizationByID = %+v, %v, want %+v", got, err, want)
		}
		_, err := b.OrganizationByID(t.Context(), b.account().ID, want.ID)
		b.isErr(err, tenant.ErrNotFound)
		_, err = b.UpdateOrganization(t.Context(), b.account().ID, want.ID, "", tenant.OrganizationChange{Name: &name}, noon)
		b.isErr(err, tenant.ErrNotFound)

		b.user(tenant.ID{Account: account, Org: want.ID, Env: tenant.Default})
		_, err = b.UpdateOrganization(t.Context(), account, want.ID, tenant.Default, tenant.OrganizationChange{Color: &color}, noon)
		b.isErr(err, tenant.ErrInhabited)
		if got, err := b.OrganizationByID(t.Context(), account, want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("a refused change made %+v, %v of %+v", got, err, want)
		}
		if _, err = b.UpdateOrganization(t.Context(), account, want.ID, "", tenant.OrganizationChange{Color: &color}, noon); err != nil {
			t.Error(err)
		}
	})
}

func assign[T any](change *T, to *T) {
	if change != nil {
		*to = *change
	}
}

func TestADomainIsProvenForOneOrganization(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		one, two := b.claimant(b.account().ID, "acme.test"), b.claimant(b.account().ID, "acme.test")
		first, second := b.claim(one, "acme.test"), b.claim(two, "acme.test")
		both := []string{first.Token, second.Token}
		for range 2 { // again changes nothing
			b.must(b.ProveDomain(t.Context(), first, []string{first.Token}, noon))
		}
		if err := b.ProveDomain(t.Context(), second, both, noon); !errors.Is(err, tenant.ErrDomainProven) {
			t.Errorf("the second proof: %v, want %v", err, tenant.ErrDomainProven)
		}
		if got := b.claimants(one.AccountID, "acme.test", true); !slices.Equal(got, []string{one.ID}) {
			t.Errorf("proven by %q, want %s", got, one.ID)
		}
		if got := b.claimants(two.AccountID, "acme.test", true); len(got) != 0 {
			t.Errorf("the other account finds %q", got)
		}
		// The record of the first one is gone: who rules the domain has decided.
		b.must(b.ProveDomain(t.Context(), second, []string{second.Token}, noon))
		if got := b.claimants(one.AccountID, "acme.test", true); len(got) != 0 {
			t.Errorf("the first proof still counts: %q", got)
		}
		if got := b.claimants(one.AccountID, "acme.test", false); !slices.Equal(got, []string{one.ID}) {
			t.Errorf("the first claim is gone: %q", got)
		}
		if c := b.claim(one, "acme.test"); !c.ProvenAt.IsZero() {
			t.Errorf("the first claim = %+v", c)
		}
		_, err := b.DeleteOrganization(t.Context(), two.AccountID, two.ID, "", noon)
		b.must(err)
		b.must(b.ProveDomain(t.Context(), first, both, noon))
	})
}

func TestOneOfManyProvesTheDomain(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account().ID
		var claims []tenant.DomainClaim
		var tokens []string
		for range 16 {
			c := b.claim(b.claimant(account, "acme.test"), "acme.test")
			claims, tokens = append(claims, c), append(tokens, c.Token)
		}
		proven := 0
		for _, err := range together(t, len(claims), func(ctx context.Context, i int) error { return b.ProveDomain(ctx, claims[i], tokens, noon) }) {
			switch {
			case err == nil:
				proven++
			case !errors.Is(err, tenant.ErrDomainProven):
				t.Error(err)
			}
		}
		if found := b.claimants(account, "acme.test", true); proven != 1 || len(found) != 1 {
			t.Errorf("%d of 16 proved the domain, %d hold it, want 1", proven, len(found))
		}
	})
}

func TestClaimantsComeInPages(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account().ID
		b.claimant(b.account().ID, "acme.test")
		var want []string
		for range 5 {
			want = append(want, b.claimant(account, "acme.test", "other.test").ID)
		}
		slices.Sort(want)
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			ids, err := b.DomainClaimants(t.Context(), account, "acme.test", false, after, 2)
			b.must(err)
			got = append(got, ids...)
			if len(ids) < 2 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("claimants = %q, want %q", got, want)
		}
	})
}

// A row of one account cannot hang on an organization of another, and a proof
// needs a token.
func TestADomainHangsOnItsOrganization(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		one, other := b.organization(b.account().ID), b.account()
		for name, args := range map[string][]any{
			"another account's organization": {other.ID, nil, nil},
			"a proof without a token":        {one.AccountID, nil, 1},
		} {
			if _, err := b.DB().ExecContext(t.Context(), `INSERT INTO organization_domains (org_id, domain, created_at, account_id, token, proven_at)
				VALUES ($1, 'x.test', 1, $2, $3, $4)`, append([]any{one.ID}, args...)...); err == nil {
				t.Errorf("%s was stored", name)
			}
		}
	})
}
