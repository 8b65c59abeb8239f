package api

import (
	"context"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

func (s *Service) appsAsTests() (*app.Service, error) {
	keys, err := readKeys(s.cfg)
	if err != nil {
		return nil, err
	}
	composer := &outbox.Composer{Keys: keys.delivery, Host: s.cfg.host(), Now: time.Now}
	return &app.Service{Store: s.store, Outbox: composer, Relay: s.outgoing, Now: time.Now}, nil
}

// RegisterApp makes an app of an organization, as its administrator does.
func (s *Service) RegisterApp(ctx context.Context, t tenant.ID, in app.New) (app.App, secret.Text, error) {
	apps, err := s.appsAsTests()
	if err != nil {
		return app.App{}, secret.Text{}, err
	}
	return apps.Create(ctx, app.Caller{Tenant: t, By: activity.By{Actor: activity.Operator}}, in)
}

// ChangeApp changes an app, as its administrator does.
func (s *Service) ChangeApp(ctx context.Context, a app.App, in app.Change) error {
	apps, err := s.appsAsTests()
	if err != nil {
		return err
	}
	_, err = apps.Update(ctx, app.Caller{Tenant: a.Tenant, By: activity.By{Actor: activity.Operator}}, a.ID, in)
	return err
}

// TenantOf is where an organization's domain leads for the owner of a key.
func (s *Service) TenantOf(ctx context.Context, keyID, org string) (tenant.ID, error) {
	key, err := s.store.KeyByID(ctx, keyID)
	if err != nil {
		return tenant.ID{}, err
	}
	place, err := s.store.Organization(ctx, key.AccountID, org)
	return tenant.ID{Account: key.AccountID, Org: place.ID, Env: key.Env}, err
}

// BeginSession signs a user in, as a browser does.
func (s *Service) BeginSession(ctx context.Context, in session.New) (secret.Text, session.Session, error) {
	return s.sessions.Begin(ctx, in)
}

// AppCode makes the code that a login for an app ends in, as if it had been
// made some time ago. It returns the id of its grant, too.
func (s *Service) AppCode(ctx context.Context, n grant.New, ago time.Duration) (code secret.Text, grantID string, err error) {
	grants := *s.grants
	grants.Now = func() time.Time { return time.Now().Add(-ago) }
	draft, code, err := grants.Draft(n)
	if err != nil {
		return secret.Text{}, "", err
	}
	return code, draft.Grant.ID, s.store.AddGrant(ctx, draft)
}

// LaterGrants are the rules of grants as they will be some time later.
func (s *Service) LaterGrants(later time.Duration) *grant.Service {
	grants := *s.grants
	grants.Now = func() time.Time { return time.Now().Add(later) }
	return &grants
}

// AccessOf makes an access token of a grant, as a refresh would, and keeps
// nothing.
func (s *Service) AccessOf(ctx context.Context, grantID string) (secret.Text, error) {
	of, err := s.grants.Live(ctx, grantID)
	if err != nil {
		return secret.Text{}, err
	}
	made, err := s.admin.tokens.IssueUser(ctx, of, secret.Text{})
	return made.Access, err
}
