package api

import (
	"context"

	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/app"
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
	owner, err := s.store.AccountByDomain(ctx, account)
	if err != nil {
		return App{}, err
	}
	place, err := s.store.Organization(ctx, owner.ID, org)
	if err != nil {
		return App{}, err
	}
	apps := &app.Service{Store: s.store, Outbox: &outbox.Composer{Now: s.grants.Now}, Relay: s.outgoing, Now: s.grants.Now}
	made, _, err := apps.Create(ctx, app.Caller{
		Tenant: tenant.ID{Account: owner.ID, Org: place.ID, Env: tenant.Sandbox}, By: activity.By{Actor: activity.Operator},
	}, in)
	return made, err
}
