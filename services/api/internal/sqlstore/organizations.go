package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

const organizationColumns = `organizations.id, organizations.account_id, organizations.domain, organizations.name, organizations.email_domains,
	organizations.color, organizations.locale, organizations.logo_url, organizations.redirect_uris, organizations.templated,
	organizations.logo_hash, organizations.page_texts,
	organizations.created_at, organizations.updated_at, organizations.deleted_at`

func emptyOrganization() tenant.Organization {
	return tenant.Organization{EmailDomains: []string{}, RedirectURIs: []string{}}
}

// organizationInto is where organizationColumns go.
func organizationInto(o *tenant.Organization) []any {
	return []any{
		&o.ID, &o.AccountID, &o.Domain, &o.Name, document{&o.EmailDomains}, &o.Color, &o.Locale, &o.LogoURL, document{&o.RedirectURIs}, &o.Templated,
		&o.LogoHash, document{&o.Texts}, instant{&o.CreatedAt}, instant{&o.UpdatedAt}, instant{&o.DeletedAt},
	}
}

func scanOrganization(row scanner) (tenant.Organization, error) {
	o := emptyOrganization()
	err := row.Scan(organizationInto(&o)...)
	return o, err
}

// livingFirst picks of all that had a domain the living one, else the last
// that was deleted.
const livingFirst = ` ORDER BY CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END, deleted_at DESC, created_at DESC LIMIT 1`

// CreateOrganization implements tenant.Store. It returns tenant.ErrDomainTaken,
// and tenant.ErrNotFound when there is no such account.
func (s *Store) CreateOrganization(ctx context.Context, o tenant.Organization, connections []tenant.Connection) error {
	return s.inTx(ctx, "create organization", limit, func(ctx context.Context, tx *sql.Tx) error {
		_, err := exec(ctx, tx, stmt("create organization",
			`INSERT INTO organizations (id, account_id, domain, name, email_domains, color, locale, logo_url, redirect_uris, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			o.ID, o.AccountID, o.Domain, o.Name, list(o.EmailDomains), o.Color, o.Locale, o.LogoURL, list(o.RedirectURIs), millis(o.CreatedAt), millis(o.UpdatedAt)))
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
		if err != nil {
			return err
		}
		return claimDomains(ctx, tx, o, o.CreatedAt)
	})
}

// Organization implements tenant.Store.
func (s *Store) Organization(ctx context.Context, account, domain string) (o tenant.Organization, err error) {
	st := stmt("read organization",
		`SELECT `+organizationColumns+` FROM organizations WHERE account_id = $1 AND domain = $2`+livingFirst, account, domain)
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

// UpdateOrganization implements tenant.Store.
func (s *Store) UpdateOrganization(ctx context.Context, account, orgID, sparing string, change tenant.OrganizationChange, now time.Time) (o tenant.Organization, err error) {
	var claims, redirects any
	if change.EmailDomains != nil {
		claims = list(*change.EmailDomains)
	}
	if change.RedirectURIs != nil {
		redirects = list(*change.RedirectURIs)
	}
	err = s.inTx(ctx, "update organization", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.holdOrganization(ctx, tx, account, orgID, sparing, tenant.ErrInhabited); err != nil {
			return err
		}
		hash, err := putLogo(ctx, tx, tenant.ID{Account: account, Org: orgID}, change.Logo)
		if err != nil {
			return err
		}
		st := stmt("update organization",
			`UPDATE organizations SET name = COALESCE($3, name), email_domains = COALESCE($4, email_domains), color = COALESCE($5, color),
				locale = COALESCE($6, locale), logo_url = COALESCE($7, logo_url), redirect_uris = COALESCE($8, redirect_uris),
				logo_hash = COALESCE($9, logo_hash), updated_at = $10
			WHERE account_id = $1 AND id = $2 RETURNING `+organizationColumns,
			account, orgID, change.Name, claims, change.Color, change.Locale, change.LogoURL, redirects, hash, millis(now))
		if err := oneBy(ctx, tx, tenant.ErrNotFound, st, func(row scanner) (err error) {
			o, err = scanOrganization(row)
			return err
		}); err != nil || change.EmailDomains == nil {
			return err
		}
		return claimDomains(ctx, tx, o, now)
	})
	if err != nil {
		return tenant.Organization{}, err
	}
	return o, nil
}

// DeleteOrganization implements tenant.Store. Lock first: a user that is being
// created at the same time (see CreateUser) is either seen here or refused
// there.
func (s *Store) DeleteOrganization(ctx context.Context, account, orgID, sparing string, now time.Time) (o tenant.Organization, err error) {
	err = undeadlocked(ctx, func() (err error) {
		o, err = s.deleteOrganization(ctx, account, orgID, sparing, now)
		return err
	})
	return o, err
}

func (s *Store) deleteOrganization(ctx context.Context, account, orgID, sparing string, now time.Time) (o tenant.Organization, err error) {
	err = s.inTx(ctx, "delete organization", longLimit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.holdOrganization(ctx, tx, account, orgID, sparing, tenant.ErrNotEmpty); err != nil {
			return err
		}
		if err := removeUsers(ctx, tx, account, orgID); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("delete connections",
			`DELETE FROM connections WHERE account_id = $1 AND org_id = $2`, account, orgID)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("delete templates",
			`DELETE FROM templates WHERE account_id = $1 AND org_id = $2`, account, orgID)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("delete domains",
			`DELETE FROM organization_domains WHERE account_id = $1 AND org_id = $2`, account, orgID)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("delete mail servers",
			`DELETE FROM smtp_connections WHERE account_id = $1 AND org_id = $2`, account, orgID)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("delete apps",
			`DELETE FROM apps WHERE account_id = $1 AND org_id = $2`, account, orgID)); err != nil {
			return err
		}
		if _, err := putLogo(ctx, tx, tenant.ID{Account: account, Org: orgID}, &tenant.Logo{}); err != nil {
			return err
		}
		st := stmt("delete organization",
			`UPDATE organizations SET deleted_at = $3, updated_at = $3, logo_hash = '', page_texts = NULL WHERE account_id = $1 AND id = $2 RETURNING `+organizationColumns,
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

// holdOrganization locks a living organization, against all but the foreign keys
// of what is written about its users meanwhile. With an environment to spare
// it returns inhabited while that has users.
func (s *Store) holdOrganization(ctx context.Context, tx *sql.Tx, account, orgID, sparing string, inhabited error) error {
	var locked string
	if err := one(ctx, tx, tenant.ErrNotFound, stmt("lock organization",
		`SELECT id FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL`+s.dialect.forNoKeyUpdate,
		account, orgID), &locked); err != nil || sparing == "" {
		return err
	}
	var found bool
	err := one(ctx, tx, nil, stmt("look for users",
		`SELECT EXISTS (SELECT 1 FROM users WHERE account_id = $1 AND org_id = $2 AND environment = $3)`,
		account, orgID, sparing), &found)
	if err == nil && found {
		return inhabited
	}
	return err
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
		if err := removeMailToNobody(ctx, tx, tenant.ID{Account: account, Org: orgID, Env: env}); err != nil {
			return err
		}
	}
	return nil
}

// portion is how many rows one statement changes at most.
const portion = 500
