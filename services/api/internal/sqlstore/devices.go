package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/services/api/internal/device"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var (
	_ device.Store      = (*Store)(nil)
	_ guard.DeviceStore = (*Store)(nil)
)

const oneDevice = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND device_digest = $5`

// KnowDevice implements device.Store.
func (s *Store) KnowDevice(ctx context.Context, d device.Device, old []byte, most int) error {
	t := d.Tenant
	err := s.inTx(ctx, "know device", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockUser(ctx, tx, t, d.UserID); err != nil {
			return err
		}
		if old != nil {
			// Of every tenant: it is one browser, and who has its cookie is it.
			if _, err := exec(ctx, tx, stmt("move devices",
				`UPDATE known_devices SET device_digest = $1 WHERE device_digest = $2`, d.Digest, old)); err != nil {
				return err
			}
		}
		if _, err := exec(ctx, tx, stmt("know device",
			`INSERT INTO known_devices (account_id, org_id, environment, user_id, device_digest, fails, in_a_row, pause, failed_at, seen_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, $6, $7)
			ON CONFLICT (device_digest, org_id, environment, user_id) DO UPDATE SET
				fails = 0, in_a_row = 0, pause = 0, failed_at = 0, seen_at = EXCLUDED.seen_at, expires_at = EXCLUDED.expires_at`,
			t.Account, t.Org, t.Env, d.UserID, d.Digest, millis(d.SeenAt), millis(d.ExpiresAt))); err != nil {
			return err
		}
		_, err := exec(ctx, tx, stmt("drop devices beyond",
			`DELETE FROM known_devices WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND device_digest NOT IN (
				SELECT device_digest FROM known_devices WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4
				ORDER BY CASE WHEN device_digest = $5 THEN 0 ELSE 1 END, seen_at DESC, device_digest LIMIT $6)`,
			t.Account, t.Org, t.Env, d.UserID, d.Digest, most))
		return err
	})
	if orphan(err) {
		return user.ErrNotFound.Because(err) // deleted at this moment
	}
	return err
}

// countDevice is countPassword for a row that is there. One with too many in a
// row is known no more, until the next sign-in with it.
const countDevice = `
UPDATE known_devices SET
	fails = CASE WHEN failed_at + $7 <= $6 THEN 1 ELSE fails + 1 END,
	in_a_row = in_a_row + 1,
	pause = CASE
		WHEN failed_at + $7 <= $6 OR fails < $8 THEN 0
		WHEN pause = 0 THEN CAST($9 AS BIGINT)
		WHEN pause * 2 > $10 THEN CAST($10 AS BIGINT)
		ELSE pause * 2 END,
	failed_at = CASE WHEN failed_at > $6 THEN failed_at ELSE $6 END` + oneDevice + `
	AND expires_at > $6 AND in_a_row < $11 AND (pause = 0 OR failed_at + pause <= $6)
RETURNING in_a_row`

// CountDevice implements guard.DeviceStore. Like CountPassword it is one
// statement that commits on its own.
func (s *Store) CountDevice(ctx context.Context, d guard.DeviceBudget, p guard.PasswordPolicy, now time.Time) (count guard.PasswordCount, known bool, err error) {
	t := d.Tenant
	err = one(ctx, s.write, errNone, stmt("count password of device", countDevice,
		t.Account, t.Org, t.Env, d.UserID, d.Digest, millis(now), p.Quiet.Milliseconds(), p.Free, p.First.Milliseconds(), p.Most.Milliseconds(), p.DeviceCap), &count.InARow)
	if err == nil {
		count.OK = true
		return count, true, nil
	}
	if !errors.Is(err, errNone) {
		return guard.PasswordCount{}, false, err
	}
	// Not known, or during a pause. It only informs: nothing is compared as this
	// device's.
	err = one(ctx, s.read, errNone, stmt("read pause of device",
		`SELECT failed_at + pause FROM known_devices`+oneDevice+` AND expires_at > $6 AND in_a_row < $7`,
		t.Account, t.Org, t.Env, d.UserID, d.Digest, millis(now), p.DeviceCap), instant{&count.Free})
	if errors.Is(err, errNone) {
		return guard.PasswordCount{}, false, nil
	}
	return count, err == nil, err
}

// SettleDevice implements guard.DeviceStore.
func (s *Store) SettleDevice(ctx context.Context, d guard.DeviceBudget, right bool) error {
	t := d.Tenant
	_, err := exec(ctx, s.write, stmt("settle password of device",
		`UPDATE known_devices SET fails = 0, in_a_row = 0, pause = 0, failed_at = 0`+oneDevice+` AND CAST($6 AS BOOLEAN)`,
		t.Account, t.Org, t.Env, d.UserID, d.Digest, right))
	return err
}

// forgetDevices forgets all devices of a user.
func forgetDevices(ctx context.Context, tx *sql.Tx, t tenant.ID, userID string) error {
	_, err := exec(ctx, tx, stmt("forget devices of user",
		`DELETE FROM known_devices WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4`, t.Account, t.Org, t.Env, userID))
	return err
}

// dropDevices drops the devices that nobody has signed in with for too long.
func (s *Store) dropDevices(ctx context.Context, now time.Time) error {
	_, err := s.inPortions(ctx, stmt("drop devices",
		`DELETE FROM known_devices WHERE expires_at <= $1 AND (device_digest, org_id, environment, user_id) IN (
			SELECT device_digest, org_id, environment, user_id FROM known_devices WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2`+s.dialect.skipLocked+`)`,
		millis(now), portion))
	return err
}
