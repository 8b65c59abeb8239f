package sqlstore

import (
	"context"

	"countersign.dev/services/api/internal/tenant"
)

var _ tenant.Store = (*Store)(nil)

// CreateAccount implements tenant.Store.
func (s *Store) CreateAccount(ctx context.Context, a tenant.Account) error {
	_, err := exec(ctx, s.write, stmt("create account",
		`INSERT INTO accounts (id, domain, name, created_at) VALUES ($1, $2, $3, $4)`,
		a.ID, a.Domain, a.Name, millis(a.CreatedAt)))
	if accountDomain.violatedBy(err) {
		return tenant.ErrAccountTaken.Because(err)
	}
	return err
}

// AccountByDomain implements tenant.Store. It returns tenant.ErrNotFound.
func (s *Store) AccountByDomain(ctx context.Context, domain string) (tenant.Account, error) {
	var a tenant.Account
	err := one(ctx, s.read, tenant.ErrNotFound,
		stmt("read account", `SELECT id, domain, name, created_at FROM accounts WHERE domain = $1`, domain),
		&a.ID, &a.Domain, &a.Name, instant{&a.CreatedAt})
	return a, err
}
