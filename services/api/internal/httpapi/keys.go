package httpapi

import (
	"context"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/pipeline"
)

type keyIn struct {
	Name          string   `in:"name" doc:"For people, at most 64 characters."`
	Scopes        []string `in:"scopes" doc:"A list, or one text with blanks between. Without it: all that the caller's own key has but those that a key has only when they are asked for, such as keys:write and apps:write."`
	Organizations []string `in:"organizations" doc:"Domains of the organizations that the key is limited to; without it, those of the caller's own key."`
	RedirectURIs  []string `in:"redirect_uris" doc:"Where links that the key asks for may lead, beside those of the organization: https URLs, compared character for character."`
}

type keyOut struct {
	Type         string   `json:"__type__"`
	Environment  string   `json:"__environment__"`
	ClientID     string   `json:"client_id"`
	ClientSecret *string  `json:"client_secret,omitempty"` // in the create answer only
	Name         string   `json:"name"`
	Scopes       []string `json:"scopes"`
	// Organizations are domains; empty means all of the account.
	Organizations []string `json:"organizations"`
	RedirectURIs  []string `json:"redirect_uris"`
	RevokedAt     *string  `json:"revoked_at"`
	InsertedAt    string   `json:"inserted_at"`
}

func (a *API) createKey(ctx context.Context, c pipeline.Call, in keyIn) (keyOut, error) {
	orgs, err := a.organizationIDs(ctx, c, in.Organizations)
	if err != nil {
		return keyOut{}, err
	}
	key, value, err := a.Keys.CreateUnder(ctx, c.Key, apikey.New{
		Name: in.Name, Scopes: strings.Fields(strings.Join(in.Scopes, " ")), Organizations: orgs, RedirectURIs: in.RedirectURIs,
	})
	if err != nil {
		return keyOut{}, err
	}
	shape, err := a.keyShape(ctx, c.Tenant.Account, key)
	if err != nil {
		return keyOut{}, err
	}
	out := shape(key)
	out.ClientSecret = orNull(value.Reveal())
	return out, nil
}

func (a *API) listKeys(ctx context.Context, c pipeline.Call, in pageIn) (list[keyOut], error) {
	result, err := a.Keys.List(ctx, c.Key, in.page())
	if err != nil {
		return list[keyOut]{}, err
	}
	shape, err := a.keyShape(ctx, c.Tenant.Account, result.Items...)
	if err != nil {
		return list[keyOut]{}, err
	}
	return listOf(result, shape), nil
}

func (a *API) revokeKey(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[keyOut], error) {
	key, err := a.Keys.RevokeUnder(ctx, c.Key, c.Path("key"))
	if err != nil {
		return deleted[keyOut]{}, err
	}
	shape, err := a.keyShape(ctx, c.Tenant.Account, key)
	if err != nil {
		return deleted[keyOut]{}, err
	}
	return deleted[keyOut]{Deleted: true, Resource: shape(key)}, nil
}

// organizationIDs finds organizations by domain, within the caller's reach.
func (a *API) organizationIDs(ctx context.Context, c pipeline.Call, domains []string) ([]string, error) {
	var ids []string
	for _, domain := range domains {
		org, err := a.Tenants.Organization(ctx, c.Tenant.Account, domain)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return nil, err
		}
		if err != nil || org.Deleted() || !c.Key.Reaches(org.ID) {
			return nil, fault.New(fault.Invalid, "invalid_parameter", "organizations must be domains of your organizations")
		}
		ids = append(ids, org.ID)
	}
	return ids, nil
}

// keyShape returns the shape of these keys, with the domains of the
// organizations they are narrowed to.
func (a *API) keyShape(ctx context.Context, account string, keys ...apikey.Key) (func(apikey.Key) keyOut, error) {
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.Organizations...)
	}
	domains := map[string]string{}
	if len(ids) > 0 {
		orgs, err := a.Tenants.Organizations(ctx, account, ids, listing.Page{Number: 1, Per: len(ids)})
		if err != nil {
			return nil, err
		}
		for _, o := range orgs.Items {
			domains[o.ID] = o.Domain
		}
	}
	return func(k apikey.Key) keyOut {
		out := keyOut{
			Type: "ApiKey", Environment: k.Env, ClientID: k.ID, Name: k.Name, Scopes: k.Scopes, Organizations: []string{},
			RedirectURIs: orEmpty(k.RedirectURIs), RevokedAt: stampOrNull(k.RevokedAt), InsertedAt: stamp(k.CreatedAt),
		}
		for _, org := range k.Organizations {
			domain, living := domains[org]
			if !living {
				domain = "(deleted)" // an empty list would read as "all"
			}
			out.Organizations = append(out.Organizations, domain)
		}
		return out
	}, nil
}
