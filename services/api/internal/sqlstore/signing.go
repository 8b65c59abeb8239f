package sqlstore

import (
	"context"

	"countersign.dev/services/api/internal/token"
)

var _ token.Store = (*Store)(nil)

// SigningKeys implements token.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]token.SigningKey, error) {
	st := stmt("list signing keys", `SELECT id, algorithm, sealed, created_at FROM signing_keys ORDER BY number DESC`)
	return many(ctx, s.read, st, func(row scanner) (k token.SigningKey, err error) {
		err = row.Scan(&k.ID, &k.Algorithm, &k.Sealed, instant{&k.CreatedAt})
		return k, err
	})
}

// AddFirstSigningKey implements token.Store. Rows that a parallel statement
// has not committed yet are invisible to NOT EXISTS; the number stops those.
func (s *Store) AddFirstSigningKey(ctx context.Context, k token.SigningKey) error {
	_, err := exec(ctx, s.write, stmt("add signing key",
		`INSERT INTO signing_keys (id, algorithm, sealed, created_at, number)
		SELECT $1, $2, $3, $4, 1 WHERE NOT EXISTS (SELECT 1 FROM signing_keys)
		ON CONFLICT (number) DO NOTHING`,
		k.ID, k.Algorithm, k.Sealed, millis(k.CreatedAt)))
	return err
}
