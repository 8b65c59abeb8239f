package flow

import (
	"context"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// ownApp stands for the account page where an app would: it has no code, no
// redirect URI and nobody's consent to ask for.
const ownApp = "account"

// Realms find organizations by their domain alone.
type Realms interface {
	// LivingOrganization returns tenant.ErrNotFound.
	LivingOrganization(ctx context.Context, domain string) (tenant.Organization, error)
}

// Own begins a sign-in to the account page of a realm, with all that the user
// has. Whoever is signed in there already proves it anew. It returns
// session.ErrNone for a realm that there is not.
func (s *Service) Own(ctx context.Context, realm string, b Browser) (Outcome, error) {
	domain, env, ok := session.OfRealm(realm)
	if !ok {
		return Outcome{}, session.ErrNone
	}
	org, err := s.Realms.LivingOrganization(ctx, domain)
	if fault.KindOf(err) == fault.NotFound {
		return Outcome{}, session.ErrNone
	}
	if err != nil {
		return Outcome{}, err
	}
	r := Request{Own: true, Org: domain, Tenant: tenant.ID{Account: org.AccountID, Org: org.ID, Env: env}, MaxAge: -1, Prompt: []string{promptLogin}}
	a, _, err := s.target(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	if has, _, err := s.signedIn(ctx, a, b); err != nil {
		return Outcome{}, err
	} else if has != nil {
		r.Hint = has.User.Email.Written
	}
	return s.begin(ctx, a, r, b)
}

// target finds what a flow is for: an active app with its living organization,
// or the account page of one.
func (s *Service) target(ctx context.Context, r Request) (app.App, tenant.Organization, error) {
	if !r.Own {
		return s.app(ctx, r.ClientID)
	}
	org, err := s.Organizations.Organization(ctx, r.Tenant.Account, r.Org)
	if fault.KindOf(err) == fault.NotFound || err == nil && (org.Deleted() || org.ID != r.Tenant.Org) {
		return app.App{}, tenant.Organization{}, ErrOver
	}
	return app.App{ID: ownApp, Tenant: r.Tenant, Org: r.Org, Account: r.Tenant.Account, Methods: app.Methods(), FirstParty: true, Active: true}, org, err
}

// Again leads the browser of a finished flow the same way once more, with a new
// code for the same request, if it is still signed in.
func (s *Service) Again(ctx context.Context, flow secret.Text, b Browser) (Outcome, error) {
	_, out, _, err := s.open(ctx, flow, b)
	return out, err
}

// again is what a form of a finished flow comes to: a second click, or one in
// another tab. What the app asked about the age of the sign-in was done in the
// flow.
func (s *Service) again(ctx context.Context, h held, b Browser) (Outcome, error) {
	a, _, err := s.target(ctx, h.Request)
	if err != nil {
		return Outcome{}, err
	}
	has, _, err := s.signedIn(ctx, a, b)
	if err != nil {
		return Outcome{}, err
	}
	r := h.Request
	if has != nil && !has.AuthTime.Before(h.At) {
		r.Prompt, r.MaxAge = nil, -1
	}
	return s.begin(ctx, a, r, b)
}
