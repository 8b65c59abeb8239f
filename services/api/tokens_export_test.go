package api

import (
	"context"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/tenant"
)

// CodeFor makes an authorization code as the login of a user ends in one, so
// that tests of the token paths need no login.
func (s *Service) CodeFor(ctx context.Context, clientID, org, userID string, change ...func(*grant.New)) (secret.Text, error) {
	key, err := s.store.KeyByID(ctx, clientID)
	if err != nil {
		return secret.Text{}, err
	}
	place, err := s.store.Organization(ctx, key.AccountID, org)
	if err != nil {
		return secret.Text{}, err
	}
	n := grant.New{
		Tenant: tenant.ID{Account: key.AccountID, Org: place.ID, Env: key.Env}, UserID: userID, ClientID: clientID,
		Scope: []string{grant.OpenID, grant.Email, grant.Profile}, AMR: []string{grant.Password},
	}
	for _, c := range change {
		c(&n)
	}
	return s.grants.NewCode(ctx, n)
}
