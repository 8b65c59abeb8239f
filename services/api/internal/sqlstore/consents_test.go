package sqlstore_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/user"
)

// thirdParty is an app of others in the tenant of a login, and that login.
func (b *bench) thirdParty() (*grant.Service, grant.New, consent.Consent) {
	b.t.Helper()
	grants, login, u := b.granting()
	client := newClient(u.Tenant)
	client.FirstParty = false
	login.ClientID = b.registered(client).ID
	return grants, login, consent.Consent{Tenant: u.Tenant, UserID: u.ID, ClientID: login.ClientID, Scopes: []string{"openid"}, GivenAt: noon, UpdatedAt: noon}
}

func (b *bench) consents(c consent.Consent) {
	b.t.Helper()
	b.must(b.GiveConsent(b.t.Context(), c, toldOf(c.Tenant, event.TypeConsentGiven)))
}

func (b *bench) takesBack(ctx context.Context, c consent.Consent) error {
	_, err := b.RevokeConsent(ctx, c.Tenant, c.UserID, c.ClientID, toldOf(c.Tenant, event.TypeConsentRevoked))
	return err
}

// What is allowed is added to what was allowed before, also by two at once, and
// is its tenant's alone.
func TestConsentsAddUp(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		_, _, c := b.thirdParty()
		b.consents(c)
		scopes := []string{"openid", "email", "profile", "phone", "offline_access"}
		for _, err := range together(t, 2*len(scopes), func(ctx context.Context, i int) error {
			more := c
			more.Scopes, more.UpdatedAt = []string{scopes[i%len(scopes)]}, noon.Add(time.Minute)
			return b.GiveConsent(ctx, more, toldOf(c.Tenant, event.TypeConsentGiven))
		}) {
			b.must(err)
		}
		got, err := b.Consent(t.Context(), c.Tenant, c.UserID, c.ClientID)
		b.must(err)
		slices.Sort(scopes)
		if !slices.Equal(got.Scopes, scopes) || got.App != "Shop" || !got.GivenAt.Equal(noon) || !got.UpdatedAt.Equal(noon.Add(time.Minute)) {
			t.Errorf("%+v", got)
		}
		if all, err := b.Consents(t.Context(), c.Tenant, c.UserID); err != nil || len(all) != 1 || all[0].ClientID != c.ClientID {
			t.Errorf("listed: %+v, %v", all, err)
		}
		for name, stranger := range b.strangers(c.Tenant) {
			theirs := c
			theirs.Tenant = stranger
			_, err := b.Consent(t.Context(), stranger, c.UserID, c.ClientID)
			b.isErr(err, consent.ErrNotFound)
			b.isErr(b.GiveConsent(t.Context(), theirs, toldOf(stranger, event.TypeConsentGiven)), consent.ErrNotFound)
			b.isErr(b.takesBack(t.Context(), theirs), consent.ErrNotFound)
			if all, err := b.Consents(t.Context(), stranger, c.UserID); err != nil || len(all) != 0 {
				t.Errorf("%s lists %+v, %v", name, all, err)
			}
		}
	})
}

// An app of others has no grant without consent, and none is left when it is
// taken back, whatever else was going on.
// Covers R-151 for grants and the consent that they rest on.
func TestNoGrantOutlivesItsConsent(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		grants, login, c := b.thirdParty()
		_, err := grants.NewCode(t.Context(), login)
		b.isErr(err, user.ErrNotFound)
		login.Scope = []string{"openid", grant.Offline}
		for range 10 {
			b.consents(c)
			for _, err := range together(t, 16, func(ctx context.Context, i int) error {
				if i == 8 {
					return b.takesBack(ctx, c)
				}
				_, err := grants.NewCode(ctx, login)
				return err
			}) {
				if err != nil && !errors.Is(err, user.ErrNotFound) {
					t.Fatal(err)
				}
			}
			if n := b.count("grants WHERE revoked_at IS NULL"); n != 0 {
				t.Fatalf("%d grants outlive the consent", n)
			}
		}
		b.isErr(b.takesBack(t.Context(), c), consent.ErrNotFound)
		// Another app's go on.
		own := login
		own.ClientID = b.registered(newClient(c.Tenant)).ID
		b.consents(c)
		b.began(grants, own)
		b.must(b.takesBack(t.Context(), c))
		if n := b.count("grants WHERE revoked_at IS NULL"); n != 1 {
			t.Errorf("%d grants of the other app", n)
		}
	})
}

// A consent goes with its user, its app and its organization.
func TestAConsentGoesWithItsOwners(t *testing.T) {
	for name, remove := range map[string]func(b *bench, c consent.Consent) error{
		"user": func(b *bench, c consent.Consent) error {
			_, err := b.DeleteUser(b.t.Context(), c.Tenant, c.UserID, noon)
			return err
		},
		"app": func(b *bench, c consent.Consent) error {
			_, err := b.DeleteApp(b.t.Context(), c.Tenant, c.ClientID, toldOf(c.Tenant, event.TypeAppRemoved))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, b *bench) {
				_, _, c := b.thirdParty()
				b.consents(c)
				b.must(remove(b, c))
				if n := b.count("consents"); n != 0 {
					t.Errorf("%d are left", n)
				}
				b.isErr(b.GiveConsent(t.Context(), c, toldOf(c.Tenant, event.TypeConsentGiven)), consent.ErrNotFound)
			})
		})
	}
}

// An app that is switched off is allowed nothing.
func TestAnInactiveAppIsAllowedNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		_, _, c := b.thirdParty()
		a, err := b.App(t.Context(), c.Tenant, c.ClientID)
		b.must(err)
		b.edit(a, func(a *app.App) { a.Active = false })
		b.isErr(b.GiveConsent(t.Context(), c, toldOf(c.Tenant, event.TypeConsentGiven)), consent.ErrNotFound)
	})
}
