package sqlstore

import (
	"context"
	"slices"
	"time"

	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

var _ apikey.Store = (*Store)(nil)

// The account's domain comes from its own table in every reading.
const keyColumns = `api_keys.id, api_keys.account_id, (SELECT domain FROM accounts WHERE accounts.id = api_keys.account_id), api_keys.environment,
	api_keys.name, api_keys.scopes, api_keys.organizations, api_keys.redirect_uris, api_keys.secret_digest, api_keys.created_at,
	api_keys.revoked_at`

func emptyKey() apikey.Key {
	return apikey.Key{Scopes: []string{}, Organizations: []string{}, RedirectURIs: []string{}}
}

// keyInto is where keyColumns go.
func keyInto(k *apikey.Key) []any {
	return []any{
		&k.ID, &k.AccountID, &k.AccountDomain, &k.Env, &k.Name, document{&k.Scopes}, document{&k.Organizations},
		document{&k.RedirectURIs}, &k.SecretDigest, instant{&k.CreatedAt}, instant{&k.RevokedAt},
	}
}

func scanKey(row scanner) (apikey.Key, error) {
	k := emptyKey()
	err := row.Scan(keyInto(&k)...)
	return k, err
}

// CreateKey implements apikey.Store. It returns apikey.ErrNotFound when there
// is no such account.
func (s *Store) CreateKey(ctx context.Context, k apikey.Key) error {
	_, err := exec(ctx, s.write, stmt("create api key",
		`INSERT INTO api_keys (id, account_id, environment, name, scopes, organizations, redirect_uris, secret_digest, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		k.ID, k.AccountID, k.Env, k.Name, list(k.Scopes), list(k.Organizations), list(k.RedirectURIs), k.SecretDigest, millis(k.CreatedAt)))
	if orphan(err) {
		return apikey.ErrNotFound.Because(err)
	}
	return err
}

// KeyByID implements apikey.Store.
func (s *Store) KeyByID(ctx context.Context, keyID string) (apikey.Key, error) {
	return s.key(ctx, s.read, stmt("read api key", `SELECT `+keyColumns+` FROM api_keys WHERE id = $1`, keyID))
}

// The organization comes from the key's own account.
const keyIn = `SELECT ` + keyColumns + `, ` + organizationColumns + `
	FROM api_keys LEFT JOIN organizations ON organizations.account_id = api_keys.account_id AND organizations.id = (
		SELECT o.id FROM organizations o WHERE o.account_id = api_keys.account_id AND o.domain = $2` + livingFirst + `)
	WHERE api_keys.id = $1`

// KeyIn implements pipeline.Keys: KeyByID and Organization in one reading.
func (s *Store) KeyIn(ctx context.Context, keyID, domain string) (apikey.Key, tenant.Organization, error) {
	k, o := emptyKey(), emptyOrganization()
	err := one(ctx, s.read, apikey.ErrNotFound, stmt("read api key with organization", keyIn, keyID, domain),
		slices.Concat(keyInto(&k), ifThere(organizationInto(&o)))...)
	return k, o, err
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
