package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ factor.Store = (*Store)(nil)

const factorColumns = `sms_factors.id, sms_factors.account_id, sms_factors.org_id, sms_factors.environment, sms_factors.user_id,
	sms_factors.phone_sealed, sms_factors.created_at, sms_factors.expires_at, sms_factors.confirmed_at`

func (s *Store) factor(ctx context.Context, missing error, st statement) (f factor.SMS, err error) {
	err = oneBy(ctx, s.read, missing, st, func(r scanner) error {
		var sealed []byte
		if err := r.Scan(factorInto(&f, &sealed)...); err != nil {
			return err
		}
		f.Phone, err = s.openFactorPhone(f, sealed)
		return err
	})
	if err != nil {
		return factor.SMS{}, err
	}
	return f, nil
}

// factorInto is where factorColumns go.
func factorInto(f *factor.SMS, sealed *[]byte) []any {
	return []any{
		&f.ID, &f.Tenant.Account, &f.Tenant.Org, &f.Tenant.Env, &f.UserID, sealed,
		instant{&f.CreatedAt}, instant{&f.ExpiresAt}, instant{&f.ConfirmedAt},
	}
}

func (s *Store) openFactorPhone(f factor.SMS, sealed []byte) (string, error) {
	number, err := s.keys.Open(sealFactorPhone, rowOf(f.Tenant, f.UserID, f.ID), sealed)
	if err != nil {
		return "", fmt.Errorf("open number of factor %s: %w", f.ID, err)
	}
	return string(number), nil
}

// SMS implements factor.Store.
func (s *Store) SMS(ctx context.Context, t tenant.ID, userID string) (factor.SMS, error) {
	return s.factor(ctx, factor.ErrNotEnrolled, stmt("read factor",
		`SELECT `+factorColumns+` FROM sms_factors
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND pending = FALSE`,
		t.Account, t.Org, t.Env, userID))
}

// PendingSMS implements factor.Store.
func (s *Store) PendingSMS(ctx context.Context, t tenant.ID, userID string, now time.Time) (factor.SMS, error) {
	return s.factor(ctx, factor.ErrNoPending, stmt("read pending factor",
		`SELECT `+factorColumns+` FROM sms_factors
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND pending = TRUE AND expires_at > $5`,
		t.Account, t.Org, t.Env, userID, millis(now)))
}

// PutPendingSMS implements factor.Store. It returns user.ErrNotFound when
// there is no such user.
func (s *Store) PutPendingSMS(ctx context.Context, f factor.SMS) error {
	sealed, err := s.keys.Seal(sealFactorPhone, rowOf(f.Tenant, f.UserID, f.ID), []byte(f.Phone))
	if err != nil {
		return fmt.Errorf("seal number of factor: %w", err)
	}
	err = mustTouch(ctx, s.write, user.ErrNotFound, stmt("store pending factor",
		`INSERT INTO sms_factors (account_id, org_id, environment, user_id, pending, id, phone_sealed, created_at, expires_at)
		SELECT account_id, org_id, environment, id, TRUE, $5, $6, $7, $8 FROM users`+oneUser+`
		ON CONFLICT (org_id, environment, user_id, pending) DO UPDATE SET
			id = EXCLUDED.id, phone_sealed = EXCLUDED.phone_sealed, created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at`,
		f.Tenant.Account, f.Tenant.Org, f.Tenant.Env, f.UserID, f.ID, sealed, millis(f.CreatedAt), millis(f.ExpiresAt)))
	if orphan(err) {
		return user.ErrNotFound.Because(err)
	}
	return err
}

// ConfirmSMS implements factor.Store. The user's row is locked first, as by
// everything else that changes a user.
func (s *Store) ConfirmSMS(ctx context.Context, f factor.SMS, told []outbox.Entry, now time.Time) error {
	return s.inTx(ctx, "confirm factor", limit, func(ctx context.Context, tx *sql.Tx) error {
		t := f.Tenant
		var sealed []byte
		if err := one(ctx, tx, factor.ErrNoPending, stmt("lock user",
			`SELECT phone_sealed FROM users`+oneUser+s.dialect.forUpdate, t.Account, t.Org, t.Env, f.UserID), &sealed); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("remove factor",
			`DELETE FROM sms_factors WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND pending = FALSE`,
			t.Account, t.Org, t.Env, f.UserID)); err != nil {
			return err
		}
		// When this misses, the removal above is taken back with it.
		if err := mustTouch(ctx, tx, factor.ErrNoPending, stmt("confirm factor",
			`UPDATE sms_factors SET pending = FALSE, expires_at = NULL, confirmed_at = $6
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND id = $5 AND pending = TRUE AND expires_at > $6`,
			t.Account, t.Org, t.Env, f.UserID, f.ID, millis(now))); err != nil {
			return err
		}
		if err := s.insertEntries(ctx, tx, told); err != nil {
			return err
		}
		number, err := s.openPhone(t, f.UserID, sealed)
		if err != nil || number != f.Phone {
			return err
		}
		_, err = exec(ctx, tx, stmt("verify number",
			`UPDATE users SET phone_verified = TRUE, updated_at = $5`+oneUser, t.Account, t.Org, t.Env, f.UserID, millis(now)))
		return err
	})
}
