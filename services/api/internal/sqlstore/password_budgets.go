package sqlstore

import (
	"context"
	"errors"
	"time"

	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/user"
)

var _ guard.PasswordStore = (*Store)(nil)

// Pauses double; after a quiet time they begin anew, and in_a_row does not. A
// row that is nobody's is kept longer the more was guessed, so that it does
// not differ from a user's by being forgotten. Where a clock is behind the one
// that counted before, failed_at stays: that opens nothing, and what has no
// pause needs no clock.
const countPassword = `
INSERT INTO password_budgets (budget_key, account_id, org_id, environment, user_id, fails, in_a_row, pause, failed_at, kept_until)
VALUES ($1, $2, $3, $4, $5, 1, 1, 0, $6, CAST($6 AS BIGINT) + CAST($7 AS BIGINT))
ON CONFLICT (budget_key) DO UPDATE SET
	fails = CASE WHEN password_budgets.failed_at + $7 <= $6 THEN 1 ELSE password_budgets.fails + 1 END,
	in_a_row = password_budgets.in_a_row + 1,
	pause = CASE
		WHEN password_budgets.failed_at + $7 <= $6 OR password_budgets.fails < $8 THEN 0
		WHEN password_budgets.pause = 0 THEN CAST($9 AS BIGINT)
		WHEN password_budgets.pause * 2 > $10 THEN CAST($10 AS BIGINT)
		ELSE password_budgets.pause * 2 END,
	failed_at = CASE WHEN password_budgets.failed_at > $6 THEN password_budgets.failed_at ELSE $6 END,
	kept_until = $6 + $7 * (password_budgets.in_a_row + 1)
WHERE password_budgets.in_a_row < $11 AND (password_budgets.pause = 0 OR password_budgets.failed_at + password_budgets.pause <= $6)
RETURNING in_a_row`

// CountPassword implements guard.PasswordStore. It is one statement that
// commits on its own, never part of a transaction that could take it back
// . It returns user.ErrNotFound for a user who is gone.
func (s *Store) CountPassword(ctx context.Context, b guard.PasswordBudget, p guard.PasswordPolicy, now time.Time) (guard.PasswordCount, error) {
	count := guard.PasswordCount{OK: true}
	err := one(ctx, s.write, errNone, stmt("count password", countPassword,
		b.Key, b.Tenant.Account, b.Tenant.Org, b.Tenant.Env, orNull(b.UserID),
		millis(now), p.Quiet.Milliseconds(), p.Free, p.First.Milliseconds(), p.Most.Milliseconds(), p.Cap), &count.InARow)
	switch {
	case orphan(err):
		return guard.PasswordCount{}, user.ErrNotFound.Because(err)
	case errors.Is(err, errNone):
		free, err := s.nextPassword(ctx, b, p, now)
		return guard.PasswordCount{Free: free}, err
	case err != nil:
		return guard.PasswordCount{}, err
	}
	return count, nil
}

// nextPassword says when a refused guess may come again. It only informs: what
// is allowed was decided before.
func (s *Store) nextPassword(ctx context.Context, b guard.PasswordBudget, p guard.PasswordPolicy, now time.Time) (time.Time, error) {
	var free time.Time
	var inARow int
	err := one(ctx, s.read, errNone, stmt("read pause",
		`SELECT failed_at + pause, in_a_row FROM password_budgets WHERE budget_key = $1`, b.Key), instant{&free}, &inARow)
	switch {
	case errors.Is(err, errNone): // settled in between
		return now, nil
	case err != nil:
		return time.Time{}, err
	case inARow >= p.Cap:
		return time.Time{}, nil
	}
	return free, nil
}

// SettlePassword implements guard.PasswordStore.
func (s *Store) SettlePassword(ctx context.Context, b guard.PasswordBudget, right bool) error {
	_, err := exec(ctx, s.write, stmt("settle password", `DELETE FROM password_budgets WHERE budget_key = $1 AND CAST($2 AS BOOLEAN)`, b.Key, right))
	return err
}

// forgetPasswords drops the counts of addresses that are nobody's, once nobody
// has guessed at them for long enough. Those of users stay as long as they do:
// a password that is shut stays shut.
func (s *Store) forgetPasswords(ctx context.Context, now time.Time) error {
	_, err := s.inPortions(ctx, stmt("drop counts of passwords",
		`DELETE FROM password_budgets WHERE user_id IS NULL AND kept_until < $1 AND budget_key IN (
			SELECT budget_key FROM password_budgets WHERE user_id IS NULL AND kept_until < $1 ORDER BY kept_until LIMIT $2`+s.dialect.skipLocked+`)`,
		millis(now), portion))
	return err
}

// orNull keeps an empty text as NULL.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
