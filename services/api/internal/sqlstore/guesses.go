package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ guard.Store = (*Store)(nil)

// A window that has ended leads to a new one, longer if all its guesses were
// spent. While one is open only its guesses count, so that a clock that jumps
// back opens nothing.
const countGuess = `
INSERT INTO guess_budgets (account_id, org_id, environment, user_id, class, fails, in_a_row, level, window_ends)
SELECT account_id, org_id, environment, id, $5, 1, 1, 0, CAST($6 AS BIGINT) + CAST($9 AS BIGINT)
FROM users WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND id = $4
ON CONFLICT (org_id, environment, user_id, class) DO UPDATE SET
	fails = CASE WHEN guess_budgets.window_ends > $6 THEN guess_budgets.fails + 1 ELSE 1 END,
	in_a_row = guess_budgets.in_a_row + 1,
	level = CASE WHEN guess_budgets.window_ends > $6 OR guess_budgets.fails < $7 OR guess_budgets.level >= 2
		THEN guess_budgets.level ELSE guess_budgets.level + 1 END,
	window_ends = CASE
		WHEN guess_budgets.window_ends > $6 THEN guess_budgets.window_ends
		WHEN guess_budgets.level = 0 AND guess_budgets.fails < $7 THEN $6 + $9
		WHEN guess_budgets.level = 0 OR (guess_budgets.level = 1 AND guess_budgets.fails < $7) THEN $6 + CAST($10 AS BIGINT)
		ELSE $6 + CAST($11 AS BIGINT) END
WHERE guess_budgets.in_a_row < $8 AND (guess_budgets.window_ends <= $6 OR guess_budgets.fails < $7)
RETURNING in_a_row`

// CountGuess implements guard.Store. It is one statement that commits on its
// own, never part of a transaction that could take it back. It returns
// user.ErrNotFound when there is no such user.
func (s *Store) CountGuess(ctx context.Context, g guard.Subject, w guard.Window, now time.Time) (guard.Count, error) {
	count := guard.Count{OK: true}
	err := one(ctx, s.write, errNone, stmt("count guess", countGuess,
		g.Tenant.Account, g.Tenant.Org, g.Tenant.Env, g.UserID, g.Class,
		millis(now), w.Guesses, w.Cap, w.Spans[0], w.Spans[1], w.Spans[2]), &count.InARow)
	switch {
	case orphan(err):
		return guard.Count{}, user.ErrNotFound.Because(err)
	case errors.Is(err, errNone):
		free, err := s.nextGuess(ctx, g, w, now)
		return guard.Count{Free: free}, err
	case err != nil:
		return guard.Count{}, err
	}
	return count, nil
}

// nextGuess says when a refused guess may come again. It only informs: what
// is allowed was decided before.
func (s *Store) nextGuess(ctx context.Context, g guard.Subject, w guard.Window, now time.Time) (time.Time, error) {
	var ends, inARow sql.NullInt64
	err := one(ctx, s.read, user.ErrNotFound, stmt("read guesses",
		`SELECT b.window_ends, b.in_a_row FROM users u LEFT JOIN guess_budgets b
			ON b.org_id = u.org_id AND b.environment = u.environment AND b.user_id = u.id AND b.class = $5
		WHERE u.account_id = $1 AND u.org_id = $2 AND u.environment = $3 AND u.id = $4`,
		g.Tenant.Account, g.Tenant.Org, g.Tenant.Env, g.UserID, g.Class), &ends, &inARow)
	switch {
	case err != nil:
		return time.Time{}, err
	case inARow.Int64 >= int64(w.Cap):
		return time.Time{}, nil
	case !ends.Valid: // cleared in between
		return now, nil
	default:
		return time.UnixMilli(ends.Int64).UTC(), nil
	}
}

// ReturnGuess implements guard.Store.
func (s *Store) ReturnGuess(ctx context.Context, g guard.Subject, told ...outbox.Entry) error {
	return s.guessed(ctx, told, stmt("return guess", giveGuessBack, g.Tenant.Account, g.Tenant.Org, g.Tenant.Env, g.UserID, g.Class))
}

const giveGuessBack = `UPDATE guess_budgets SET fails = CASE WHEN fails > 0 THEN fails - 1 ELSE 0 END,
		in_a_row = CASE WHEN in_a_row > 0 THEN in_a_row - 1 ELSE 0 END
	WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND class = $5`

const clearGuess = `DELETE FROM guess_budgets WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND class = $5`

// ClearGuesses implements guard.Store.
func (s *Store) ClearGuesses(ctx context.Context, g guard.Subject, told ...outbox.Entry) error {
	return s.guessed(ctx, told, stmt("clear guesses", clearGuess, g.Tenant.Account, g.Tenant.Org, g.Tenant.Env, g.UserID, g.Class))
}

// clearGuesses is ClearGuesses of second factors within a transaction.
func clearGuesses(ctx context.Context, tx *sql.Tx, t tenant.ID, userID string) error {
	_, err := exec(ctx, tx, stmt("clear guesses", clearGuess, t.Account, t.Org, t.Env, userID, guard.SecondFactor))
	return err
}

// guessed runs the statement that settles a guess, with what is told of it.
func (s *Store) guessed(ctx context.Context, told []outbox.Entry, st statement) error {
	if len(told) == 0 {
		_, err := exec(ctx, s.write, st)
		return err
	}
	return s.inTx(ctx, st.what, limit, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := exec(ctx, tx, st); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
}
