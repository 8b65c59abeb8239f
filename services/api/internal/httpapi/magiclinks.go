package httpapi

import (
	"context"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/pipeline"
)

type linkConnectionIn struct {
	Active    *bool   `in:"active" doc:"Whether users can log in by a link."`
	MayCreate *bool   `in:"find_or_create_user" doc:"Makes a user of an address without one, once its link is followed."`
	Delivery  *string `in:"delivery" doc:"Who sends the links: worker or caller, as for passwords."`
	Template  *string `in:"sign_in_template_id" doc:"Template of the mail: the id of one of the kind magic_link. An empty text: the active one of the kind."`
}

type linkConnectionOut struct {
	Type           string  `json:"__type__"`
	Domain         string  `json:"__domain__"`
	Environment    string  `json:"__environment__"`
	ID             string  `json:"id"`
	Active         bool    `json:"active"`
	MayCreate      bool    `json:"find_or_create_user"`
	Delivery       string  `json:"delivery"`
	SignInTemplate *string `json:"sign_in_template_id"`
	InsertedAt     string  `json:"inserted_at"`
	UpdatedAt      string  `json:"updated_at"`
}

func linkConnectionShape(c pipeline.Call, connection link.Connection) linkConnectionOut {
	return linkConnectionOut{
		Type: "MagicLinkConnection", Domain: c.Org.Domain, Environment: c.Tenant.Env, ID: connection.ID, Active: connection.Active,
		MayCreate: connection.MayCreate, Delivery: connection.Delivery, SignInTemplate: orNull(connection.Template),
		InsertedAt: stamp(connection.CreatedAt), UpdatedAt: stamp(connection.UpdatedAt),
	}
}

func (a *API) readLinkConnection(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (linkConnectionOut, error) {
	connection, err := a.LinkChallenges.Connection(ctx, c.Tenant)
	return linkConnectionShape(c, connection), err
}

func (a *API) updateLinkConnection(ctx context.Context, c pipeline.Call, in linkConnectionIn) (linkConnectionOut, error) {
	connection, err := a.LinkChallenges.Update(ctx, c.Tenant, link.ConnectionChange(in))
	return linkConnectionShape(c, connection), err
}

type linkChallengeIn struct {
	Email       string `in:"user_email" required:"true" doc:"Address of the user."`
	RedirectURI string `in:"redirect_uri" required:"true" doc:"Where the link leads, with code (or mfa_required) and request_id in its query; registered as for passwords."`
	OrgDomain   string `in:"org_domain" doc:"The organization; it follows from the domain of the address when it is left out."`
}

type linkChallengeOut struct {
	Type        string  `json:"__type__"`
	Domain      string  `json:"__domain__"`
	Environment string  `json:"__environment__"`
	RequestID   string  `json:"request_id"`
	Email       string  `json:"email_address"`
	MayCreate   bool    `json:"find_or_create_user"`
	Code        *string `json:"code"`
	MagicLink   *string `json:"magic_link"`
	ExpiredAt   string  `json:"expired_at"`
}

var errLinkChallenge = fault.New(fault.Invalid, "missing_parameter", "user_email, redirect_uri and, unless it follows from the address, org_domain must be provided")

func (a *API) linkChallenge(ctx context.Context, c pipeline.Call, in linkChallengeIn) (linkChallengeOut, error) {
	if c.Tenant.Org == "" || in.Email == "" || in.RedirectURI == "" {
		return linkChallengeOut{}, errLinkChallenge
	}
	asked, err := a.LinkChallenges.Challenge(ctx, asCaller(c), in.Email, in.RedirectURI)
	if err != nil {
		return linkChallengeOut{}, err
	}
	return linkChallengeOut{
		Type: "MagicLinkChallenge", Domain: c.Org.Domain, Environment: c.Tenant.Env, RequestID: asked.RequestID, Email: asked.Email,
		MayCreate: asked.MayCreate, MagicLink: orNull(asked.URL.Reveal()), ExpiredAt: stamp(asked.ExpiresAt),
	}, nil
}
