package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ user.Store = (*Store)(nil)

const (
	userColumns = `users.id, users.account_id, users.org_id, users.environment, users.email, users.email_canonical, users.email_verified,
	users.phone_sealed, users.phone_verified, users.active, users.profile, users.address, users.created_at, users.updated_at`
	oneUser = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND id = $4`
)

// Purposes under which numbers are sealed.
const (
	sealUserPhone    = "user.phone"
	sealFactorPhone  = "factor.phone"
	sealFactorSecret = "factor.secret"
)

// rowOf names the row that a number or a secret is sealed for: elsewhere it does not open.
func rowOf(t tenant.ID, userID, rowID string) string {
	return t.Org + "|" + t.Env + "|" + userID + "|" + rowID
}

func (s *Store) sealPhone(u user.User) ([]byte, error) {
	if u.Phone == "" {
		return nil, nil
	}
	sealed, err := s.keys.Seal(sealUserPhone, rowOf(u.Tenant, u.ID, u.ID), []byte(u.Phone))
	if err != nil {
		return nil, fmt.Errorf("seal number of user: %w", err)
	}
	return sealed, nil
}

func (s *Store) openPhone(t tenant.ID, userID string, sealed []byte) (string, error) {
	if sealed == nil {
		return "", nil
	}
	number, err := s.keys.Open(sealUserPhone, rowOf(t, userID, userID), sealed)
	if err != nil {
		return "", fmt.Errorf("open number of user %s: %w", userID, err)
	}
	return string(number), nil
}

func (s *Store) scanUser(row scanner) (user.User, error) {
	u, sealed, err := scanSealedUser(row)
	if err != nil {
		return user.User{}, err
	}
	u.Phone, err = s.openPhone(u.Tenant, u.ID, sealed)
	return u, err
}

func scanSealedUser(row scanner) (u user.User, sealed []byte, err error) {
	err = row.Scan(userInto(&u, &sealed)...)
	return u, sealed, err
}

// userInto is where userColumns go.
func userInto(u *user.User, sealed *[]byte) []any {
	return []any{
		&u.ID, &u.Tenant.Account, &u.Tenant.Org, &u.Tenant.Env, &u.Email.Written, &u.Email.Canonical, &u.EmailVerified,
		sealed, &u.PhoneVerified, &u.Active, document{&u.Profile}, document{&u.Address}, instant{&u.CreatedAt}, instant{&u.UpdatedAt},
	}
}

func (s *Store) user(ctx context.Context, q querier, st statement) (u user.User, err error) {
	err = oneBy(ctx, q, user.ErrNotFound, st, func(row scanner) (err error) {
		u, err = s.scanUser(row)
		return err
	})
	return u, err
}

// CreateUser implements user.Store. It holds the organization, so that a
// parallel DeleteOrganization cannot miss the new user.
func (s *Store) CreateUser(ctx context.Context, u user.User) error {
	sealed, err := s.sealPhone(u)
	if err != nil {
		return err
	}
	err = mustTouch(ctx, s.write, tenant.ErrNotFound, stmt("create user",
		`INSERT INTO users (account_id, org_id, environment, id, email, email_canonical, email_verified, phone_sealed, phone_verified,
			active, profile, address, created_at, updated_at)
		SELECT account_id, id, $3, $4, $5, $6, $7, $8, $9,
			$10, $11, $12, $13, $14
		FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL`+s.dialect.forShare,
		u.Tenant.Account, u.Tenant.Org, u.Tenant.Env, u.ID, u.Email.Written, u.Email.Canonical, u.EmailVerified, sealed, u.PhoneVerified,
		u.Active, document{u.Profile}, document{u.Address}, millis(u.CreatedAt), millis(u.UpdatedAt)))
	if userEmail.violatedBy(err) {
		return user.ErrEmailTaken.Because(err)
	}
	return err
}

// UserByID implements user.Store.
func (s *Store) UserByID(ctx context.Context, t tenant.ID, userID string) (user.User, error) {
	return s.user(ctx, s.read, stmt("read user",
		`SELECT `+userColumns+` FROM users`+oneUser, t.Account, t.Org, t.Env, userID))
}

// UserByEmail implements user.Store.
func (s *Store) UserByEmail(ctx context.Context, t tenant.ID, canonical string) (user.User, error) {
	return s.user(ctx, s.read, stmt("read user",
		`SELECT `+userColumns+` FROM users WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND email_canonical = $4`,
		t.Account, t.Org, t.Env, canonical))
}

// Users implements user.Store.
func (s *Store) Users(ctx context.Context, t tenant.ID, page listing.Page) (listing.Result[user.User], error) {
	return source[user.User]{"users", userColumns, s.scanUser}.page(ctx, s.read, below(t), page)
}

// UpdateUser implements user.Store. What change does to id, tenant and time of
// creation is not stored. It must not call the store: the transaction may hold
// the only connection.
func (s *Store) UpdateUser(ctx context.Context, t tenant.ID, userID string, told user.Told, change func(*user.User) error) (u user.User, err error) {
	err = s.inTx(ctx, "update user", limit, func(ctx context.Context, tx *sql.Tx) error {
		old, err := s.user(ctx, tx, stmt("read user",
			`SELECT `+userColumns+` FROM users`+oneUser+s.dialect.forUpdate, t.Account, t.Org, t.Env, userID))
		if err != nil {
			return err
		}
		u = old
		if err := change(&u); err != nil {
			return err
		}
		u.ID, u.Tenant, u.CreatedAt = old.ID, old.Tenant, old.CreatedAt
		if u, err = s.writeUser(ctx, tx, u); err != nil {
			return err
		}
		if old.Active && !u.Active {
			if err := endDeactivated(ctx, tx, u); err != nil {
				return err
			}
		}
		if told == nil {
			return nil
		}
		entries, err := told(old, u)
		if err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, entries)
	})
	if err != nil {
		return user.User{}, err
	}
	return u, nil
}

func (s *Store) writeUser(ctx context.Context, tx *sql.Tx, u user.User) (user.User, error) {
	sealed, err := s.sealPhone(u)
	if err != nil {
		return user.User{}, err
	}
	u, err = s.user(ctx, tx, stmt("update user",
		`UPDATE users SET email = $5, email_canonical = $6, email_verified = $7, phone_sealed = $8, phone_verified = $9,
			active = $10, profile = $11, address = $12, updated_at = $13`+oneUser+` RETURNING `+userColumns,
		u.Tenant.Account, u.Tenant.Org, u.Tenant.Env, u.ID, u.Email.Written, u.Email.Canonical, u.EmailVerified, sealed, u.PhoneVerified,
		u.Active, document{u.Profile}, document{u.Address}, millis(u.UpdatedAt)))
	if userEmail.violatedBy(err) {
		return user.User{}, user.ErrEmailTaken.Because(err)
	}
	return u, err
}

// DeleteUser implements user.Store. A number that does not open any more is
// left out: a user must be deletable although a key was lost. Apps hear that
// the sessions have ended.
func (s *Store) DeleteUser(ctx context.Context, t tenant.ID, userID string, at time.Time) (u user.User, err error) {
	st := stmt("delete user", `DELETE FROM users`+oneUser+` RETURNING `+userColumns, t.Account, t.Org, t.Env, userID)
	var sealed []byte
	err = undeadlocked(ctx, func() error {
		return s.inTx(ctx, "delete user", limit, func(ctx context.Context, tx *sql.Tx) error {
			if _, err := deleteSessions(ctx, tx, user.User{ID: userID, Tenant: t}, "", at); err != nil {
				return err
			}
			return oneBy(ctx, tx, user.ErrNotFound, st, func(row scanner) (err error) {
				u, sealed, err = scanSealedUser(row)
				return err
			})
		})
	})
	if err != nil {
		return user.User{}, err
	}
	if number, err := s.openPhone(t, userID, sealed); err == nil {
		u.Phone = number
	}
	return u, nil
}
