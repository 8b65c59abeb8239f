package flow

import (
	"context"
	"slices"

	"countersign.dev/pkg/secret"
)

// asks reports whether the user has to say that the app may have what it asks
// for. Nobody is asked for an app of the organization's own, unless it wants
// that.
func (s *Service) asks(ctx context.Context, h at) (bool, error) {
	switch {
	case h.Own || h.Allowed:
		return false, nil
	case h.Prompts(promptConsent):
		return true, nil
	case h.app.FirstParty:
		return false, nil
	case h.UserID == "" || s.Consents == nil:
		return true, nil
	}
	given, err := s.Consents.Given(ctx, h.app.Tenant, h.UserID, h.app.ID)
	return slices.ContainsFunc(h.Scope, func(scope string) bool { return !slices.Contains(given, scope) }), err
}

// Consent says whether the app may have what it asks for. Where it may not, it
// is told.
func (s *Service) Consent(ctx context.Context, flow secret.Text, b Browser, given bool) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepConsent)
	if !ok || err != nil {
		return out, err
	}
	if !given {
		taken, err := s.take(ctx, h.held)
		if err != nil || !taken {
			return out, err
		}
		return s.back(h.Request, refusedDenied.query())
	}
	if s.Consents != nil {
		if err := s.Consents.Give(ctx, h.app.Tenant, h.UserID, h.app.ID, h.Scope); err != nil {
			return out, err
		}
	}
	h.Allowed = true
	return out, s.onward(ctx, h)
}
