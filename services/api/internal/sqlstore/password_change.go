package sqlstore

import (
	"context"
	"database/sql"

	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/session"
)

// ChangePassword implements password.Store. A session that a reset has ended a
// moment ago changes nothing: both wait for their user's row.
func (s *Store) ChangePassword(ctx context.Context, c password.Changed, told []outbox.Entry) error {
	t := c.User.Tenant
	return s.inTx(ctx, "change password", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockUser(ctx, tx, t, c.User.ID); err != nil {
			return err
		}
		if err := remember(ctx, tx, c.User); err != nil {
			return err
		}
		if err := mustTouch(ctx, tx, session.ErrNone, stmt("change password",
			`UPDATE passwords SET number = number + 1, hash = $5, must_change = FALSE, changed_at = $6, hashed_at = $6, checked_at = $7, reminded_age = 0
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND number = $8
				AND EXISTS (SELECT 1 FROM sessions s WHERE s.account_id = $1 AND s.org_id = $2 AND s.environment = $3 AND s.user_id = $4 AND s.id = $9)`,
			t.Account, t.Org, t.Env, c.User.ID, c.Hash, millis(c.At), millis(c.CheckedAt), c.Before.Number, c.SessionID)); err != nil {
			return err
		}
		if err := s.endOthers(ctx, tx, c.User, c.SessionID, c.At); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
}
