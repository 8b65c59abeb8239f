package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"countersign.dev/services/api/internal/tenant"
)

const claimColumns = `account_id, org_id, domain, token, proven_at`

const oneClaim = ` WHERE account_id = $1 AND org_id = $2 AND domain = $3`

// claimDomains makes the organization's claims those of its list: what is new
// comes, what has gone from it goes with its proof, the rest stays. The caller
// holds the organization.
func claimDomains(ctx context.Context, tx *sql.Tx, o tenant.Organization, now time.Time) error {
	old, err := many(ctx, tx, stmt("list claims",
		`SELECT domain FROM organization_domains WHERE account_id = $1 AND org_id = $2`, o.AccountID, o.ID),
		func(row scanner) (domain string, err error) { return domain, row.Scan(&domain) })
	if err != nil {
		return err
	}
	claimed := tenant.ClaimedDomains(o.EmailDomains)
	for _, domain := range old {
		if slices.Contains(claimed, domain) {
			continue
		}
		if _, err := exec(ctx, tx, stmt("give up domain", `DELETE FROM organization_domains`+oneClaim, o.AccountID, o.ID, domain)); err != nil {
			return err
		}
	}
	for _, domain := range claimed {
		if slices.Contains(old, domain) {
			continue
		}
		if _, err := exec(ctx, tx, stmt("claim domain",
			`INSERT INTO organization_domains (account_id, org_id, domain, created_at) VALUES ($1, $2, $3, $4)`,
			o.AccountID, o.ID, domain, millis(now))); err != nil {
			return err
		}
	}
	return nil
}

// DomainClaim implements tenant.Store.
func (s *Store) DomainClaim(ctx context.Context, account, orgID, domain, token string) (c tenant.DomainClaim, err error) {
	err = one(ctx, s.write, tenant.ErrNotFound, stmt("read claim",
		`UPDATE organization_domains SET token = COALESCE(token, $4)`+oneClaim+` RETURNING `+claimColumns, account, orgID, domain, token),
		&c.AccountID, &c.OrgID, &c.Domain, &c.Token, instant{&c.ProvenAt})
	return c, err
}

// ProveDomain implements tenant.Store. The unique index decides between two
// that prove at once. A claim that was given up and made again has another
// token: the proof was not for that one.
func (s *Store) ProveDomain(ctx context.Context, claim tenant.DomainClaim, seen []string, now time.Time) error {
	return s.inTx(ctx, "prove domain", limit, func(ctx context.Context, tx *sql.Tx) error {
		others, err := many(ctx, tx, stmt("find proof",
			`SELECT org_id, token FROM organization_domains WHERE domain = $1 AND proven_at IS NOT NULL AND org_id <> $2`+s.dialect.forUpdate,
			claim.Domain, claim.OrgID), func(row scanner) (c tenant.DomainClaim, err error) { return c, row.Scan(&c.OrgID, &c.Token) })
		if err != nil {
			return err
		}
		for _, other := range others { // one at most
			if slices.Contains(seen, other.Token) {
				return tenant.ErrDomainProven
			}
			if _, err := exec(ctx, tx, stmt("end proof",
				`UPDATE organization_domains SET proven_at = NULL WHERE org_id = $1 AND domain = $2`, other.OrgID, claim.Domain)); err != nil {
				return err
			}
		}
		err = mustTouch(ctx, tx, tenant.ErrNotFound, stmt("prove domain",
			`UPDATE organization_domains SET proven_at = COALESCE(proven_at, $5)`+oneClaim+` AND token = $4`,
			claim.AccountID, claim.OrgID, claim.Domain, claim.Token, millis(now)))
		if provenDomain.violatedBy(err) {
			return tenant.ErrDomainProven
		}
		return err
	})
}

// DomainClaimants implements tenant.Store.
func (s *Store) DomainClaimants(ctx context.Context, account, domain string, proven bool, after string, most int) ([]string, error) {
	c := &conditions{}
	c.and("account_id", account)
	c.and("domain", domain)
	c.join("org_id > " + c.next(after))
	if proven {
		c.join("proven_at IS NOT NULL")
	}
	return many(ctx, s.read, stmt("find claims",
		`SELECT org_id FROM organization_domains WHERE `+c.text+` ORDER BY org_id LIMIT `+c.next(most), c.args...),
		func(row scanner) (orgID string, err error) { return orgID, row.Scan(&orgID) })
}

// DomainClaims implements tenant.Store.
func (s *Store) DomainClaims(ctx context.Context, domain string, most int) ([]tenant.DomainClaim, error) {
	return many(ctx, s.read, stmt("find claims everywhere",
		`SELECT account_id, org_id, domain, proven_at FROM organization_domains WHERE domain = $1
		ORDER BY CASE WHEN proven_at IS NULL THEN 1 ELSE 0 END, org_id LIMIT $2`, domain, most),
		func(row scanner) (c tenant.DomainClaim, err error) {
			return c, row.Scan(&c.AccountID, &c.OrgID, &c.Domain, instant{&c.ProvenAt})
		})
}

// OrganizationByID implements tenant.Store.
func (s *Store) OrganizationByID(ctx context.Context, account, orgID string) (o tenant.Organization, err error) {
	st := stmt("read organization",
		`SELECT `+organizationColumns+` FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL`, account, orgID)
	err = oneBy(ctx, s.read, tenant.ErrNotFound, st, func(row scanner) (err error) {
		o, err = scanOrganization(row)
		return err
	})
	return o, err
}
