package sqlstore

import (
	"context"
	"database/sql"

	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
)

var _ template.Store = (*Store)(nil)

const (
	templateColumns = `account_id, org_id, environment, id, kind, name, active, contents, created_at, updated_at`
	oneTemplate     = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND id = $4`
)

func scanTemplate(row scanner) (t template.Template, err error) {
	err = row.Scan(&t.Tenant.Account, &t.Tenant.Org, &t.Tenant.Env, &t.ID, &t.Kind, &t.Name, &t.Active, document{&t.Contents},
		instant{&t.CreatedAt}, instant{&t.UpdatedAt})
	return t, err
}

// Changes of an organization's templates hold its row, so that two of them
// never find the place of the active one taken by each other.

// CreateTemplate implements template.Store.
func (s *Store) CreateTemplate(ctx context.Context, t template.Template, told []outbox.Entry) error {
	return s.inTx(ctx, "create template", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.holdOrganization(ctx, tx, t.Tenant.Account, t.Tenant.Org, "", nil); err != nil {
			return err
		}
		if err := stepBack(ctx, tx, t); err != nil {
			return err
		}
		if err := mustTouch(ctx, tx, template.ErrMany, stmt("create template",
			`INSERT INTO templates (account_id, org_id, environment, id, kind, name, active, contents, created_at, updated_at)
			SELECT account_id, id, $3, $4, $5, $6, $7, $8, $9, $10 FROM organizations WHERE account_id = $1 AND id = $2
				AND (SELECT COUNT(*) FROM templates WHERE account_id = $1 AND org_id = $2 AND environment = $3) < $11`,
			t.Tenant.Account, t.Tenant.Org, t.Tenant.Env, t.ID, t.Kind, t.Name, t.Active, document{t.Contents}, millis(t.CreatedAt), millis(t.UpdatedAt),
			template.MaxTemplates)); err != nil {
			return err
		}
		if err := markTemplated(ctx, tx, t.Tenant); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
}

// stepBack makes room for a template that is to be the active one.
func stepBack(ctx context.Context, tx *sql.Tx, t template.Template) error {
	if !t.Active {
		return nil
	}
	_, err := exec(ctx, tx, stmt("step back template",
		`UPDATE templates SET active = FALSE, updated_at = $6
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND kind = $4 AND id <> $5 AND active = TRUE`,
		t.Tenant.Account, t.Tenant.Org, t.Tenant.Env, t.Kind, t.ID, millis(t.UpdatedAt)))
	return err
}

// markTemplated writes down whether the organization has any.
func markTemplated(ctx context.Context, tx *sql.Tx, t tenant.ID) error {
	_, err := exec(ctx, tx, stmt("mark templated",
		`UPDATE organizations SET templated = EXISTS (SELECT 1 FROM templates WHERE account_id = $1 AND org_id = $2) WHERE account_id = $1 AND id = $2`,
		t.Account, t.Org))
	return err
}

// Template implements template.Store.
func (s *Store) Template(ctx context.Context, t tenant.ID, templateID string) (template.Template, error) {
	return readTemplate(ctx, s.read, t, templateID)
}

func readTemplate(ctx context.Context, q querier, t tenant.ID, templateID string) (found template.Template, err error) {
	err = oneBy(ctx, q, template.ErrNotFound, stmt("read template",
		`SELECT `+templateColumns+` FROM templates`+oneTemplate, t.Account, t.Org, t.Env, templateID), func(row scanner) (err error) {
		found, err = scanTemplate(row)
		return err
	})
	return found, err
}

// Templates implements template.Store.
func (s *Store) Templates(ctx context.Context, t tenant.ID, kind string, page listing.Page) (listing.Result[template.Template], error) {
	c := below(t)
	if kind != "" {
		c.and("kind", kind)
	}
	return source[template.Template]{"templates", templateColumns, scanTemplate}.page(ctx, s.read, c, page)
}

// UpdateTemplate implements template.Store.
func (s *Store) UpdateTemplate(ctx context.Context, t tenant.ID, templateID string, change func(*template.Template) ([]outbox.Entry, error)) (found template.Template, err error) {
	err = s.inTx(ctx, "update template", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.holdOrganization(ctx, tx, t.Account, t.Org, "", nil); err != nil {
			return err
		}
		if found, err = readTemplate(ctx, tx, t, templateID); err != nil {
			return err
		}
		told, err := change(&found)
		if err != nil {
			return err
		}
		if err := stepBack(ctx, tx, found); err != nil {
			return err
		}
		if err := mustTouch(ctx, tx, template.ErrNotFound, stmt("update template",
			`UPDATE templates SET name = $5, active = $6, contents = $7, updated_at = $8`+oneTemplate,
			t.Account, t.Org, t.Env, templateID, found.Name, found.Active, document{found.Contents}, millis(found.UpdatedAt))); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told)
	})
	return found, err
}

// DeleteTemplate implements template.Store. A connection that names it at the
// same moment may keep the name of what is gone; then the active one is used.
func (s *Store) DeleteTemplate(ctx context.Context, t tenant.ID, templateID string, told func(template.Template) []outbox.Entry) (found template.Template, err error) {
	err = s.inTx(ctx, "delete template", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.holdOrganization(ctx, tx, t.Account, t.Org, "", nil); err != nil {
			return err
		}
		if found, err = readTemplate(ctx, tx, t, templateID); err != nil {
			return err
		}
		if err := mustTouch(ctx, tx, template.ErrInUse, stmt("delete template",
			`DELETE FROM templates`+oneTemplate+`
				AND NOT EXISTS (SELECT 1 FROM password_connections WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND template_id = $4)
				AND NOT EXISTS (SELECT 1 FROM link_connections WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND template_id = $4)`,
			t.Account, t.Org, t.Env, templateID)); err != nil {
			return err
		}
		if err := markTemplated(ctx, tx, t); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, told(found))
	})
	return found, err
}

// TemplateFor implements template.Store.
func (s *Store) TemplateFor(ctx context.Context, t tenant.ID, kind, chosen string) (contents template.Contents, err error) {
	found, err := many(ctx, s.read, stmt("find template",
		`SELECT contents FROM templates WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND kind = $4 AND (id = $5 OR active = TRUE)
		ORDER BY CASE WHEN id = $5 THEN 0 ELSE 1 END LIMIT 1`, t.Account, t.Org, t.Env, kind, chosen),
		func(row scanner) (c template.Contents, err error) {
			err = row.Scan(document{&c})
			return c, err
		})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}
