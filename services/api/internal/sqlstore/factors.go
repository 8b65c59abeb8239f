package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ factor.Store = (*Store)(nil)

const factorColumns = `factors.id, factors.account_id, factors.org_id, factors.environment, factors.user_id, factors.method, factors.name, factors.sealed,
	factors.algorithm, factors.digits, factors.period, factors.last_step, factors.drift, factors.mode,
	factors.created_at, factors.expires_at, factors.confirmed_at, factors.used_at, factors.disabled_at, factors.disabled_by`

// factorInto is where factorColumns go.
func factorInto(f *factor.Factor, sealed *[]byte) []any {
	return []any{
		&f.ID, &f.Tenant.Account, &f.Tenant.Org, &f.Tenant.Env, &f.UserID, &f.Method, &f.Name, sealed,
		&f.Key.Algorithm, &f.Key.Digits, &f.Key.Period, &f.LastStep, &f.Drift, (*string)(&f.Mode),
		instant{&f.CreatedAt}, instant{&f.ExpiresAt}, instant{&f.ConfirmedAt}, instant{&f.UsedAt}, instant{&f.DisabledAt}, &f.DisabledBy,
	}
}

// sealPurpose keeps numbers and secrets apart.
func sealPurpose(method string) string {
	if method == factor.SMS {
		return sealFactorPhone
	}
	return sealFactorSecret
}

func (s *Store) openFactor(f *factor.Factor, sealed []byte) error {
	plain, err := s.keys.Open(sealPurpose(f.Method), rowOf(f.Tenant, f.UserID, f.ID), sealed)
	if err != nil {
		return fmt.Errorf("open factor %s: %w", f.ID, err)
	}
	if f.Method == factor.SMS {
		f.Phone = string(plain)
	} else {
		f.Key.Secret = secret.New(string(plain))
	}
	return nil
}

// PutWaiting implements factor.Store. It returns user.ErrNotFound when there
// is no such user.
func (s *Store) PutWaiting(ctx context.Context, f factor.Factor, told []outbox.Entry) error {
	plain := f.Phone
	if f.Method != factor.SMS {
		plain = f.Key.Secret.Reveal()
	}
	t := f.Tenant
	sealed, err := s.keys.Seal(sealPurpose(f.Method), rowOf(t, f.UserID, f.ID), []byte(plain))
	if err != nil {
		return fmt.Errorf("seal factor: %w", err)
	}
	err = s.inTx(ctx, "store waiting factor", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := mustTouch(ctx, tx, user.ErrNotFound, stmt("store waiting factor",
			`INSERT INTO factors (account_id, org_id, environment, user_id, id, method, name, sealed, algorithm, digits, period, last_step, drift, mode,
				created_at, expires_at, disabled_by)
			SELECT account_id, org_id, environment, id, $5, $6, $7, $8, $9, $10, $11, 0, 0, $12, $13, $14, '' FROM users`+oneUser+`
			ON CONFLICT (org_id, environment, user_id) WHERE confirmed_at IS NULL DO UPDATE SET
				id = EXCLUDED.id, method = EXCLUDED.method, name = EXCLUDED.name, sealed = EXCLUDED.sealed, algorithm = EXCLUDED.algorithm,
				digits = EXCLUDED.digits, period = EXCLUDED.period, mode = EXCLUDED.mode, created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at`,
			t.Account, t.Org, t.Env, f.UserID, f.ID, f.Method, f.Name, sealed, f.Key.Algorithm, f.Key.Digits, f.Key.Period, string(f.Mode),
			millis(f.CreatedAt), millis(f.ExpiresAt))); err != nil {
			return err
		}
		if f.Mode == factor.Reset {
			if err := s.giveBack(ctx, tx, t, f.UserID); err != nil {
				return err
			}
		}
		return s.insertEntries(ctx, tx, told)
	})
	if orphan(err) {
		return user.ErrNotFound.Because(err)
	}
	return err
}

// giveBack forgets the guesses of a user none of whose factors can be guessed.
func (s *Store) giveBack(ctx context.Context, tx *sql.Tx, t tenant.ID, userID string) error {
	_, err := exec(ctx, tx, stmt("give back guesses",
		clearGuess+` AND NOT EXISTS (
			SELECT 1 FROM factors WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4
				AND confirmed_at IS NOT NULL AND disabled_at IS NULL)`, t.Account, t.Org, t.Env, userID, guard.SecondFactor))
	return err
}

// AcceptStep implements factor.Store. It touches its rows in the order in which
// they go with their user, so that the two do not wait for each other.
func (s *Store) AcceptStep(ctx context.Context, a factor.Accepted, told []outbox.Entry) (accepted bool, err error) {
	t := a.Tenant
	err = s.inTx(ctx, "accept code", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := clearGuesses(ctx, tx, t, a.UserID); err != nil {
			return err
		}
		// When this misses, what was cleared is taken back with it.
		if err := mustTouch(ctx, tx, errNone, stmt("use up time step",
			`UPDATE factors SET last_step = $6, drift = $7, used_at = $8
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND id = $5 AND method = 'totp'
				AND confirmed_at IS NOT NULL AND disabled_at IS NULL AND last_step < $6`,
			t.Account, t.Org, t.Env, a.UserID, a.Factor, a.Step, a.Drift, millis(a.At))); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
	if errors.Is(err, errNone) {
		return false, nil
	}
	return err == nil, err
}

// Disable implements factor.Store.
func (s *Store) Disable(ctx context.Context, stop factor.Stop, told []outbox.Entry) (stopped bool, err error) {
	err = s.inTx(ctx, "disable factors", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockUser(ctx, tx, stop.Tenant, stop.UserID); err != nil {
			return err
		}
		touched, err := disable(ctx, tx, stop)
		if err != nil || touched == 0 {
			return err
		}
		stopped = true
		return s.insertEntries(ctx, tx, told)
	})
	return stopped && err == nil, err
}

// disable stops factors of a user that take codes, one or all.
func disable(ctx context.Context, tx *sql.Tx, s factor.Stop) (int64, error) {
	return exec(ctx, tx, stmt("disable factors",
		`UPDATE factors SET disabled_at = $7, disabled_by = $6
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND (CAST($5 AS TEXT) = '' OR id = $5)
			AND confirmed_at IS NOT NULL AND disabled_at IS NULL`,
		s.Tenant.Account, s.Tenant.Org, s.Tenant.Env, s.UserID, s.Factor, s.By, millis(s.At)))
}

// lockUser takes the lock that everything takes that changes a user.
func (s *Store) lockUser(ctx context.Context, tx *sql.Tx, t tenant.ID, userID string) error {
	var id string
	return one(ctx, tx, user.ErrNotFound, stmt("lock user", `SELECT id FROM users`+oneUser+s.dialect.forUpdate, t.Account, t.Org, t.Env, userID), &id)
}

// Rename implements factor.Store.
func (s *Store) Rename(ctx context.Context, t tenant.ID, userID, factorID, name string, told []outbox.Entry) error {
	return s.inTx(ctx, "rename factor", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := mustTouch(ctx, tx, factor.ErrNotFound, stmt("rename factor",
			`UPDATE factors SET name = $6 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND id = $5 AND confirmed_at IS NOT NULL`,
			t.Account, t.Org, t.Env, userID, factorID, name)); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
}

// Remove implements factor.Store.
func (s *Store) Remove(ctx context.Context, t tenant.ID, userID, factorID string, told []outbox.Entry) error {
	return s.inTx(ctx, "remove factor", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockUser(ctx, tx, t, userID); err != nil {
			return err
		}
		if err := mustTouch(ctx, tx, factor.ErrNotFound, stmt("remove factor",
			`DELETE FROM factors WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND id = $5 AND confirmed_at IS NOT NULL`,
			t.Account, t.Org, t.Env, userID, factorID)); err != nil {
			return err
		}
		// Who was at the cap can be enrolled again once nothing is left.
		if err := s.giveBack(ctx, tx, t, userID); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
}

// Reset implements factor.Store. The row of the recovery codes stays: the day
// between two of them is the user's.
func (s *Store) Reset(ctx context.Context, t tenant.ID, userID string, told []outbox.Entry, now time.Time) error {
	return s.inTx(ctx, "reset factors", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockUser(ctx, tx, t, userID); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("remove factors",
			`DELETE FROM factors WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4`, t.Account, t.Org, t.Env, userID)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("void recovery codes",
			`UPDATE recovery_sets SET id = '', made = '', tags = $5, used = 0, obliged = FALSE, renewals = 0
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4`, t.Account, t.Org, t.Env, userID, []byte{})); err != nil {
			return err
		}
		if err := clearGuesses(ctx, tx, t, userID); err != nil {
			return err
		}
		if err := endLogins(ctx, tx, user.User{ID: userID, Tenant: t}, "", now); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
}
