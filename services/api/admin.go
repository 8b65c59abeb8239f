package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// Admin is what an operator does on the command line: the first account and
// the first key can come from nowhere else.
type Admin struct {
	tenants *tenant.Service
	keys    *apikey.Service
	tokens  *token.Service
	store   *sqlstore.Store
}

// NewKey is a key that was just made; its secret cannot be read again.
type NewKey struct {
	ClientID     string
	ClientSecret secret.Text
	Account      string
	Environment  string
	Scopes       []string
}

// AllScopes stands for every scope there is.
const AllScopes = "all"

// CreateAccount makes an account.
func (a *Admin) CreateAccount(ctx context.Context, domain, name string) error {
	_, err := a.tenants.CreateAccount(ctx, domain, name)
	return err
}

// CreateKey makes an API key for an account's environment. No scopes means
// the standard ones.
func (a *Admin) CreateKey(ctx context.Context, account, env, name string, scopes []string) (NewKey, error) {
	owner, err := a.store.AccountByDomain(ctx, account)
	if err != nil {
		return NewKey{}, fmt.Errorf("find account %s: %w", account, err)
	}
	if strings.Join(scopes, "") == AllScopes {
		scopes = apikey.All()
	}
	key, value, err := a.keys.Create(ctx, owner, env, apikey.New{Name: name, Scopes: scopes})
	if err != nil {
		return NewKey{}, err
	}
	return NewKey{ClientID: key.ID, ClientSecret: value, Account: owner.Domain, Environment: env, Scopes: key.Scopes}, nil
}

// RevokeKey ends a key of an account.
func (a *Admin) RevokeKey(ctx context.Context, clientID string) error {
	key, err := a.store.KeyByID(ctx, clientID)
	if err != nil {
		return err
	}
	_, err = a.keys.Revoke(ctx, key.AccountID, key.Env, clientID)
	return err
}

// SigningKey is a key that signs tokens, without its secret.
type SigningKey struct {
	ID        string
	Algorithm string // ES256 or RS256
	State     string // next, signing, verifying or retired
	CreatedAt time.Time
	StartsAt  time.Time
	LeavesAt  time.Time // when it verifies no more; zero for the newest
}

// SigningKeyLead is how long a new signing key is published before it signs,
// unless somebody is in a hurry.
const SigningKeyLead = token.Lead

// SigningAlgorithms lists what there are signing keys for.
func SigningAlgorithms() []string { return token.Algorithms() }

// RotateSigningKeys adds a signing key of each algorithm that is named, which
// signs after lead; none names all. The ones before go on verifying.
func (a *Admin) RotateSigningKeys(ctx context.Context, lead time.Duration, algorithms ...string) ([]SigningKey, error) {
	added, err := a.tokens.Rotate(ctx, lead, algorithms...)
	return signingKeys(added), err
}

// SigningKeys lists the signing keys, newest first within each algorithm.
func (a *Admin) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	all, err := a.tokens.List(ctx)
	return signingKeys(all), err
}

func signingKeys(all []token.KeyStatus) []SigningKey {
	var out []SigningKey
	for _, k := range all {
		out = append(out, SigningKey{
			ID: k.ID, Algorithm: k.Algorithm, State: string(k.State), CreatedAt: k.CreatedAt, StartsAt: k.StartsAt, LeavesAt: k.LeavesAt,
		})
	}
	return out
}
