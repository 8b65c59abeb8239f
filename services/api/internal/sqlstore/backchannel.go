package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/services/api/internal/backchannel"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

var _ backchannel.Store = (*Store)(nil)

const oneNotice = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND session_id = $4 AND app_id = $5`

// endSessions runs a statement that deletes sessions of a tenant and returns
// their ids and users, and writes a notice for each app that was granted something in one
// of them and wants to hear of it. Whoever was just storing such a grant held
// the session (see holdSession), so that all are there when it is gone.
func endSessions(ctx context.Context, tx *sql.Tx, t tenant.ID, at time.Time, st statement) ([]session.Ended, error) {
	ended, err := many(ctx, tx, st, func(row scanner) (of session.Ended, err error) {
		err = row.Scan(&of.ID, &of.UserID)
		return of, err
	})
	if err != nil {
		return nil, err
	}
	for _, of := range ended {
		if _, err := exec(ctx, tx, stmt("note logout for apps",
			`INSERT INTO logout_notices (org_id, environment, session_id, app_id, account_id, user_id, tries, due_at, created_at)
			SELECT DISTINCT g.org_id, g.environment, g.session_id, g.client_id, g.account_id, g.user_id, 0, CAST($5 AS BIGINT), CAST($5 AS BIGINT)
			FROM grants g JOIN apps a ON a.org_id = g.org_id AND a.environment = g.environment AND a.id = g.client_id
			WHERE g.account_id = $1 AND g.org_id = $2 AND g.environment = $3 AND g.session_id = $4 AND g.session_id <> ''
				AND a.account_id = $1 AND a.active = TRUE AND a.backchannel_uri <> ''
			ON CONFLICT (org_id, environment, session_id, app_id) DO NOTHING`,
			t.Account, t.Org, t.Env, of.ID, millis(at))); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// LogoutsDue implements backchannel.Store.
func (s *Store) LogoutsDue(ctx context.Context, at time.Time) (due bool, err error) {
	err = one(ctx, s.read, errNone, stmt("look for logout notices", `SELECT EXISTS (SELECT 1 FROM logout_notices WHERE due_at <= $1)`, millis(at)), &due)
	return due, err
}

// ClaimLogout implements backchannel.Store. Of many that look at once each
// takes another notice or none: the condition is read again when the row is
// free. An app that is just being told, or waits to be told again, is left out;
// unless slow, so is one that was told in vain and is due again.
func (s *Store) ClaimLogout(ctx context.Context, at, until time.Time, slow bool) (n backchannel.Notice, ok bool, err error) {
	failing := time.UnixMilli(0)
	if slow {
		failing = at
	}
	err = one(ctx, s.write, errNone, stmt("claim logout notice",
		`UPDATE logout_notices SET tries = tries + 1, due_at = $2 WHERE due_at <= $1 AND (org_id, environment, session_id, app_id) IN (
			SELECT org_id, environment, session_id, app_id FROM logout_notices WHERE due_at <= $1 AND (org_id, environment, app_id) NOT IN (
				SELECT org_id, environment, app_id FROM logout_notices WHERE tries > 0 AND due_at > $3)
			ORDER BY due_at LIMIT 1`+s.dialect.skipLocked+`)
		RETURNING account_id, org_id, environment, user_id, session_id, app_id, tries, created_at`, millis(at), millis(until), millis(failing)),
		&n.Tenant.Account, &n.Tenant.Org, &n.Tenant.Env, &n.UserID, &n.SessionID, &n.ClientID, &n.Tries, instant{&n.EndedAt})
	if errors.Is(err, errNone) {
		return backchannel.Notice{}, false, nil
	}
	return n, err == nil, err
}

// RetryLogout implements backchannel.Store.
func (s *Store) RetryLogout(ctx context.Context, n backchannel.Notice, due time.Time) error {
	t := n.Tenant
	_, err := exec(ctx, s.write, stmt("put logout notice off", `UPDATE logout_notices SET due_at = $6`+oneNotice+` AND tries = $7`,
		t.Account, t.Org, t.Env, n.SessionID, n.ClientID, millis(due), n.Tries))
	return err
}

// EndLogout implements backchannel.Store.
func (s *Store) EndLogout(ctx context.Context, n backchannel.Notice) error {
	t := n.Tenant
	_, err := exec(ctx, s.write, stmt("delete logout notice", `DELETE FROM logout_notices`+oneNotice,
		t.Account, t.Org, t.Env, n.SessionID, n.ClientID))
	return err
}
