package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ password.Store = (*Store)(nil)

const passwordColumns = `account_id, org_id, environment, user_id, number, hash, must_change, changed_at, hashed_at, checked_at`

func scanPassword(row scanner) (p password.Password, err error) {
	err = row.Scan(&p.Tenant.Account, &p.Tenant.Org, &p.Tenant.Env, &p.UserID, &p.Number, &p.Hash, &p.MustChange, instant{&p.ChangedAt}, instant{&p.HashedAt}, instant{&p.CheckedAt})
	return p, err
}

// Password implements password.Store.
func (s *Store) Password(ctx context.Context, t tenant.ID, userID string) (p password.Password, err error) {
	err = oneBy(ctx, s.read, errNone, stmt("read password",
		`SELECT `+passwordColumns+` FROM passwords WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4`,
		t.Account, t.Org, t.Env, userID), func(row scanner) (err error) {
		p, err = scanPassword(row)
		return err
	})
	if errors.Is(err, errNone) {
		return password.Password{}, nil
	}
	return p, err
}

// PresentPassword implements login.Passwords; zero is none.
func (s *Store) PresentPassword(ctx context.Context, t tenant.ID, userID string) (number int, mustChange bool, err error) {
	p, err := s.Password(ctx, t, userID)
	return p.Number, p.MustChange, err
}

// liveCode is what a code needs to be used. Its digest is $1, the time $2. The
// code of a first password is worth nothing once there is one.
const liveCode = `digest = $1 AND used_at IS NULL AND expires_at > $2
	AND EXISTS (SELECT 1 FROM organizations o WHERE o.id = password_codes.org_id AND o.account_id = password_codes.account_id AND o.deleted_at IS NULL)
	AND (user_id IS NULL OR EXISTS (SELECT 1 FROM users u WHERE u.org_id = password_codes.org_id AND u.environment = password_codes.environment
		AND u.id = password_codes.user_id AND u.active = TRUE AND u.email_canonical = password_codes.email_canonical))`

const codeColumns = `account_id, org_id, environment, digest, user_id, request_id, email, email_canonical, purpose, proofs,
	client_id, created_at, expires_at`

func scanCode(row scanner) (c link.Code, err error) {
	var userID sql.NullString
	err = row.Scan(&c.Tenant.Account, &c.Tenant.Org, &c.Tenant.Env, &c.Digest, &userID, &c.RequestID, &c.Email.Written, &c.Email.Canonical, &c.Purpose,
		document{&c.Proofs}, &c.ClientID, instant{&c.CreatedAt}, instant{&c.ExpiresAt})
	c.UserID = userID.String
	return c, err
}

// PasswordCode implements password.Store.
func (s *Store) PasswordCode(ctx context.Context, account, env string, digest []byte, now time.Time) (c link.Code, o tenant.Organization, err error) {
	err = oneBy(ctx, s.read, password.ErrCode, stmt("read password code",
		`SELECT `+codeColumns+` FROM password_codes WHERE `+liveCode+` AND account_id = $3 AND environment = $4`,
		digest, millis(now), account, env), func(row scanner) (err error) {
		c, err = scanCode(row)
		return err
	})
	if err != nil {
		return link.Code{}, tenant.Organization{}, err
	}
	o, err = s.organizationByID(ctx, s.read, c.Tenant.Account, c.Tenant.Org)
	return c, o, err
}

// AnyPasswordCode implements password.Store.
func (s *Store) AnyPasswordCode(ctx context.Context, digest []byte, now time.Time) (c link.Code, o tenant.Organization, err error) {
	err = oneBy(ctx, s.read, password.ErrCode, stmt("read any password code",
		`SELECT `+codeColumns+` FROM password_codes WHERE `+liveCode, digest, millis(now)), func(row scanner) (err error) {
		c, err = scanCode(row)
		return err
	})
	if err != nil {
		return link.Code{}, tenant.Organization{}, err
	}
	o, err = s.organizationByID(ctx, s.read, c.Tenant.Account, c.Tenant.Org)
	return c, o, err
}

// PutPasswordCode implements password.Store.
func (s *Store) PutPasswordCode(ctx context.Context, c link.Code) error {
	return insertCode(ctx, s.write, c)
}

// SetPassword implements password.Store.
func (s *Store) SetPassword(ctx context.Context, n password.Next, compose password.Compose) (p password.Password, u user.User, err error) {
	code := n.Code
	err = s.inTx(ctx, "set password", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := mustTouch(ctx, tx, password.ErrCode, stmt("use password code",
			`UPDATE password_codes SET used_at = $2 WHERE `+liveCode, code.Digest, millis(n.At))); err != nil {
			return err
		}
		var created bool
		if u, created, err = s.userOfLink(ctx, tx, code.Tenant, code.UserID, n.User, n.At); err != nil {
			return err
		}
		if p, err = putPassword(ctx, tx, u, n); err != nil {
			return err
		}
		if err := s.endOthers(ctx, tx, u, "", n.At); err != nil {
			return err
		}
		entries, err := compose(u, created)
		if err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, entries)
	})
	if errors.Is(err, user.ErrNotFound) || errors.Is(err, user.ErrInactive) {
		return password.Password{}, user.User{}, password.ErrCode.Because(err)
	}
	return p, u, err
}

// putPassword stores the password. The code of a first one replaces none.
func putPassword(ctx context.Context, tx *sql.Tx, u user.User, n password.Next) (p password.Password, err error) {
	replaces := n.Code.Purpose != link.Create
	if replaces {
		if err := remember(ctx, tx, u); err != nil {
			return password.Password{}, err
		}
	}
	err = oneBy(ctx, tx, password.ErrCode, stmt("store password",
		`INSERT INTO passwords (account_id, org_id, environment, user_id, number, hash, must_change, changed_at, hashed_at, checked_at)
		VALUES ($1, $2, $3, $4, 1, $5, FALSE, $6, $6, $8)
		ON CONFLICT (org_id, environment, user_id) DO UPDATE SET
			number = passwords.number + 1, hash = EXCLUDED.hash, must_change = FALSE, changed_at = EXCLUDED.changed_at,
			hashed_at = EXCLUDED.hashed_at, checked_at = EXCLUDED.checked_at, reminded_age = 0
		WHERE $7 = TRUE
		RETURNING `+passwordColumns,
		u.Tenant.Account, u.Tenant.Org, u.Tenant.Env, u.ID, n.Hash, millis(n.At), replaces, millis(n.CheckedAt)), func(row scanner) (err error) {
		p, err = scanPassword(row)
		return err
	})
	return p, err
}

// endOthers ends what was handed out under the password before: links and
// codes on their way, every session but one, and every grant with its refresh
// tokens but those of that session.
func (s *Store) endOthers(ctx context.Context, tx *sql.Tx, u user.User, keep string, now time.Time) error {
	if _, err := replaceLinks(ctx, tx, u.Tenant, u.Email.Canonical, link.Reset.Slot(), now); err != nil {
		return err
	}
	if _, err := exec(ctx, tx, stmt("end password codes",
		`UPDATE password_codes SET used_at = $5 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND email_canonical = $4 AND used_at IS NULL`,
		u.Tenant.Account, u.Tenant.Org, u.Tenant.Env, u.Email.Canonical, millis(now))); err != nil {
		return err
	}
	return endLogins(ctx, tx, u, keep, now)
}

// CreatePassword implements password.Store.
func (s *Store) CreatePassword(ctx context.Context, p password.Password, compose password.Compose) (password.Password, error) {
	err := s.inTx(ctx, "create password", limit, func(ctx context.Context, tx *sql.Tx) error {
		u, err := s.user(ctx, tx, stmt("read user",
			`SELECT `+userColumns+` FROM users`+oneUser+` AND active = TRUE`+s.dialect.forUpdate, p.Tenant.Account, p.Tenant.Org, p.Tenant.Env, p.UserID))
		if err != nil {
			return err
		}
		if err := mustTouch(ctx, tx, password.ErrHas, stmt("create password",
			`INSERT INTO passwords (account_id, org_id, environment, user_id, number, hash, must_change, changed_at, hashed_at, checked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9) ON CONFLICT (org_id, environment, user_id) DO NOTHING`,
			p.Tenant.Account, p.Tenant.Org, p.Tenant.Env, p.UserID, p.Number, p.Hash, p.MustChange, millis(p.ChangedAt), millis(p.CheckedAt))); err != nil {
			return err
		}
		entries, err := compose(u, false)
		if err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, entries)
	})
	return p, err
}

// ReplaceHash implements password.Store.
func (s *Store) ReplaceHash(ctx context.Context, p password.Password, hash string, now time.Time) error {
	_, err := exec(ctx, s.write, stmt("replace hash",
		`UPDATE passwords SET hash = $6, hashed_at = $7
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND hash = $5`,
		p.Tenant.Account, p.Tenant.Org, p.Tenant.Env, p.UserID, p.Hash, hash, millis(now)))
	return err
}

// PasswordChecked implements password.Store.
func (s *Store) PasswordChecked(ctx context.Context, p password.Password, at time.Time) error {
	_, err := exec(ctx, s.write, stmt("note check of password",
		`UPDATE passwords SET checked_at = $6 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND hash = $5`,
		p.Tenant.Account, p.Tenant.Org, p.Tenant.Env, p.UserID, p.Hash, millis(at)))
	return err
}

// PasswordLeaked implements password.Store.
func (s *Store) PasswordLeaked(ctx context.Context, p password.Password, at time.Time, entries []outbox.Entry) (first bool, err error) {
	err = s.inTx(ctx, "a password must change", limit, func(ctx context.Context, tx *sql.Tx) error {
		touched, err := exec(ctx, tx, stmt("a password must change",
			`UPDATE passwords SET must_change = TRUE, checked_at = $6
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND hash = $5 AND must_change = FALSE`,
			p.Tenant.Account, p.Tenant.Org, p.Tenant.Env, p.UserID, p.Hash, millis(at)))
		first = touched == 1
		if err != nil || !first {
			return err
		}
		return s.insertEntries(ctx, tx, entries)
	})
	return first && err == nil, err
}
