package sqlstore

import (
	"context"
	"time"

	"countersign.dev/services/api/internal/tenant"
)

var _ tenant.ConnectionStore = (*Store)(nil)

const connectionColumns = `connections.id, connections.account_id, connections.org_id, connections.environment, connections.active, connections.delivery,
	connections.countries, connections.sms_per_hour, connections.sms_per_day, connections.issuer, connections.algorithm, connections.digits, connections.period,
	connections.passwordless, connections.created_at, connections.updated_at`

func scanConnection(row scanner) (tenant.Connection, error) {
	c := emptyConnection()
	err := row.Scan(connectionInto(&c)...)
	return c, err
}

func emptyConnection() tenant.Connection { return tenant.Connection{Countries: []string{}} }

// connectionInto is where connectionColumns go.
func connectionInto(c *tenant.Connection) []any {
	return []any{
		&c.ID, &c.Tenant.Account, &c.Tenant.Org, &c.Tenant.Env, &c.Active, &c.Delivery, document{&c.Countries},
		&c.SMSPerHour, &c.SMSPerDay, &c.Issuer, &c.App.Algorithm, &c.App.Digits, &c.App.Period,
		&c.Passwordless, instant{&c.CreatedAt}, instant{&c.UpdatedAt},
	}
}

// createConnection hangs a connection on its organization, whatever tenant it
// names itself.
func createConnection(ctx context.Context, q querier, o tenant.Organization, c tenant.Connection) error {
	_, err := exec(ctx, q, stmt("create connection",
		`INSERT INTO connections (id, account_id, org_id, environment, active, delivery, countries, sms_per_hour, sms_per_day,
			issuer, algorithm, digits, period, passwordless, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		c.ID, o.AccountID, o.ID, c.Tenant.Env, c.Active, c.Delivery, list(c.Countries), c.SMSPerHour, c.SMSPerDay,
		c.Issuer, c.App.Algorithm, c.App.Digits, c.App.Period, c.Passwordless, millis(c.CreatedAt), millis(c.UpdatedAt)))
	return err
}

// Connection implements tenant.ConnectionStore.
func (s *Store) Connection(ctx context.Context, t tenant.ID) (c tenant.Connection, err error) {
	st := stmt("read connection",
		`SELECT `+connectionColumns+` FROM connections WHERE account_id = $1 AND org_id = $2 AND environment = $3`,
		t.Account, t.Org, t.Env)
	err = oneBy(ctx, s.read, tenant.ErrNotFound, st, func(row scanner) (err error) {
		c, err = scanConnection(row)
		return err
	})
	return c, err
}

// UpdateConnection implements tenant.ConnectionStore.
func (s *Store) UpdateConnection(ctx context.Context, t tenant.ID, change tenant.ConnectionChange, now time.Time) (c tenant.Connection, err error) {
	var countries any
	if change.Countries != nil {
		countries = list(*change.Countries)
	}
	st := stmt("update connection",
		`UPDATE connections SET active = COALESCE($4, active), delivery = COALESCE($5, delivery), countries = COALESCE($6, countries),
			sms_per_hour = COALESCE($7, sms_per_hour), sms_per_day = COALESCE($8, sms_per_day), updated_at = $9,
			issuer = COALESCE($10, issuer), algorithm = COALESCE($11, algorithm), digits = COALESCE($12, digits), period = COALESCE($13, period),
			passwordless = COALESCE($14, passwordless)
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 RETURNING `+connectionColumns,
		t.Account, t.Org, t.Env, change.Active, change.Delivery, countries, change.SMSPerHour, change.SMSPerDay, millis(now),
		change.Issuer, change.Algorithm, change.Digits, change.Period, change.Passwordless)
	err = oneBy(ctx, s.write, tenant.ErrNotFound, st, func(row scanner) (err error) {
		c, err = scanConnection(row)
		return err
	})
	return c, err
}
