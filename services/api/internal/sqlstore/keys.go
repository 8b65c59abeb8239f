package sqlstore

import (
	"context"
	"time"

	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/listing"
)

var _ apikey.Store = (*Store)(nil)

// The account's domain comes from its own table in every reading.
const keyColumns = `id, account_id, (SELECT domain FROM accounts WHERE accounts.id = api_keys.account_id),
	environment, name, scopes, organizations, secret_digest, created_at, revoked_at`

func scanKey(row scanner) (apikey.Key, error) {
	k := apikey.Key{Scopes: []string{}, Organizations: []string{}}
	err := row.Scan(&k.ID, &k.AccountID, &k.AccountDomain, &k.Env, &k.Name, document{&k.Scopes}, document{&k.Organizations},
		&k.SecretDigest, instant{&k.CreatedAt}, instant{&k.RevokedAt})
	return k, err
}

// CreateKey implements apikey.Store. It returns apikey.ErrNotFound when there
// is no such account.
func (s *Store) CreateKey(ctx context.Context, k apikey.Key) error {
	_, err := exec(ctx, s.write, stmt("create api key",
		`INSERT INTO api_keys (id, account_id, environment, name, scopes, organizations, secret_digest, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		k.ID, k.AccountID, k.Env, k.Name, list(k.Scopes), list(k.Organizations), k.SecretDigest, millis(k.CreatedAt)))
	if orphan(err) {
		return apikey.ErrNotFound.Because(err)
	}
	return err
}

// KeyByID implements apikey.Store.
func (s *Store) KeyByID(ctx context.Context, keyID string) (apikey.Key, error) {
	return s.key(ctx, s.read, stmt("read api key", `SELECT `+keyColumns+` FROM api_keys WHERE id = $1`, keyID))
}

// Keys implements apikey.Store.
func (s *Store) Keys(ctx context.Context, account, env string, page listing.Page) (listing.Result[apikey.Key], error) {
	c := &conditions{}
	c.and("account_id", account)
	c.and("environment", env)
	return source[apikey.Key]{"api_keys", keyColumns, scanKey}.page(ctx, s.read, c, page)
}

// RevokeKey implements apikey.Store.
func (s *Store) RevokeKey(ctx context.Context, account, env, keyID string, now time.Time) (apikey.Key, error) {
	return s.key(ctx, s.write, stmt("revoke api key",
		`UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $4) WHERE account_id = $1 AND environment = $2 AND id = $3
		RETURNING `+keyColumns, account, env, keyID, millis(now)))
}

func (s *Store) key(ctx context.Context, q querier, st statement) (k apikey.Key, err error) {
	err = oneBy(ctx, q, apikey.ErrNotFound, st, func(row scanner) (err error) {
		k, err = scanKey(row)
		return err
	})
	return k, err
}
