package sqlstore

import (
	"bytes"
	"context"
	"database/sql"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/outbox"
)

var _ factor.OwnStore = (*Store)(nil)

// RemoveSpare implements factor.OwnStore. The user's row is locked first, so
// that two removals see each other.
func (s *Store) RemoveSpare(ctx context.Context, f factor.Factor, told []outbox.Entry) error {
	t := f.Tenant
	return s.inTx(ctx, "remove spare factor", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockUser(ctx, tx, t, f.UserID); err != nil {
			return err
		}
		var found string
		if err := one(ctx, tx, factor.ErrNotFound, stmt("find factor",
			`SELECT id FROM factors WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND id = $5 AND confirmed_at IS NOT NULL`,
			t.Account, t.Org, t.Env, f.UserID, f.ID), &found); err != nil {
			return err
		}
		if err := mustTouch(ctx, tx, factor.ErrLast, stmt("remove spare factor",
			`DELETE FROM factors WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND id = $5 AND confirmed_at IS NOT NULL
				AND EXISTS (SELECT 1 FROM factors f WHERE f.account_id = $1 AND f.org_id = $2 AND f.environment = $3 AND f.user_id = $4 AND f.id <> $5
					AND f.confirmed_at IS NOT NULL AND f.disabled_at IS NULL)`,
			t.Account, t.Org, t.Env, f.UserID, f.ID)); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
}

// ReplaceSet implements factor.OwnStore. One statement decides: the set that is
// replaced, the obligation and the factors are all in its condition. When the
// last code was used stays: the day between two of them is the user's.
func (s *Store) ReplaceSet(ctx context.Context, r factor.Replacement, told []outbox.Entry) error {
	t := r.Tenant
	return s.inTx(ctx, "replace recovery codes", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockUser(ctx, tx, t, r.UserID); err != nil {
			return err
		}
		if err := mustTouch(ctx, tx, factor.ErrChanged, stmt("replace recovery codes",
			`INSERT INTO recovery_sets (account_id, org_id, environment, user_id, id, made, tags, used, obliged, renewals, created_at)
			SELECT account_id, org_id, environment, id, $5, $6, $7, 0, FALSE, 0, $8 FROM users`+oneUser+`
				AND EXISTS (SELECT 1 FROM factors f WHERE f.account_id = $1 AND f.org_id = $2 AND f.environment = $3 AND f.user_id = $4
					AND f.confirmed_at IS NOT NULL AND f.disabled_at IS NULL)
				AND (CAST($9 AS TEXT) = '' OR EXISTS (SELECT 1 FROM recovery_sets r WHERE r.account_id = $1 AND r.org_id = $2 AND r.environment = $3 AND r.user_id = $4
					AND r.id = $9))
			ON CONFLICT (org_id, environment, user_id) DO UPDATE SET id = EXCLUDED.id, made = EXCLUDED.made, tags = EXCLUDED.tags, used = 0,
				renewals = 0, created_at = EXCLUDED.created_at
			WHERE recovery_sets.id = $9 AND recovery_sets.obliged = FALSE`,
			t.Account, t.Org, t.Env, r.UserID, r.Set.ID, r.Set.Made, bytes.Join(r.Set.Tags, nil), millis(r.Set.CreatedAt), r.Old)); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
}
