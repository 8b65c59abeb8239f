package sqlstore

import (
	"context"
	"slices"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// One row for each factor, and one for a user without any. Joins repeat
// account, organization and environment, although the keys alone would find
// the rows: what belongs to another tenant is never beside a user.
const standing = `SELECT ` + userColumns + `, ` + connectionColumns + `, ` + setColumns + `, ` + factorColumns + `
	FROM users
	JOIN connections ON connections.account_id = users.account_id AND connections.org_id = users.org_id
		AND connections.environment = users.environment
	LEFT JOIN recovery_sets ON recovery_sets.account_id = users.account_id AND recovery_sets.org_id = users.org_id
		AND recovery_sets.environment = users.environment AND recovery_sets.user_id = users.id
	LEFT JOIN factors ON factors.account_id = users.account_id AND factors.org_id = users.org_id
		AND factors.environment = users.environment AND factors.user_id = users.id
	WHERE users.account_id = $1 AND users.org_id = $2 AND users.environment = $3`

// Standing implements factor.Store.
func (s *Store) Standing(ctx context.Context, t tenant.ID, key user.Key) (factor.Standing, error) {
	st := stmt("read user with factors", standing+` AND users.id = $4 ORDER BY factors.created_at, factors.id`, t.Account, t.Org, t.Env, key.ID)
	if key.ID == "" {
		st = stmt("read user with factors", standing+` AND users.email_canonical = $4 ORDER BY factors.created_at, factors.id`,
			t.Account, t.Org, t.Env, key.Canonical)
	}
	found := factor.Standing{Connection: emptyConnection()}
	var phone, tags []byte
	first := true
	rows, err := many(ctx, s.read, st, func(row scanner) (f factor.Factor, err error) {
		var sealed []byte
		// Of a further row only the factor is news.
		of, connection, set := found.User, found.Connection, found.Recovery
		if err := row.Scan(slices.Concat(
			userInto(&of, &phone), connectionInto(&connection), ifThere(setInto(&set, &tags)), ifThere(factorInto(&f, &sealed)))...); err != nil {
			return f, err
		}
		if first {
			found.User, found.Connection, found.Recovery, first = of, connection, set, false
		}
		if f.ID == "" {
			return f, nil
		}
		return f, s.openFactor(&f, sealed)
	})
	if err != nil {
		return factor.Standing{}, err
	}
	if len(rows) == 0 {
		return factor.Standing{}, user.ErrNotFound
	}
	found.Recovery.Tags = splitTags(tags)
	if found.User.Phone, err = s.openPhone(found.User.Tenant, found.User.ID, phone); err != nil {
		return factor.Standing{}, err
	}
	for _, f := range rows {
		switch {
		case f.ID == "":
		case f.Waiting():
			found.Waiting = f
		default:
			found.Factors = append(found.Factors, f)
		}
	}
	return found, nil
}
