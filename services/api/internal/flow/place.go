package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/tenant"
)

// placeLife is for how long it is known where a sign-in began, be it over or
// not: people come back to a page that stood open while they ate. Anybody can
// begin sign-ins, and each takes its place in the store for so long.
const placeLife = 2 * time.Hour

// Place is where somebody begins anew whose sign-in is over.
type Place struct {
	Own   bool   // at the account page
	Again string // where its app begins sign-ins; empty where it has not said
	// Org is whose pages the sign-in had. Only the browser that it began in is
	// told: others show what somebody else has sent them.
	Org tenant.Organization
}

// begun is what is kept of a flow beside it. It proves nothing.
type begun struct {
	Browser  []byte    `json:"browser"`
	ClientID string    `json:"client_id,omitempty"`
	Own      bool      `json:"own,omitempty"`
	Org      string    `json:"org,omitempty"`
	Tenant   tenant.ID `json:"tenant,omitzero"`
}

const placePurpose = "place of a flow"

func placeKey(key string) string { return key + ":place" }

func (s *Service) putPlace(ctx context.Context, key string, f Flow) error {
	of := begun{Browser: f.Browser, ClientID: f.ClientID}
	if f.Own {
		of.Own, of.Org, of.Tenant = true, f.Org, f.Tenant
	}
	plain, err := json.Marshal(of)
	if err != nil {
		return fmt.Errorf("encode place of flow: %w", err)
	}
	value, err := s.Keys.Seal(placePurpose, placeKey(key), plain)
	if err != nil {
		return err
	}
	return s.Store.Put(ctx, placeKey(key), value, placeLife)
}

// Place tells where a flow began. It returns ErrOver where that is not known,
// and ErrClient where the app works no more.
func (s *Service) Place(ctx context.Context, flow secret.Text, b Browser) (Place, error) {
	return s.PlaceOf(ctx, keyOf(flow), b)
}

// PlaceOf is Place of a flow by its key.
func (s *Service) PlaceOf(ctx context.Context, key string, b Browser) (Place, error) {
	stored, err := s.Store.Get(ctx, placeKey(key))
	if err != nil {
		return Place{}, err
	}
	if stored == nil {
		return Place{}, ErrOver
	}
	plain, err := s.Keys.Open(placePurpose, placeKey(key), stored)
	if err != nil {
		return Place{}, fmt.Errorf("open place of flow: %w", err)
	}
	var of begun
	if err := json.Unmarshal(plain, &of); err != nil {
		return Place{}, fmt.Errorf("read place of flow: %w", err)
	}
	a, org, err := s.target(ctx, Request{ClientID: of.ClientID, Own: of.Own, Org: of.Org, Tenant: of.Tenant})
	if err != nil {
		return Place{}, err
	}
	p := Place{Own: of.Own, Again: a.InitiateURI}
	if !b.Cookie.IsZero() && slices.Equal(of.Browser, digest(b.Cookie)) {
		p.Org = org
	}
	return p, nil
}
