package httpapi

import (
	"context"
	"strings"

	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/pipeline"
)

type consentOut struct {
	Type        string `json:"__type__"`
	Domain      string `json:"__domain__"`
	Environment string `json:"__environment__"`
	UserID      string `json:"user_id"`
	ClientID    string `json:"client_id"`
	ClientName  string `json:"client_name"`
	Scope       string `json:"scope"`
	InsertedAt  string `json:"inserted_at"`
	UpdatedAt   string `json:"updated_at"`
}

func consentShape(c pipeline.Call) func(consent.Consent) consentOut {
	return func(g consent.Consent) consentOut {
		return consentOut{
			Type: "Consent", Domain: c.Org.Domain, Environment: c.Tenant.Env, UserID: g.UserID, ClientID: g.ClientID, ClientName: g.App,
			Scope: strings.Join(g.Scopes, " "), InsertedAt: stamp(g.GivenAt), UpdatedAt: stamp(g.UpdatedAt),
		}
	}
}

func (a *API) listConsents(ctx context.Context, c pipeline.Call, in pageIn) (list[consentOut], error) {
	u, err := a.Users.Find(ctx, c.Tenant, c.Path("user"))
	if err != nil {
		return list[consentOut]{}, err
	}
	all, err := a.Consents.List(ctx, c.Tenant, u.ID)
	if err != nil {
		return list[consentOut]{}, err
	}
	page := in.page()
	result := listing.Result[consent.Consent]{Page: page, Total: len(all)}
	if from := page.Offset(); from < len(all) {
		result.Items = all[from:min(from+page.Per, len(all))]
	}
	return listOf(result, consentShape(c)), nil
}

func (a *API) revokeConsent(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[consentOut], error) {
	u, err := a.Users.Find(ctx, c.Tenant, c.Path("user"))
	if err != nil {
		return deleted[consentOut]{}, err
	}
	gone, err := a.Consents.Revoke(ctx, consent.Whose{Tenant: c.Tenant, UserID: u.ID, ClientID: c.Path("app"), By: by(c)})
	return deleted[consentOut]{Deleted: true, Resource: consentShape(c)(gone)}, err
}
