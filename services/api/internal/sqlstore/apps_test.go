package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
)

func newClient(of tenant.ID) app.App {
	return app.App{
		ID: app.NewID(), Tenant: of, Name: "Shop", Type: app.Confidential, SecretDigest: []byte("0123456789abcdef0123456789abcdef"),
		RedirectURIs: []string{"https://app.test/cb"}, LogoutURIs: []string{"https://app.test/bye"}, Origins: []string{"https://app.test", "http://localhost:3000"},
		Methods: app.Methods(), Scopes: app.DefaultScopes(), FirstParty: true, Profile: app.Gateway, Audience: "https://api.test", IDTokenAlg: app.RS256,
		InitiateURI: "https://app.test/login",
		Active:      true, CreatedAt: noon, UpdatedAt: noon,
	}
}

func toldOf(of tenant.ID, action string) outbox.Entry {
	return (&outbox.Composer{Now: func() time.Time { return noon }}).Event(happened(of, "", action, map[string]string{"app": "x"}))
}

// registered stores an app.
func (b *bench) registered(a app.App) app.App {
	b.t.Helper()
	made, err := b.CreateApp(b.t.Context(), a, toldOf(a.Tenant, event.TypeAppCreated))
	b.must(err)
	return made
}

// edit updates an app by a function.
func (b *bench) edit(a app.App, change func(*app.App)) app.App {
	b.t.Helper()
	after, err := b.UpdateApp(b.t.Context(), a.Tenant, a.ID, func(a *app.App) (outbox.Entry, error) {
		change(a)
		return toldOf(a.Tenant, event.TypeAppChanged), nil
	})
	b.must(err)
	return after
}

// wantOrigin asks whether an origin is known.
func (b *bench) wantOrigin(when, origin string, want bool) {
	b.t.Helper()
	if known, err := b.OriginKnown(b.t.Context(), origin); err != nil || known != want {
		b.t.Errorf("%s: %s is known: %v, %v; want %v", when, origin, known, err, want)
	}
}

// An app is read as it was written, with the names of its organization and
// account, by its tenant and by its id alone; and by nobody else's tenant.
func TestAnAppIsItsTenants(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account()
		org := b.organization(account.ID)
		of := tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Sandbox}
		want := newClient(of)
		made := b.registered(want)
		want.Org, want.Account = org.Domain, account.Domain
		read, err := b.App(t.Context(), of, want.ID)
		b.must(err)
		found, err := b.AppByID(t.Context(), want.ID)
		b.must(err)
		for how, got := range map[string]app.App{"made": made, "read": read, "found": found} {
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v\nwant %+v", how, got, want)
			}
		}
		for name, stranger := range b.strangers(of) {
			_, err := b.App(t.Context(), stranger, want.ID)
			b.isErr(err, app.ErrNotFound)
			_, err = b.DeleteApp(t.Context(), stranger, want.ID, toldOf(of, event.TypeAppRemoved))
			b.isErr(err, app.ErrNotFound)
			_, err = b.RotateAppSecret(t.Context(), stranger, want.ID, []byte("x"), toldOf(of, event.TypeAppSecret))
			b.isErr(err, app.ErrNotFound)
			_, err = b.UpdateApp(t.Context(), stranger, want.ID, func(*app.App) (outbox.Entry, error) { panic("it is another's") })
			if !errors.Is(err, app.ErrNotFound) && !errors.Is(err, tenant.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			if list, err := b.Apps(t.Context(), stranger, first(10)); err != nil || list.Total+len(list.Items) != 0 {
				t.Errorf("%s lists %+v, %v", name, list, err)
			}
		}
		list, err := b.Apps(t.Context(), of, listing.Of(1, 10))
		if err != nil || list.Total != 1 || !reflect.DeepEqual(list.Items, []app.App{want}) {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// An origin is known while an active app of a living organization lists it.
func TestAnOriginIsKnownByItsApps(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		a := b.registered(newClient(of))
		second := newClient(of)
		second.Origins = []string{"https://app.test"}
		other := b.registered(second)
		const shared, local = "https://app.test", "http://localhost:3000"
		b.wantOrigin("listed", shared, true)
		b.wantOrigin("listed", local, true)
		for _, near := range []string{"", "null", "*", "https://app.test:443", "https://app.test/", "https://APP.test", "http://app.test", "https://x.app.test", "https://app.tes", "http://localhost"} {
			b.wantOrigin("a near one", near, false)
		}
		b.edit(a, func(a *app.App) { a.Origins = []string{"https://new.test"} })
		b.wantOrigin("after a change", local, false)
		b.wantOrigin("after a change", "https://new.test", true)
		b.wantOrigin("listed by the other app", shared, true)
		b.edit(a, func(a *app.App) { a.Active = false })
		b.wantOrigin("switched off", "https://new.test", false)
		b.edit(a, func(a *app.App) { a.Active = true })
		b.wantOrigin("switched on again", "https://new.test", true)
		_, err := b.DeleteApp(t.Context(), of, other.ID, toldOf(of, event.TypeAppRemoved))
		b.must(err)
		b.wantOrigin("deleted", shared, false)
		_, err = b.DeleteOrganization(t.Context(), of.Account, of.Org, "", noon)
		b.must(err)
		b.wantOrigin("of a deleted organization", "https://new.test", false)
		_, err = b.AppByID(t.Context(), a.ID)
		b.isErr(err, app.ErrNotFound)
		if n := b.count("apps") + b.count("app_origins"); n != 0 {
			t.Errorf("%d rows of apps are left", n)
		}
	})
}

// What an app was granted ends when it is switched off, and stays ended.
//
// Covers R-040 for clients (grants and refresh tokens).
func TestAnAppsGrantsEndWithIt(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		service, login, _ := b.granting()
		byKey := b.began(service, login)
		ended := map[string]func(a app.App){
			"switched off": func(a app.App) { b.edit(a, func(a *app.App) { a.Active = false }) },
			"switched off, and on again": func(a app.App) {
				b.edit(b.edit(a, func(a *app.App) { a.Active = false }), func(a *app.App) { a.Active = true })
			},
			"deleted": func(a app.App) {
				_, err := b.DeleteApp(t.Context(), a.Tenant, a.ID, toldOf(a.Tenant, event.TypeAppRemoved))
				b.must(err)
			},
		}
		for how, end := range ended {
			a := b.registered(newClient(login.Tenant))
			beside := b.registered(newClient(login.Tenant))
			of := func(clientID string) grant.New { n := login; n.ClientID = clientID; return n }
			ours, theirs := b.began(service, of(a.ID)), b.began(service, of(beside.ID))
			code, err := service.NewCode(t.Context(), of(a.ID))
			b.must(err)
			end(a)
			if _, err := b.LiveGrant(t.Context(), ours.ID, noon); !errors.Is(err, grant.ErrInvalid) {
				t.Errorf("%s: its grant lives: %v", how, err)
			}
			if _, err := service.Refresh(t.Context(), ours.Refresh, a.ID); !errors.Is(err, grant.ErrInvalid) {
				t.Errorf("%s: its refresh token works: %v", how, err)
			}
			if _, err := service.Redeem(t.Context(), code, grant.Binding{ClientID: a.ID, MayOmitURI: true}); !errors.Is(err, grant.ErrInvalid) {
				t.Errorf("%s: its code works: %v", how, err)
			}
			for whose, id := range map[string]string{"another app": theirs.ID, "an API key": byKey.ID} {
				if _, err := b.LiveGrant(t.Context(), id, noon); err != nil {
					t.Errorf("%s: the grant of %s ended, too: %v", how, whose, err)
				}
			}
		}
	})
}

// Of many rotations at once each has its turn, the last one counts, and a
// public app has none.
func TestSecretsOfAppsRotateOneByOne(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		a := b.registered(newClient(of))
		errs := together(t, 16, func(ctx context.Context, i int) error {
			_, err := b.RotateAppSecret(ctx, of, a.ID, fmt.Appendf(nil, "digest %d", i), toldOf(of, event.TypeAppSecret))
			return err
		})
		if slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
			t.Errorf("%v", errs)
		}
		if n := b.count("activity WHERE action = 'app.secret_rotated'"); n != 16 {
			t.Errorf("%d records of 16 rotations", n)
		}
		public := newClient(of)
		public.Type, public.SecretDigest = app.Public, nil
		b.registered(public)
		_, err := b.RotateAppSecret(t.Context(), of, public.ID, []byte("digest"), toldOf(of, event.TypeAppSecret))
		b.isErr(err, app.ErrPublic)
		if read, err := b.App(t.Context(), of, public.ID); err != nil || len(read.SecretDigest) != 0 {
			t.Errorf("a public app has %q, %v", read.SecretDigest, err)
		}
	})
}

// Of many apps made at once none is over the bound, and a refused one leaves
// no record.
func TestAppsAreBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		for range app.MaxApps - 2 {
			b.registered(newClient(of))
		}
		errs := together(t, 8, func(ctx context.Context, _ int) error {
			_, err := b.CreateApp(ctx, newClient(of), toldOf(of, event.TypeAppCreated))
			return err
		})
		refused := 0
		for _, err := range errs {
			if errors.Is(err, app.ErrMany) {
				refused++
			} else if err != nil {
				t.Error(err)
			}
		}
		if refused != 6 || b.count("apps") != app.MaxApps || b.count("activity WHERE action = 'app.created'") != app.MaxApps {
			t.Errorf("%d of 8 refused, %d apps", refused, b.count("apps"))
		}
		elsewhere := of
		elsewhere.Env = tenant.Default
		b.registered(newClient(elsewhere))
	})
}

// appCalls makes every call about apps, for the test that looks for full scans.
func appCalls(ctx context.Context, s *sqlstore.Store, of tenant.ID) map[string]func() error {
	a := newClient(of)
	edit := func(a *app.App) (outbox.Entry, error) {
		a.Active = false
		return toldOf(of, event.TypeAppChanged), nil
	}
	return map[string]func() error{
		"47a CreateApp":   func() error { _, err := s.CreateApp(ctx, a, toldOf(of, event.TypeAppCreated)); return err },
		"47b App":         func() error { _, err := s.App(ctx, of, a.ID); return err },
		"47c AppByID":     func() error { _, err := s.AppByID(ctx, a.ID); return err },
		"47d Apps":        func() error { _, err := s.Apps(ctx, of, first(10)); return err },
		"47e OriginKnown": func() error { _, err := s.OriginKnown(ctx, a.Origins[0]); return err },
		"47f RotateAppSecret": func() error {
			_, err := s.RotateAppSecret(ctx, of, a.ID, a.SecretDigest, toldOf(of, event.TypeAppSecret))
			return err
		},
		"47g UpdateApp": func() error { _, err := s.UpdateApp(ctx, of, a.ID, edit); return err },
		"47h DeleteApp": func() error { _, err := s.DeleteApp(ctx, of, a.ID, toldOf(of, event.TypeAppRemoved)); return err },
	}
}
