// Package consent owns what users have allowed apps of others: which scopes an
// app may be granted without asking again.
//
// Package flow asks whether that is enough ([Service.Given]) and keeps what a
// user says on the page ([Service.Give]); the edges list and take it back
// ([Service.List], [Service.Revoke]). Apps of the organization itself need none
// of it. Taking it back ends all that the app was granted by then, in the same
// transaction: no refresh token outlives the consent that it rests on.
package consent

import (
	"context"
	"strings"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// ErrNotFound answers where the user has allowed the app nothing, and for apps
// that are not there.
var ErrNotFound = fault.New(fault.NotFound, "consent_not_found", "the user has allowed this app nothing; list the consents of the user to see which there are")

// Consent is what a user has allowed an app.
type Consent struct {
	Tenant    tenant.ID
	UserID    string
	ClientID  string
	App       string // its name
	Scopes    []string
	GivenAt   time.Time // the first time
	UpdatedAt time.Time // the last time
}

// Answer is what a user has just allowed.
type Answer struct {
	Tenant   tenant.ID
	UserID   string
	ClientID string
	Scopes   []string
	By       activity.By
}

// Whose is whose consent somebody takes back.
type Whose struct {
	Tenant   tenant.ID
	UserID   string
	ClientID string
	By       activity.By
}

// Store keeps consents. Each change is written with its record, in one
// transaction.
type Store interface {
	// Consent reads one, or returns ErrNotFound.
	Consent(ctx context.Context, t tenant.ID, userID, clientID string) (Consent, error)
	// GiveConsent adds the scopes to those that were allowed before. It returns
	// ErrNotFound when the user or the app is gone or not active.
	GiveConsent(ctx context.Context, c Consent, told outbox.Entry) error
	// Consents lists those of a user, the latest first: at most one for each app.
	Consents(ctx context.Context, t tenant.ID, userID string) ([]Consent, error)
	// RevokeConsent deletes one, revokes all that the user has granted the app,
	// and returns it; or it returns ErrNotFound.
	RevokeConsent(ctx context.Context, t tenant.ID, userID, clientID string, told outbox.Entry) (Consent, error)
}

// Service is the rules of consent.
type Service struct {
	Store  Store
	Outbox *outbox.Composer
	Relay  outbox.Waker
	Now    func() time.Time
}

// Given returns the scopes that a user has allowed an app, none for nothing.
func (s *Service) Given(ctx context.Context, t tenant.ID, userID, clientID string) ([]string, error) {
	found, err := s.Store.Consent(ctx, t, userID, clientID)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return found.Scopes, err
}

// Give keeps what a user has allowed an app, beside what was allowed before: an
// app that asks for less today does not lose the rest. It returns ErrNotFound.
func (s *Service) Give(ctx context.Context, a Answer) error {
	now := s.Now().Truncate(time.Millisecond)
	err := s.Store.GiveConsent(ctx, Consent{
		Tenant: a.Tenant, UserID: a.UserID, ClientID: a.ClientID, Scopes: a.Scopes, GivenAt: now, UpdatedAt: now,
	}, s.told(Whose{a.Tenant, a.UserID, a.ClientID, a.By}, event.TypeConsentGiven, map[string]string{"scope": strings.Join(a.Scopes, " ")}))
	if err == nil {
		s.Relay.Wake()
	}
	return err
}

// List returns what a user has allowed, the latest first. There are never more
// than the organization has apps.
func (s *Service) List(ctx context.Context, t tenant.ID, userID string) ([]Consent, error) {
	return s.Store.Consents(ctx, t, userID)
}

// Revoke takes back all that a user has allowed an app. What the app was
// granted ends with it, also where that would have outlived a logout. It
// returns ErrNotFound.
func (s *Service) Revoke(ctx context.Context, w Whose) (Consent, error) {
	if !app.IsID(w.ClientID) {
		return Consent{}, ErrNotFound
	}
	gone, err := s.Store.RevokeConsent(ctx, w.Tenant, w.UserID, w.ClientID, s.told(w, event.TypeConsentRevoked, nil))
	if err != nil {
		return Consent{}, err
	}
	s.Relay.Wake()
	return gone, nil
}

func (s *Service) told(w Whose, action string, data map[string]string) outbox.Entry {
	if data == nil {
		data = map[string]string{}
	}
	data["app"] = w.ClientID
	return s.Outbox.Event(activity.Record{Tenant: w.Tenant, Action: action, By: w.By, UserID: w.UserID, Data: data})
}
