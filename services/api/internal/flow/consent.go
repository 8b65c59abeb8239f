package flow

import (
	"context"
	"errors"
	"slices"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/consent"
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
	case h.UserID == "": // who it is comes first
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
	if err := s.allow(ctx, h, b); err != nil {
		return out, err
	}
	h.Allowed = true
	return out, s.onward(ctx, h)
}

// allow keeps what the user has said. Who was signed in before must still be:
// a page that was left open speaks for nobody after a logout.
func (s *Service) allow(ctx context.Context, h at, b Browser) error {
	if h.Login == nil {
		has, _, err := s.signedIn(ctx, h.app, b)
		if err == nil && (has == nil || has.ID != h.SessionID) {
			err = ErrOver
		}
		if err != nil {
			return err
		}
	}
	err := s.Consents.Give(ctx, consent.Answer{Tenant: h.app.Tenant, UserID: h.UserID, ClientID: h.app.ID, Scopes: h.Scope, By: b.by()})
	if errors.Is(err, consent.ErrNotFound) {
		return ErrOver.Because(err)
	}
	return err
}
