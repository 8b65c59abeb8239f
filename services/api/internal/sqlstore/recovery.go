package sqlstore

import (
	"context"
	"database/sql"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/outbox"
)

// tagSize is that of a recovery code's tag, in bytes.
const tagSize = 32

const setColumns = `recovery_sets.id, recovery_sets.made, recovery_sets.tags, recovery_sets.used, recovery_sets.obliged, recovery_sets.renewals,
	recovery_sets.last_used_at, recovery_sets.created_at`

// setInto is where setColumns go.
func setInto(s *factor.Set, tags *[]byte) []any {
	return []any{&s.ID, &s.Made, tags, &s.Used, &s.Obliged, &s.Renewals, instant{&s.LastUsedAt}, instant{&s.CreatedAt}}
}

// splitTags is the way back from what putSet joins.
func splitTags(joined []byte) (tags [][]byte) {
	for len(joined) >= tagSize {
		tags, joined = append(tags, joined[:tagSize:tagSize]), joined[tagSize:]
	}
	return tags
}

// UseRecoveryCode implements factor.Store. One statement decides: the code, the
// set and the day are all in its condition. The user's row is locked before it,
// as by everything else that changes a user's factors.
func (s *Store) UseRecoveryCode(ctx context.Context, u factor.Use, told []outbox.Entry) (used bool, err error) {
	t := u.Tenant
	err = s.inTx(ctx, "use recovery code", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockUser(ctx, tx, t, u.UserID); err != nil {
			return err
		}
		touched, err := exec(ctx, tx, stmt("use recovery code",
			`UPDATE recovery_sets SET used = used + $6, obliged = TRUE, last_used_at = $7
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND id = $5 AND (used & $6) = 0
				AND (last_used_at IS NULL OR last_used_at + CAST($8 AS BIGINT) <= $7)`,
			t.Account, t.Org, t.Env, u.UserID, u.Set, u.Bit, millis(u.At), factor.RecoveryGap.Milliseconds()))
		if err != nil || touched == 0 {
			return err
		}
		used = true
		if _, err := disable(ctx, tx, factor.Stop{Tenant: t, UserID: u.UserID, By: factor.ByRecovery, At: u.At}); err != nil {
			return err
		}
		// What was begun before belongs to whoever had the old factor.
		if _, err := exec(ctx, tx, stmt("drop waiting factor",
			`DELETE FROM factors WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND confirmed_at IS NULL`,
			t.Account, t.Org, t.Env, u.UserID)); err != nil {
			return err
		}
		if err := clearGuesses(ctx, tx, t, u.UserID); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
	return used && err == nil, err
}
