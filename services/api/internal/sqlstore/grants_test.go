package sqlstore_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
	"countersign.dev/services/api/internal/user"
)

// granting is a user of a tenant that really exists, with a key that may
// exchange what the user's logins come to.
func (b *bench) granting() (*grant.Service, grant.New, user.User) {
	b.t.Helper()
	account := b.account()
	of := tenant.ID{Account: account.ID, Org: b.organization(account.ID).ID, Env: tenant.Sandbox}
	u, key := b.user(of), newKey(account, of.Env, noon)
	b.must(b.CreateKey(b.t.Context(), key))
	service := &grant.Service{Store: b.Store, Keys: keyring(b.t), Now: func() time.Time { return noon }}
	return service, grant.New{
		Tenant: of, UserID: u.ID, ClientID: key.ID, Scope: []string{"openid"}, AMR: []string{"pwd"}, RedirectURI: "https://app.test/x", Nonce: "n",
	}, u
}

// began is a login that was exchanged.
func (b *bench) began(s *grant.Service, n grant.New) grant.Session {
	b.t.Helper()
	code, err := s.NewCode(b.t.Context(), n)
	b.must(err)
	session, err := s.Redeem(b.t.Context(), code, grant.Binding{ClientID: n.ClientID, MayOmitURI: true})
	b.must(err)
	return session
}

// Covers R-042 for codes and refresh tokens.
func TestNoRowShowsACodeOrARefreshToken(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		service, login, _ := b.granting()
		code, err := service.NewCode(t.Context(), login)
		b.must(err)
		session := b.began(service, login)
		next, err := service.Refresh(t.Context(), session.Refresh, login.ClientID)
		b.must(err)
		rows := ""
		for _, table := range []string{"grants", "authorization_codes", "refresh_tokens"} {
			rows += strings.Join(b.rows(`SELECT * FROM `+table), "\n")
		}
		if !strings.Contains(rows, login.RedirectURI) {
			t.Error("the redirect URI is in no row: nothing was looked at")
		}
		for _, secret := range []string{code.Reveal(), session.Refresh.Reveal(), next.Refresh.Reveal()} {
			if _, bare, dotted := strings.Cut(secret, "."); dotted {
				secret = bare
			}
			if strings.Contains(rows, secret) {
				t.Error("a row holds what it stands for")
			}
		}
	})
}

// The sweep keeps what could still be replayed.
func TestTheSweepForgetsWhatEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		service, login, _ := b.granting()
		now := noon
		service.Now = func() time.Time { return now }
		want := func(when string, grants, codes, tokens, successors int) {
			t.Helper()
			b.must(service.Sweep(t.Context()))
			for table, n := range map[string]int{
				"grants": grants, "authorization_codes": codes, "refresh_tokens": tokens, "refresh_tokens WHERE successor IS NOT NULL": successors,
			} {
				if got := b.count(table); got != n {
					t.Errorf("%s: %d rows in %s, want %d", when, got, table, n)
				}
			}
		}
		session := b.began(service, login)
		_, err := service.Refresh(t.Context(), session.Refresh, login.ClientID)
		b.must(err)
		_, err = service.NewCode(t.Context(), login) // nobody redeems it
		b.must(err)
		now = noon.Add(grant.Grace)
		want("within the grace", 2, 2, 2, 1)
		now = noon.Add(grant.Grace + time.Millisecond)
		want("after it", 2, 2, 2, 0)
		now = noon.Add(grant.CodeLife + time.Hour - time.Millisecond)
		want("an hour after the code has lapsed, nearly", 2, 2, 2, 0)
		now = noon.Add(grant.CodeLife + time.Hour)
		want("an hour after the code has lapsed", 1, 1, 2, 0)
		now = noon.Add(grant.Absolute - time.Millisecond)
		want("to the last moment", 1, 1, 2, 0)
		now = noon.Add(grant.Absolute)
		want("at the end", 0, 0, 0, 0)
	})
}

// More than one portion is swept at once.
func TestTheSweepTakesPortions(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		service, login, _ := b.granting()
		b.began(service, login)
		for _, copied := range []string{
			`INSERT INTO grants (org_id, environment, id, account_id, user_id, client_id, scope, amr, acr, auth_time, created_at, expires_at)
				SELECT org_id, environment, id || '-' || $1, account_id, user_id, client_id, scope, amr, acr, auth_time, created_at, expires_at FROM grants WHERE id NOT LIKE '%-%-%-%-%-%'`,
		} {
			for i := range 1100 {
				_, err := b.DB().ExecContext(t.Context(), copied, id.Request("x")[2:]+string(rune('a'+i%26)))
				b.must(err)
			}
		}
		if n := b.count("grants"); n != 1101 {
			t.Fatalf("%d grants, want 1101: the statement of this test is wrong", n)
		}
		service.Now = func() time.Time { return noon.Add(grant.Absolute) }
		b.must(service.Sweep(t.Context()))
		if n := b.count("grants"); n != 0 {
			t.Errorf("%d grants are left", n)
		}
	})
}

// A grant goes with its user, and hangs on nobody else's.
func TestAGrantGoesWithItsUser(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		service, login, u := b.granting()
		b.began(service, login)
		_, err := b.DeleteUser(t.Context(), login.Tenant, u.ID, noon)
		b.must(err)
		for _, table := range []string{"grants", "authorization_codes", "refresh_tokens"} {
			if n := b.count(table); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		for name, stranger := range b.strangers(login.Tenant) {
			draft, _, err := service.Draft(login)
			b.must(err)
			draft.Grant.Tenant = stranger
			if err := b.AddGrant(t.Context(), draft); !errors.Is(err, user.ErrNotFound) {
				t.Errorf("%s: %v, want not found", name, err)
			}
		}
	})
}

// A key that is added in parallel to another does not come behind it unseen.
func TestOneOfManyRotationsAddsTheNextKey(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		key := func() token.SigningKey {
			return token.SigningKey{ID: id.UUID(), Algorithm: "RS256", Sealed: []byte{1, 2, 3}, CreatedAt: noon, StartsAt: noon.Add(time.Minute)}
		}
		first := key()
		b.isErr(b.AddSigningKey(t.Context(), key(), first.ID), token.ErrRotated)
		b.must(b.AddFirstSigningKey(t.Context(), first))
		errs := together(t, 32, func(ctx context.Context, _ int) error { return b.AddSigningKey(ctx, key(), first.ID) })
		if ok := tally(t, errs, token.ErrRotated); ok != 1 {
			t.Errorf("%d of 32 rotations added a key, want 1", ok)
		}
		keys, err := b.SigningKeys(t.Context())
		b.must(err)
		if len(keys) != 2 || !reflect.DeepEqual(keys[1], first) {
			t.Fatalf("keys: %+v, want the first one last", keys)
		}
		b.isErr(b.AddSigningKey(t.Context(), key(), first.ID), token.ErrRotated)
		b.must(b.AddSigningKey(t.Context(), key(), keys[0].ID))
	})
}

func TestIssuers(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account()
		org := b.organization(account.ID)
		gone := b.organization(account.ID)
		_, err := b.DeleteOrganization(t.Context(), account.ID, gone.ID, "", noon)
		b.must(err)
		for domain, want := range map[string]bool{account.Domain: true, org.Domain: true, gone.Domain: false, account.ID: false, org.ID: false, "": false} {
			if got, err := b.IssuerExists(t.Context(), domain); err != nil || got != want {
				t.Errorf("IssuerExists(%q) = %v, %v, want %v", domain, got, err, want)
			}
		}
	})
}
