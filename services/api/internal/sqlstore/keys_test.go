package sqlstore_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

func newKey(a tenant.Account, env string, at time.Time) apikey.Key {
	return apikey.Key{
		ID: id.UUID(), AccountID: a.ID, AccountDomain: a.Domain, Env: env, Name: "server", Scopes: apikey.Standard(),
		Organizations: []string{id.UUID()}, RedirectURIs: []string{"https://app.example/cb"}, SecretDigest: apikey.Digest(id.Token()), CreatedAt: at,
	}
}

func TestAPIKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account, other := b.account(), b.account()
		old, young := newKey(account, tenant.Default, noon), newKey(account, tenant.Default, noon.Add(time.Minute))
		young.Organizations, young.Scopes = []string{}, []string{}
		for _, k := range []apikey.Key{old, young, newKey(account, tenant.Sandbox, noon), newKey(other, tenant.Default, noon)} {
			b.must(b.CreateKey(t.Context(), k))
		}
		if got, err := b.KeyByID(t.Context(), old.ID); err != nil || !reflect.DeepEqual(got, old) {
			t.Errorf("KeyByID = %+v, %v, want %+v", got, err, old)
		}
		list, err := b.Keys(t.Context(), account.ID, tenant.Default, first(10))
		if want := []apikey.Key{young, old}; err != nil || list.Total != 2 || !reflect.DeepEqual(list.Items, want) {
			t.Errorf("Keys = %+v, %v", list, err)
		}
		_, err = b.KeyByID(t.Context(), id.UUID())
		b.isErr(err, apikey.ErrNotFound)
		b.isErr(b.CreateKey(t.Context(), newKey(tenant.Account{ID: id.UUID()}, tenant.Default, noon)), apikey.ErrNotFound)

		for account, env := range map[string]string{account.ID: tenant.Sandbox, other.ID: tenant.Default} {
			_, err := b.RevokeKey(t.Context(), account, env, old.ID, noon)
			b.isErr(err, apikey.ErrNotFound)
		}
		old.RevokedAt = noon.Add(time.Hour)
		for _, at := range []time.Time{old.RevokedAt, old.RevokedAt.Add(time.Hour)} {
			if got, err := b.RevokeKey(t.Context(), account.ID, tenant.Default, old.ID, at); err != nil || !reflect.DeepEqual(got, old) {
				t.Errorf("RevokeKey = %+v, %v, want %+v", got, err, old)
			}
		}
		if got, err := b.KeyByID(t.Context(), old.ID); err != nil || !got.Revoked() {
			t.Errorf("a revoked key = %+v, %v", got, err)
		}
	})
}

// KeyIn is KeyByID and Organization in one: of its own account, the living
// one before the dead ones, and the key alone where there is none.
func TestAKeyWithItsOrganization(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account, other := b.account(), b.account()
		key := newKey(account, tenant.Default, noon)
		b.must(b.CreateKey(t.Context(), key))
		b.organization(account.ID) // a neighbour
		is := func(domain string, want tenant.Organization) {
			t.Helper()
			gotKey, got, err := b.KeyIn(t.Context(), key.ID, domain)
			if err != nil || !reflect.DeepEqual(gotKey, key) || !reflect.DeepEqual(got, want) {
				t.Errorf("KeyIn(%q) = %+v, %+v, %v, want %+v", domain, gotKey, got, err, want)
			}
		}
		none := tenant.Organization{EmailDomains: []string{}, RedirectURIs: []string{}}
		is("acme", none)
		is("", none)
		is(b.organization(other.ID).Domain, none)

		var dead tenant.Organization
		for i := range 2 {
			o, connections := newOrganization(account.ID, "acme")
			o.CreatedAt = noon.Add(time.Duration(i) * time.Minute)
			b.must(b.CreateOrganization(t.Context(), o, connections))
			living, err := b.Organization(t.Context(), account.ID, "acme")
			b.must(err)
			is("acme", living)
			dead, err = b.DeleteOrganization(t.Context(), account.ID, o.ID, "", noon.Add(time.Duration(i+1)*time.Hour))
			b.must(err)
			is("acme", dead)
		}
		theirs, connections := newOrganization(other.ID, "acme") // takes the domain that is free now
		b.must(b.CreateOrganization(t.Context(), theirs, connections))
		is("acme", dead)
		_, _, err := b.KeyIn(t.Context(), id.UUID(), "acme")
		b.isErr(err, apikey.ErrNotFound)
		revoked, err := b.RevokeKey(t.Context(), account.ID, key.Env, key.ID, noon)
		b.must(err)
		key = revoked
		is("acme", dead)
	})
}

func TestOneOfManyReplicasMakesTheSigningKey(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		key := func() token.SigningKey {
			return token.SigningKey{ID: id.UUID(), Algorithm: "RS256", Sealed: []byte{1, 2, 3}, CreatedAt: noon}
		}
		errs := together(t, 32, func(ctx context.Context, _ int) error { return b.AddFirstSigningKey(ctx, key()) })
		if ok := tally(t, errs, nil); ok != 32 {
			t.Errorf("%d of 32 calls returned well", ok)
		}
		keys, err := b.SigningKeys(t.Context())
		b.must(err)
		if len(keys) != 1 {
			t.Fatalf("%d signing keys, want 1", len(keys))
		}
		want := key()
		want.ID = keys[0].ID
		if !reflect.DeepEqual(keys[0], want) {
			t.Errorf("key = %+v, want %+v", keys[0], want)
		}

		// The first key can be retired after a second one has come.
		_, err = b.DB().ExecContext(t.Context(), `UPDATE signing_keys SET number = 2`)
		b.must(err)
		b.must(b.AddFirstSigningKey(t.Context(), key()))
		if n := b.count("signing_keys"); n != 1 {
			t.Errorf("%d signing keys after another first one, want 1", n)
		}
		_, err = b.DB().ExecContext(t.Context(), `INSERT INTO signing_keys (id, algorithm, sealed, created_at, number) SELECT 'newer', algorithm, sealed, created_at, 3 FROM signing_keys`)
		b.must(err)
		if keys, err := b.SigningKeys(t.Context()); err != nil || len(keys) != 2 || keys[0].ID != "newer" {
			t.Errorf("SigningKeys = %+v, %v, want the newest first", keys, err)
		}

		// Another algorithm has a row of its own.
		elliptic := key()
		elliptic.Algorithm = "ES256"
		b.must(b.AddFirstSigningKey(t.Context(), elliptic))
		next := key()
		next.Algorithm = "ES256"
		b.isErr(b.AddSigningKey(t.Context(), next, "newer"), token.ErrRotated)
		b.must(b.AddSigningKey(t.Context(), next, elliptic.ID))
		keys, err = b.SigningKeys(t.Context())
		b.must(err)
		if len(keys) != 4 || keys[0].ID != "newer" || keys[2].ID != next.ID || keys[3].ID != elliptic.ID {
			t.Errorf("SigningKeys = %+v, want those of RSA first, and each newest first", keys)
		}
	})
}
