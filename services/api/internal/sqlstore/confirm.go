package sqlstore

import (
	"bytes"
	"context"
	"database/sql"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/user"
)

// Confirm implements factor.Store. The user's row is locked first, as by
// everything else that changes a user.
func (s *Store) Confirm(ctx context.Context, c factor.Confirmation) error {
	return s.inTx(ctx, "confirm factor", limit, func(ctx context.Context, tx *sql.Tx) error {
		f, t := c.Factor, c.Factor.Tenant
		var phone []byte
		if err := one(ctx, tx, factor.ErrNoWaiting, stmt("lock user",
			`SELECT phone_sealed FROM users`+oneUser+s.dialect.forUpdate, t.Account, t.Org, t.Env, f.UserID), &phone); err != nil {
			return err
		}
		if f.Mode == factor.Add {
			if err := mayAdd(ctx, tx, f); err != nil {
				return err
			}
		}
		// When the confirmation misses, all this is taken back with it.
		if f.Mode == factor.Renew || f.Mode == factor.Reset {
			if _, err := exec(ctx, tx, stmt("remove factors",
				`DELETE FROM factors WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND confirmed_at IS NOT NULL`,
				t.Account, t.Org, t.Env, f.UserID)); err != nil {
				return err
			}
		}
		if err := mustTouch(ctx, tx, factor.ErrNoWaiting, stmt("confirm factor", confirmFactor,
			t.Account, t.Org, t.Env, f.UserID, f.ID, millis(c.At), c.Step, c.Drift)); err != nil {
			return err
		}
		if err := s.followConfirmation(ctx, tx, c); err != nil {
			return err
		}
		if f.Method == factor.SMS {
			if err := s.verifyNumber(ctx, tx, c, phone); err != nil {
				return err
			}
		}
		return s.insertEntries(ctx, tx, c.Told)
	})
}

// confirmFactor puts a factor into force. A first one that began while there was
// none is refused when another has come first: it would stand beside that one
// without a proof of it, and void its recovery codes.
const confirmFactor = `UPDATE factors SET expires_at = NULL, confirmed_at = $6, used_at = $6, last_step = $7, drift = $8
	WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND id = $5 AND confirmed_at IS NULL AND expires_at > $6
		AND (mode <> 'first' OR NOT EXISTS (SELECT 1 FROM factors o
			WHERE o.account_id = $1 AND o.org_id = $2 AND o.environment = $3 AND o.user_id = $4 AND o.confirmed_at IS NOT NULL))`

// mayAdd returns factor.ErrNoWaiting when a device that was to stand beside
// others stands alone by now: they were disabled or removed, or a recovery code
// was used. What was shut meanwhile is not opened by an enrolment from before.
func mayAdd(ctx context.Context, tx *sql.Tx, f factor.Factor) error {
	var beside string
	return one(ctx, tx, factor.ErrNoWaiting, stmt("look for other factors",
		`SELECT id FROM factors WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4
			AND confirmed_at IS NOT NULL AND disabled_at IS NULL
			AND NOT EXISTS (SELECT 1 FROM recovery_sets r WHERE r.account_id = $1 AND r.org_id = $2 AND r.environment = $3 AND r.user_id = $4 AND r.obliged = TRUE)
		LIMIT 1`, f.Tenant.Account, f.Tenant.Org, f.Tenant.Env, f.UserID), &beside)
}

// followConfirmation does to recovery codes, guesses and logins what the mode
// of an enrolment says.
func (s *Store) followConfirmation(ctx context.Context, tx *sql.Tx, c factor.Confirmation) error {
	f, t := c.Factor, c.Factor.Tenant
	if f.Mode == factor.Renew {
		// Nobody enrols anew without having used a code, so never more often
		// than there were codes.
		if err := mustTouch(ctx, tx, factor.ErrNoWaiting, stmt("count renewal",
			`UPDATE recovery_sets SET obliged = FALSE, renewals = renewals + 1
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND obliged = TRUE`, t.Account, t.Org, t.Env, f.UserID)); err != nil {
			return err
		}
	}
	if c.Set.ID != "" {
		if err := putSet(ctx, tx, c); err != nil {
			return err
		}
	}
	if f.Mode == factor.Add { // it proves nothing about the factors that were guessed at
		if f.Method == factor.SMS { // whose guess was given back with its code
			return nil
		}
		_, err := exec(ctx, tx, stmt("return guess", giveGuessBack, t.Account, t.Org, t.Env, f.UserID, guard.SecondFactor))
		return err
	}
	if err := clearGuesses(ctx, tx, t, f.UserID); err != nil {
		return err
	}
	if f.Mode == factor.Reset {
		return endLogins(ctx, tx, user.User{ID: f.UserID, Tenant: t}, "", c.At)
	}
	return nil
}

// putSet stores new recovery codes in place of what there was. When the last
// one was used stays: the day between two of them is the user's.
func putSet(ctx context.Context, tx *sql.Tx, c factor.Confirmation) error {
	t := c.Factor.Tenant
	_, err := exec(ctx, tx, stmt("store recovery codes",
		`INSERT INTO recovery_sets (account_id, org_id, environment, user_id, id, made, tags, used, obliged, renewals, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, FALSE, 0, $8)
		ON CONFLICT (org_id, environment, user_id) DO UPDATE SET id = EXCLUDED.id, made = EXCLUDED.made, tags = EXCLUDED.tags, used = 0,
			obliged = FALSE, renewals = 0, created_at = EXCLUDED.created_at`,
		t.Account, t.Org, t.Env, c.Factor.UserID, c.Set.ID, c.Set.Made, bytes.Join(c.Set.Tags, nil), millis(c.Set.CreatedAt)))
	return err
}

// verifyNumber marks the user's own number as verified when it is the phone's.
func (s *Store) verifyNumber(ctx context.Context, tx *sql.Tx, c factor.Confirmation, sealed []byte) error {
	t := c.Factor.Tenant
	number, err := s.openPhone(t, c.Factor.UserID, sealed)
	if err != nil || number != c.Factor.Phone {
		return err
	}
	_, err = exec(ctx, tx, stmt("verify number",
		`UPDATE users SET phone_verified = TRUE, updated_at = $5`+oneUser, t.Account, t.Org, t.Env, c.Factor.UserID, millis(c.At)))
	return err
}
