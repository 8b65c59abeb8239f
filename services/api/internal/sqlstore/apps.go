package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

var _ app.Store = (*Store)(nil)

const (
	// The names of organization and account come from their own tables.
	appColumns = `id, account_id, org_id, environment,
		(SELECT domain FROM organizations o WHERE o.account_id = apps.account_id AND o.id = apps.org_id),
		(SELECT domain FROM accounts WHERE accounts.id = apps.account_id),
		name, client_type, secret_digest, native, redirect_uris, logout_uris, origins, methods, scopes, first_party, token_profile, audience,
		id_token_alg, active, created_at, updated_at, backchannel_uri, backchannel_session, initiate_uri`
	oneApp = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND id = $4`
)

func scanApp(row scanner) (a app.App, err error) {
	err = row.Scan(&a.ID, &a.Tenant.Account, &a.Tenant.Org, &a.Tenant.Env, &a.Org, &a.Account, &a.Name, &a.Type, &a.SecretDigest, &a.Native,
		document{&a.RedirectURIs}, document{&a.LogoutURIs}, document{&a.Origins}, document{&a.Methods}, document{&a.Scopes}, &a.FirstParty,
		&a.Profile, &a.Audience, &a.IDTokenAlg, &a.Active, instant{&a.CreatedAt}, instant{&a.UpdatedAt}, &a.BackchannelURI, &a.BackchannelSession, &a.InitiateURI)
	return a, err
}

func (s *Store) app(ctx context.Context, q querier, st statement) (a app.App, err error) {
	err = oneBy(ctx, q, app.ErrNotFound, st, func(row scanner) (err error) {
		a, err = scanApp(row)
		return err
	})
	return a, err
}

// AppByID implements app.Store.
func (s *Store) AppByID(ctx context.Context, clientID string) (app.App, error) {
	return s.app(ctx, s.read, stmt("find app", `SELECT `+appColumns+` FROM apps WHERE id = $1
		AND EXISTS (SELECT 1 FROM organizations o WHERE o.account_id = apps.account_id AND o.id = apps.org_id AND o.deleted_at IS NULL)`, clientID))
}

// OriginKnown implements app.Store.
func (s *Store) OriginKnown(ctx context.Context, origin string) (known bool, err error) {
	err = one(ctx, s.read, nil, stmt("look for origin",
		`SELECT EXISTS (SELECT 1 FROM app_origins x
			JOIN apps a ON a.org_id = x.org_id AND a.environment = x.environment AND a.id = x.app_id AND a.active = TRUE
			JOIN organizations o ON o.account_id = a.account_id AND o.id = a.org_id AND o.deleted_at IS NULL
			WHERE x.origin = $1)`, origin), &known)
	return known, err
}

// App implements app.Store.
func (s *Store) App(ctx context.Context, t tenant.ID, clientID string) (app.App, error) {
	return s.oneApp(ctx, s.read, t, clientID)
}

func (s *Store) oneApp(ctx context.Context, q querier, t tenant.ID, clientID string) (app.App, error) {
	return s.app(ctx, q, stmt("read app", `SELECT `+appColumns+` FROM apps`+oneApp, t.Account, t.Org, t.Env, clientID))
}

// Apps implements app.Store.
func (s *Store) Apps(ctx context.Context, t tenant.ID, page listing.Page) (listing.Result[app.App], error) {
	return source[app.App]{"apps", appColumns, scanApp}.page(ctx, s.read, below(t), page)
}

// CreateApp implements app.Store. It holds the organization, so that the apps
// that are counted are all there are.
func (s *Store) CreateApp(ctx context.Context, a app.App, told outbox.Entry) (created app.App, err error) {
	t := a.Tenant
	err = s.inTx(ctx, "create app", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.holdOrganization(ctx, tx, t.Account, t.Org, "", nil); err != nil {
			return err
		}
		if created, err = s.insertApp(ctx, tx, a); err != nil {
			return err
		}
		if err := putOrigins(ctx, tx, created); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, []outbox.Entry{told})
	})
	return created, err
}

func (s *Store) insertApp(ctx context.Context, tx *sql.Tx, a app.App) (app.App, error) {
	t, digest := a.Tenant, a.SecretDigest
	if digest == nil {
		digest = []byte{}
	}
	created, err := s.app(ctx, tx, stmt("create app",
		`INSERT INTO apps (account_id, org_id, environment, id, name, client_type, secret_digest, native, redirect_uris, logout_uris, origins,
			methods, scopes, first_party, token_profile, audience, id_token_alg, active, created_at, updated_at,
			backchannel_uri, backchannel_session, initiate_uri)
		SELECT account_id, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $22, $23, $24
		FROM organizations WHERE account_id = $1 AND id = $2
			AND (SELECT COUNT(*) FROM apps WHERE account_id = $1 AND org_id = $2 AND environment = $3) < $21
		RETURNING `+appColumns,
		t.Account, t.Org, t.Env, a.ID, a.Name, a.Type, digest, a.Native, list(a.RedirectURIs), list(a.LogoutURIs), list(a.Origins),
		list(a.Methods), list(a.Scopes), a.FirstParty, a.Profile, a.Audience, a.IDTokenAlg, a.Active, millis(a.CreatedAt), millis(a.UpdatedAt), app.MaxApps,
		a.BackchannelURI, a.BackchannelSession, a.InitiateURI))
	if errors.Is(err, app.ErrNotFound) {
		err = app.ErrMany // the organization is held, so that it is the count
	}
	return created, err
}

// putOrigins writes the origins of an app where they are looked for.
func putOrigins(ctx context.Context, tx *sql.Tx, a app.App) error {
	if _, err := exec(ctx, tx, stmt("clear origins",
		`DELETE FROM app_origins WHERE org_id = $1 AND environment = $2 AND app_id = $3`, a.Tenant.Org, a.Tenant.Env, a.ID)); err != nil {
		return err
	}
	for _, origin := range a.Origins {
		if _, err := exec(ctx, tx, stmt("add origin",
			`INSERT INTO app_origins (origin, org_id, environment, app_id) VALUES ($1, $2, $3, $4)`,
			origin, a.Tenant.Org, a.Tenant.Env, a.ID)); err != nil {
			return err
		}
	}
	return nil
}

// UpdateApp implements app.Store.
func (s *Store) UpdateApp(ctx context.Context, t tenant.ID, clientID string, change func(*app.App) (outbox.Entry, error)) (a app.App, err error) {
	err = s.inTx(ctx, "update app", longLimit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.holdOrganization(ctx, tx, t.Account, t.Org, "", nil); err != nil {
			return err
		}
		if a, err = s.oneApp(ctx, tx, t, clientID); err != nil {
			return err
		}
		told, err := change(&a)
		if err != nil {
			return err
		}
		if err := mustTouch(ctx, tx, app.ErrNotFound, stmt("update app",
			`UPDATE apps SET name = $5, redirect_uris = $6, logout_uris = $7, origins = $8, methods = $9, scopes = $10, first_party = $11,
				token_profile = $12, audience = $13, id_token_alg = $14, active = $15, updated_at = $16, backchannel_uri = $17,
				backchannel_session = $18, initiate_uri = $19`+oneApp,
			t.Account, t.Org, t.Env, clientID, a.Name, list(a.RedirectURIs), list(a.LogoutURIs), list(a.Origins), list(a.Methods), list(a.Scopes),
			a.FirstParty, a.Profile, a.Audience, a.IDTokenAlg, a.Active, millis(a.UpdatedAt), a.BackchannelURI, a.BackchannelSession, a.InitiateURI)); err != nil {
			return err
		}
		if err := putOrigins(ctx, tx, a); err != nil {
			return err
		}
		if !a.Active {
			if err := revokeAppGrants(ctx, tx, t, clientID, a.UpdatedAt); err != nil {
				return err
			}
		}
		return s.insertEntries(ctx, tx, []outbox.Entry{told})
	})
	return a, err
}

// DeleteApp implements app.Store.
func (s *Store) DeleteApp(ctx context.Context, t tenant.ID, clientID string, told outbox.Entry) (a app.App, err error) {
	err = s.inTx(ctx, "delete app", longLimit, func(ctx context.Context, tx *sql.Tx) error {
		// Their origins go with them.
		if a, err = s.app(ctx, tx, stmt("delete app", `DELETE FROM apps`+oneApp+` RETURNING `+appColumns, t.Account, t.Org, t.Env, clientID)); err != nil {
			return err
		}
		if err := revokeAppGrants(ctx, tx, t, clientID, told.CreatedAt); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, []outbox.Entry{told})
	})
	return a, err
}

// revokeAppGrants ends what an app was granted, in portions. Grants of an app
// that is gone or not active count for nothing anyway (see liveGrant); these
// stay dead when it is switched on again.
func revokeAppGrants(ctx context.Context, tx *sql.Tx, t tenant.ID, clientID string, at time.Time) error {
	for {
		revoked, err := exec(ctx, tx, stmt("revoke grants of app",
			`UPDATE grants SET revoked_at = $5 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND id IN (
				SELECT id FROM grants WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND client_id = $4 AND revoked_at IS NULL LIMIT $6)`,
			t.Account, t.Org, t.Env, clientID, millis(at), portion))
		if err != nil || revoked < portion {
			return err
		}
	}
}

// RotateAppSecret implements app.Store.
func (s *Store) RotateAppSecret(ctx context.Context, t tenant.ID, clientID string, digest []byte, told outbox.Entry) (a app.App, err error) {
	err = s.inTx(ctx, "rotate secret of app", limit, func(ctx context.Context, tx *sql.Tx) error {
		a, err = s.app(ctx, tx, stmt("rotate secret of app",
			`UPDATE apps SET secret_digest = $5, updated_at = $6`+oneApp+` AND client_type = $7 RETURNING `+appColumns,
			t.Account, t.Org, t.Env, clientID, digest, millis(told.CreatedAt), app.Confidential))
		if errors.Is(err, app.ErrNotFound) {
			if _, err := s.oneApp(ctx, tx, t, clientID); err != nil {
				return err
			}
			return app.ErrPublic
		}
		if err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, []outbox.Entry{told})
	})
	return a, err
}
