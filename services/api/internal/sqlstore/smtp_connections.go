package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/mailserver"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/relay"
	"countersign.dev/services/api/internal/tenant"
)

var (
	_ mailserver.Store = (*Store)(nil)
	_ relay.Servers    = (*Store)(nil)
)

const (
	smtpConnectionColumns = `account_id, org_id, environment, id, active, host, port, security, username, from_email, from_name, dkim_domain, dkim_selector,
	sealed, created_at, updated_at`
	oneSMTPConnection = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3`

	sealMailServer = "smtp_connection.secrets"
)

// serverSecrets are what the database must not show.
type serverSecrets struct {
	Password string `json:"password,omitempty"`
	DKIMKey  string `json:"dkim_key,omitempty"`
}

func (s *Store) sealServer(c mailserver.Connection) ([]byte, error) {
	plain, err := json.Marshal(serverSecrets{Password: c.Password.Reveal(), DKIMKey: c.Signing.Key.Reveal()})
	if err != nil {
		return nil, fmt.Errorf("encode secrets of a mail server: %w", err)
	}
	sealed, err := s.keys.Seal(sealMailServer, rowOf(c.Tenant, "", c.ID), plain)
	if err != nil {
		return nil, fmt.Errorf("seal secrets of a mail server: %w", err)
	}
	return sealed, nil
}

func (s *Store) openServer(c *mailserver.Connection, sealed []byte) error {
	plain, err := s.keys.Open(sealMailServer, rowOf(c.Tenant, "", c.ID), sealed)
	if err != nil {
		return fmt.Errorf("open secrets of mail server %s: %w", c.ID, err)
	}
	var secrets serverSecrets
	if err := json.Unmarshal(plain, &secrets); err != nil {
		return fmt.Errorf("read secrets of mail server %s: %w", c.ID, err)
	}
	c.Password, c.Signing.Key = secret.New(secrets.Password), secret.New(secrets.DKIMKey)
	return nil
}

// smtpConnection reads one and opens its secrets.
func (s *Store) smtpConnection(ctx context.Context, q querier, st statement) (c mailserver.Connection, err error) {
	var sealed []byte
	err = one(ctx, q, mailserver.ErrNone, st,
		&c.Tenant.Account, &c.Tenant.Org, &c.Tenant.Env, &c.ID, &c.Active, &c.Host, &c.Port, &c.Security, &c.User, &c.From, &c.FromName,
		&c.Signing.Domain, &c.Signing.Selector, &sealed, instant{&c.CreatedAt}, instant{&c.UpdatedAt})
	if err != nil {
		return mailserver.Connection{}, err
	}
	return c, s.openServer(&c, sealed)
}

// SMTPConnection implements mailserver.Store.
func (s *Store) SMTPConnection(ctx context.Context, t tenant.ID) (mailserver.Connection, error) {
	return s.smtpConnection(ctx, s.read, stmt("read mail server",
		`SELECT `+smtpConnectionColumns+` FROM smtp_connections`+oneSMTPConnection, t.Account, t.Org, t.Env))
}

// MailServer implements relay.Servers.
func (s *Store) MailServer(ctx context.Context, org, env string) (*event.MailServer, error) {
	c, err := s.smtpConnection(ctx, s.read, stmt("look for mail server",
		`SELECT `+smtpConnectionColumns+` FROM smtp_connections WHERE org_id = $1 AND environment = $2 AND active`, org, env))
	if errors.Is(err, mailserver.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	server := c.Server()
	return &server, nil
}

// PutSMTPConnection implements mailserver.Store. It locks the organization, so
// that two first calls do not meet, nor one with the organization's end.
func (s *Store) PutSMTPConnection(ctx context.Context, fresh mailserver.Connection, change func(*mailserver.Connection) (outbox.Entry, error)) (c mailserver.Connection, err error) {
	t := fresh.Tenant
	err = s.inTx(ctx, "put mail server", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.holdOrganization(ctx, tx, t.Account, t.Org, "", nil); err != nil {
			return err
		}
		c, err = s.smtpConnection(ctx, tx, stmt("read mail server",
			`SELECT `+smtpConnectionColumns+` FROM smtp_connections`+oneSMTPConnection, t.Account, t.Org, t.Env))
		if errors.Is(err, mailserver.ErrNone) {
			c, err = fresh, nil
		}
		if err != nil {
			return err
		}
		told, err := change(&c)
		if err != nil {
			return err
		}
		sealed, err := s.sealServer(c)
		if err != nil {
			return err
		}
		if _, err := exec(ctx, tx, stmt("put mail server",
			`INSERT INTO smtp_connections (`+smtpConnectionColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
			ON CONFLICT (org_id, environment) DO UPDATE SET active = EXCLUDED.active, host = EXCLUDED.host, port = EXCLUDED.port,
				security = EXCLUDED.security, username = EXCLUDED.username, from_email = EXCLUDED.from_email, from_name = EXCLUDED.from_name,
				dkim_domain = EXCLUDED.dkim_domain, dkim_selector = EXCLUDED.dkim_selector, sealed = EXCLUDED.sealed, updated_at = EXCLUDED.updated_at`,
			t.Account, t.Org, t.Env, c.ID, c.Active, c.Host, c.Port, c.Security, c.User, c.From, c.FromName, c.Signing.Domain, c.Signing.Selector,
			sealed, millis(c.CreatedAt), millis(c.UpdatedAt))); err != nil {
			return err
		}
		if err := askAllAgain(ctx, tx, t, c.UpdatedAt); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, []outbox.Entry{told})
	})
	if err != nil {
		return mailserver.Connection{}, err
	}
	return c, nil
}

// RemoveSMTPConnection implements mailserver.Store.
func (s *Store) RemoveSMTPConnection(ctx context.Context, t tenant.ID, told outbox.Entry) (c mailserver.Connection, err error) {
	err = s.inTx(ctx, "remove mail server", limit, func(ctx context.Context, tx *sql.Tx) error {
		c, err = s.smtpConnection(ctx, tx, stmt("remove mail server",
			`DELETE FROM smtp_connections`+oneSMTPConnection+` RETURNING `+smtpConnectionColumns, t.Account, t.Org, t.Env))
		if err != nil {
			return err
		}
		if err := askAllAgain(ctx, tx, t, told.CreatedAt); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, []outbox.Entry{told})
	})
	if err != nil {
		return mailserver.Connection{}, err
	}
	return c, nil
}
