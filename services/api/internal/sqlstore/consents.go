package sqlstore

import (
	"context"
	"database/sql"
	"slices"

	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

var _ consent.Store = (*Store)(nil)

const (
	consentColumns = `account_id, org_id, environment, user_id, app_id,
		(SELECT name FROM apps a WHERE a.org_id = consents.org_id AND a.environment = consents.environment AND a.id = consents.app_id),
		scopes, created_at, updated_at`
	oneConsent = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND app_id = $5`
)

func scanConsent(row scanner) (c consent.Consent, err error) {
	err = row.Scan(&c.Tenant.Account, &c.Tenant.Org, &c.Tenant.Env, &c.UserID, &c.ClientID, &c.App, document{&c.Scopes},
		instant{&c.GivenAt}, instant{&c.UpdatedAt})
	return c, err
}

func oneConsentBy(ctx context.Context, q querier, st statement) (c consent.Consent, err error) {
	err = oneBy(ctx, q, consent.ErrNotFound, st, func(row scanner) (err error) {
		c, err = scanConsent(row)
		return err
	})
	return c, err
}

// Consent implements consent.Store.
func (s *Store) Consent(ctx context.Context, t tenant.ID, userID, clientID string) (consent.Consent, error) {
	return oneConsentBy(ctx, s.read, stmt("read consent",
		`SELECT `+consentColumns+` FROM consents`+oneConsent, t.Account, t.Org, t.Env, userID, clientID))
}

// Consents implements consent.Store.
func (s *Store) Consents(ctx context.Context, t tenant.ID, userID string) ([]consent.Consent, error) {
	return many(ctx, s.read, stmt("list consents",
		`SELECT `+consentColumns+` FROM consents WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4
		ORDER BY updated_at DESC, app_id`, t.Account, t.Org, t.Env, userID), scanConsent)
}

// GiveConsent implements consent.Store. The first statement makes the row or
// holds it, so that of two answers at once the second one adds to the first.
func (s *Store) GiveConsent(ctx context.Context, c consent.Consent, told outbox.Entry) error {
	t := c.Tenant
	return s.inTx(ctx, "give consent", limit, func(ctx context.Context, tx *sql.Tx) error {
		before, err := oneConsentBy(ctx, tx, stmt("hold consent",
			`INSERT INTO consents (account_id, org_id, environment, user_id, app_id, scopes, created_at, updated_at)
			SELECT u.account_id, u.org_id, u.environment, u.id, a.id, '[]', $6, $6
			FROM users u JOIN apps a ON a.account_id = u.account_id AND a.org_id = u.org_id AND a.environment = u.environment
			WHERE u.account_id = $1 AND u.org_id = $2 AND u.environment = $3 AND u.id = $4 AND u.active = TRUE AND a.id = $5 AND a.active = TRUE
			ON CONFLICT (org_id, environment, user_id, app_id) DO UPDATE SET updated_at = excluded.updated_at
			RETURNING `+consentColumns, t.Account, t.Org, t.Env, c.UserID, c.ClientID, millis(c.UpdatedAt)))
		if orphan(err) {
			return consent.ErrNotFound.Because(err) // deleted at this moment
		}
		if err != nil {
			return err
		}
		all := slices.Concat(before.Scopes, c.Scopes)
		slices.Sort(all)
		if _, err := exec(ctx, tx, stmt("give consent", `UPDATE consents SET scopes = $6`+oneConsent,
			t.Account, t.Org, t.Env, c.UserID, c.ClientID, list(slices.Compact(all)))); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, []outbox.Entry{told})
	})
}

// RevokeConsent implements consent.Store. Deleting the row waits for whoever
// holds it to store a grant (see holdConsent), which is revoked here then.
func (s *Store) RevokeConsent(ctx context.Context, t tenant.ID, userID, clientID string, told outbox.Entry) (c consent.Consent, err error) {
	err = s.inTx(ctx, "revoke consent", limit, func(ctx context.Context, tx *sql.Tx) error {
		if c, err = oneConsentBy(ctx, tx, stmt("delete consent",
			`DELETE FROM consents`+oneConsent+` RETURNING `+consentColumns, t.Account, t.Org, t.Env, userID, clientID)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("revoke grants of consent",
			`UPDATE grants SET revoked_at = $6 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND client_id = $5
				AND revoked_at IS NULL`, t.Account, t.Org, t.Env, userID, clientID, millis(told.CreatedAt))); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, []outbox.Entry{told})
	})
	return c, err
}

// holdConsent keeps a consent from being taken back before the grant that
// rests on it is stored, and reports whether there is one. An API key needs
// none.
func holdConsent(ctx context.Context, tx *sql.Tx, g grant.Grant) (bool, error) {
	if !app.IsID(g.ClientID) {
		return false, nil
	}
	t := g.Tenant
	held, err := exec(ctx, tx, stmt("hold consent of grant", `UPDATE consents SET updated_at = updated_at`+oneConsent,
		t.Account, t.Org, t.Env, g.UserID, g.ClientID))
	return held > 0, err
}
