package api

import (
	"context"

	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// App is an app, and NewApp what is said about a new one.
type (
	App    = app.App
	NewApp = app.New
)

// AddApp makes an app in the sandbox of an organization.
func (s *Service) AddApp(ctx context.Context, account, org string, in NewApp) (App, error) {
	t, err := s.tenantOf(ctx, account, org, tenant.Sandbox)
	if err != nil {
		return App{}, err
	}
	apps := &app.Service{Store: s.store, Outbox: &outbox.Composer{Now: s.grants.Now}, Relay: s.outgoing, Now: s.grants.Now}
	made, _, err := apps.Create(ctx, app.Caller{
		Tenant: t, By: activity.By{Actor: activity.Operator},
	}, in)
	return made, err
}

func (s *Service) tenantOf(ctx context.Context, account, org, env string) (tenant.ID, error) {
	owner, err := s.store.AccountByDomain(ctx, account)
	if err != nil {
		return tenant.ID{}, err
	}
	place, err := s.store.Organization(ctx, owner.ID, org)
	return tenant.ID{Account: owner.ID, Org: place.ID, Env: env}, err
}

// GiveConsent stores that a user allows an app something.
func (s *Service) GiveConsent(ctx context.Context, account, org, env, userID, clientID string) error {
	t, err := s.tenantOf(ctx, account, org, env)
	if err != nil {
		return err
	}
	consents := &consent.Service{Store: s.store, Outbox: &outbox.Composer{Now: s.grants.Now}, Relay: s.outgoing, Now: s.grants.Now}
	return consents.Give(ctx, consent.Answer{Tenant: t, UserID: userID, ClientID: clientID, Scopes: []string{"openid"}, By: activity.By{Actor: activity.User}})
}
