package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

const organizationColumns = `id, account_id, domain, name, email_domains, color, locale, created_at, updated_at, deleted_at`

func scanOrganization(row scanner) (tenant.Organization, error) {
	o := tenant.Organization{EmailDomains: []string{}}
	err := row.Scan(&o.ID, &o.AccountID, &o.Domain, &o.Name, document{&o.EmailDomains}, &o.Color, &o.Locale,
		instant{&o.CreatedAt}, instant{&o.UpdatedAt}, instant{&o.DeletedAt})
	return o, err
}

// CreateOrganization implements tenant.Store. It returns tenant.ErrDomainTaken,
// and tenant.ErrNotFound when there is no such account.
func (s *Store) CreateOrganization(ctx context.Context, o tenant.Organization, connections []tenant.Connection) error {
	return s.inTx(ctx, "create organization", limit, func(ctx context.Context, tx *sql.Tx) error {
		_, err := exec(ctx, tx, stmt("create organization",
			`INSERT INTO organizations (id, account_id, domain, name, email_domains, color, locale, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			o.ID, o.AccountID, o.Domain, o.Name, list(o.EmailDomains), o.Color, o.Locale, millis(o.CreatedAt), millis(o.UpdatedAt)))
		if livingDomain.violatedBy(err) {
			return tenant.ErrDomainTaken.Because(err)
		}
		if orphan(err) {
			return tenant.ErrNotFound.Because(err)
		}
		for _, c := range connections {
			if err != nil {
				return err
			}
			err = createConnection(ctx, tx, o, c)
		}
		return err
	})
}

// Organization implements tenant.Store.
func (s *Store) Organization(ctx context.Context, account, domain string) (o tenant.Organization, err error) {
	st := stmt("read organization",
		`SELECT `+organizationColumns+` FROM organizations WHERE account_id = $1 AND domain = $2
		ORDER BY CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END, deleted_at DESC, created_at DESC LIMIT 1`, account, domain)
	err = oneBy(ctx, s.read, tenant.ErrNotFound, st, func(row scanner) (err error) {
		o, err = scanOrganization(row)
		return err
	})
	return o, err
}

// Organizations implements tenant.Store.
func (s *Store) Organizations(ctx context.Context, account string, within []string, page listing.Page) (listing.Result[tenant.Organization], error) {
	c := &conditions{}
	c.and("account_id", account)
	c.join("deleted_at IS NULL")
	if len(within) > 0 {
		c.andAny("id", within)
	}
	return source[tenant.Organization]{"organizations", organizationColumns, scanOrganization}.page(ctx, s.read, c, page)
}

// DeleteOrganization implements tenant.Store. Lock first: a user that is being
// created at the same time (see CreateUser) is either seen here or refused
// there.
func (s *Store) DeleteOrganization(ctx context.Context, account, orgID, sparing string, now time.Time) (o tenant.Organization, err error) {
	err = s.inTx(ctx, "delete organization", longLimit, func(ctx context.Context, tx *sql.Tx) error {
		var locked string
		if err := one(ctx, tx, tenant.ErrNotFound, stmt("lock organization",
			`SELECT id FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL`+s.dialect.forUpdate,
			account, orgID), &locked); err != nil {
			return err
		}
		if sparing != "" {
			var inhabited bool
			if err := one(ctx, tx, nil, stmt("look for users",
				`SELECT EXISTS (SELECT 1 FROM users WHERE account_id = $1 AND org_id = $2 AND environment = $3)`,
				account, orgID, sparing), &inhabited); err != nil {
				return err
			}
			if inhabited {
				return tenant.ErrNotEmpty
			}
		}
		if err := removeUsers(ctx, tx, account, orgID); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("delete connections",
			`DELETE FROM connections WHERE account_id = $1 AND org_id = $2`, account, orgID)); err != nil {
			return err
		}
		st := stmt("delete organization",
			`UPDATE organizations SET deleted_at = $3, updated_at = $3 WHERE account_id = $1 AND id = $2 RETURNING `+organizationColumns,
			account, orgID, millis(now))
		return oneBy(ctx, tx, tenant.ErrNotFound, st, func(row scanner) (err error) {
			o, err = scanOrganization(row)
			return err
		})
	})
	if err != nil {
		return tenant.Organization{}, err
	}
	return o, nil
}

// removeUsers takes portions, so that each statement stays well below the
// statement timeout. What hangs on a user goes with it.
func removeUsers(ctx context.Context, tx *sql.Tx, account, orgID string) error {
	for _, env := range []string{tenant.Sandbox, tenant.Default} {
		for {
			removed, err := exec(ctx, tx, stmt("delete users",
				`DELETE FROM users WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND id IN (
					SELECT id FROM users WHERE account_id = $1 AND org_id = $2 AND environment = $3 LIMIT $4)`,
				account, orgID, env, portion))
			if err != nil {
				return err
			}
			if removed == 0 {
				break
			}
		}
	}
	return nil
}

// portion is how many rows one statement changes at most.
const portion = 500
