package sqlstore

import (
	"context"
	"database/sql"

	"countersign.dev/services/api/internal/tenant"
)

// putLogo writes the picture of an organization, which is locked, and returns
// what its row is to say of it: nil where nothing changes.
func putLogo(ctx context.Context, tx *sql.Tx, of tenant.ID, logo *tenant.Logo) (hash *string, err error) {
	switch {
	case logo == nil:
		return nil, nil
	case logo.Hash == "":
		_, err = exec(ctx, tx, stmt("delete logo",
			`DELETE FROM organization_logos WHERE account_id = $1 AND org_id = $2`, of.Account, of.Org))
	default:
		_, err = exec(ctx, tx, stmt("put logo",
			`INSERT INTO organization_logos (org_id, account_id, hash, media_type, picture) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (org_id) DO UPDATE SET hash = excluded.hash, media_type = excluded.media_type, picture = excluded.picture`,
			of.Org, of.Account, logo.Hash, logo.MediaType, logo.Content))
	}
	return &logo.Hash, err
}

// Logo implements tenant.LogoStore.
func (s *Store) Logo(ctx context.Context, hash string) (l tenant.Logo, err error) {
	err = oneBy(ctx, s.read, tenant.ErrNotFound, stmt("read logo",
		`SELECT hash, media_type, picture FROM organization_logos WHERE hash = $1 LIMIT 1`, hash), func(row scanner) error {
		return row.Scan(&l.Hash, &l.MediaType, &l.Content)
	})
	return l, err
}

// ChangePageTexts implements tenant.TextStore.
func (s *Store) ChangePageTexts(ctx context.Context, e tenant.Edit, change func(tenant.PageTexts) (tenant.PageTexts, error)) (o tenant.Organization, err error) {
	account, orgID := e.Tenant.Account, e.Tenant.Org
	err = s.inTx(ctx, "change page texts", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.holdOrganization(ctx, tx, account, orgID, e.Sparing, tenant.ErrInhabited); err != nil {
			return err
		}
		before, err := s.organizationByID(ctx, tx, account, orgID)
		if err != nil {
			return err
		}
		texts, err := change(before.Texts)
		if err != nil {
			return err
		}
		if len(texts) == 0 {
			texts = nil
		}
		return oneBy(ctx, tx, tenant.ErrNotFound, stmt("change page texts",
			`UPDATE organizations SET page_texts = $3, updated_at = $4 WHERE account_id = $1 AND id = $2 RETURNING `+organizationColumns,
			account, orgID, document{texts}, millis(e.At)), func(row scanner) (err error) {
			o, err = scanOrganization(row)
			return err
		})
	})
	if err != nil {
		return tenant.Organization{}, err
	}
	return o, nil
}
