package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
)

var (
	_ password.ConnectionStore = (*Store)(nil)
	_ link.ConnectionStore     = (*Store)(nil)
)

const (
	passwordConnectionColumns = `account_id, org_id, environment, id, min_length, max_length, pepper_rotation, template_id, delivery,
	verbose_errors, direct_creation, min_strength, created_at, updated_at, time_to_live, grace_period, history_depth`
	onePasswordConnection = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3`
)

func scanPasswordConnection(row scanner) (c password.Connection, err error) {
	var rotation, ttl, grace int64
	err = row.Scan(&c.Tenant.Account, &c.Tenant.Org, &c.Tenant.Env, &c.ID, &c.MinLength, &c.MaxLength, &rotation, &c.Template, &c.Delivery,
		&c.VerboseErrors, &c.DirectCreation, &c.MinStrength, instant{&c.CreatedAt}, instant{&c.UpdatedAt}, &ttl, &grace, &c.Life.History)
	c.PepperRotation = time.Duration(rotation) * time.Millisecond
	c.Life.TTL, c.Life.Grace = time.Duration(ttl)*time.Millisecond, time.Duration(grace)*time.Millisecond
	return c, err
}

// CreatePasswordConnection implements password.ConnectionStore.
func (s *Store) CreatePasswordConnection(ctx context.Context, c password.Connection, entries []outbox.Entry) error {
	err := s.inTx(ctx, "create password connection", limit, func(ctx context.Context, tx *sql.Tx) error {
		err := mustTouch(ctx, tx, errNone, stmt("create password connection",
			`INSERT INTO password_connections (account_id, org_id, environment, id, min_length, max_length, pepper_rotation, template_id, delivery,
				verbose_errors, direct_creation, min_strength, created_at, updated_at, time_to_live, grace_period, history_depth)
			SELECT account_id, id, $3, $4, $5, $6, $7, $8, $9,
				$10, $11, $12, $13, $14, $15, $16, $17
			FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL
			ON CONFLICT (org_id, environment) DO NOTHING`,
			c.Tenant.Account, c.Tenant.Org, c.Tenant.Env, c.ID, c.MinLength, c.MaxLength, c.PepperRotation.Milliseconds(), c.Template, c.Delivery,
			c.VerboseErrors, c.DirectCreation, c.MinStrength, millis(c.CreatedAt), millis(c.UpdatedAt), c.Life.TTL.Milliseconds(), c.Life.Grace.Milliseconds(), c.Life.History))
		if err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, entries)
	})
	if !errors.Is(err, errNone) {
		return err
	}
	if _, err := s.PasswordConnection(ctx, c.Tenant); err != nil {
		return tenant.ErrNotFound.Because(err)
	}
	return password.ErrExists
}

// PasswordConnection implements password.ConnectionStore.
func (s *Store) PasswordConnection(ctx context.Context, t tenant.ID) (password.Connection, error) {
	return passwordConnection(ctx, s.read, stmt("read password connection",
		`SELECT `+passwordConnectionColumns+` FROM password_connections`+onePasswordConnection, t.Account, t.Org, t.Env))
}

func passwordConnection(ctx context.Context, q querier, st statement) (c password.Connection, err error) {
	err = oneBy(ctx, q, password.ErrNoConnection, st, func(row scanner) (err error) {
		c, err = scanPasswordConnection(row)
		return err
	})
	return c, err
}

// UpdatePasswordConnection implements password.ConnectionStore.
func (s *Store) UpdatePasswordConnection(ctx context.Context, t tenant.ID, change func(*password.Connection) ([]outbox.Entry, error)) (c password.Connection, err error) {
	err = s.inTx(ctx, "update password connection", limit, func(ctx context.Context, tx *sql.Tx) error {
		if c, err = passwordConnection(ctx, tx, stmt("lock password connection",
			`SELECT `+passwordConnectionColumns+` FROM password_connections`+onePasswordConnection+s.dialect.forUpdate, t.Account, t.Org, t.Env)); err != nil {
			return err
		}
		entries, err := change(&c)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("update password connection",
			`UPDATE password_connections SET min_length = $4, max_length = $5, pepper_rotation = $6, template_id = $7, delivery = $8,
				verbose_errors = $9, direct_creation = $10, min_strength = $11, updated_at = $12, time_to_live = $13, grace_period = $14,
				history_depth = $15`+onePasswordConnection,
			t.Account, t.Org, t.Env, c.MinLength, c.MaxLength, c.PepperRotation.Milliseconds(), c.Template, c.Delivery,
			c.VerboseErrors, c.DirectCreation, c.MinStrength, millis(c.UpdatedAt), c.Life.TTL.Milliseconds(), c.Life.Grace.Milliseconds(), c.Life.History)); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, entries)
	})
	return c, err
}

// LinkConnection implements link.ConnectionStore.
func (s *Store) LinkConnection(ctx context.Context, t tenant.ID) (link.Connection, error) {
	return linkConnection(ctx, s.read, t)
}

// linkConnection has its id from its organization: there is one in each
// environment, whether anything was said about it or not.
func linkConnection(ctx context.Context, q querier, t tenant.ID) (link.Connection, error) {
	c := link.Connection{ID: id.Of("link_connection", t.Org, t.Env), Tenant: t}
	err := oneBy(ctx, q, tenant.ErrNotFound, stmt("read link connection",
		`SELECT COALESCE(c.active, FALSE), COALESCE(c.may_create, FALSE), COALESCE(c.delivery, 'worker'), COALESCE(c.template_id, ''), o.created_at, COALESCE(c.updated_at, o.created_at)
		FROM organizations o LEFT JOIN link_connections c ON c.org_id = o.id AND c.environment = $3
		WHERE o.account_id = $1 AND o.id = $2 AND o.deleted_at IS NULL`, t.Account, t.Org, t.Env), func(row scanner) error {
		return row.Scan(&c.Active, &c.MayCreate, &c.Delivery, &c.Template, instant{&c.CreatedAt}, instant{&c.UpdatedAt})
	})
	return c, err
}

// UpdateLinkConnection implements link.ConnectionStore.
func (s *Store) UpdateLinkConnection(ctx context.Context, t tenant.ID, change link.ConnectionChange, now time.Time) (c link.Connection, err error) {
	err = s.inTx(ctx, "update link connection", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := mustTouch(ctx, tx, errNone, stmt("update link connection",
			`INSERT INTO link_connections (account_id, org_id, environment, active, may_create, delivery, updated_at, template_id)
			SELECT account_id, id, $3, COALESCE($4, FALSE), COALESCE($5, FALSE), COALESCE($6, 'worker'), $7, COALESCE($8, '')
			FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL
			ON CONFLICT (org_id, environment) DO UPDATE SET active = COALESCE($4, link_connections.active),
				may_create = COALESCE($5, link_connections.may_create), delivery = COALESCE($6, link_connections.delivery), updated_at = $7,
				template_id = COALESCE($8, link_connections.template_id)`,
			t.Account, t.Org, t.Env, change.Active, change.MayCreate, change.Delivery, millis(now), change.Template)); err != nil {
			return err
		}
		c, err = linkConnection(ctx, tx, t)
		return err
	})
	if errors.Is(err, errNone) {
		return link.Connection{}, tenant.ErrNotFound
	}
	return c, err
}
