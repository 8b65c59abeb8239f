package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// EndSession implements session.Store.
func (s *Store) EndSession(ctx context.Context, t tenant.ID, sessionID string, e session.Ending) error {
	return s.inTx(ctx, "end session", limit, func(ctx context.Context, tx *sql.Tx) error {
		ended, err := endSessions(ctx, tx, t, e.At, stmt("delete session",
			`DELETE FROM sessions`+oneSession+` RETURNING id, user_id`, t.Account, t.Org, t.Env, sessionID))
		if err != nil {
			return err
		}
		if err := revokeSessionGrants(ctx, tx, t, sessionID, e.At); err != nil {
			return err
		}
		return s.insertEnded(ctx, tx, ended, e)
	})
}

// EndUserSessions implements session.Store.
func (s *Store) EndUserSessions(ctx context.Context, w session.Whose, except string, e session.Ending) error {
	t := w.Tenant
	return s.inTx(ctx, "end sessions of user", limit, func(ctx context.Context, tx *sql.Tx) error {
		ended, err := deleteSessions(ctx, tx, user.User{ID: w.UserID, Tenant: t}, except, e.At)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("revoke grants of sessions",
			`UPDATE grants SET revoked_at = $5 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4
				AND session_id <> $6 AND session_id <> '' AND revoked_at IS NULL AND scope NOT LIKE '%"offline_access"%'`,
			t.Account, t.Org, t.Env, w.UserID, millis(e.At), except)); err != nil {
			return err
		}
		return s.insertEnded(ctx, tx, ended, e)
	})
}

// EndTenantSessions implements session.Store. Each portion commits on its own:
// of very many that are ended at once some have ended, whatever happens to the
// rest.
func (s *Store) EndTenantSessions(ctx context.Context, t tenant.ID, at time.Time, told func(ended int) outbox.Entry) (n int, more bool, err error) {
	err = undeadlocked(ctx, func() error {
		return s.inTx(ctx, "end sessions of tenant", longLimit, func(ctx context.Context, tx *sql.Tx) error {
			ended, err := endSessions(ctx, tx, t, at, stmt("delete sessions of tenant",
				`DELETE FROM sessions WHERE token_digest IN (
					SELECT token_digest FROM sessions WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND created_at <= $4 LIMIT $5)
				RETURNING id, user_id`, t.Account, t.Org, t.Env, millis(at), portion))
			if err != nil {
				return err
			}
			for _, of := range ended {
				if err := revokeSessionGrants(ctx, tx, t, of.ID, at); err != nil {
					return err
				}
			}
			revoked, err := exec(ctx, tx, stmt("revoke grants of sessions that are over",
				`UPDATE grants SET revoked_at = $4 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND id IN (
					SELECT id FROM grants WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND session_id <> '' AND created_at <= $4
						AND revoked_at IS NULL AND scope NOT LIKE '%"offline_access"%'
						AND session_id NOT IN (SELECT id FROM sessions WHERE account_id = $1 AND org_id = $2 AND environment = $3) LIMIT $5)`,
				t.Account, t.Org, t.Env, millis(at), portion))
			if err != nil {
				return err
			}
			n, more = len(ended), len(ended) == portion || revoked == portion
			if n == 0 && revoked == 0 {
				return nil // nothing has happened
			}
			return s.insertEntries(ctx, tx, []outbox.Entry{told(n)})
		})
	})
	return n, more, err
}

// revokeSessionGrants ends what came of a session, but what was to outlive it.
func revokeSessionGrants(ctx context.Context, tx *sql.Tx, t tenant.ID, sessionID string, at time.Time) error {
	_, err := exec(ctx, tx, stmt("revoke grants of session",
		`UPDATE grants SET revoked_at = $5 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND session_id = $4 AND session_id <> ''
			AND revoked_at IS NULL AND scope NOT LIKE '%"offline_access"%'`, t.Account, t.Org, t.Env, sessionID, millis(at)))
	return err
}

// insertEnded records the sessions that have ended.
func (s *Store) insertEnded(ctx context.Context, tx *sql.Tx, ended []session.Ended, e session.Ending) error {
	entries := make([]outbox.Entry, 0, len(ended))
	for _, of := range ended {
		entries = append(entries, e.Told(of))
	}
	return s.insertEntries(ctx, tx, entries)
}

// deleteSessions ends the sessions of a user but one.
func deleteSessions(ctx context.Context, tx *sql.Tx, u user.User, except string, at time.Time) ([]session.Ended, error) {
	t := u.Tenant
	return endSessions(ctx, tx, t, at, stmt("delete sessions of user",
		`DELETE FROM sessions WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND id <> $5 RETURNING id, user_id`,
		t.Account, t.Org, t.Env, u.ID, except))
}

// endLogins ends all that a user is signed in to: sessions of browsers, and
// grants whatever their scope. The session named stays with what came
// of it; an empty name keeps none, and then no device is known any more either.
// In the transaction of a change of what they rested on nothing can come
// between.
func endLogins(ctx context.Context, tx *sql.Tx, u user.User, keep string, at time.Time) error {
	t := u.Tenant
	if _, err := deleteSessions(ctx, tx, u, keep, at); err != nil {
		return err
	}
	if keep == "" {
		if err := forgetDevices(ctx, tx, t, u.ID); err != nil {
			return err
		}
	}
	_, err := exec(ctx, tx, stmt("revoke grants of user",
		`UPDATE grants SET revoked_at = $5 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4
			AND revoked_at IS NULL AND (session_id = '' OR session_id <> $6)`, t.Account, t.Org, t.Env, u.ID, millis(at), keep))
	return err
}

// endDeactivated ends the sessions of a user who is deactivated, with all that
// came of them. Logins over the API wait: they are good again with their user.
func endDeactivated(ctx context.Context, tx *sql.Tx, u user.User) error {
	t := u.Tenant
	if _, err := deleteSessions(ctx, tx, u, "", u.UpdatedAt); err != nil {
		return err
	}
	_, err := exec(ctx, tx, stmt("revoke grants of sessions",
		`UPDATE grants SET revoked_at = $5 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4
			AND session_id <> '' AND revoked_at IS NULL`, t.Account, t.Org, t.Env, u.ID, millis(u.UpdatedAt)))
	return err
}
