package sqlstore

import (
	"context"

	"countersign.dev/services/api/internal/token"
)

var _ token.Store = (*Store)(nil)

// SigningKeys implements token.Store. Some clients take the first of the
// published keys and read RSA alone, so those stand in front.
func (s *Store) SigningKeys(ctx context.Context) ([]token.SigningKey, error) {
	st := stmt("list signing keys", `SELECT id, algorithm, sealed, created_at, starts_at FROM signing_keys ORDER BY algorithm DESC, number DESC`)
	return many(ctx, s.read, st, func(row scanner) (k token.SigningKey, err error) {
		err = row.Scan(&k.ID, &k.Algorithm, &k.Sealed, instant{&k.CreatedAt}, instant{&k.StartsAt})
		return k, err
	})
}

// AddFirstSigningKey implements token.Store. Rows that a parallel statement
// has not committed yet are invisible to NOT EXISTS; the number stops those.
func (s *Store) AddFirstSigningKey(ctx context.Context, k token.SigningKey) error {
	_, err := exec(ctx, s.write, stmt("add signing key",
		`INSERT INTO signing_keys (id, algorithm, sealed, created_at, starts_at, number)
		SELECT $1, $2, $3, $4, $5, 1 WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE algorithm = $2)
		ON CONFLICT (algorithm, number) DO NOTHING`,
		k.ID, k.Algorithm, k.Sealed, millis(k.CreatedAt), millis(k.StartsAt)))
	return err
}

// AddSigningKey implements token.Store. The number stops one that is being
// added in parallel, as above.
func (s *Store) AddSigningKey(ctx context.Context, k token.SigningKey, after string) error {
	return mustTouch(ctx, s.write, token.ErrRotated, stmt("add signing key",
		`INSERT INTO signing_keys (id, algorithm, sealed, created_at, starts_at, number)
		SELECT $1, $2, $3, $4, $5, newest.number + 1
		FROM signing_keys newest
		WHERE newest.id = $6 AND newest.algorithm = $2 AND newest.number = (SELECT MAX(number) FROM signing_keys WHERE algorithm = $2)
		ON CONFLICT (algorithm, number) DO NOTHING`,
		k.ID, k.Algorithm, k.Sealed, millis(k.CreatedAt), millis(k.StartsAt), after))
}

// IssuerExists reports whether a domain is an account's or a living
// organization's: tokens are issued in their names.
func (s *Store) IssuerExists(ctx context.Context, domain string) (exists bool, err error) {
	err = one(ctx, s.read, nil, stmt("look for issuer",
		`SELECT EXISTS (SELECT 1 FROM accounts WHERE domain = $1)
			OR EXISTS (SELECT 1 FROM organizations WHERE domain = $1 AND deleted_at IS NULL)`, domain), &exists)
	return exists, err
}
