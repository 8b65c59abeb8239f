package sqlstore

import (
	"context"
	"slices"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Joins repeat account, organization and environment, although the keys alone
// would find the rows: what belongs to another tenant is never beside a user.
const standing = `SELECT ` + userColumns + `, ` + connectionColumns + `, ` + factorColumns + `
	FROM users
	JOIN connections ON connections.account_id = users.account_id AND connections.org_id = users.org_id
		AND connections.environment = users.environment
	LEFT JOIN sms_factors ON sms_factors.account_id = users.account_id AND sms_factors.org_id = users.org_id
		AND sms_factors.environment = users.environment AND sms_factors.user_id = users.id AND sms_factors.pending = FALSE
	WHERE users.account_id = $1 AND users.org_id = $2 AND users.environment = $3`

// Standing implements factor.Store.
func (s *Store) Standing(ctx context.Context, t tenant.ID, key user.Key) (factor.Standing, error) {
	st := stmt("read user with factor", standing+` AND users.id = $4`, t.Account, t.Org, t.Env, key.ID)
	if key.ID == "" {
		st = stmt("read user with factor", standing+` AND users.email_canonical = $4`, t.Account, t.Org, t.Env, key.Canonical)
	}
	found := factor.Standing{Connection: emptyConnection()}
	var userPhone, factorPhone []byte
	err := one(ctx, s.read, user.ErrNotFound, st, slices.Concat(
		userInto(&found.User, &userPhone), connectionInto(&found.Connection), ifThere(factorInto(&found.SMS, &factorPhone)))...)
	if err != nil {
		return factor.Standing{}, err
	}
	if found.User.Phone, err = s.openPhone(found.User.Tenant, found.User.ID, userPhone); err != nil {
		return factor.Standing{}, err
	}
	if found.SMS.ID != "" {
		if found.SMS.Phone, err = s.openFactorPhone(found.SMS, factorPhone); err != nil {
			return factor.Standing{}, err
		}
	}
	return found, nil
}
