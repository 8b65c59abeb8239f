package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// A window starts with its first wrong code; one that has ended starts again.
// The statement locks the organization's row.
const countSpray = `
INSERT INTO sprays (account_id, org_id, environment, started, fails, users, paused_until)
SELECT account_id, org_id, environment, $5, 1, 0, 0 FROM users` + oneUser + `
ON CONFLICT (org_id, environment) DO UPDATE SET
	fails = CASE WHEN sprays.started + CAST($6 AS BIGINT) <= $5 THEN 1 ELSE sprays.fails + 1 END,
	users = CASE WHEN sprays.started + CAST($6 AS BIGINT) <= $5 THEN 0 ELSE sprays.users END,
	started = CASE WHEN sprays.started + CAST($6 AS BIGINT) <= $5 THEN $5 ELSE sprays.started END
RETURNING started, fails, users`

// CountFailure implements guard.Store. It returns user.ErrNotFound when there
// is no such user.
func (s *Store) CountFailure(ctx context.Context, f guard.Failure) (spray guard.Spray, err error) {
	t, l, now := f.Tenant, f.Limit, f.At
	err = s.inTx(ctx, "count wrong code", limit, func(ctx context.Context, tx *sql.Tx) error {
		var started int64
		if err := one(ctx, tx, user.ErrNotFound, stmt("count wrong code", countSpray,
			t.Account, t.Org, t.Env, f.UserID, millis(now), l.Span.Milliseconds()), &started, &spray.Fails, &spray.Users); err != nil {
			return err
		}
		another, err := exec(ctx, tx, stmt("count user",
			`INSERT INTO spray_users (org_id, environment, user_id, started) VALUES ($1, $2, $3, $4)
			ON CONFLICT (org_id, environment, user_id) DO UPDATE SET started = EXCLUDED.started
			WHERE spray_users.started <> EXCLUDED.started`, t.Org, t.Env, f.UserID, started))
		if err != nil {
			return err
		}
		if another > 0 {
			spray.Users++
			if _, err := exec(ctx, tx, stmt("count user",
				`UPDATE sprays SET users = users + 1 WHERE account_id = $1 AND org_id = $2 AND environment = $3`, t.Account, t.Org, t.Env)); err != nil {
				return err
			}
		}
		tripped, err := exec(ctx, tx, stmt("trip breaker",
			`UPDATE sprays SET paused_until = $4
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND fails >= $5 AND users >= $6 AND paused_until <= $7`,
			t.Account, t.Org, t.Env, millis(now.Add(l.Pause)), l.Fails, l.Users, millis(now)))
		if err != nil {
			return err
		}
		told := f.Told
		if spray.Tripped = tripped > 0; spray.Tripped {
			told = slices.Concat(told, f.Tripped)
		}
		return s.insertEntries(ctx, tx, told)
	})
	if orphan(err) {
		err = user.ErrNotFound.Because(err)
	}
	if err != nil {
		return guard.Spray{}, err
	}
	return spray, nil
}

// PausedUntil implements guard.Store.
func (s *Store) PausedUntil(ctx context.Context, t tenant.ID) (until time.Time, err error) {
	err = one(ctx, s.read, errNone, stmt("read breaker",
		`SELECT paused_until FROM sprays WHERE account_id = $1 AND org_id = $2 AND environment = $3`,
		t.Account, t.Org, t.Env), instant{&until})
	if errors.Is(err, errNone) {
		return time.Time{}, nil
	}
	return until, err
}
